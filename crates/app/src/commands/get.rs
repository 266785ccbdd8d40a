//! `get`: an entity as JSON, or its file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use statlas_store::{FileReader, Store, StoredEntity};

use crate::failure::Failure;
use crate::session::{self, Session, WHAT_HELP};

const EXAMPLES: &str = "\
Examples:
  statlas get 2a803d2480c2                             (the first digits of an address)
  statlas get file:src/main.rs                         (an id: its newest version)
  statlas get 'stat7://data/1/cae85551/genesis?r=0.5&v=0.25&d=0.75'
  statlas get --canonical bc-0001 | head -c -1 | sha256sum
  statlas get --file main.rs file:src/main.rs          (the file that belongs to it)
  statlas get --file - file:README.md | less";

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
    if out.as_os_str() == "-" {
        let mut stdout = session.output().stdout();
        copy(&mut reader, &mut stdout, "standard output")?;
        return stdout.flush().context("cannot write to standard output");
    }
    let name = out.display().to_string();
    let existing = fs::symlink_metadata(out).ok();
    if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(Failure::usage(format!("{name} is a directory; --file wants the name of a file")).into());
    }
    let is_device = existing.as_ref().is_some_and(|metadata| !metadata.is_file() && !metadata.is_symlink());
    if existing.is_some() && !is_device && !force {
        return Err(Failure::incomplete(format!("{name} is there already"))
            .hint("--force replaces it")
            .into());
    }
    if is_device {
        let mut file =
            File::options().write(true).open(out).with_context(|| format!("cannot write {name}"))?;
        return copy(&mut reader, &mut file, &name);
    }
    let temporary = Temporary::beside(out)?;
    let mut file = temporary.create()?;
    copy(&mut reader, &mut file, &name)?;
    file.sync_all().with_context(|| format!("cannot write {name}"))?;
    temporary.rename(out)
}

/// Copies a stored file. What the store finds damaged stays an error of the store.
pub(crate) fn copy(reader: &mut FileReader<'_>, writer: &mut dyn Write, name: &str) -> Result<()> {
    let mut source = Source { reader, error: None };
    let copied = io::copy(&mut source, writer);
    match source.error {
        Some(error) => Err(read_error(error)),
        None => copied.map(|_| ()).with_context(|| format!("cannot write {name}")),
    }
}

/// An error of reading from the store: the store's own error if there is one inside.
pub(crate) fn read_error(error: io::Error) -> anyhow::Error {
    match error.downcast::<statlas_store::Error>() {
        Ok(error) => error.into(),
        Err(error) => anyhow::Error::new(error).context("cannot read the stored file"),
    }
}

/// Keeps errors of the reading side apart from those of the writing side.
struct Source<'a, 'b> {
    reader: &'a mut FileReader<'b>,
    error: Option<io::Error>,
}

impl io::Read for Source<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            self.error = Some(error);
            io::Error::other("the stored file can't be read")
        })
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
