//! What the file system says of a file: enough to tell whether it changed.

use std::time::{SystemTime, UNIX_EPOCH};

use cap_fs_ext::MetadataExt;
use cap_std::fs::Metadata;
use statlas_core::Timestamp;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;
/// A change this soon after another may leave the times as they are: they come from a coarse clock.
const CLOCK_NS: i64 = 50 * NS_PER_MS;
/// The same on file systems that keep whole seconds.
const CLOCK_WHOLE_SECONDS_NS: i64 = 2 * NS_PER_S;

/// Size, times and identity of a file. Times are nanoseconds since 1970, at the ends of their range if they
/// lie outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    pub(super) modified_ns: i64,
    pub(super) changed_ns: i64,
    pub(super) inode: u64,
    pub(super) device: u64,
    /// Permission bits; `None` where there are none.
    pub(super) mode: Option<u32>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let (modified_ns, changed_ns, mode) = times_and_mode(metadata);
        let (inode, device) = (metadata.ino(), metadata.dev());
        Self { bytes: metadata.len(), modified_ns, changed_ns, inode, device, mode }
    }

    /// Whether a change from now on is sure to be seen in the times.
    pub(super) fn is_settled(&self) -> bool {
        let newest = self.modified_ns.max(self.changed_ns);
        let whole_seconds = newest % NS_PER_S == 0;
        let margin = if whole_seconds { CLOCK_WHOLE_SECONDS_NS } else { CLOCK_NS };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        let now_ns = now.and_then(|now| i64::try_from(now.as_nanos()).ok());
        now_ns.is_some_and(|now| newest.saturating_add(margin) < now)
    }

    /// When the file was modified, cut to milliseconds; 1970 if that is outside the years 1 to 9999.
    pub(super) fn modified(&self) -> Timestamp {
        let time = Timestamp::from_unix_ms(self.modified_ns.div_euclid(NS_PER_MS));
        time.or_else(|| Timestamp::from_unix_ms(0)).unwrap_or_else(|| unreachable!("1970 is a legal time"))
    }

    /// When the file was modified, as RFC 3339 with nanoseconds.
    pub(super) fn modified_text(&self) -> String {
        let time = self.modified().to_string();
        let seconds = time.split('.').next().unwrap_or_default();
        format!("{seconds}.{:09}Z", self.modified_ns.rem_euclid(NS_PER_S))
    }
}

#[cfg(unix)]
fn times_and_mode(metadata: &Metadata) -> (i64, i64, Option<u32>) {
    use cap_std::fs::MetadataExt as _;
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(NS_PER_S).saturating_add(ns);
    (
        ns(metadata.mtime(), metadata.mtime_nsec()),
        ns(metadata.ctime(), metadata.ctime_nsec()),
        Some(metadata.mode() & 0o7777),
    )
}

#[cfg(not(unix))]
fn times_and_mode(metadata: &Metadata) -> (i64, i64, Option<u32>) {
    let since = |time: std::io::Result<cap_std::time::SystemTime>| {
        let time = time.ok().and_then(|time| time.into_std().duration_since(UNIX_EPOCH).ok());
        time.and_then(|time| i64::try_from(time.as_nanos()).ok()).unwrap_or(0)
    };
    (since(metadata.modified()), since(metadata.created()), None)
}

/// The time that [`Stamp::modified_text`] wrote.
pub(crate) fn parse_modified(text: &str) -> Option<SystemTime> {
    let ms = Timestamp::parse(text).ok()?.unix_ms();
    let fraction = text.strip_suffix('Z')?.split_once('.').map_or("", |(_, fraction)| fraction);
    let below_ms: i64 = format!("{fraction:0<9}").get(3..9)?.parse().ok()?;
    let ns = i128::from(ms) * i128::from(NS_PER_MS) + i128::from(below_ms);
    let whole = std::time::Duration::from_nanos(u64::try_from(ns.unsigned_abs()).ok()?);
    if ns < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Stamp, parse_modified};

    fn stamp(modified_ns: i64) -> Stamp {
        Stamp { bytes: 0, modified_ns, changed_ns: 0, inode: 1, device: 1, mode: None }
    }

    #[test]
    fn times_of_modification_come_back_to_the_nanosecond() {
        assert_eq!(stamp(1_700_000_000_123_456_789).modified_text(), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(stamp(-1).modified_text(), "1969-12-31T23:59:59.999999999Z");
        for ns in [0, 1, 999_999_999, 1_700_000_000_123_456_789] {
            let time = UNIX_EPOCH + Duration::from_nanos(ns);
            assert_eq!(parse_modified(&stamp(ns.cast_signed()).modified_text()), Some(time), "{ns}");
        }
        assert_eq!(parse_modified(&stamp(-1).modified_text()), Some(UNIX_EPOCH - Duration::from_nanos(1)));
        assert_eq!(
            parse_modified("2023-11-14T22:13:20Z"),
            Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        );
        assert_eq!(parse_modified("yesterday"), None);
    }

    #[test]
    fn a_file_that_was_just_modified_is_not_settled() {
        let now = UNIX_EPOCH.elapsed().expect("after 1970");
        let now = i64::try_from(now.as_nanos()).expect("before 2262");
        assert!(!stamp(now).is_settled() && !stamp(now + 1_000_000_000).is_settled());
        assert!(stamp(now - 3_000_000_000).is_settled());
    }
}
