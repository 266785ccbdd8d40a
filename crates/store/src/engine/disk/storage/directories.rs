//! Directories around a store: made so that they survive a power cut, and compared.

use std::io;
use std::path::Path;

use super::{Directory, Storage};

/// Makes a directory with all that lead to it, each known to the device before anything is put into it: what a
/// store acknowledged must not go with a name on the way to it. One that is there stays as it is.
pub(in crate::engine::disk) fn make_directory(path: &Path) -> io::Result<()> {
    let sync = |path: &Path| Directory::new(path).sync_folder(".");
    make_with(path, &mut |path| std::fs::create_dir(path), &mut { sync })
}

fn make_with(
    path: &Path,
    create: &mut dyn FnMut(&Path) -> io::Result<()>,
    sync: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.is_dir()).collect();
    // Whoever made the one before them may have been killed before its name was safe.
    let there = missing.last().map_or(Some(&*path), |missing| missing.parent());
    match there.and_then(Path::parent).map_or(Ok(()), &mut *sync) {
        // Whose directory that is sees to it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        synced => synced?,
    }
    for missing in missing.into_iter().rev() {
        match create(missing) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && missing.is_dir() => {}
            made => made?,
        }
        missing.parent().map_or(Ok(()), &mut *sync)?;
    }
    Ok(())
}

/// Whether a path, which need not be there, is a directory or lies inside it.
pub(in crate::engine::disk) fn is_inside(path: &Path, directory: &Path) -> io::Result<bool> {
    let path = std::path::absolute(path)?;
    let there = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    let directory = directory.canonicalize()?;
    Ok(there.is_some_and(|there| there.starts_with(directory)))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::PathBuf;

    use super::*;

    /// What is done to make a directory: `+` with each that is made, `!` with each that is synced.
    fn calls(path: &Path) -> Vec<(char, PathBuf)> {
        let calls = RefCell::new(Vec::new());
        let note = |what: char, path: &Path| calls.borrow_mut().push((what, path.to_owned()));
        let made = make_with(
            path,
            &mut |path| {
                note('+', path);
                std::fs::create_dir(path)
            },
            &mut |path| {
                note('!', path);
                Ok(())
            },
        );
        made.expect("it can be made");
        assert!(path.is_dir());
        calls.into_inner()
    }

    #[test]
    fn every_name_on_the_way_to_a_new_directory_is_synced_before_the_next_one_is_made() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let top = folder.path();
        let (a, b, c) = (top.join("a"), top.join("a/b"), top.join("a/b/c"));
        let above = top.parent().expect("it lies somewhere").to_owned();
        let expected = [
            ('!', above),
            ('+', a.clone()),
            ('!', top.to_owned()),
            ('+', b.clone()),
            ('!', a),
            ('+', c.clone()),
            ('!', b.clone()),
        ];
        assert_eq!(calls(&c), expected);
        assert_eq!(calls(&c), [('!', b)], "an interrupted call may have left it without that");
        make_directory(&top.join("a/b/d/e")).expect("it can be made");
        make_directory(&top.join("a/../f")).expect("it can be made");
        assert!(top.join("a/b/d/e").is_dir() && top.join("f").is_dir());
    }

    #[test]
    fn what_lies_inside_a_directory_is_known_before_it_is_there() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let top = folder.path();
        std::fs::create_dir(top.join("a")).expect("it can be made");
        let inside = |path: &str| is_inside(&top.join(path), &top.join("a")).expect("it can be found out");
        assert!(inside("a") && inside("a/b/c") && inside("a/../a/b"));
        assert!(!inside("ab") && !inside("b/a"));
    }
}
