//! `near`: the entities most similar to one, or with the tokens nearest to one.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use statlas_core::{Space, SpaceSet};
use statlas_store::{Metric, Store, StoredEntity, TokenQuery};

use crate::entity_table::{COLUMNS, cells};
use crate::failure::Failure;
use crate::output::plural;
use crate::session::{self, Session, WHAT_HELP};
use crate::table::{Align, Table};
use crate::token_argument::{self, Missing};

const EXAMPLES: &str = "\
Examples:
  statlas near file:src/main.rs
  statlas near 2a803d2480c2 -k 25
  statlas --json near bc-0001 -k 1
  statlas near --token bc-0001                         (what is near the token of an entity)
  statlas near --token '{\"spaces\": {\"physical\": [12.5, -3.0, 1.75]}}' --within 2.5
  statlas near --token @token.json --spaces physical,motor --metric cosine -k 3
  statlas token encode token.json | statlas near --token @-";

/// Find the entities most similar to one, or with the tokens nearest to one
///
/// Lists the entities of the same profile whose position is most similar, the most similar first.
///
/// stat7 uses the entanglement score, where 0.85 and more counts as entangled, fractalstat its weighted
/// similarity; both lie between 0 and 1.
///
/// With --token, lists the entities whose attached token is nearest, whatever their profile, the nearest first. Tokens are
/// compared on the axes that both define; entities without a token, or without any of those axes, are left out. Only
/// `spaces` of a token in JSON matters, and the other fields need not be there.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(help = WHAT_HELP, required_unless_present = "token", conflicts_with = "token")]
    what: Option<String>,
    /// How many
    #[arg(short, long = "count", value_name = "K", default_value_t = 10, value_parser = count)]
    k: usize,
    #[command(flatten)]
    by_token: ByToken,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "By token")]
struct ByToken {
    /// A token: as JSON, as 128 hex digits, in a file (@FILE, @- for standard input), or the name of an entity that carries
    /// one
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The spaces whose axes count; all of them unless said
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = space, requires = "token", conflicts_with = "what")]
    spaces: Vec<Space>,
    /// How the distance is measured
    #[arg(long, value_name = "METRIC", default_value = "euclidean", conflicts_with = "what")]
    metric: MetricArgument,
    /// Only what is at most so far
    #[arg(long, value_name = "RADIUS", allow_hyphen_values = true, value_parser = radius, requires = "token", conflicts_with = "what")]
    within: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetricArgument {
    /// On decoded values, in the units of the axes
    Euclidean,
    /// One less the cosine of the raw values: 0 for the same direction, 2 for the opposite one
    Cosine,
}

impl From<MetricArgument> for Metric {
    fn from(metric: MetricArgument) -> Self {
        match metric {
            MetricArgument::Euclidean => Self::Euclidean,
            MetricArgument::Cosine => Self::Cosine,
        }
    }
}

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("found {text:?}; allowed: an integer from 1 on"))
}

fn radius(text: &str) -> Result<f64, String> {
    let radius = text.parse().ok().filter(|radius: &f64| radius.is_finite() && *radius >= 0.0);
    radius.ok_or_else(|| format!("found {text:?}; allowed: a finite number that is not negative"))
}

fn space(text: &str) -> Result<Space, String> {
    let allowed = || Space::ALL.map(Space::as_str).join(", ");
    Space::from_name(text).ok_or_else(|| format!("found {text:?}; allowed: {}", allowed()))
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let Arguments { what, k, by_token } = arguments;
    if let Some(token) = &by_token.token {
        return run_by_token(token, *k, by_token, session);
    }
    let what = what.as_deref().context("either WHAT or --token is there")?;
    let store = session.open()?;
    let entity = session::resolve_one(&store, what)?;
    let head = entity.head()?;
    let neighbours = store.engine().near(&head.coordinates, *k, Some(&entity.address()))?;
    let rows = neighbours.iter().map(|neighbour| (neighbour.similarity, &neighbour.entity));
    print("similarity", rows, session)
}

fn run_by_token(token: &str, k: usize, by_token: &ByToken, session: &Session) -> Result<()> {
    // What is wrong with it is told before a store is looked for.
    let literal = token_argument::literal(token, Missing::Zero)?;
    let store = session.open()?;
    let query = match literal {
        Some(token) => TokenQuery::new(token, k),
        None => of_entity(&store, token, k)?,
    };
    let spaces = match &*by_token.spaces {
        [] => SpaceSet::ALL,
        spaces => spaces.iter().copied().collect(),
    };
    if spaces.iter().all(|space| query.token.decoded(space).is_none()) {
        let spaces: Vec<&str> = spaces.iter().map(Space::as_str).collect();
        let failure = Failure::usage(format!("the token defines no axis of {}", spaces.join(", ")));
        return Err(failure
            .hint("nothing can be near it there; name other --spaces, or another token")
            .into());
    }
    let query = TokenQuery { spaces, metric: by_token.metric.into(), radius: by_token.within, ..query };
    let found = store.engine().near_token(&query)?;
    print("distance", found.iter().map(|near| (near.distance, &near.entity)), session)?;
    if by_token.within.is_some() && found.len() == k && !session.output().json() {
        let rows = plural(k as u64, "row", "rows");
        session
            .output()
            .note(format!("{rows} shown, and there may be more within the radius: -k asks for more"));
    }
    Ok(())
}

/// The query for what is near the token of an entity, which is left out itself.
fn of_entity(store: &Store, what: &str, k: usize) -> Result<TokenQuery> {
    let entity = session::resolve_one(store, what)?;
    let Some(token) = entity.token() else {
        let failure = Failure::not_found(format!("the entity {what:?} carries no token"));
        return Err(failure.hint(format!("--token takes {} too", token_argument::LITERALS)).into());
    };
    Ok(TokenQuery { except: Some(entity.address()), ..TokenQuery::new(*token, k) })
}

/// Prints entities, each behind how near it is.
fn print<'a>(
    nearness: &'static str,
    rows: impl Iterator<Item = (f64, &'a StoredEntity)>,
    session: &Session,
) -> Result<()> {
    let mut stdout = session.output().stdout();
    let mut columns = vec![(nearness, Align::Right)];
    columns.extend(COLUMNS);
    let mut table = Table::new(&columns);
    for (near, entity) in rows {
        if session.output().json() {
            let mut line = json!({nearness: near});
            line["address"] = Value::from(entity.address().to_string());
            line["id"] = Value::from(entity.head()?.id);
            writeln!(stdout, "{line}").context("cannot write to standard output")?;
        } else {
            let mut row = vec![format!("{near:.4}")];
            row.extend(cells(entity)?);
            table.row(row);
        }
    }
    if !session.output().json() {
        table.write(session.output(), &mut stdout).context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")
}
