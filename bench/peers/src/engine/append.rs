//! The bound of any log: the bytes that Statlas writes for the same rows, appended without thinking.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use statlas_lab::SplitMix64;
use statlas_store::{Batch, Durability};

use super::statlas::open_store;
use super::{Engine, Reader, Settings, View};
use crate::data::{Key, Row};
use crate::process;

pub(crate) const SETTINGS: &str = "no engine: as many bytes as Statlas's log takes for the same rows (measured on small \
                                   stores before the timed part), one write and one fdatasync per batch";

/// How many bytes Statlas's log takes.
struct Cost {
    batch: u64,
    row: u64,
}

impl Cost {
    /// Of values of a size, found out from the files of three small stores.
    fn measure(directory: &Path, settings: &Settings) -> Result<Self> {
        const ROWS: u64 = 100;
        let once = log_bytes(directory, settings, &[ROWS])?;
        let twice_the_rows = log_bytes(directory, settings, &[2 * ROWS])?;
        let twice_the_batches = log_bytes(directory, settings, &[ROWS, ROWS])?;
        let row = twice_the_rows.checked_sub(once).context("more rows, fewer bytes")? / ROWS;
        let batch = twice_the_batches.checked_sub(twice_the_rows).context("more batches, fewer bytes")?;
        Ok(Self { batch, row })
    }
}

/// Bytes in the files of a store after batches with these numbers of rows, closed in order.
fn log_bytes(directory: &Path, settings: &Settings, batches: &[u64]) -> Result<u64> {
    let place = directory.join("probe");
    fs::create_dir_all(&place)?;
    let store = open_store(&place, settings)?;
    let mut number = 0_u64;
    for rows in batches {
        let mut batch = Batch::new();
        for _ in 0..*rows {
            number += 1;
            let mut value = SplitMix64::nth(0, number).to_le_bytes().to_vec();
            value.resize(settings.value_bytes, 0);
            batch.put_blob(value);
        }
        store.commit(batch, Durability::Written)?;
    }
    store.close()?;
    let bytes = process::file_bytes(&place)?;
    fs::remove_dir_all(&place)?;
    Ok(bytes)
}

pub(crate) struct Append {
    cost: Cost,
    log: Mutex<(File, Vec<u8>)>,
}

impl Append {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        let cost = Cost::measure(directory, settings)?;
        let file = File::options().create(true).append(true).open(directory.join("log"))?;
        Ok(Self { cost, log: Mutex::new((file, Vec::new())) })
    }
}

impl Engine for Append {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        let bytes = usize::try_from(self.cost.batch + self.cost.row * rows.len() as u64)?;
        let mut log = self.log.lock().map_err(|_| anyhow!("another thread failed"))?;
        let (file, buffer) = &mut *log;
        if buffer.len() < bytes {
            let mut random = SplitMix64::new(bytes as u64);
            buffer.resize_with(bytes, || random.next_u64().to_le_bytes()[0]);
        }
        file.write_all(&buffer[..bytes])?;
        file.sync_data()?;
        Ok(())
    }

    fn read(&self, _: View, _: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        bail!("nothing can be read from a bare file")
    }

    fn scan(&self, _: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        Ok(false)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
