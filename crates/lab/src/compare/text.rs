//! A comparison on a terminal.

use crate::compare::{Change, Compared, Comparison, Side};
use crate::quantity::Unit;
use crate::report::layout::optional;
use crate::report::sentences::plural;
use crate::report::table::{Align, Table};
use crate::report::text::Lines;

impl Comparison {
    /// It as plain text for a terminal of a width: the verdict in the first line, then what is worse, then all
    /// figures.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.paragraph(&format!("{}: {}", self.verdict, self.sentence()), 0);
        for row in self.rows.iter().filter(|row| row.change == Change::Worse) {
            let engine = row.engine.as_ref().map_or_else(String::new, |engine| format!(" on {engine}"));
            let (before, after) = (optional(row.unit, row.before), optional(row.unit, row.after));
            lines.item(&format!("{}: {}{engine}: {before} became {after}", row.section, row.name));
        }
        for warning in &self.warnings {
            lines.paragraph(&format!("WARNING: they are not comparable: {warning}"), 0);
        }
        lines.line("");
        lines.pairs([("before", side(&self.before)), ("after", side(&self.after))]);
        let mut sections: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !sections.contains(&row.section.as_str()) {
                sections.push(&row.section);
            }
        }
        for section in sections {
            lines.heading(section);
            let of_section: Vec<_> = self.rows.iter().filter(|row| row.section == section).collect();
            lines.table(&table(&of_section));
        }
        lines.text
    }

    fn sentence(&self) -> String {
        let count = |change| self.rows.iter().filter(|row| row.change == change).count();
        let in_both = self.rows.iter().filter(|row| row.before.is_some() && row.after.is_some()).count();
        let (worse, better) = (count(Change::Worse), count(Change::Better));
        let noise = Unit::Share.format(self.noise);
        let mut text = format!(
            "of {} that both have, {worse} became worse and {better} better, by more than {noise} and than rounds \
             differ by.",
            plural(in_both, "figure")
        );
        let alone = count(Change::OnlyBefore) + count(Change::OnlyAfter);
        if alone > 0 {
            let have = if alone == 1 { "has no counterpart" } else { "have no counterpart" };
            text += &format!(" {} {have}.", plural(alone, "figure"));
        }
        text
    }
}

fn side(side: &Side) -> String {
    format!("{} ({}, statlas {} of commit {})", side.title, side.begun, side.version, side.commit)
}

fn table(rows: &[&Compared]) -> Table {
    let mut table = Table::new([
        ("figure", Align::Left),
        ("engine", Align::Whole),
        ("before", Align::Right),
        ("after", Align::Right),
        ("change", Align::Right),
        ("", Align::Whole),
    ]);
    for row in rows {
        table.row(vec![
            row.name.clone(),
            row.engine.clone().unwrap_or_default(),
            optional(row.unit, row.before),
            optional(row.unit, row.after),
            row.ratio().map_or_else(String::new, change),
            word(row.change).to_owned(),
        ]);
    }
    table
}

/// A ratio as people say it: `+12.0 %`, `-8.10 %`, `3.40 times`.
fn change(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 2.0 => Unit::Times.format(ratio),
        ratio if ratio >= 1.0 => format!("+{}", Unit::Share.format(ratio - 1.0)),
        ratio => Unit::Share.format(ratio - 1.0),
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Same => "same",
        Change::Better => "better",
        Change::Worse => "WORSE",
        Change::Differs => "differs",
        Change::OnlyBefore => "only before",
        Change::OnlyAfter => "only after",
    }
}
