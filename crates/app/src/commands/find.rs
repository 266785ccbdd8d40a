//! `find`: entities by their coordinates.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::json;
use statlas_core::{Alignment, Identifier, Polarity, Timestamp};
use statlas_store::{Cursor, Filter, Interval, OrderBy, Page, Query, Store};

use crate::allowance::Allowance;
use crate::args::ProfileArgument;
use crate::entity_table::{COLUMNS, cells};
use crate::interval::{floats, identifier, integers, timestamps};
use crate::output::plural;
use crate::progress::Unit;
use crate::session::{Session, expect_undamaged};
use crate::table::Table;

const EXAMPLES: &str = "\
Examples:
  statlas find --realm data,system --luminosity 20..80 --limit 10
  statlas find --resonance -1..0 --density 0.5.. --order-by density --desc
  statlas find --created-at 2024-01-01T00:00:00Z..2025-01-01T00:00:00Z --count
  statlas find --adjacent dir:src --latest             (the files of a directory, newest versions)
  statlas --json find --profile stat7 --limit 0 | jq -r .id

Conditions are all to be met. A list is met by any of its values. An interval is A..B with both
ends included, A.. or ..B with one end open, or a single value. A condition on a dimension that only
one profile has is met by entities of that profile alone. Ordering by such a dimension leaves out the
entities of the other profile, and so does --count with that order.

If the store is damaged, what can be read is listed or counted and the command ends with code 4.";

/// Entities that are read at a time when all are asked for.
const PAGE_ROWS_MAX: usize = 10_000;
/// Rows that are aligned together.
const TABLE_ROWS: usize = 1000;

/// Find entities by their coordinates
///
/// Lists the entities that meet all conditions; without any, all of them.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    conditions: Conditions,
    /// What the rows are sorted by; a dimension of one profile leaves out the entities of the other
    #[arg(long, value_name = "DIMENSION", default_value = "commit", help_heading = "Answer")]
    order_by: OrderArgument,
    /// The largest, or newest, first
    #[arg(long, help_heading = "Answer")]
    desc: bool,
    /// At most this many rows; 0 for all
    #[arg(long, value_name = "ROWS", default_value_t = 100, help_heading = "Answer")]
    limit: usize,
    /// Go on after an earlier answer: its `next`, with the same conditions and order
    #[arg(long, value_name = "NEXT", help_heading = "Answer")]
    cursor: Option<Cursor>,
    /// Print only how many there are
    #[arg(long, help_heading = "Answer", conflicts_with_all = ["cursor", "limit"])]
    count: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Conditions")]
struct Conditions {
    /// stat7 or fractalstat
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    profile: Vec<ProfileArgument>,
    /// Realms of the coordinates
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = identifier)]
    realm: Vec<Identifier>,
    /// Realms of the entities themselves
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = identifier)]
    entity_realm: Vec<Identifier>,
    /// Entity types
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = identifier)]
    entity_type: Vec<Identifier>,
    /// Horizons
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = identifier)]
    horizon: Vec<Identifier>,
    /// Polarities, such as LOGIC,ORDER (fractalstat)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = polarity)]
    polarity: Vec<Polarity>,
    /// Alignments, such as TRUE_NEUTRAL (fractalstat)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = alignment)]
    alignment: Vec<Alignment>,
    /// Generations from the common ancestor
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, value_parser = integers)]
    lineage: Option<Interval<u32>>,
    /// Dimensionality (fractalstat)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, value_parser = integers)]
    dimensionality: Option<Interval<u32>>,
    /// Resonance, from -1 to 1 (stat7)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, value_parser = floats)]
    resonance: Option<Interval<f64>>,
    /// Velocity, from -1 to 1 (stat7)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, value_parser = floats)]
    velocity: Option<Interval<f64>>,
    /// Density, from 0 to 1 (stat7)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, value_parser = floats)]
    density: Option<Interval<f64>>,
    /// Luminosity, from 0 to 100 (fractalstat)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, value_parser = floats)]
    luminosity: Option<Interval<f64>>,
    /// Times of creation, RFC 3339 with an offset
    #[arg(long, value_name = "A..B", value_parser = timestamps)]
    created_at: Option<Interval<Timestamp>>,
    /// Entities that name this id as a neighbour; may be given several times
    #[arg(long, value_name = "ID")]
    adjacent: Vec<String>,
    /// Only the newest version of each id
    #[arg(long)]
    latest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OrderArgument(OrderBy);

