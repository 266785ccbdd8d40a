//! How the store is opened, as far as that is not the command's own business: every setting is an option of all
//! commands and an environment variable.

use std::time::Duration;

use clap::Args;
use statlas_store::limits::MEMORY_BYTES_MIN;
use statlas_store::{ByteSize, Options};

use crate::time_span::TimeSpan;

/// Sizes of files of the log that make sense: above this, frames could not be told where they are.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=128 << 20;

/// Settings of the store.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Most memory that the store takes for itself, such as `256MiB`, at least 16MiB; a command takes about a
    /// tenth of that and 30 MB beside it. Without it, half of what the machine has, or a cgroup or `ulimit` allows
    #[arg(long, global = true, env = "STATLAS_MEMORY_BYTES_MAX", value_name = "BYTES", value_parser = memory_bytes)]
    memory: Option<u64>,
    /// How long to wait if another process has the store, such as `30s` or `5m`; 0 for not at all
    #[arg(long, global = true, env = "STATLAS_WAIT", value_name = "DURATION", default_value = "5s")]
    wait: TimeSpan,
    /// Compress what `quickstart`, `import`, `load` and `put` store of entities: less space on disk, slower;
    /// what is stored can be read either way
    #[arg(long, global = true, env = "STATLAS_COMPRESS")]
    compress: bool,
    /// Most memory for entities that were read, of what --memory allows; without it, an eighth of that if the
    /// index does not fit, else none
    #[arg(
        long,
        global = true,
        env = "STATLAS_CACHE_BYTES_MAX",
        value_name = "BYTES",
        hide_short_help = true
    )]
    cache: Option<ByteSize>,
    /// Most memory for large buffers that are kept to be used again, of what --memory allows
    #[arg(
        long,
        global = true,
        env = "STATLAS_BUFFER_POOL_BYTES_MAX",
        value_name = "BYTES",
        default_value = "0",
        hide_short_help = true
    )]
    buffer_pool: ByteSize,
    /// Read indexes, filters and columns when the store is opened, instead of when they are first needed
    #[arg(long, global = true, env = "STATLAS_PRELOAD", hide_short_help = true)]
    preload: bool,
    /// How many of the newest revisions keep the trace of every change when the log is compacted
    #[arg(
        long,
        global = true,
        env = "STATLAS_HISTORY_REVISIONS",
        value_name = "COUNT",
        default_value_t = Options::default().history_revisions,
        hide_short_help = true
    )]
    history_revisions: u64,
    /// The size at which a new file of the log is begun, from 1MiB to 128MiB
    #[arg(
        long,
        global = true,
        env = "STATLAS_SEGMENT_BYTES",
        value_name = "BYTES",
        default_value = "64MiB",
        value_parser = segment_bytes,
        hide_short_help = true
    )]
    segment_size: u64,
    /// Bytes a second that are verified in the background while the store is open, a pass a day; 0 for none
    #[arg(
        long,
        global = true,
        env = "STATLAS_SCRUB_BYTES_PER_SECOND",
        value_name = "BYTES",
        default_value = "0",
        hide_short_help = true
    )]
    background_scrub: ByteSize,
}

impl Settings {
    /// The settings as the store takes them.
    pub(crate) fn options(&self) -> Options {
        Options {
            memory_bytes_max: self.memory,
            cache_bytes_max: self.cache.map(|size| size.0),
            compression: self.compress,
            buffer_pool_bytes_max: self.buffer_pool.0,
            preload: self.preload,
            history_revisions: self.history_revisions,
            segment_bytes: self.segment_size,
            scrub_bytes_per_second: self.background_scrub.0,
            ..Options::default()
        }
    }

    /// How long to wait for a store that another process has.
    pub(crate) fn wait(&self) -> Duration {
        self.wait.0
    }
}

fn byte_size(text: &str) -> Result<u64, String> {
    text.parse().map(|ByteSize(bytes)| bytes).map_err(|error: statlas_store::Error| error.to_string())
}

/// A budget of memory.
fn memory_bytes(text: &str) -> Result<u64, String> {
    let bytes = byte_size(text)?;
    if bytes < MEMORY_BYTES_MIN {
        return Err(format!("a store can't work with less than {}MiB", MEMORY_BYTES_MIN >> 20));
    }
    Ok(bytes)
}

/// The size of a file of the log.
fn segment_bytes(text: &str) -> Result<u64, String> {
    let bytes = byte_size(text)?;
    if !SEGMENT_BYTES.contains(&bytes) {
        let (least, most) = (SEGMENT_BYTES.start() >> 20, SEGMENT_BYTES.end() >> 20);
        return Err(format!("allowed: from {least}MiB to {most}MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{memory_bytes, segment_bytes};

    #[test]
    fn sizes_that_make_no_sense_are_refused_with_what_is_allowed() {
        for text in ["0", "1", "1KiB", "16777215"] {
            assert_eq!(memory_bytes(text).expect_err(text), "a store can't work with less than 16MiB");
        }
        assert!(memory_bytes("16MiB").is_ok());
        assert!(memory_bytes("1.5GiB").expect_err("a fraction").contains("not a whole number"));
        assert!(segment_bytes("64MiB").is_ok());
        assert_eq!(segment_bytes("1GiB").expect_err("too large"), "allowed: from 1MiB to 128MiB");
    }
}
