//! `verify-history`: proves that nothing of the history was changed or taken away.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use statlas_store::{HistoryOutcome, NotedHead};

use crate::failure::Failure;
use crate::output::{bytes, plural, printable, thousands};
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas --json stats | jq -r .head > /elsewhere/head       (note the head where nobody changes it)
  statlas verify-history --head \"$(cat /elsewhere/head)\"     (later: is all since then as it was?)
  statlas verify-history                                     (does the chain hold from the beginning?)";

/// Prove that the history was not changed
///
/// Computes the hash chain again over every commit, from a head that you noted to the present one. A chain that
/// ends right proves that each of those commits is there, in its order and unchanged.
///
/// Ends with code 4 if the history is not the one that was committed. History that was compacted away can't
/// be proved; the answer says up to which revision that is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A head that `statlas stats` printed; without it the proof begins as early as it can
    #[arg(long, value_name = "REVISION:HEX")]
    head: Option<NotedHead>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open_unannounced()?;
    let bar = session.output().progress("verifying", Some(0), Unit::Bytes);
    let report = store.engine().verify_history(arguments.head, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let head = report.head;
    if session.output().json() {
        let mut answer = json!({
            "head": head.to_string(), "revision": head.revision, "forgotten": report.forgotten,
            "bytes": report.bytes, "commits": report.commits,
        });
        match &report.outcome {
            HistoryOutcome::Proved { from, to } => {
                (answer["outcome"], answer["from"], answer["to"]) =
                    ("proved".into(), (*from).into(), (*to).into());
            }
            HistoryOutcome::Refuted { revision, reason } => {
                answer["outcome"] = "refuted".into();
                (answer["broken_at"], answer["reason"]) = ((*revision).into(), reason.as_str().into());
            }
            HistoryOutcome::NotProvable { .. } => answer["outcome"] = "not_provable".into(),
        }
        session.output().print_json(&answer)?;
    }
    let print = |text: String| if session.output().json() { Ok(()) } else { session.output().print(text) };
    match report.outcome {
        HistoryOutcome::Proved { from, to } => {
            let begin = match (arguments.head, report.forgotten) {
                (None, forgotten) if forgotten > 0 => {
                    format!("; of revisions up to {} something was compacted away", thousands(forgotten))
                }
                _ => String::new(),
            };
            print(format!(
                "proved: revisions {} to {} are as they were committed ({}, {} read){begin}\nhead {head}",
                thousands(from + 1),
                thousands(to),
                plural(report.commits, "commit", "commits"),
                bytes(report.bytes),
            ))
        }
        HistoryOutcome::NotProvable { forgotten } => print(format!(
            "not provable: of revisions up to {} something was compacted away\nhead {head}",
            thousands(forgotten)
        )),
        HistoryOutcome::Refuted { revision, reason } => {
            let message =
                format!("refuted: the history breaks at revision {revision}: {}", printable(&reason));
            Err(Failure::integrity(message)
                .hint("`statlas check` lists what is damaged; without damage, somebody changed the store")
                .into())
        }
    }
}
