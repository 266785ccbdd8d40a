//! The style checks that no other tool makes. `CONTRIBUTING.md` lists them.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::root;

mod links;
mod manifests;
mod sources;

/// Files longer than [`sources::LINES_MAX`], each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// A text file of the repository. Its path is relative to the root, with slashes.
struct TextFile {
    path: String,
    text: String,
}

/// Something to change.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl TextFile {
    /// A finding at a line, counted from 0.
    fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line: line + 1, what: what.into() }
    }

    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    #[cfg(test)]
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

/// Checks the whole repository.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read(root())?;
    let mut findings = sources::check_lengths(&tree.files, LONG_FILES);
    for file in &tree.files {
        findings.extend(sources::check_marks(file));
        if file.has_extension("rs") {
            findings.extend(sources::check_rust(file));
        } else if file.path.ends_with("Cargo.toml") {
            findings.extend(manifests::check(file));
        } else if file.has_extension("md") {
            findings.extend(links::check(file, &tree));
        }
    }
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => println!("tidy: {} files are in order", tree.files.len()),
        count => bail!("tidy: {count} things to change, listed above"),
    }
    Ok(())
}

/// The repository: its text files, and the paths of all files and directories.
#[derive(Default)]
struct Tree {
    files: Vec<TextFile>,
    paths: Vec<String>,
}

/// Directories that hold nothing that anybody wrote.
const SKIPPED: [&str; 5] = ["target", ".git", ".venv", "__pycache__", "proptest-regressions"];
const TEXT_EXTENSIONS: [&str; 8] = ["rs", "toml", "md", "py", "pyi", "sh", "yml", "yaml"];

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_directory(root, "")?;
        Ok(tree)
    }

    fn read_directory(&mut self, directory: &Path, prefix: &str) -> Result<()> {
        let entries = std::fs::read_dir(directory).with_context(|| format!("{}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, kind) = (format!("{prefix}{name}"), entry.file_type()?);
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) && !name.ends_with(".store") {
                self.read_directory(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() && is_text(&path) {
                let text = std::fs::read_to_string(entry.path()).with_context(|| path.clone())?;
                self.files.push(TextFile { path: path.clone(), text });
            }
            self.paths.push(path);
        }
        Ok(())
    }
}

fn is_text(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    path == ".ci/run" || extension.is_some_and(|extension| TEXT_EXTENSIONS.contains(&extension))
}
