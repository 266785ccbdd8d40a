//! What a run does, as it is written in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use statlas_core::Profile;
use statlas_store::Durability;

use crate::distribution::Distribution;
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::quantity::Unit;
use crate::schedule::Arrival;
use crate::threshold::Threshold;

/// The workloads that come with the laboratory: name and text.
const SHIPPED: [(&str, &str); 10] = [
    ("ycsb-a", include_str!("workloads/ycsb-a.toml")),
    ("ycsb-b", include_str!("workloads/ycsb-b.toml")),
    ("ycsb-c", include_str!("workloads/ycsb-c.toml")),
    ("ycsb-d", include_str!("workloads/ycsb-d.toml")),
    ("ycsb-e", include_str!("workloads/ycsb-e.toml")),
    ("ycsb-f", include_str!("workloads/ycsb-f.toml")),
    ("lookups", include_str!("workloads/lookups.toml")),
    ("mixed", include_str!("workloads/mixed.toml")),
    ("churn", include_str!("workloads/churn.toml")),
    ("files", include_str!("workloads/files.toml")),
];

/// Most threads of a run.
const THREADS_MAX: usize = 1024;
/// Most operations of a batch, or rows of a scan.
const BATCH_MAX: usize = 1 << 16;

/// A workload: data, operations on it, how fast they come, and what must come out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What it is called: in tables, and for shipped ones on the command line.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// Where all randomness comes from.
    #[serde(default = "seed")]
    pub seed: u64,
    /// The store that it runs on.
    #[serde(default)]
    pub store: StoreUnderTest,
    /// What is stored before it begins.
    pub data: Data,
    /// Which keys it asks for.
    #[serde(default = "uniform")]
    pub keys: Distribution,
    /// How fast, how long, and in how many threads.
    pub load: Load,
    /// The operations and their shares, in any scale.
    pub mix: BTreeMap<Operation, f64>,
    /// What must come out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
}

fn seed() -> u64 {
    42
}

fn uniform() -> Distribution {
    Distribution::Uniform
}

/// The store that a workload runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreUnderTest {
    /// `memory:`, or `disk:` for a temporary store on disk. Never a store that somebody uses: the workload's data
    /// would be mixed with theirs.
    pub engine: String,
    /// How much of a commit survives what.
    #[serde(with = "durability_text")]
    pub durability: Durability,
    /// Most memory that the store takes for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Most memory for entities that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Bytes>,
    /// Whether texts are compressed.
    pub compression: bool,
}

impl Default for StoreUnderTest {
    fn default() -> Self {
        Self {
            engine: "disk:".to_owned(),
            durability: Durability::Synced,
            memory: None,
            cache: None,
            compression: false,
        }
    }
}

/// What is stored before a workload begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// So many generated entities.
    pub entities: u64,
    /// Of this profile; of both, mixed, without.
    #[serde(with = "profile_text", skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The entities of a file of JSON lines, as `statlas generate` writes them, instead of generated ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_lines: Option<PathBuf>,
    /// So many generated records.
    pub records: u64,
    /// Bytes of each record's value.
    pub record_bytes: Bytes,
    /// So many generated files.
    pub files: u64,
    /// Bytes of each.
    pub file_bytes: Bytes,
    /// The files in this directory and those below it, instead of generated ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

/// How fast operations come, how long, and in how many threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Threads that work on the store at the same time.
    #[serde(default = "one")]
    pub threads: usize,
    /// Operations a second of all threads together, at times that are fixed in advance (an open loop). Without a rate
    /// each thread begins an operation when its last one has ended (a closed loop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How the operations of an open loop are spread over time.
    #[serde(default)]
    pub arrival: Arrival,
    /// How long it takes, warm-up not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// How many operations all threads do together, instead of a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<u64>,
    /// How long it runs before anything is counted.
    #[serde(default)]
    pub warm_up: Span,
    /// Entities in a batch of `put_batch`, and addresses in a call of `get_many`.
    #[serde(default = "hundred")]
    pub batch: usize,
    /// Most records that `scan` reads; it reads an even number from one up to this.
    #[serde(default = "hundred")]
    pub scan_length: usize,
}

fn one() -> usize {
    1
}

fn hundred() -> usize {
    100
}

