//! All that the disk engine asks of an operating system, in one place.
//!
//! Each method without a body is one system call, and each can fail, be short or be interrupted by itself:
//! that is what the simulated disk of the tests relies on. What is put together from several calls has its
//! body here, so that every storage has the same.

mod directories;
#[cfg(test)]
mod hooked;
mod unborn;

use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use memmap2::{MmapOptions, MmapRaw};

pub(super) use self::directories::{is_inside, make_directory};
#[cfg(test)]
pub(super) use self::hooked::Hooked;
pub(super) use self::unborn::{Unborn, bear};

/// A directory of files. Names are relative to it, with slashes.
pub(crate) trait Storage: Send + Sync {
    /// Opens a file to read and write, made empty if `create` and it is not there.
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageFile>>;
    /// Gives a file another name in the same folder, in one step; a file that has that name is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names in a folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes a folder; one that is there already stays as it is.
    fn create_folder(&self, name: &str) -> io::Result<()>;
    /// Makes the names in a folder survive a power cut; the top folder is `.`.
    fn sync_folder(&self, name: &str) -> io::Result<()>;

    /// An id that no other store has.
    fn new_store_id(&self) -> [u8; 16];

    /// Writes a whole small file and syncs it; replaces an old one in one step. That the new one has the
    /// name survives a power cut when the folder is synced.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!("{name}.new");
        let file = self.open(&temporary, true)?;
        // An interrupted call may have left a longer one.
        file.set_len(0)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        // Not every system renames a file that is open.
        drop(file);
        self.rename(&temporary, name)
    }

    /// Opens a file that is there, only to read it: it may lie where nothing can be written.
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open(name, false)
    }

    /// A whole small file. One that is longer than any such file can be is an error, and takes no memory.
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let file = self.open_to_read(name)?;
        let bytes = file.len()?;
        let Some(bytes) = usize::try_from(bytes).ok().filter(|bytes| *bytes <= bytes_max) else {
            let message = format!("{name} has {bytes} bytes, and at most {bytes_max} were written to it");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        let mut bytes = vec![0; bytes];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// An open file.
pub(crate) trait StorageFile: Send + Sync {
    fn len(&self) -> io::Result<u64>;
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Writes the first of `bytes` at `offset` and tells how many they were.
    fn pwrite(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Fills the first part of `buffer` from `offset` on and tells how long that is: nothing only at the end.
    fn pread(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Makes the content survive a power cut; the file's name is the folder's.
    fn sync(&self) -> io::Result<()>;
    /// Memory that shows the first `bytes` of the file, those included that are yet to be written.
    fn map(&self, bytes: usize) -> io::Result<Box<dyn Mapping>>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.pwrite(offset + done as u64, &bytes[done..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Fills the buffer from `offset` on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.pread(offset + done as u64, &mut buffer[done..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A file in memory. Bytes behind the end of the file must not be asked for.
pub(crate) trait Mapping: Send + Sync {
    /// Puts `bytes` bytes from `offset` on into `buffer`, in place of what it held.
    fn read(&self, offset: usize, bytes: usize, buffer: &mut Vec<u8>);
    /// Brings `bytes` bytes from `offset` on into the cache.
    fn touch(&self, offset: usize, bytes: usize);
    /// All of the mapping; only for files that never change again and are mapped no further than their end.
    fn bytes(&self) -> &[u8];

    /// Tells the system that so many bytes from `offset` on are read next, all of them: it may read them at once
    /// instead of page by page.
    fn will_need(&self, _offset: usize, _bytes: usize) {}
}

/// A directory of the file system.
#[derive(Clone)]
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

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(OpenFile(File::open(self.0.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let name =
            |entry: io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        std::fs::read_dir(self.0.join(folder))?.map(name).collect()
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.0.join(name))
    }

    fn new_store_id(&self) -> [u8; 16] {
        // The standard library seeds these from the operating system; the id need only differ between stores.
        let random = || RandomState::new().build_hasher().finish().to_le_bytes();
        let halves = [random(), random()];
        std::array::from_fn(|at| halves[at / 8][at % 8])
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

    fn pwrite(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(&self.0, bytes, offset);
        #[cfg(not(unix))]
        {
            // The one thread that holds the commit lock writes, so nobody else moves the position.
            (&self.0).seek(SeekFrom::Start(offset))?;
            (&self.0).write(bytes)
        }
    }

    fn pread(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.0, buffer, offset);
        #[cfg(not(unix))]
        {
            let mut file = self.0.try_clone()?;
            file.seek(SeekFrom::Start(offset))?;
            file.read(buffer)
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
        // The source is read as raw bytes, so that another process changing the file can change what is copied
        // but breaks no rule about references; who asks verifies the checksum of the copy. Callers ask only for
        // bytes that were written, so no page behind the end of the file is touched unless another process has
        // cut the file.
        // SAFETY: the source lies inside the mapping, checked above, which lives as long as `self`; the target has
        // room, reserved above, and does not overlap it; its length is set after that many bytes were written.
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

    fn bytes(&self) -> &[u8] {
        // This process never writes to a file whose mapping it asks for as a whole, nor cuts it: such files are
        // written before they are mapped, and only ever removed as a whole, which leaves the mapping as it is. That
        // no other process changes the file is what the lock of the store is for; one that ignores the lock breaks
        // this, as it would break any program that maps a file.
        // SAFETY: the mapping is readable, has this length, lives as long as `self`, and does not change, see above.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.0.len()) }
    }

    #[cfg(unix)]
    fn will_need(&self, offset: usize, bytes: usize) {
        // Without it reading takes longer and finds the same.
        drop(self.0.advise_range(memmap2::Advice::WillNeed, offset, bytes));
    }
}

/// The lock that keeps a second process out, held while this lives.
pub(crate) struct ProcessLock {
    file: File,
    /// The process that took it: one that was forked from it has the file, too, and not the lock.
    process: u32,
}

impl Drop for ProcessLock {
    /// Lets go of the lock, which would be held as long as a forked process has the file.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // Closing the file does it, if nobody else has it.
            drop(self.file.unlock());
        }
    }
}

impl ProcessLock {
    /// Takes the lock at `path` and notes this process in it, or returns what the holder noted.
    pub(crate) fn take(path: &Path) -> io::Result<Result<Self, String>> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Ok(Self { file, process: std::process::id() }))
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Directory, Storage};

    #[test]
    fn a_directory_does_what_every_storage_does() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let directory = Directory::new(folder.path());
        directory.create_folder("log").expect("it can be made");
        directory.create_folder("log").expect("it is there already");
        directory.write("log/a", b"a longer text").expect("it can be written");
        directory.write("log/a", b"text").expect("it can be replaced");
        assert_eq!(directory.read("log/a", 4).expect("it is there"), b"text");
        assert_eq!(directory.list("log").expect("it can be listed"), ["a"]);
        directory.rename("log/a", "log/b").expect("it can be renamed");
        let missing = directory.read("log/a", 4).expect_err("it has another name");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let huge = directory.open("log/b", false).expect("it is there");
        huge.set_len(8 << 40).expect("it takes no space");
        let refused = directory.read("log/b", 4).expect_err("it does not fit into memory");
        assert!(refused.to_string().contains("log/b has 8796093022208 bytes"), "{refused}");
        directory.remove("log/b").expect("it can be removed");
        directory.sync_folder("log").expect("it can be synced");
        assert!(directory.list("log").expect("it can be listed").is_empty());
    }

    #[test]
    fn a_file_is_written_and_read_as_a_whole_and_in_memory() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = Directory::new(folder.path()).open("a", true).expect("it can be made");
        file.write_at(2, b"some text").expect("it can be written");
        file.set_len(8).expect("it can be cut");
        file.sync().expect("it can be synced");
        let mut buffer = [1; 8];
        file.read_at(0, &mut buffer).expect("it has so many bytes");
        assert_eq!(&buffer, b"\0\0some t");
        let behind = file.read_at(1, &mut buffer).expect_err("it has no more bytes");
        assert_eq!(behind.kind(), io::ErrorKind::UnexpectedEof);
        let map = file.map(8).expect("it can be mapped");
        assert_eq!(map.bytes(), b"\0\0some t");
        let mut copy = Vec::new();
        map.read(2, 4, &mut copy);
        assert_eq!(copy, b"some");
    }
}
