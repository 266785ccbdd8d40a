//! What a file of tokens stands on: four calls, so that tests can put a disk that fails in the place of a real one.

use std::fs::File;
use std::io;

/// A file, or what stands for one in tests.
pub(super) trait Medium {
    /// How long it is.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on. After an error any part of them may be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Brings everything that was written to the device. After an error any part of it may be there, and reading may show
    /// what never will be.
    fn sync(&self) -> io::Result<()>;
}

impl<M: Medium> Medium for &M {
    fn bytes(&self) -> io::Result<u64> {
        (*self).bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (*self).read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (*self).write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        (*self).sync()
    }
}

impl Medium for File {
    fn bytes(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        use io::{Read, Seek};
        let _one_at_a_time = POSITION.lock().unwrap_or_else(|held| held.into_inner());
        let mut file = self;
        file.seek(io::SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    #[cfg(not(unix))]
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        use io::{Seek, Write};
        let _one_at_a_time = POSITION.lock().unwrap_or_else(|held| held.into_inner());
        let mut file = self;
        file.seek(io::SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Held while the one position that a file has is moved and used.
#[cfg(not(unix))]
static POSITION: std::sync::Mutex<()> = std::sync::Mutex::new(());
