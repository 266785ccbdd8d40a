//! The command line of the benchmarks.

use std::path::PathBuf;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The words as they were given, for the report.
    pub(crate) words: Vec<String>,
    pub(crate) smoke: bool,
    /// The section `memory` with a store of 10 million entities.
    pub(crate) large: bool,
    pub(crate) list: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) seed: u64,
    /// The sections that are wanted; all if empty.
    pub(crate) names: Vec<String>,
}

impl Arguments {
    pub(crate) fn parse(words: &[String], sections: &[&str]) -> Result<Self, String> {
        let mut parsed = Self {
            // Cargo adds a word of its own.
            words: words.iter().filter(|word| *word != "--bench").cloned().collect(),
            smoke: false,
            large: false,
            list: false,
            json: None,
            directory: None,
            seed: 42,
            names: Vec::new(),
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{word}: found nothing; allowed: a value"));
            match word.as_str() {
                "--bench" => {}
                "--smoke" => parsed.smoke = true,
                "--large" => parsed.large = true,
                "--list" => parsed.list = true,
                "--json" => parsed.json = Some(value()?.into()),
                "--dir" => parsed.directory = Some(value()?.into()),
                "--seed" => {
                    let text = value()?;
                    let wrong = |_| format!("--seed: found {text:?}; allowed: a number of 64 bits");
                    parsed.seed = text.parse().map_err(wrong)?;
                }
                name if sections.contains(&name) => parsed.names.push(name.to_owned()),
                other => {
                    let options = "--smoke, --large, --list, --json FILE, --dir DIR, --seed N";
                    return Err(format!("found {other:?}; allowed: {options}, {}", sections.join(", ")));
                }
            }
        }
        Ok(parsed)
    }
}
