//! Scenario 3.4: writes that go on for a while.

use super::VALUE_BYTES;
use crate::distribution::Distribution;
use crate::error::Result;
use crate::operation::Operation;
use crate::quantity::Unit;
use crate::report::{Better, Line, Plot};
use crate::run::{Run, Second};
use crate::stress::FLAT_MIN;
use crate::stress::closed_loop::{ClosedLoop, Until};
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::workload::{Bytes, Data};

const PUBLISHED: &str = "5,731/s";
const WRITERS: usize = 10;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let each = sizes.sustained_time.as_secs_f64() * 1.25 + 0.5;
    let bytes = (sizes.sustained_time.as_secs_f64() * 2e7) as u64;
    Cost { seconds: each * engines.len() as f64, memory_bytes: 128 << 20, disk_bytes: bytes }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let mut lines = Vec::new();
    for engine in session.engines.clone() {
        let workload = ClosedLoop {
            name: "3.4-sustained".to_owned(),
            description: "Changes of records, each acknowledged when the device has it, for a while",
            seed: session.options.seed,
            data: Data {
                records: session.sizes.nodes * 2,
                record_bytes: Bytes(VALUE_BYTES),
                ..Data::default()
            },
            mix: &[(Operation::WriteRecord, 1.0)],
            threads: WRITERS,
            until: Until::Time(session.sizes.sustained_time),
            store: engine.store(),
            keys: Distribution::Uniform,
        }
        .workload();
        let run = session.run(&workload, &engine)?;
        add(session, &engine, &run);
        let point = |second: &Second| (f64::from(second.second), Some(second.operations as f64));
        lines.push(Line { name: engine.name().to_owned(), points: whole_seconds(&run).map(point).collect() });
    }
    session.plot(Plot {
        title: "Sustained writes, in each second".to_owned(),
        x_name: "time".to_owned(),
        x_unit: Unit::Seconds,
        y_name: "writes".to_owned(),
        y_unit: Unit::PerSecond,
        is_logarithmic: false,
        lines,
        spans: Vec::new(),
    });
    Ok(())
}

/// The seconds that a run went on for as a whole.
fn whole_seconds(run: &Run) -> impl DoubleEndedIterator<Item = &Second> {
    // The last operation ends a little after the last second.
    run.series.iter().filter(|second| f64::from(second.second) + 1.0 <= run.seconds + 0.01)
}

fn add(session: &mut Session<'_, '_>, engine: &Engine, run: &Run) {
    let seconds = session.sizes.sustained_time.as_secs_f64();
    let level = if engine.is_lasting() { "synced" } else { "which this engine can't sync" };
    let syncs = run.syncs.map_or(String::new(), |syncs| format!(" {} syncs of the device.", counted(syncs)));
    let definition = format!(
        "A closed loop of {WRITERS} writers for {seconds} s: any of {} records as long as a node is written anew, {level}, each in \
         a commit of its own.{syncs} Afterwards everything is read.",
        counted(session.sizes.nodes * 2)
    );
    let draft = Draft::rate("rate", format!("sustained writes, {level}")).by(&*definition);
    session.sample(draft.published(PUBLISHED).on(engine), run.throughput());
    let counts: Vec<u64> = whole_seconds(run).map(|second| second.operations).collect();
    let slowest = counts.iter().copied().min().map(|least| least as f64);
    let name = "sustained writes, the slowest second";
    session.sample_if(Draft::rate("slowest", name).by(definition).on(engine), slowest);
    let Some((first, last)) = thirds(&counts) else {
        session.note("too short for a first and a last third");
        return;
    };
    let definition = format!(
        "Writes in the last third of the seconds by those in the first third. No degradation is what does not fall below {FLAT_MIN}: \
         by so much parts of a run may differ."
    );
    let draft = Draft::ratio("degradation", "sustained writes, the last third to the first", Better::Higher);
    session.sample(draft.by(definition).published(PUBLISHED).at_least(FLAT_MIN).on(engine), last / first);
}

/// The sums of the first and of the last third, rounded up; `None` of fewer than three.
fn thirds(counts: &[u64]) -> Option<(f64, f64)> {
    let third = counts.len().div_ceil(3);
    let sum = |some: &[u64]| some.iter().sum::<u64>() as f64;
    (counts.len() >= 3).then(|| (sum(&counts[..third]), sum(&counts[counts.len() - third..])))
}

#[cfg(test)]
mod tests {
    use super::thirds;

    #[test]
    fn thirds_are_of_one_length() {
        assert_eq!(thirds(&[1, 2]), None);
        assert_eq!(thirds(&[1, 2, 3]), Some((1.0, 3.0)));
        assert_eq!(thirds(&[1, 2, 3, 4, 5]), Some((3.0, 9.0)));
        assert_eq!(thirds(&[1; 15]), Some((5.0, 5.0)));
    }
}
