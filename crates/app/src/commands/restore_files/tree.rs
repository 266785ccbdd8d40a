//! A directory that files are put into, and nothing outside of it.
//!
//! Every name is opened relative to the directory above it and without following symbolic links, so a link
//! that lies in the way is an obstacle and not a way out.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest, Sha256};
use statlas_core::BlobId;

use crate::commands::import::identity;
use crate::failure::Failure;

/// Permission bits that are restored: never those that lend the rights of the owner to whoever runs it.
#[cfg(unix)]
const MODE_MASK: u32 = 0o777;
/// Files that are there already are compared in pieces of this size.
const COMPARE_BYTES: usize = 256 << 10;

/// What a file is to be like besides its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meta {
    /// Permission bits.
    pub(super) mode: Option<u32>,
    /// When it was modified.
    pub(super) modified: Option<SystemTime>,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It was written; so many bytes.
    Written(u64),
    /// It was there.
    Same,
    /// It was not written, and why.
    Refused(String),
}

/// The directory, and the way to where the last file was put.
pub(super) struct Tree {
    root: Dir,
    /// Device and inode of the directory that nothing is put into.
    except: Option<(u64, u64)>,
    opened: Vec<(OsString, Dir)>,
    force: bool,
    temporaries: u64,
}

impl Tree {
    /// Opens a directory, or makes it. With `force`, files that differ are replaced. Nothing is put into the
    /// directory with the device and inode `except`, which is the store's.
    pub(super) fn open(dir: &Path, force: bool, except: Option<(u64, u64)>) -> Result<Self> {
        let name = dir.display();
        expect_outside(dir, except)?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {name}"))?;
        let root =
            Dir::open_ambient_dir(dir, ambient_authority()).with_context(|| format!("cannot open {name}"))?;
        // What was there before may not have been all of the way.
        expect_outside(dir, except)?;
        Ok(Self { root, except, opened: Vec::new(), force, temporaries: 0 })
    }

    /// Puts a file with these bytes at a path, unless it is there or something else is.
    pub(super) fn place(
        &mut self,
        names: &[OsString],
        blob: BlobId,
        bytes: u64,
        meta: Meta,
        write: &mut dyn FnMut(&mut fs::File) -> Result<()>,
    ) -> Result<Placed> {
        let Some((name, parents)) = names.split_last() else { return Ok(Placed::Refused("no name".into())) };
        if let Err(error) = self.descend(parents) {
            return Ok(Placed::Refused(format!("its directory can't be opened or made: {error}")));
        }
        self.temporaries += 1;
        let temporary = format!(".statlas-restore-{}-{}", std::process::id(), self.temporaries);
        let force = self.force;
        let dir = self.opened.last().map_or(&self.root, |(_, dir)| dir);
        match dir.symlink_metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Ok(Placed::Refused(error.to_string())),
            Ok(metadata) if metadata.is_dir() => {
                return Ok(Placed::Refused("a directory is in its place".into()));
            }
            Ok(metadata) if metadata.is_file() && metadata.len() == bytes && is_same(dir, name, blob)? => {
                return Ok(Placed::Same);
            }
            Ok(_) if !force => {
                return Ok(Placed::Refused("something else is in its place; --force replaces it".into()));
            }
            Ok(_) => {}
        }
        let written = write_whole(dir, &temporary, meta, write)
            .and_then(|()| dir.rename(&temporary, dir, name).context("cannot rename it into place"));
        if let Err(error) = written {
            // It may not even have been made.
            let _ = dir.remove_file(&temporary);
            return Err(error);
        }
        Ok(Placed::Written(bytes))
    }

    /// Opens the directories on the way, or makes them; those that are open already are kept.
    fn descend(&mut self, names: &[OsString]) -> io::Result<()> {
        let common = self.opened.iter().zip(names).take_while(|((opened, _), name)| opened == *name).count();
        self.opened.truncate(common);
        for name in &names[common..] {
            let dir = self.opened.last().map_or(&self.root, |(_, dir)| dir);
            let inner = match dir.open_dir_nofollow(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    dir.create_dir(name)?;
                    dir.open_dir_nofollow(name)?
                }
                opened => opened?,
            };
            let metadata = inner.dir_metadata()?;
            if self.except == Some((metadata.dev(), metadata.ino())) {
                return Err(io::Error::other("it is the store itself"));
            }
            self.opened.push((name.clone(), inner));
        }
        Ok(())
    }
}

/// Refuses a directory that is `except` or lies in it; only the part of the way that is there can tell.
fn expect_outside(dir: &Path, except: Option<(u64, u64)>) -> Result<()> {
    let way = std::path::absolute(dir).with_context(|| format!("cannot open {}", dir.display()))?;
    let there = way.ancestors().find_map(|part| part.canonicalize().ok());
    let is_inside = there.is_some_and(|there| there.ancestors().any(|part| identity(part) == except));
    if except.is_some() && is_inside {
        let message = format!("{} is the store's own directory or lies in it", dir.display());
        return Err(Failure::usage(message).hint("name a directory outside of the store").into());
    }
    Ok(())
}

