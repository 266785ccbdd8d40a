//! Places in the log: which file, where in it.

use super::format::ALIGNMENT;

/// Which file of the log. Files that writers made are numbered in the order of the log. A compacted file
/// stands for a run of those, and has a number of its own among compacted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SegmentId(pub(super) u32);

/// Ids of files that writers made are larger than those of compacted ones, so that every place that was
/// ever published is smaller than the places that are not yet.
const WRITTEN_FIRST: u32 = 1 << 23;

impl SegmentId {
    /// The file number `number` that writers made.
    pub(super) fn written(number: u32) -> Self {
        debug_assert!(number < WRITTEN_FIRST);
        Self(WRITTEN_FIRST | number)
    }

    /// The compacted file number `number`.
    pub(super) fn compacted(number: u32) -> Self {
        debug_assert!(number < WRITTEN_FIRST);
        Self(number)
    }

    /// Whether a file with this id can stand for those that writers made and numbered so, the last included.
    pub(super) fn may_stand_for(self, first: u32, last: u32) -> bool {
        let is_itself = first == last && self.0 == WRITTEN_FIRST | first;
        first <= last && last < WRITTEN_FIRST && (self.is_compacted() || is_itself)
    }

    pub(super) fn is_compacted(self) -> bool {
        self.0 < WRITTEN_FIRST
    }

    pub(super) fn number(self) -> u32 {
        self.0 & (WRITTEN_FIRST - 1)
    }

    /// The name of the file.
    pub(super) fn file_name(self) -> String {
        format!("log/{}.seg", self.stem())
    }

    /// The name of the file with its index and columns.
    pub(super) fn sidecar_name(self) -> String {
        format!("log/{}.idx", self.stem())
    }

    fn stem(self) -> String {
        if self.is_compacted() { format!("c{:07}", self.number()) } else { format!("{:08}", self.number()) }
    }

    /// The id in the name of a file in the folder `log`, if it ends with `ending`.
    pub(super) fn parse(name: &str, ending: &str) -> Option<Self> {
        let stem = name.strip_suffix(ending).filter(|stem| stem.len() == 8)?;
        let number = |digits: &str| {
            let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            digits.parse().ok().filter(|number| (1..WRITTEN_FIRST).contains(number))
        };
        match stem.strip_prefix('c') {
            Some(digits) => number(digits).map(Self::compacted),
            None => number(stem).map(Self::written),
        }
    }
}

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {}{}", if self.is_compacted() { "c" } else { "" }, self.number())
    }
}

/// Where a frame stands, in one number that sorts like the log among files that writers made: 24 bits for
/// the file, 32 for the offset in units of [`ALIGNMENT`], and 8 for how many cache lines the frame covers,
/// so that a reader can fetch all of them at once. No lines stand for an unknown or larger number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location(pub(super) u64);

const LINE_BYTES: usize = 64;
const LINES_BITS: u32 = 8;
const LINES_MAX: usize = 127;
const OFFSET_BITS: u32 = 32;
/// A place within a segment keeps 25 bits of the offset and 7 of the lines.
const PLACE_LINES_BITS: u32 = 7;
/// No frame begins behind this offset.
pub(super) const OFFSET_MAX: u64 = ((1 << (32 - PLACE_LINES_BITS)) - 1) * ALIGNMENT as u64;

impl Location {
    pub(super) fn new(segment: SegmentId, offset: u64) -> Self {
        let units = offset / ALIGNMENT as u64;
        // No file of the log is so long: what is behind the last place is never read.
        assert!(units < 1 << OFFSET_BITS && segment.0 < 1 << 24, "{segment} offset {offset} is no place");
        Self(u64::from(segment.0) << (OFFSET_BITS + LINES_BITS) | units << LINES_BITS)
    }

    /// The place of a frame whose length is known.
    pub(super) fn of_frame(segment: SegmentId, offset: u64, frame_bytes: usize) -> Self {
        let lines = Some(frame_bytes.div_ceil(LINE_BYTES)).filter(|lines| *lines <= LINES_MAX).unwrap_or(0);
        Self(Self::new(segment, offset).0 | lines as u64)
    }

    /// The location without its segment, in 32 bits.
    pub(super) fn place(self) -> u32 {
        assert!(self.offset() <= OFFSET_MAX, "{self} is behind the last place of a segment");
        let units = (self.offset() / ALIGNMENT as u64) as u32;
        units << PLACE_LINES_BITS | (self.0 as u32 & ((1 << PLACE_LINES_BITS) - 1))
    }

    /// The offset of a place in its segment.
    pub(super) fn offset_of_place(place: u32) -> u64 {
        u64::from(place >> PLACE_LINES_BITS) * ALIGNMENT as u64
    }

    /// The location of a place in a segment.
    pub(super) fn at(segment: SegmentId, place: u32) -> Self {
        let units = u64::from(place >> PLACE_LINES_BITS);
        let lines = u64::from(place & ((1 << PLACE_LINES_BITS) - 1));
        Self(u64::from(segment.0) << (OFFSET_BITS + LINES_BITS) | units << LINES_BITS | lines)
    }

    pub(super) fn segment(self) -> SegmentId {
        SegmentId((self.0 >> (OFFSET_BITS + LINES_BITS)) as u32)
    }

    pub(super) fn offset(self) -> u64 {
        (self.0 >> LINES_BITS & ((1 << OFFSET_BITS) - 1)) * ALIGNMENT as u64
    }

    /// At least the bytes of the frame, or 0 if that is not known.
    pub(super) fn bytes_to_fetch(self) -> usize {
        (self.0 & ((1 << LINES_BITS) - 1)) as usize * LINE_BYTES
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} offset {}", self.segment(), self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, OFFSET_MAX, SegmentId};

    #[test]
    fn locations_sort_like_the_log_and_remember_how_much_to_fetch() {
        let segment = SegmentId::written;
        let place = Location::of_frame(segment(3), 4096, 400);
        assert_eq!((place.segment(), place.offset(), place.bytes_to_fetch()), (segment(3), 4096, 448));
        let large = Location::of_frame(segment(3), 4096, 1 << 20);
        assert_eq!((large.offset(), large.bytes_to_fetch()), (4096, 0));
        assert!(Location::new(segment(3), 4096) <= place && place < Location::new(segment(3), 4104));
        assert!(place < Location::new(segment(4), 96));
        assert!(Location::new(SegmentId::compacted(9), 4096) < Location::new(segment(1), 96));
        for location in [place, large, Location::of_frame(SegmentId::compacted(1), OFFSET_MAX, 8128)] {
            assert_eq!(Location::at(location.segment(), location.place()), location);
        }
    }

    #[test]
    fn names_of_files_tell_which_they_are() {
        for id in [SegmentId::written(7), SegmentId::compacted(7), SegmentId::written(8_388_607)] {
            let name = id.file_name();
            assert_eq!(SegmentId::parse(name.trim_start_matches("log/"), ".seg"), Some(id), "{name}");
        }
        assert_eq!(SegmentId::written(7).file_name(), "log/00000007.seg");
        assert_eq!(SegmentId::compacted(7).sidecar_name(), "log/c0000007.idx");
        for name in ["00000000.seg", "c00000007.seg", "+0000007.seg", "00000007.seg.new", "99999999.seg"] {
            assert_eq!(SegmentId::parse(name, ".seg"), None, "{name}");
        }
    }
}
