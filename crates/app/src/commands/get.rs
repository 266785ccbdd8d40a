//! `get`: an entity as JSON, or its file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use statlas_store::{FileReader, Store, StoredEntity};

use crate::failure::Failure;
use crate::progress::Unit;
use crate::session::{self, Session, WHAT_HELP};

const EXAMPLES: &str = "\
Examples:
  statlas get 2a803d2480c2                             (the first digits of an address)
  statlas get file:src/main.rs                         (an id: its newest version)
  statlas get 'stat7://data/1/cae85551/genesis?r=0.5&v=0.25&d=0.75'
  statlas get --canonical bc-0001 | head -c -1 | sha256sum
  statlas get --file main.rs file:src/main.rs          (the file that belongs to it)
  statlas get --file - file:README.md | less";

/// Files are copied in pieces of this size.
const COPY_BYTES: usize = 256 << 10;

/// Print an entity, or write its file
///
/// Prints an entity as one line of JSON; a URI may name several.
///
/// The JSON can be loaded again and gives the same address.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(help = WHAT_HELP)]
    what: String,
    /// Print the canonical form instead, whose SHA-256 is the address
    #[arg(long, conflicts_with = "file")]
    canonical: bool,
    /// Write the entity's file here instead, verified; - is standard output
    #[arg(long, value_name = "OUT")]
    file: Option<PathBuf>,
    /// Let --file replace a file that is there
    #[arg(long, requires = "file")]
    force: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    if let Some(out) = &arguments.file {
        let entity = session::resolve_one(&store, &arguments.what)?;
        let reader = open_file(&store, &entity)?;
        return write_file(reader, out, arguments.force, session);
    }
    let mut stdout = session.output().stdout();
    let mut text = Vec::new();
    for entity in session::resolve(&store, &arguments.what)? {
        text.clear();
        if arguments.canonical {
            text.extend_from_slice(entity.canonical());
        } else {
            entity.entity()?.to_json_into(&mut text);
        }
        text.push(b'\n');
        stdout.write_all(&text).context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")
}

/// The file of an entity.
fn open_file<'a>(store: &'a Store, entity: &StoredEntity) -> Result<FileReader<'a>> {
    let address = entity.address();
    let blob = entity.blob().ok_or_else(|| Failure::not_found(format!("entity {address} has no file")))?;
    let reader = store.files().open(&blob)?;
    Ok(reader
        .ok_or_else(|| Failure::not_found(format!("file {blob} of entity {address} is not in this store")))?)
}

fn write_file(mut reader: FileReader<'_>, out: &Path, force: bool, session: &Session) -> Result<()> {
    let bar = session.output().progress_beside_stdout("writing", Some(reader.len()), Unit::Bytes);
    let mut copy_to =
        |writer: &mut dyn Write, name: &str| copy(&mut reader, writer, name, |bytes| bar.inc(bytes));
    if out.as_os_str() == "-" {
        let mut stdout = session.output().stdout();
        copy_to(&mut stdout, "standard output")?;
        bar.finish_and_clear();
        return stdout.flush().context("cannot write to standard output");
    }
    let name = out.display().to_string();
    let context = || format!("cannot write to {name}");
    let target = match target(out, &name)? {
        Target::Stream => {
            let mut file = File::options().write(true).open(out).with_context(context)?;
            copy_to(&mut file, &name)?;
            bar.finish_and_clear();
            return Ok(());
        }
        Target::Existing(_) if !force => {
            let failure = Failure::incomplete(format!("{name} is there already"));
            return Err(failure.hint("--force replaces it").into());
        }
        Target::Existing(target) => target,
        Target::New => out.to_owned(),
    };
    let temporary = Temporary::beside(&target)?;
    let mut file = temporary.create()?;
    copy_to(&mut file, &name)?;
    file.sync_all().with_context(context)?;
    bar.finish_and_clear();
    temporary.rename(&target)
}

/// What a file is to be written to.
enum Target {
    /// A device or a pipe, which takes the bytes as they come.
    Stream,
    /// A file that is there, under its name without symbolic links.
    Existing(PathBuf),
    /// A name that nothing has.
    New,
}

/// What a name stands for, symbolic links followed.
fn target(out: &Path, name: &str) -> Result<Target> {
    let context = || format!("cannot write to {name}");
    match fs::metadata(out) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Failure::usage(format!("{name} is a directory; --file wants the name of a file")).into())
        }
        Ok(metadata) if metadata.is_file() => {
            Ok(Target::Existing(fs::canonicalize(out).with_context(context)?))
        }
        Ok(_) => Ok(Target::Stream),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(anyhow::Error::new(error).context(context()))
        }
        Err(_) if fs::symlink_metadata(out).is_ok() => {
            Err(Failure::incomplete(format!("{name} is a symbolic link that leads nowhere")).into())
        }
        Err(_) => Ok(Target::New),
    }
}

/// Copies a stored file. What the store finds damaged stays an error of the store. `progress` is told the
/// number of bytes after each piece.
pub(crate) fn copy(
    reader: &mut FileReader<'_>,
    writer: &mut dyn Write,
    name: &str,
    mut progress: impl FnMut(u64),
) -> Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_error(error)),
        };
        writer.write_all(&buffer[..read]).with_context(|| format!("cannot write to {name}"))?;
        progress(read as u64);
    }
}

/// An error of reading from the store: the store's own error if there is one inside.
pub(crate) fn read_error(error: io::Error) -> anyhow::Error {
    match error.downcast::<statlas_store::Error>() {
        Ok(error) => error.into(),
        Err(error) => anyhow::Error::new(error).context("cannot read the stored file"),
    }
}

/// A file under a temporary name in the directory where it is to be; removed unless it is renamed.
pub(crate) struct Temporary {
    path: PathBuf,
}

impl Temporary {
    pub(crate) fn beside(target: &Path) -> Result<Self> {
        let name = target
            .file_name()
            .ok_or_else(|| Failure::usage(format!("{} is not the name of a file", target.display())))?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.tmp", std::process::id()));
        Ok(Self { path: target.with_file_name(temporary) })
    }

    pub(crate) fn create(&self) -> Result<File> {
        File::create_new(&self.path).with_context(|| format!("cannot create {}", self.path.display()))
    }

    pub(crate) fn rename(self, target: &Path) -> Result<()> {
        fs::rename(&self.path, target).with_context(|| format!("cannot write {}", target.display()))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}
