//! A directory to work in, and the program run in it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for another process before it gives up. Nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory of its own, removed afterwards.
pub(crate) struct World {
    dir: TempDir,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with the directories on the way.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(name)).expect("a text file")
    }

    /// The program, its arguments set, to be started in this directory.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_statlas"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("STATLAS_STORE")
            .env_remove("CARGO_HOME");
        command
    }

    /// Runs the program to its end, without input.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Run {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("the program runs");
        Run::new(output)
    }

    /// Runs the program with this input.
    pub(crate) fn feed<A: AsRef<OsStr>>(&self, arguments: &[A], input: impl AsRef<[u8]>) -> Run {
        let mut child = self.start(arguments);
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.as_ref().to_vec();
        // The program may end before it has read everything.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("the program runs");
        writer.join().expect("the writer");
        Run::new(output)
    }

    /// Starts the program with pipes on all sides.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Runs the program, which must succeed.
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Run {
        self.run(arguments).expect_code(0)
    }

    /// Runs the program with `--json`, which must succeed and print one value.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let run = self.ok(&[&["--json"], arguments].concat());
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }

    /// The number of entities in the store.
    pub(crate) fn entities(&self) -> u64 {
        self.json(&["stats"])["entities"].as_u64().expect("a count")
    }

    /// Flips a bit in the first segment of the default store, in the middle of where it has these bytes.
    pub(crate) fn damage(&self, needle: &[u8]) {
        let segment = self.path("statlas.store/log/00000001.seg");
        let mut bytes = fs::read(&segment).expect("the segment");
        let at = bytes.windows(needle.len()).position(|window| window == needle).expect("it is in the log");
        bytes[at + needle.len() / 2] ^= 1;
        fs::write(&segment, bytes).expect("written");
    }

    /// Bytes in the files of the default store.
    pub(crate) fn store_bytes(&self) -> u64 {
        fn sum(dir: &Path) -> u64 {
            let Ok(entries) = fs::read_dir(dir) else { return 0 };
            entries
                .flatten()
                .map(|entry| match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => sum(&entry.path()),
                    Ok(metadata) => metadata.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        sum(&self.path("statlas.store"))
    }
}

impl Run {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The run failed with this code, and says all of this on standard error.
    #[track_caller]
    pub(crate) fn refuses(self, code: i32, said: &[&str]) -> Self {
        let run = self.expect_code(code);
        for part in said {
            assert!(run.err.contains(part), "{part:?} is not in {}", run.err);
        }
        run
    }

    /// The error object that a run with `--json` left on standard error.
    pub(crate) fn error(&self) -> Value {
        let line = self.err.lines().last().unwrap_or_default();
        let mut value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        value["error"].take()
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// The answer, one JSON value a line.
    pub(crate) fn values(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ctrl-C.
#[cfg(unix)]
pub(crate) fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success(), "the process is there");
}

/// An entity as one line of JSON; `change` may spoil it.
pub(crate) fn entity(id: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::json!({
        "profile": "stat7", "id": id, "entity_type": "concept", "realm": "data",
        "coordinates": {
            "realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
            "resonance": 0.5, "velocity": 0.25, "density": 0.75,
        },
        "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42},
    });
    change(&mut value);
    value.to_string()
}

/// The same for what JSON libraries don't write: replaces a piece of the text.
pub(crate) fn entity_text(id: &str, from: &str, to: &str) -> String {
    let text = entity(id, |_| {});
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replacen(from, to, 1)
}
