//! Scenario 2.2: what it gains to ask for all the memory first.

use super::fresh::{PART, TokenRequest, Way};
use crate::error::Result;
use crate::report::Better;
use crate::stress::child::fill_with_tokens;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "\"4 times faster\" [an artefact; 1.0 times in release]";

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    super::cost(sizes, 3, 260.0)
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let parts = format!("{} a call", counted(PART as u64));
    for _ in 0..session.sizes.token_rounds {
        for (id, words, way) in
            [("push", "one by one", Way::OneByOne), ("parts", parts.as_str(), Way::InParts)]
        {
            session.step(words)?;
            let (Some(grown), Some(reserved)) = (fill(session, way, false)?, fill(session, way, true)?)
            else {
                continue;
            };
            add(session, id, words, grown, reserved);
        }
    }
    Ok(())
}

/// How long it takes to fill memory that is new; `None` if it was not.
fn fill(session: &mut Session<'_, '_>, way: Way, is_reserved: bool) -> Result<Option<f64>> {
    let count = session.sizes.tokens;
    let request = TokenRequest { way, count, is_reserved };
    let filled = fill_with_tokens(session.options.child.as_ref(), request, session.asks())?;
    session.checked(None, count as u64, filled.wrong, &[]);
    if session.options.child.is_none() {
        session
            .note("memory was filled in this process, whose allocator may have had some of it from before");
        return Ok(Some(filled.seconds));
    }
    Ok(Some(filled.seconds).filter(|_| filled.is_fresh != Some(false)))
}

fn add(session: &mut Session<'_, '_>, id: &str, words: &str, grown: f64, reserved: f64) {
    let name = format!("create {} tokens, {words}", counted(session.sizes.tokens as u64));
    let definition = "One thread, each time in a process of its own, so that all memory is new from the system. Memory that \
                      grows is copied each time that it doubles; memory from with_capacity is asked for once.";
    for (kind, what, seconds) in
        [("grown", "in memory that grows", grown), ("reserved", "in memory from with_capacity", reserved)]
    {
        session
            .sample(Draft::time(format!("{id}.{kind}"), format!("{name}, {what}")).by(definition), seconds);
    }
    let draft = Draft::ratio(format!("{id}.gain"), format!("{name}, with_capacity gains"), Better::Neither);
    session.sample(draft.by(definition).published(PUBLISHED), grown / reserved);
}
