//! The file of lines that a load refused.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, json};

use crate::failure::Reason;

/// JSON lines, `{"line", "error": {"kind", "message", "field", "found", "allowed"}, "text"}`. The file is
/// made, or emptied, when the first line is refused.
pub(super) struct RefusedFile {
    path: PathBuf,
    writer: Option<BufWriter<File>>,
    count: u64,
}

impl RefusedFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, writer: None, count: 0 }
    }

    pub(super) fn write(&mut self, line: u64, text: &[u8], reason: &Reason) -> Result<()> {
        let context = || format!("cannot write refused lines to {}", self.path.display());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(BufWriter::new(File::create(&self.path).with_context(context)?)),
        };
        let mut error = Map::new();
        error.insert("kind".into(), reason.kind_name().into());
        error.insert("message".into(), reason.to_string().into());
        reason.describe(&mut error);
        let text = String::from_utf8_lossy(text);
        writeln!(writer, "{}", json!({"line": line, "error": error, "text": text})).with_context(context)?;
        self.count += 1;
        Ok(())
    }

    /// Writes out what is buffered; returns how many lines there are.
    pub(super) fn finish(&mut self) -> Result<u64> {
        if let Some(writer) = &mut self.writer {
            writer
                .flush()
                .with_context(|| format!("cannot write refused lines to {}", self.path.display()))?;
        }
        Ok(self.count)
    }
}
