//! All that the disk engine asks of an operating system, in one place.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use memmap2::{MmapOptions, MmapRaw};

/// A directory of files.
pub(crate) trait Storage: Send + Sync {
    /// Opens a file to read and write, made empty if `create` and it is not there.
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageFile>>;
    /// Writes a whole small file and syncs it; replaces an old one in one step.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// A whole small file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// The names in a folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn create_folder(&self, name: &str) -> io::Result<()>;
    /// Makes the names in a folder survive a power cut; the top folder is `.`.
    fn sync_folder(&self, name: &str) -> io::Result<()>;
}

/// An open file.
pub(crate) trait StorageFile: Send + Sync {
    fn len(&self) -> io::Result<u64>;
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills the buffer with a system call.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Makes the content survive a power cut.
    fn sync(&self) -> io::Result<()>;
    /// Memory that shows the first `bytes` of the file, those included that are yet to be written.
    fn map(&self, bytes: usize) -> io::Result<Box<dyn Mapping>>;
}

/// A file in memory. Bytes behind the end of the file must not be asked for.
pub(crate) trait Mapping: Send + Sync {
    /// Puts `bytes` bytes from `offset` on into `buffer`, in place of what it held.
    fn read(&self, offset: usize, bytes: usize, buffer: &mut Vec<u8>);
    /// Brings `bytes` bytes from `offset` on into the cache.
    fn touch(&self, offset: usize, bytes: usize);
}

/// A directory of the file system.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Storage for Directory {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .open(self.0.join(name))?;
        Ok(Box::new(OpenFile(file)))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (target, temporary) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &target)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.0.join(name))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let name =
            |entry: io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        std::fs::read_dir(self.0.join(folder))?.map(name).collect()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.0.join(name))
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        // Other systems can't sync a folder, and make names durable by themselves.
        if cfg!(unix) { File::open(self.0.join(name))?.sync_all() } else { Ok(()) }
    }
}

struct OpenFile(File);

impl StorageFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // The one thread that holds the commit lock writes, so nobody else moves the position.
        (&self.0).seek(SeekFrom::Start(offset))?;
        (&self.0).write_all(bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, offset);
        #[cfg(not(unix))]
        {
            let mut file = self.0.try_clone()?;
            file.seek(SeekFrom::Start(offset))?;
            file.read_exact(buffer)
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn map(&self, bytes: usize) -> io::Result<Box<dyn Mapping>> {
        let map = MmapOptions::new().len(bytes).map_raw_read_only(&self.0)?;
        // Lookups are random: reading ahead would fill the memory with what nobody asked for.
        #[cfg(unix)]
        map.advise(memmap2::Advice::Random)?;
        Ok(Box::new(Mapped(map)))
    }
}

struct Mapped(MmapRaw);

impl Mapping for Mapped {
    fn read(&self, offset: usize, bytes: usize, buffer: &mut Vec<u8>) {
        let end = offset.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= self.0.len()), "a read behind the end of a mapping");
        buffer.clear();
        buffer.reserve(bytes);
        // SAFETY: the source lies inside the mapping, checked above, and the mapping lives as long as
        // `self`; the target has room for the bytes, reserved above, and does not overlap it. The source is
        // read as raw bytes, so that another process changing the file can change what is copied but breaks
        // no rule about references; who asks verifies the checksum of the copy. Callers ask only for bytes
        // that were written, so no page behind the end of the file is touched unless another process has
        // cut the file. The length is set after that many bytes were written.
        unsafe {
            std::ptr::copy_nonoverlapping(self.0.as_ptr().add(offset), buffer.as_mut_ptr(), bytes);
            buffer.set_len(bytes);
        }
    }

    fn touch(&self, offset: usize, bytes: usize) {
        const LINE_BYTES: usize = 64;
        let end = offset.saturating_add(bytes).min(self.0.len());
        for at in (offset..end).step_by(LINE_BYTES) {
            // SAFETY: the byte lies inside the mapping, as `end` does, and is read as for `read` above.
            unsafe { self.0.as_ptr().add(at).read_volatile() };
        }
    }
}

/// The lock that keeps a second process out, held while this lives.
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock at `path` and notes this process in it, or returns what the holder noted.
    pub(crate) fn take(path: &Path) -> io::Result<Result<Self, String>> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Ok(Self { _file: file }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.seek(SeekFrom::Start(0))?;
                file.take(20).read_to_string(&mut holder)?;
                Ok(Err(holder.trim().to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