impl Workload {
    /// Reads a workload from a text that comes from `place`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the place, what was found and what is allowed.
    pub fn from_toml(text: &str, place: &str) -> Result<Self> {
        let workload: Self = toml::from_str(text)
            .map_err(|error| Error::Invalid(format!("{place}: {}", error.to_string().trim_end())))?;
        match workload.complaint() {
            None => Ok(workload),
            Some(complaint) => Err(Error::Invalid(format!("{place}: {complaint}"))),
        }
    }

    /// Whether it is legal, after something was changed.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with what was found and what is allowed.
    pub fn check(&self) -> Result<()> {
        self.complaint()
            .map_or(Ok(()), |complaint| Err(Error::Invalid(format!("{}: {complaint}", self.name))))
    }

    /// Reads the workload of a file; paths in it are meant from where it lies.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], or as [`from_toml`](Self::from_toml).
    pub fn read(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| Error::io(format!("reading {place}"), error))?;
        let mut workload = Self::from_toml(&text, &place)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for inner in [&mut workload.data.json_lines, &mut workload.data.directory].into_iter().flatten() {
            *inner = folder.join(&*inner);
        }
        Ok(workload)
    }

    /// The shipped workload of a name.
    ///
    /// # Panics
    ///
    /// Never: a test reads them all.
    #[must_use]
    pub fn shipped(name: &str) -> Option<Self> {
        let (name, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
        Some(Self::from_toml(text, name).expect("shipped workloads are legal"))
    }

    /// The shipped workloads with their texts, which users copy and change.
    #[must_use]
    pub fn all_shipped() -> Vec<(Self, &'static str)> {
        SHIPPED.iter().filter_map(|(name, text)| Some((Self::shipped(name)?, *text))).collect()
    }

    /// What is wrong, if anything is.
    fn complaint(&self) -> Option<String> {
        let Self { data, load, mix, .. } = self;
        if self.name.is_empty()
            || self.name.chars().any(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        {
            return Some(format!("name: found {:?}; allowed: letters, digits and - _ .", self.name));
        }
        if mix.values().any(|share| !share.is_finite() || *share < 0.0) || mix.values().sum::<f64>() <= 0.0 {
            return Some(
                "mix: found a share below 0 or no share at all; allowed: one or more above 0".to_owned(),
            );
        }
        let in_range = |name: &str, found: usize, most: usize| {
            (found == 0 || found > most).then(|| format!("{name}: found {found}; allowed: 1 to {most}"))
        };
        in_range("load.threads", load.threads, THREADS_MAX)
            .or_else(|| in_range("load.batch", load.batch, BATCH_MAX))
            .or_else(|| in_range("load.scan_length", load.scan_length, BATCH_MAX))
            .or_else(|| self.keys.complaint())
            .or_else(|| load.complaint())
            .or_else(|| data.complaint())
            .or_else(|| self.operations().find_map(|operation| self.complaint_about(operation)))
            .or_else(|| self.thresholds.iter().find_map(|threshold| threshold.complaint(self)))
    }

    fn complaint_about(&self, operation: Operation) -> Option<String> {
        let Data { entities, json_lines, records, files, directory, .. } = &self.data;
        let (has, wanted) = match operation {
            Operation::Put | Operation::PutBatch | Operation::InsertRecord | Operation::GetAbsent => {
                return None;
            }
            Operation::ReadFile => (*files > 0 || directory.is_some(), "data.files or data.directory"),
            operation if operation.is_about_records() => (*records > 0, "data.records"),
            _ => (*entities > 0 || json_lines.is_some(), "data.entities or data.json_lines"),
        };
        (!has).then(|| format!("mix.{operation}: found without anything to ask for; give {wanted}"))
    }

    /// The operations that it does.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        self.mix.iter().filter(|(_, share)| **share > 0.0).map(|(operation, _)| *operation)
    }

    /// Whether it is an open loop.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.load.rate.is_some()
    }
}

impl Load {
    fn complaint(&self) -> Option<String> {
        match (&self.duration, self.operations, &self.rate) {
            (Some(_), Some(_), _) => {
                Some("load: found a duration and a number of operations; allowed: one of the two".to_owned())
            }
            (None, None, _) => {
                Some("load: found no end; give a `duration` such as \"10s\", or `operations`".to_owned())
            }
            (Some(Span(length)), ..) if length.is_zero() => {
                Some("load.duration: found 0; allowed: a time above 0".to_owned())
            }
            (_, Some(0), _) => Some("load.operations: found 0; allowed: 1 and more".to_owned()),
            (.., Some(Rate(rate))) if !(*rate > 0.0 && *rate <= 1e9) => {
                Some(format!("load.rate: found {rate}/s; allowed: above 0, up to 1G/s"))
            }
            _ => None,
        }
    }