impl ValueEnum for OrderArgument {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [OrderArgument; OrderBy::ALL.len()] = {
            let mut variants = [OrderArgument(OrderBy::Commit); OrderBy::ALL.len()];
            let mut at = 0;
            while at < variants.len() {
                variants[at] = OrderArgument(OrderBy::ALL[at].0);
                at += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

pub(crate) fn polarity(text: &str) -> Result<Polarity, String> {
    text.to_ascii_uppercase().parse().map_err(|error: statlas_core::EntityError| error.allowed().to_owned())
}

pub(crate) fn alignment(text: &str) -> Result<Alignment, String> {
    text.to_ascii_uppercase().parse().map_err(|error: statlas_core::EntityError| error.allowed().to_owned())
}

impl From<Conditions> for Filter {
    fn from(conditions: Conditions) -> Self {
        Self {
            profile: conditions.profile.into_iter().map(Into::into).collect(),
            realm: conditions.realm,
            entity_realm: conditions.entity_realm,
            entity_type: conditions.entity_type,
            horizon: conditions.horizon,
            polarity: conditions.polarity,
            alignment: conditions.alignment,
            lineage: conditions.lineage.unwrap_or_default(),
            dimensionality: conditions.dimensionality.unwrap_or_default(),
            resonance: conditions.resonance.unwrap_or_default(),
            velocity: conditions.velocity.unwrap_or_default(),
            density: conditions.density.unwrap_or_default(),
            luminosity: conditions.luminosity.unwrap_or_default(),
            created_at: conditions.created_at.unwrap_or_default(),
            adjacent: conditions.adjacent,
            latest: conditions.latest,
        }
    }
}

pub(crate) fn run(arguments: Arguments, session: &Session) -> Result<()> {
    let Arguments { conditions, order_by, desc, limit, cursor, count } = arguments;
    let filter = Filter::from(conditions);
    let store = session.open()?;
    if count {
        let count = count_rows(&store, filter, order_by.0)?;
        match session.output().json() {
            true => session.output().print_json(&json!({"count": count})),
            false => session.output().print(count),
        }?;
        return expect_undamaged(&store, "the count");
    }
    let query = Query { filter, order_by: order_by.0, descending: desc, limit: 0, after: cursor };
    let (rows, next) = list(&store, query, limit, session)?;
    match next {
        _ if session.output().json() => {}
        Some(next) => {
            let rows = plural(rows as u64, "row", "rows");
            session.output().note(format!(
                "{rows} shown, and there may be more: add --cursor {next}, or --limit 0 for all"
            ));
        }
        None if rows == 0 => session.output().note("no entity meets the conditions"),
        None => {}
    }
    expect_undamaged(&store, "the answer")
}

/// How many rows all pages have together: an order that only one profile has leaves out the other.
fn count_rows(store: &Store, mut filter: Filter, order_by: OrderBy) -> Result<u64> {
    if let Some(profile) = order_by.profile() {
        if !filter.profile.is_empty() && !filter.profile.contains(&profile) {
            return Ok(0);
        }
        filter.profile = vec![profile];
    }
    Ok(store.engine().count(&filter)?)
}

/// Prints up to `limit` rows, page by page; returns how many, and where to go on.
fn list(store: &Store, mut query: Query, limit: usize, session: &Session) -> Result<(usize, Option<Cursor>)> {
    let wanted = if limit == 0 { usize::MAX } else { limit };
    let mut pages = Allowance::beside(store).pages(PAGE_ROWS_MAX);
    let mut stdout = session.output().stdout();
    let bar = session.output().progress_beside_stdout("finding", None, Unit::Count);
    let mut rows = 0;
    loop {
        // Every table has a header of its own, so tables don't begin small.
        let page_rows = if session.output().json() { pages.rows() } else { TABLE_ROWS };
        query.limit = page_rows.min(wanted - rows);
        let page = store.engine().find(&query)?;
        pages.learn(&page);
        rows += page.entities.len();
        bar.set_position(rows as u64);
        print_page(&page, session, &mut stdout)?;
        match page.next {
            Some(next) if rows < wanted => query.after = Some(next),
            next => {
                if let Some(next) = next.filter(|_| session.output().json()) {
                    writeln!(stdout, "{}", json!({"next": next.to_string()}))
                        .context("cannot write to standard output")?;
                }
                stdout.flush().context("cannot write to standard output")?;
                bar.finish_and_clear();
                return Ok((rows, next));
            }
        }
    }
}

fn print_page(page: &Page, session: &Session, stdout: &mut dyn Write) -> Result<()> {
    if session.output().json() {
        let mut text = Vec::new();
        for entity in &page.entities {
            text.clear();
            entity.entity()?.to_json_into(&mut text);
            text.push(b'\n');
            stdout.write_all(&text).context("cannot write to standard output")?;
        }
        return Ok(());
    }
    if page.entities.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for entity in &page.entities {
        table.row(cells(entity)?);
    }
    table.write(session.output(), stdout).context("cannot write to standard output")
}
