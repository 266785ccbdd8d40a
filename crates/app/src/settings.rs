//! How the store is opened, as far as that is not the command's own business: every setting is an option of all
//! commands and an environment variable.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use statlas_store::limits::MEMORY_BYTES_MIN;
use statlas_store::{ByteSize, Options};

/// Sizes of files of the log that make sense: above this, frames could not be told where they are.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=128 << 20;

/// Settings of the store.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Most memory that the store takes for itself, such as `256MiB`, at least 16MiB; a command takes about a
    /// tenth of that and 30 MB beside it. Without it, half of what the machine has or its cgroup allows
    #[arg(long, global = true, env = "STATLAS_MEMORY_BYTES_MAX", value_name = "BYTES")]
    memory: Option<Memory>,
    /// How long to wait if another process has the store, such as `30s` or `5m`; 0 for not at all
    #[arg(long, global = true, env = "STATLAS_WAIT", value_name = "DURATION", default_value = "5s")]
    wait: Wait,
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
    cache: Option<Size>,
    /// Most memory for large buffers that are kept to be used again, of what --memory allows
    #[arg(
        long,
        global = true,
        env = "STATLAS_BUFFER_POOL_BYTES_MAX",
        value_name = "BYTES",
        default_value = "0",
        hide_short_help = true
    )]
    buffer_pool: Size,
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
        hide_short_help = true
    )]
    segment_size: Segment,
    /// Bytes a second that are verified in the background while the store is open, a pass a day; 0 for none
    #[arg(
        long,
        global = true,
        env = "STATLAS_SCRUB_BYTES_PER_SECOND",
        value_name = "BYTES",
        default_value = "0",
        hide_short_help = true
    )]
    background_scrub: Size,
}

impl Settings {
    /// The settings as the store takes them.
    pub(crate) fn options(&self) -> Options {
        Options {
            memory_bytes_max: self.memory.map(|size| size.0),
            cache_bytes_max: self.cache.map(|size| size.0),
            compression: self.compress,
            buffer_pool_bytes_max: self.buffer_pool.0,
            preload: self.preload,
            history_revisions: self.history_revisions,
            segment_bytes: self.segment_size.0,
            scrub_bytes_per_second: self.background_scrub.0,
            ..Options::default()
        }
    }

    /// How long to wait for a store that another process has.
    pub(crate) fn wait(&self) -> Duration {
        self.wait.0
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = statlas_store::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|ByteSize(bytes)| Self(bytes))
    }
}

/// A budget of memory.
#[derive(Debug, Clone, Copy)]
struct Memory(u64);

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ByteSize(bytes) = text.parse().map_err(|error: statlas_store::Error| error.to_string())?;
        if bytes < MEMORY_BYTES_MIN {
            return Err(format!("a store can't work with less than {}MiB", MEMORY_BYTES_MIN >> 20));
        }
        Ok(Self(bytes))
    }
}

/// The size of a file of the log.
#[derive(Debug, Clone, Copy)]
struct Segment(u64);

impl FromStr for Segment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ByteSize(bytes) = text.parse().map_err(|error: statlas_store::Error| error.to_string())?;
        if !SEGMENT_BYTES.contains(&bytes) {
            let (least, most) = (SEGMENT_BYTES.start() >> 20, SEGMENT_BYTES.end() >> 20);
            return Err(format!("allowed: from {least}MiB to {most}MiB"));
        }
        Ok(Self(bytes))
    }
}

/// A time that may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait(Duration);

impl FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let milliseconds = match unit {
            "" if number.bytes().all(|digit| digit == b'0') => 0,
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => {
                return Err(
                    "allowed: 0, or a whole number with the unit ms, s, m or h, such as 30s".to_owned()
                );
            }
        };
        let number: u64 =
            number.parse().map_err(|_| "expected a whole number first, such as 30s".to_owned())?;
        let time = number.checked_mul(milliseconds).ok_or("the number is too large")?;
        Ok(Self(Duration::from_millis(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, Segment, Wait};

    #[test]
    fn a_wait_is_nothing_or_has_a_unit() {
        let wait = |text: &str| text.parse::<Wait>().ok().map(|wait| wait.0.as_millis());
        assert_eq!(
            ["0", "0s", "250ms", "5s", "2m", "1h"].map(wait),
            [0, 0, 250, 5000, 120_000, 3_600_000].map(Some)
        );
        assert_eq!(["", "5", "-1s", "s", "1d", "1.5s", "99999999999999999999s"].map(wait), [None; 7]);
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused_with_what_is_allowed() {
        for text in ["0", "1", "1KiB", "16777215"] {
            assert_eq!(text.parse::<Memory>().expect_err(text), "a store can't work with less than 16MiB");
        }
        assert!("16MiB".parse::<Memory>().is_ok());
        assert!("1.5GiB".parse::<Memory>().expect_err("a fraction").contains("not a whole number"));
        assert!("64MiB".parse::<Segment>().is_ok());
        assert_eq!("1GiB".parse::<Segment>().expect_err("too large"), "allowed: from 1MiB to 128MiB");
    }
}