    /// How long an open loop takes, warm-up included; of a closed one it is the duration that was asked for, if any.
    pub(crate) fn length(&self) -> Option<Duration> {
        let counted = match (&self.duration, self.operations, &self.rate) {
            (Some(Span(length)), ..) => *length,
            (None, Some(operations), Some(Rate(rate))) => Duration::from_secs_f64(operations as f64 / rate),
            _ => return None,
        };
        Some(self.warm_up.0 + counted)
    }
}

impl Data {
    fn complaint(&self) -> Option<String> {
        let both = |names: &str| Some(format!("data: found {names}; allowed: one of the two"));
        match self {
            Self { entities: 1.., json_lines: Some(_), .. } => both("entities and json_lines"),
            Self { files: 1.., directory: Some(_), .. } => both("files and directory"),
            Self { records: 1.., record_bytes: Bytes(bytes), .. } if *bytes < 16 || *bytes > 1 << 20 => {
                Some(format!("data.record_bytes: found {bytes}; allowed: 16 to 1MiB"))
            }
            _ => None,
        }
    }
}

/// A number of bytes, written as a number or as a text such as `"64KiB"`; in results always as a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time, written as a text such as `"10s"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Operations a second, written as a number or as a text such as `"20K/s"`; in results always as a text.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

/// A number, or a text with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Number(f64),
    Text(String),
}

fn read<E: serde::de::Error>(raw: &Raw, unit: Unit, is_plain_allowed: bool) -> std::result::Result<f64, E> {
    match raw {
        Raw::Number(number) if is_plain_allowed || *number == 0.0 => Ok(*number),
        Raw::Number(number) => unit.parse(&number.to_string()).map_err(E::custom),
        Raw::Text(text) => unit.parse(text).map_err(E::custom),
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let bytes: f64 = read(&Raw::deserialize(deserializer)?, Unit::Bytes, true)?;
        if !(0.0..9e15).contains(&bytes) {
            return Err(serde::de::Error::custom(format!("found {bytes} bytes; allowed: 0 to 8 PiB")));
        }
        // The range was checked; a part of a byte is none.
        Ok(Self(bytes as u64))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let seconds: f64 = read(&Raw::deserialize(deserializer)?, Unit::Seconds, false)?;
        if !(0.0..1e9).contains(&seconds) {
            return Err(serde::de::Error::custom(format!("found {seconds} s; allowed: 0 to 30 years")));
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        read(&Raw::deserialize(deserializer)?, Unit::PerSecond, true).map(Self)
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}s", self.0.as_secs_f64()))
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}/s", self.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Unit::Seconds.format(self.0.as_secs_f64()))
    }
}

/// A level of durability by its name.
mod durability_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use statlas_store::Durability;

    const ALL: [(&str, Durability); 3] = [
        ("synced", Durability::Synced),
        ("written", Durability::Written),
        ("buffered", Durability::Buffered),
    ];

    pub(super) fn serialize<S: Serializer>(level: &Durability, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, _) = ALL.iter().find(|(_, each)| each == level).unwrap_or(&ALL[0]);
        serializer.serialize_str(name)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Durability, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = ALL.iter().find(|(name, _)| *name == text).map(|(_, level)| *level);
        found.ok_or_else(|| {
            serde::de::Error::custom(format!("found {text:?}; allowed: synced, written or buffered"))
        })
    }
}

