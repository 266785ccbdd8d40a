//! Section `mixed`: gets and puts of single rows, together.

use anyhow::{Result, ensure};

use super::threads::together;
use super::{Task, tell};
use crate::data::{Data, Row, Wanted, fold};
use crate::engine::{Engine, View};
use crate::process;

/// Of 100 operations so many are puts.
const PUTS_OF_100: u64 = 30;
/// Tells these random choices from others.
const OPERATIONS: u64 = 0x100;

/// What a thread does, made before the clock starts.
struct Script {
    /// A key to get, or else the next of the rows is put.
    operations: Vec<Option<Wanted>>,
    rows: Vec<Row>,
}

impl Script {
    /// Gets are of the rows that were there before, each as likely as any other. Thread `t` of `n` puts the rows
    /// `rows + t`, `rows + t + n`, and so on.
    fn new(data: &Data, rows: u64, thread: u64, threads: u64, operations: u64) -> Self {
        let mut choices = data.choices(OPERATIONS + thread);
        let mut script = Self { operations: Vec::new(), rows: Vec::new() };
        for _ in 0..operations {
            if choices.chance(PUTS_OF_100, 100) {
                let number = rows + thread + script.rows.len() as u64 * threads;
                script.rows.push(data.row(number));
                script.operations.push(None);
            } else {
                script.operations.push(Some(Wanted::of(data, choices.below(rows))));
            }
        }
        script
    }

    /// Does everything; returns how many rows were put.
    fn play(&mut self, engine: &dyn Engine, wait: &dyn Fn()) -> Result<u64> {
        let (mut put, mut wrong) = (0, 0_usize);
        engine.read(View::Latest, &mut |reader| {
            wait();
            for operation in &self.operations {
                let Some(wanted) = operation else {
                    engine.commit(&mut self.rows[put..=put])?;
                    put += 1;
                    continue;
                };
                let found =
                    reader.get(&wanted.key, &mut |value| wrong += usize::from(fold(value) != wanted.fold))?;
                wrong += usize::from(!found);
            }
            Ok(())
        })?;
        ensure!(wrong == 0, "{wrong} values are wrong or missing");
        Ok(put as u64)
    }
}

pub(super) fn perform(task: &Task, rows: u64, threads: u64, operations: u64) -> Result<()> {
    let data = task.data();
    let engine = task.open()?;
    let processor = std::sync::OnceLock::new();
    let (wall, put) = together(threads, |thread, wait| {
        let mut script = Script::new(&data, rows, thread, threads, operations / threads);
        script.play(&*engine, &|| {
            wait();
            processor.get_or_init(process::process_time);
        })
    })?;
    let processor = process::process_time() - processor.get().copied().unwrap_or_default();
    engine.close()?;
    let operations = (operations / threads * threads) as f64;
    tell("operations_per_second", operations / wall.as_secs_f64());
    tell("cpu_us_per_operation", processor.as_secs_f64() * 1e6 / operations);
    for (thread, count) in put.iter().enumerate() {
        tell(&format!("thread_{thread}_rows"), *count as f64);
    }
    Ok(())
}
