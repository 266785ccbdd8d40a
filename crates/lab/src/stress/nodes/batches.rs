//! Scenario 3.1: nodes stored in batches, synced, all of a batch or nothing.

use statlas_store::limits::RECORD_VALUE_BYTES_MAX;
use statlas_store::{Batch, Durability, ErrorKind, Expected, Store};

use super::{Node, node_key};
use crate::error::{Error, Result};
use crate::quantity::Unit;
use crate::report::{Better, median};
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::subject::Subject;

const PUBLISHED: &str = "25 ms / 11 ms / 76 ms, 68.6K nodes/s";
/// Nodes of a batch.
const BATCHES: [u64; 3] = [100, 1000, 5000];
/// The least that batches of the largest size must reach, in nodes a second, synced.
const RATE_MIN: f64 = 500_000.0;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let nodes = (BATCHES.iter().sum::<u64>() * sizes.node_batches * sizes.node_rounds as u64) as f64;
    let bytes = (nodes * 700.0) as u64;
    let seconds = engines.len() as f64 * nodes * 7e-6;
    Cost {
        seconds,
        memory_bytes: bytes,
        disk_bytes: if engines.iter().any(Engine::is_lasting) { bytes } else { 0 },
    }
}

/// A store of nodes, and how many it must have.
struct Filled {
    engine: Engine,
    subject: Subject,
    store: Store,
    nodes: u64,
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let mut stores = Vec::new();
    for engine in session.engines.clone() {
        let subject = Subject::new(&engine.store(), &session.options.folder)?;
        let store = subject.open()?;
        stores.push(Filled { engine, subject, store, nodes: 0 });
    }
    for _ in 0..session.sizes.node_rounds {
        for size in BATCHES {
            for filled in &mut stores {
                session.step(&format!("batches of {} on {}", counted(size), filled.engine.name()))?;
                filled.measure(session, size)?;
            }
        }
    }
    for filled in stores {
        filled.check(session)?;
    }
    Ok(())
}

impl Filled {
    fn measure(&mut self, session: &mut Session<'_, '_>, size: u64) -> Result<()> {
        let seed = session.options.seed;
        let syncs_before = self.store.engine().stats().syncs;
        let mut times = Vec::new();
        for _ in 0..session.sizes.node_batches {
            session.goes_on()?;
            let made: Vec<Node> =
                (self.nodes..self.nodes + size).map(|number| Node::new(seed, number)).collect();
            let (seconds, stored) = timed(|| {
                let mut batch = Batch::new();
                made.into_iter().for_each(|node| node.put(&mut batch, Expected::Absent));
                self.store.commit(batch, Durability::Synced)
            });
            stored.map_err(Error::store("storing nodes"))?;
            self.nodes += size;
            times.push(seconds);
        }
        let nodes = (size * times.len() as u64) as f64;
        let rate = nodes / times.iter().sum::<f64>();
        let words = if self.engine.is_lasting() { "synced" } else { "which this engine can't sync" };
        let definition = format!(
            "{} batches one after another, one thread, each {words} before the next one; from values that are there to the \
             acknowledgement.",
            times.len()
        );
        let name = format!("nodes in batches of {}", counted(size));
        let time = Draft::time(format!("time.{size}"), format!("{name}, a batch, median")).by(&*definition);
        session.sample_if(time.published(PUBLISHED).on(&self.engine), median(&times));
        let draft = Draft::rate(format!("rate.{size}"), format!("{name}, {words}")).by(&*definition);
        let draft = draft.published(PUBLISHED).on(&self.engine);
        let has_bound = size == BATCHES[BATCHES.len() - 1] && self.engine.is_lasting();
        session.sample(if has_bound { draft.at_least(RATE_MIN) } else { draft }, rate);
        let syncs_after = self.store.engine().stats().syncs;
        self.measure_loader(session, size)?;
        if self.engine.is_lasting() {
            let syncs = syncs_after - syncs_before;
            let name = format!("{name}, syncs of the device for a batch");
            let draft =
                Draft::new(format!("syncs.{size}"), name, Unit::Count, Better::Neither).by(definition);
            session.sample(draft.on(&self.engine), syncs as f64 / times.len() as f64);
        }
        Ok(())
    }