/// A profile by its name.
mod profile_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use statlas_core::Profile;

    pub(super) fn serialize<S: Serializer>(
        profile: &Option<Profile>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match profile {
            Some(profile) => serializer.collect_str(profile),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Profile>, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "stat7" => Ok(Some(Profile::Stat7)),
            "fractalstat" => Ok(Some(Profile::FractalStat)),
            "mixed" => Ok(None),
            _ => {
                Err(serde::de::Error::custom(format!("found {text:?}; allowed: stat7, fractalstat or mixed")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        name = "small"
        description = "a small one"
        [data]
        entities = 10
        [load]
        duration = "1s"
        [mix]
        get = 1
    "#;

    #[test]
    fn shipped_workloads_are_legal_and_have_their_names() {
        for (name, _) in SHIPPED {
            let workload = Workload::shipped(name).expect("it is shipped");
            assert_eq!(workload.name, name);
            // What a result holds is the workload again.
            let text = serde_json::to_string(&workload).expect("it can be written");
            assert_eq!(serde_json::from_str::<Workload>(&text).expect("it can be read"), workload, "{text}");
        }
        assert_eq!(Workload::all_shipped().len(), SHIPPED.len());
        assert_eq!(Workload::shipped("small"), None);
    }

    #[test]
    fn what_is_left_out_has_sensible_defaults() {
        let workload = Workload::from_toml(SMALL, "small.toml").expect("it is legal");
        assert_eq!((workload.load.threads, workload.seed, workload.is_open()), (1, 42, false));
        assert_eq!(workload.store, StoreUnderTest::default());
        assert_eq!(workload.keys, Distribution::Uniform);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        let cases = [
            ("get = 1", "fetch = 1", "unknown variant `fetch`"),
            ("get = 1", "get = -1", "mix: found a share below 0"),
            ("get = 1", "get = 0", "mix: found a share below 0 or no share"),
            ("get = 1", "read_file = 1", "mix.read_file: found without anything to ask for; give data.files"),
            ("entities = 10", "records = 10", "data.record_bytes: found 0; allowed: 16 to 1MiB"),
            ("entities = 10", "entities = -10", "entities"),
            ("entities = 10", "entities = 10\njson_lines = \"x\"", "allowed: one of the two"),
            ("duration = \"1s\"", "", "load: found no end"),
            ("duration = \"1s\"", "duration = \"1s\"\noperations = 5", "allowed: one of the two"),
            ("duration = \"1s\"", "duration = 5", "allowed: a time such as"),
            ("duration = \"1s\"", "duration = \"0s\"", "allowed: a time above 0"),
            ("duration = \"1s\"", "operations = 0", "allowed: 1 and more"),
            ("duration = \"1s\"", "duration = \"1s\"\nrate = \"0/s\"", "load.rate: found 0/s"),
            ("duration = \"1s\"", "duration = \"1s\"\nthreads = 0", "load.threads: found 0; allowed: 1 to"),
            ("duration = \"1s\"", "duration = \"1s\"\ntheads = 2", "unknown field `theads`"),
            ("name = \"small\"", "name = \"../small\"", "allowed: letters, digits"),
            ("[mix]", "[store]\nengine = 7\n[mix]", "engine"),
            ("[mix]", "[store]\ndurability = \"safe\"\n[mix]", "allowed: synced, written or buffered"),
            ("[mix]", "[keys]\ndistribution = \"zipfian\"\ntheta = 2\n[mix]", "keys.theta: found 2"),
            (
                "get = 1",
                "get = 1\n[[thresholds]]\nmetric = \"put.p99\"\nat_most = \"1s\"",
                "the mix has no put",
            ),
            (
                "get = 1",
                "get = 1\n[[thresholds]]\nmetric = \"get.p99\"\nat_most = \"1/s\"",
                "allowed: a time",
            ),
            ("get = 1", "get = 1\n[[thresholds]]\nmetric = \"get.p99\"", "needs one of at_most and at_least"),
            (
                "get = 1",
                "get = 1\n[[thresholds]]\nmetric = \"rate_reached\"\nat_least = \"1\"",
                "names no rate",
            ),
        ];
        for (right, wrong, complaint) in cases {
            let text = SMALL.replace(right, wrong);
            assert_ne!(text, SMALL);
            let error = Workload::from_toml(&text, "small.toml").expect_err(wrong).to_string();
            assert!(error.starts_with("small.toml: ") && error.contains(complaint), "{wrong}: {error}");
        }
    }

    #[test]
    fn paths_are_meant_from_where_the_file_lies() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("w.toml");
        std::fs::write(&path, SMALL.replace("entities = 10", "json_lines = \"x.jsonl\""))
            .expect("it can be written");
        let workload = Workload::read(&path).expect("it is legal");
        assert_eq!(workload.data.json_lines, Some(folder.path().join("x.jsonl")));
        let absent = folder.path().join("absent.toml");
        assert!(Workload::read(&absent).is_err_and(|error| error.to_string().contains("absent.toml")));
    }
}
