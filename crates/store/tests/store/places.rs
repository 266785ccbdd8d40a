//! Places at which the tests open stores.

use statlas_store::testing::Place;
use statlas_store::{Location, Options, Store};

/// Each store is a new one.
pub(crate) fn memory() -> Place {
    Box::new(|| Store::open(&Location::Memory, &Options::default()).expect("memory can be had"))
}

/// A folder that is removed when the place is dropped.
pub(crate) fn disk() -> Place {
    disk_with(Options::default())
}

/// As [`disk`], with a new file of the log after every few batches.
pub(crate) fn disk_with_many_segments() -> Place {
    disk_with(Options { segment_bytes: 4096, ..Options::default() })
}

/// As [`disk_with_many_segments`], with a compaction that keeps no history.
pub(crate) fn disk_without_history() -> Place {
    disk_with(Options { segment_bytes: 4096, history_revisions: 0, ..Options::default() })
}

/// As [`disk_with_many_segments`], with compressed texts.
pub(crate) fn disk_with_compression() -> Place {
    disk_with(Options { segment_bytes: 4096, compression: true, ..Options::default() })
}

/// As [`disk_with_many_segments`], but somebody removes all sidecars each time before it is opened.
pub(crate) fn disk_that_loses_sidecars() -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    Box::new(move || {
        let path = folder.path().join("store");
        for entry in std::fs::read_dir(path.join("log")).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "idx") {
                std::fs::remove_file(entry.path()).expect("a sidecar can be removed");
            }
        }
        let options = Options { segment_bytes: 4096, ..Options::default() };
        Store::open(&Location::Disk(path), &options).expect("the store opens")
    })
}

fn disk_with(options: Options) -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    Box::new(move || {
        let location = Location::Disk(folder.path().join("store"));
        Store::open(&location, &options).expect("the store opens")
    })
}