/// Writes a new file under a temporary name, readable by nobody else until it is complete.
fn write_whole(
    dir: &Dir,
    temporary: &str,
    meta: Meta,
    write: &mut dyn FnMut(&mut fs::File) -> Result<()>,
) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).follow(FollowSymlinks::No);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = dir.open_with(temporary, &options).context("cannot make it")?.into_std();
    write(&mut file)?;
    set_permissions(&file, meta.mode).context("cannot set its permissions")?;
    if let Some(modified) = meta.modified {
        file.set_times(fs::FileTimes::new().set_modified(modified)).context("cannot set its time")?;
    }
    Ok(())
}

/// Sets the permissions, for files without stored ones those of a text that all may read.
#[cfg(unix)]
fn set_permissions(file: &fs::File, mode: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode.unwrap_or(0o644) & MODE_MASK))
}

#[cfg(not(unix))]
fn set_permissions(_: &fs::File, _: Option<u32>) -> io::Result<()> {
    Ok(())
}

/// Whether a regular file has these bytes.
fn is_same(dir: &Dir, name: &OsString, blob: BlobId) -> Result<bool> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let mut file = dir.open_with(name, &options).context("cannot read the file in its place")?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; COMPARE_BYTES]);
    loop {
        match file.read(&mut buffer).context("cannot read the file in its place")? {
            0 => return Ok(BlobId(hasher.finalize().into()) == blob),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, UNIX_EPOCH};

    use anyhow::Context;
    use statlas_core::BlobId;

    use super::{Meta, Placed, Tree};

    fn place(tree: &mut Tree, path: &str, bytes: &[u8]) -> Placed {
        let names: Vec<OsString> = path.split('/').map(OsString::from).collect();
        let meta = Meta { mode: Some(0o4751), modified: Some(UNIX_EPOCH + Duration::new(5, 7)) };
        let mut write = |file: &mut fs::File| file.write_all(bytes).context("write");
        tree.place(&names, BlobId::of(bytes), bytes.len() as u64, meta, &mut write)
            .expect("placed or refused")
    }

    fn refused(placed: &Placed) -> bool {
        matches!(placed, Placed::Refused(_))
    }

    #[test]
    fn files_get_their_bytes_their_time_and_their_permissions_without_the_dangerous_bits() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut tree = Tree::open(dir.path(), false, None).expect("a tree");
        assert_eq!(place(&mut tree, "a/b/c", b"hello"), Placed::Written(5));
        assert_eq!(place(&mut tree, "a/x", b""), Placed::Written(0));
        assert_eq!(place(&mut tree, "a/b/c", b"hello"), Placed::Same);
        let metadata = fs::metadata(dir.path().join("a/b/c")).expect("the file");
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o751);
        assert_eq!(metadata.modified().expect("a time"), UNIX_EPOCH + Duration::new(5, 7));
        assert_eq!(
            fs::read_dir(dir.path().join("a")).expect("a list").count(),
            2,
            "no temporary file is left"
        );
    }

    #[test]
    fn what_is_in_the_way_is_replaced_only_by_force() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("a"), "other").expect("written");
        fs::create_dir(dir.path().join("d")).expect("made");
        let mut tree = Tree::open(dir.path(), false, None).expect("a tree");
        assert!(refused(&place(&mut tree, "a", b"hello")));
        assert!(refused(&place(&mut tree, "a/b", b"hello")), "a file is where a directory is needed");
        let mut tree = Tree::open(dir.path(), true, None).expect("a tree");
        assert_eq!(place(&mut tree, "a", b"hello"), Placed::Written(5));
        assert!(refused(&place(&mut tree, "d", b"hello")), "a directory is where a file is needed");
        assert_eq!(fs::read(dir.path().join("a")).expect("the file"), b"hello");
    }

    #[test]
    fn symbolic_links_inside_lead_nowhere() {
        let outside = tempfile::tempdir().expect("a directory");
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("victim"), "safe").expect("written");
        symlink(outside.path(), dir.path().join("out")).expect("a link");
        symlink(outside.path().join("victim"), dir.path().join("file")).expect("a link");
        symlink(".", dir.path().join("self")).expect("a link");
        for force in [false, true] {
            let mut tree = Tree::open(dir.path(), force, None).expect("a tree");
            assert!(refused(&place(&mut tree, "out/victim", b"pwned")));
            assert!(refused(&place(&mut tree, "self/x", b"pwned")));
            assert_eq!(refused(&place(&mut tree, "file", b"pwned")), !force);
        }
        assert_eq!(fs::read(outside.path().join("victim")).expect("the file"), b"safe");
        assert_eq!(fs::read_dir(outside.path()).expect("a list").count(), 1);
        assert!(fs::symlink_metadata(dir.path().join("file")).expect("replaced").is_file());
    }
}
