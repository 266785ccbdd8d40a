//! Files and standard input that commands read from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result};

use crate::failure::Failure;

/// Something to read, with the name that messages give it.
pub(crate) struct Input {
    /// The path as the user wrote it; `<stdin>` for standard input.
    pub(crate) name: String,
    /// The bytes.
    pub(crate) reader: Box<dyn Read + Send>,
    /// How many there are; known for regular files.
    pub(crate) bytes: Option<u64>,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self { name: "<stdin>".into(), reader: Box::new(io::stdin()), bytes: None });
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let metadata = file.metadata().with_context(|| format!("cannot read {name}"))?;
        if metadata.is_dir() {
            let failure = Failure::usage(format!("{name} is a directory; a file or - is wanted here"));
            return Err(failure.hint("`statlas import DIR` takes the files of a directory").into());
        }
        let bytes = metadata.is_file().then_some(metadata.len());
        Ok(Self { name, reader: Box::new(file), bytes })
    }
}
