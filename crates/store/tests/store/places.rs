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

fn disk_with(options: Options) -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    Box::new(move || {
        let location = Location::Disk(folder.path().join("store"));
        Store::open(&location, &options).expect("the store opens")
    })
}
