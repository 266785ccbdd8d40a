//! Scenario 3.7: memory for a node.

use crate::error::Result;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::held_memory::measure;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::stress::store_memory::Things;

const PUBLISHED: &str = "\"zero\" [below the noise]";

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    Cost { seconds: 1.0, memory_bytes: sizes.nodes_held * 2000, disk_bytes: sizes.nodes_held * 500 }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let nodes = session.sizes.nodes_held;
    let each = |bytes: f64| bytes / nodes as f64;
    for engine in session.engines.clone() {
        session.step(engine.name())?;
        let answer = measure(session, &engine, Things::Nodes, nodes, None)?;
        let draft = |id: &str, name: &str| {
            Draft::bytes(format!("{id}.{nodes}"), format!("{name}, {} nodes", counted(nodes))).on(&engine)
        };
        if let Some(grown) = answer.grown_bytes {
            let definition = if engine.is_lasting() {
                "A process of its own opens the store and reads every node once: what its memory that is no page of a file has \
                 grown by, for each."
            } else {
                "A process of its own stores the nodes in batches of 1,000: what its memory that is no page of a file has \
                 grown by, for each. Values are in it."
            };
            session.sample(
                draft("resident", "memory for a node").by(definition).published(PUBLISHED),
                each(grown),
            );
        }
        if engine.is_lasting() {
            let definition =
                "What the store holds of its budget in that process, by its own account, for each.";
            session.sample(
                draft("held", "held by the store for a node").by(definition),
                each(answer.held_bytes as f64),
            );
            let definition = "Bytes in the files of the store, for each.";
            session
                .sample(draft("disk", "on disk for a node").by(definition), each(answer.disk_bytes as f64));
        }
    }
    Ok(())
}
