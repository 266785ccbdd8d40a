//! The page for people.

use super::Report;
use crate::sample::Ending;

pub(super) fn page(report: &Report) -> String {
    let mut page = String::from("# Statlas beside other embedded engines\n\n");
    page.push_str(
        "Medians of all runs, with the smallest and the largest in brackets; the best peer in bold. Every engine got \
         the same rows, durable to the same level, in processes of their own that took turns.\n\n",
    );
    page.push_str(&checks(report));
    page.push_str(&report.tables());
    page.push_str("\n## How the engines are set up\n\n");
    for (engine, settings) in &report.settings {
        page.push_str(&format!("- **{engine}**: {settings}.\n"));
    }
    page.push_str("\nThe reasons, with the documents that they come from, are in `bench/peers/README.md`.\n");
    page.push_str("\n## Environment\n\n");
    for (name, value) in report.environment.entries() {
        page.push_str(&format!("- {name}: {value}\n"));
    }
    page.push_str(&format!("- parameters: `{}`\n", report.parameters));
    page.push_str("\n## How to repeat it\n\n```sh\ncd bench/peers\n");
    let command = report.environment.entries().iter().find(|(name, _)| *name == "command");
    page.push_str(command.map_or("cargo run --release", |(_, command)| command));
    page.push_str(
        "\n```\n\nFigures of another machine, or of a busy one, differ; compare ratios within one run.\n",
    );
    page
}

/// What was checked.
fn checks(report: &Report) -> String {
    let sum = |name: &str| report.samples.iter().filter_map(|sample| sample.figures.get(name)).sum::<f64>();
    let ended = |ending: &dyn Fn(&Ending) -> bool| {
        report.samples.iter().filter(|sample| ending(&sample.ending)).count()
    };
    let failed = ended(&|ending| matches!(ending, Ending::Failed(_)));
    let killed = ended(&|ending| *ending == Ending::OutOfMemory);
    format!(
        "Checked by reading back in another process: {:.0} rows had exactly the bytes that were stored, {:.0} keys that \
         were never stored were not found. Of {} samples {failed} failed and {killed} were killed for want of \
         memory.\n",
        sum("verified_rows"),
        sum("verified_absent"),
        report.samples.len()
    )
}
