//! Sections `get` and `absent`: random keys in a store that fits into memory and is warm.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::threads::together;
use super::{Task, tell};
use crate::data::{Data, Wanted, fold};
use crate::engine::{Engine, View};
use crate::process::thread_time;

/// Tells the order of keys from other random choices.
const ORDER: u64 = 1;

pub(super) fn perform(task: &Task, rows: u64, absent: bool, threads: &[u64]) -> Result<()> {
    let data = task.data();
    let mut present = data.map(0..rows, Wanted::of)?;
    data.choices(ORDER).shuffle(&mut present);
    let engine = task.open()?;
    look_up(&*engine, &present, 1, true)?;
    let wanted = if absent { data.map(0..rows, absent_key)? } else { present };
    for threads in threads {
        let (wall, processor) = look_up(&*engine, &wanted, *threads, !absent)?;
        let (wall, processor) = (wall.as_secs_f64(), processor.as_secs_f64());
        let gets = wanted.len() as f64;
        tell(&format!("cpu_ns_{threads}"), processor * 1e9 / gets);
        tell(&format!("wall_ns_{threads}"), wall * 1e9 * *threads as f64 / gets);
        tell(&format!("gets_per_second_{threads}"), gets / wall);
    }
    engine.close()
}

fn absent_key(data: &Data, number: u64) -> Wanted {
    Wanted { key: data.absent(number), fold: 0 }
}

/// Looks all keys up, shared out among threads; wall time of all and processor time of the loops alone.
///
/// Every byte that is found is read, in the timed part, and what they fold to is compared.
fn look_up(
    engine: &dyn Engine,
    wanted: &[Wanted],
    threads: u64,
    present: bool,
) -> Result<(Duration, Duration)> {
    let part = wanted.len().div_ceil(usize::try_from(threads)?).max(1);
    let (wall, times) = together(threads, |thread, wait| {
        let start = (usize::try_from(thread)? * part).min(wanted.len());
        let mine = &wanted[start..(start + part).min(wanted.len())];
        let (mut time, mut found, mut wrong) = (Duration::ZERO, 0_usize, 0_usize);
        engine.read(View::Fixed, &mut |reader| {
            wait();
            let before = thread_time();
            for wanted in mine {
                let is_found = reader.get(&wanted.key, &mut |value| {
                    wrong += usize::from(fold(value) != wanted.fold);
                })?;
                found += usize::from(is_found);
            }
            time = thread_time() - before;
            Ok(())
        })?;
        ensure!(found == if present { mine.len() } else { 0 }, "found {found} of {}", mine.len());
        ensure!(wrong == 0, "{wrong} values are wrong");
        Ok(time)
    })?;
    Ok((wall, times.iter().sum()))
}
