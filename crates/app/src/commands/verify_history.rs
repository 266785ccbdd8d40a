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
  statlas verify-history                                     (is the chain consistent from the beginning?)";

/// Prove that the history was not changed
///
/// Computes the hash chain again over every commit, from a head that you noted to the present one. A chain that
/// ends right proves that each of those commits is there, in its order and unchanged. Without a noted head the
/// answer is that the history is consistent in itself: who rewrote all of it could have made it so.
///
/// Ends with code 4 if the history is not the one that was committed. History that was compacted away can't
/// be proved; the answer says up to which revision that is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A head that `statlas stats` printed; without it nothing is proved, and the chain is followed from as early as
    /// it can be
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
                let outcome = if arguments.head.is_some() { "proved" } else { "consistent" };
                (answer["outcome"], answer["from"], answer["to"]) =
                    (outcome.into(), (*from).into(), (*to).into());
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
            let (from, to) = (thousands(from + 1), thousands(to));
            let read =
                format!("{}, {} read", plural(report.commits, "commit", "commits"), bytes(report.bytes));
            let answer = match arguments.head {
                Some(_) => format!("proved: revisions {from} to {to} are as they were committed ({read})"),
                None => {
                    let forgotten = match report.forgotten {
                        0 => String::new(),
                        forgotten => {
                            format!(
                                "; of revisions up to {} something was compacted away",
                                thousands(forgotten)
                            )
                        }
                    };
                    format!(
                        "consistent: revisions {from} to {to} follow from one another ({read}){forgotten}; without a \
                         noted head nothing is proved, since all of them could have been rewritten"
                    )
                }
            };
            print(format!("{answer}\nhead {head}"))
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