    /// The same through a loader, which makes the next batch ready while one is on its way to the device.
    fn measure_loader(&mut self, session: &mut Session<'_, '_>, size: u64) -> Result<()> {
        session.goes_on()?;
        let seed = session.options.seed;
        let end = self.nodes + size * session.sizes.node_batches;
        let made: Vec<Node> = (self.nodes..end).map(|number| Node::new(seed, number)).collect();
        let mut made = made.into_iter();
        let (seconds, stored) = timed(|| {
            let mut loader = self.store.loader(Durability::Synced)?;
            while made.len() > 0 {
                let mut batch = Batch::new();
                made.by_ref().take(size as usize).for_each(|node| node.put(&mut batch, Expected::Absent));
                loader.commit(batch)?;
            }
            loader.finish()
        });
        let stored = stored.map_err(Error::store("storing nodes"))?.others;
        let expected = size * session.sizes.node_batches;
        session.check(Some(&self.engine), stored == expected, || {
            format!("{stored} of {expected} nodes were stored through a loader")
        });
        self.nodes = end;
        let definition = "As many batches through Store::loader: each is committed by itself, synced before the next one, which is made ready \
                          meanwhile.";
        let name = format!("nodes in batches of {}, through a loader", counted(size));
        let draft = Draft::rate(format!("loader.{size}"), name).by(definition).published(PUBLISHED);
        session.sample(draft.on(&self.engine), expected as f64 / seconds);
        Ok(())
    }

    /// All nodes are there, after the store was opened again, and a batch with a bad row leaves nothing.
    fn check(mut self, session: &mut Session<'_, '_>) -> Result<()> {
        session.step(&format!("what is there on {}", self.engine.name()))?;
        self.refuse(session, "a row that is there already", ErrorKind::Conflict, |node| Node {
            key: node_key(0),
            ..node
        })?;
        self.refuse(session, "a value that is too long", ErrorKind::Invalid, |node| Node {
            value: vec![b' '; RECORD_VALUE_BYTES_MAX + 1],
            ..node
        })?;
        if self.subject.is_lasting() {
            self.store.close().map_err(Error::store("closing a store of nodes"))?;
            drop(self.store);
            self.store = self.subject.open()?;
        }
        let (mut wrong, mut messages) = (0, Vec::new());
        for number in 0..self.nodes {
            let node = Node::new(session.options.seed, number);
            let found = self.store.engine().record(&node.key).map_err(Error::store("reading a node"))?;
            if found.is_none_or(|record| record.value != node.value) {
                wrong += 1;
                messages = vec![format!("{} was stored and is not there, or is another one", node.key.key())];
            }
        }
        session.checked(Some(&self.engine), self.nodes, wrong, &messages);
        Ok(())
    }

    /// Stores a batch with one bad row: it must be refused, the row be named, and nothing of it be there.
    fn refuse(
        &self,
        session: &mut Session<'_, '_>,
        what: &str,
        kind: ErrorKind,
        spoil: impl Fn(Node) -> Node,
    ) -> Result<()> {
        let (size, seed) = (BATCHES[2], session.options.seed);
        let bad = size * 2 / 3;
        let mut batch = Batch::new();
        for row in 0..size {
            let node = Node::new(seed, self.nodes + row);
            let node = if row == bad { spoil(node) } else { node };
            node.put(&mut batch, Expected::Absent);
        }
        let refused = self.store.commit(batch, Durability::Synced).err();
        let is_named = refused
            .as_ref()
            .is_some_and(|error| error.kind() == kind && error.operation() == usize::try_from(bad).ok());
        let said = refused.map_or("it was stored".to_owned(), |error| error.to_string());
        session.check(Some(&self.engine), is_named, || {
            format!("a batch with {what} at row {bad} must be refused with that row; {said}")
        });
        let mut there = 0;
        for row in 0..size {
            let found = self.store.engine().record(&node_key(self.nodes + row));
            there += u64::from(found.map_err(Error::store("reading a node"))?.is_some());
        }
        let messages: Vec<String> = (there > 0)
            .then(|| format!("{there} rows of a batch with {what} are there; none must be"))
            .into_iter()
            .collect();
        session.checked(Some(&self.engine), size, there, &messages);
        Ok(())
    }
}
