//! Files on disk, made from a seed, that are then stored.

use std::fs;
use std::path::{Path, PathBuf};

use statlas_core::BlobId;
use tempfile::TempDir;

use super::session::Session;
use crate::data::file_bytes;
use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// Files of a folder.
const FOLDER_FILES: u64 = 1000;
/// Smallest file, and the largest one of most.
const BYTES_MIN: f64 = 256.0;
const BYTES_USUAL_MAX: f64 = 131_072.0;
/// One in so many files is larger than a whole blob may be: from 1 MiB, up to this much more.
const LARGE_EVERY: u64 = 500;
const LARGE_BYTES: u64 = 1 << 20;
const LARGE_BYTES_MORE: u64 = 3 << 20;
/// Bytes of a file on average, about.
pub(super) const BYTES_MEAN: u64 = 27_000;

/// A file that was written.
pub(super) struct Original {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) sha256: BlobId,
}

/// Files in a folder of their own, which is removed when this is dropped.
pub(super) struct Originals {
    pub(super) files: Vec<Original>,
    _folder: TempDir,
}

impl Originals {
    /// Makes so many files of mixed sizes, no two alike.
    pub(super) fn new(session: &mut Session<'_, '_>, count: u64) -> Result<Self> {
        let parent = &session.options.folder;
        let failed = |error| Error::io(format!("making a folder in {}", parent.display()), error);
        let folder =
            tempfile::Builder::new().prefix("statlas-lab-files-").tempdir_in(parent).map_err(failed)?;
        let mut files = Vec::new();
        for number in 0..count {
            if number.is_multiple_of(FOLDER_FILES) {
                session.step("making the files")?;
            }
            files.push(make(folder.path(), session.options.seed, number)?);
        }
        Ok(Self { files, _folder: folder })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

fn make(folder: &Path, seed: u64, number: u64) -> Result<Original> {
    let inner = folder.join(format!("{:04}", number / FOLDER_FILES));
    let path = inner.join(format!("{number:07}.bin"));
    let failed = |error| Error::io(format!("writing {}", path.display()), error);
    if number.is_multiple_of(FOLDER_FILES) {
        fs::create_dir(&inner).map_err(failed)?;
    }
    let content = file_bytes(seed, number, bytes_of(seed, number) as usize);
    fs::write(&path, &content).map_err(failed)?;
    Ok(Original { bytes: content.len() as u64, sha256: BlobId::of(&content), path })
}

/// How large a file is: as many have from 1 to 2 KiB as have from 64 to 128 KiB.
fn bytes_of(seed: u64, number: u64) -> u64 {
    let mut random = SplitMix64::new(SplitMix64::nth(seed ^ 0x512e, number));
    if number.is_multiple_of(LARGE_EVERY) {
        return LARGE_BYTES + 1 + random.below(LARGE_BYTES_MORE);
    }
    (BYTES_MIN * (BYTES_USUAL_MAX / BYTES_MIN).powf(random.unit())) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_mixed_sizes_and_are_what_their_hash_says() {
        let sizes: Vec<u64> = (0..20_000).map(|number| bytes_of(3, number)).collect();
        let mean = sizes.iter().sum::<u64>() / sizes.len() as u64;
        assert!(mean.abs_diff(BYTES_MEAN) < 3000, "{mean}");
        let large = sizes.iter().filter(|bytes| **bytes > LARGE_BYTES).count();
        let small = sizes.iter().filter(|bytes| **bytes < 2048).count();
        assert!(large == 40 && (5000..8000).contains(&small), "{large} {small}");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let made = make(folder.path(), 3, 0).expect("it can be written");
        let content = fs::read(&made.path).expect("it is there");
        assert_eq!((content.len() as u64, BlobId::of(&content)), (sizes[0], made.sha256));
    }
}
