//! The Python package: its wheel, installed into a fresh environment as a user would, and tested there.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::with_absolute_paths;
use crate::command::{root, run as run_command};

/// Where the package is.
const PACKAGE: &str = "crates/py";
const REQUIREMENTS: &str = "crates/py/requirements-test.txt";
const EXAMPLE: &str = "examples/python_tour.py";
/// What the wheel supports, as `requires-python` of the package says.
const MINOR_MIN: u32 = 10;

/// What the wheel is built for.
#[derive(Clone, Copy)]
enum Build {
    /// As the Rust tests are built, so that most of it is there: fast, with overflow checks and debug assertions.
    Tests,
    /// As users have it.
    Release,
}

/// Tests the package: its tests, the examples of its documentation, its stubs and its tour.
pub(crate) fn test() -> Result<()> {
    let environment = Environment::fresh("python-venv")?;
    environment.install_wheel(Build::Tests)?;
    timed("python tests", || environment.run(["-m", "pytest"].map(OsStr::new), PACKAGE))?;
    timed("python types", || environment.check_types())?;
    timed("python tour", || environment.run_tour())
}

/// Measures the package in release mode.
pub(crate) fn bench(options: &[&str]) -> Result<()> {
    let environment = Environment::fresh("python-bench-venv")?;
    environment.install_wheel(Build::Release)?;
    let script = Path::new(PACKAGE).join("bench/targets.py");
    let mut words = vec![script];
    words.extend(with_absolute_paths(options)?);
    if !options.contains(&"--smoke") {
        words.push("--rust".into());
    }
    environment.run(words.iter().map(|word| word.as_os_str()), "")
}

/// A virtual environment in the target directory.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Makes the environment anew, with the tools and packages that the tests need.
    fn fresh(name: &str) -> Result<Self> {
        let folder = root().join("target").join(name);
        timed("python environment", || {
            let python = python()?;
            fs::create_dir_all(root().join("target")).context("target")?;
            let mut command = Command::new(&python);
            command.args(["-m", "venv", "--clear"]).arg(&folder).current_dir(root());
            run_command(&mut command).with_context(|| {
                format!("{python} has no working module `venv`; Debian and Ubuntu have it in the package python3-venv")
            })?;
            let environment = Self { folder };
            environment.pip(["-r", REQUIREMENTS]).context(
                "the packages that the Python tests need could not be installed; pip takes them from its cache or \
                 from the package index",
            )?;
            Ok(environment)
        })
    }

    /// Builds the wheel and installs it, as users do.
    fn install_wheel(&self, build: Build) -> Result<()> {
        let wheels = self.folder.join("wheels");
        timed("python wheel", || {
            let mut maturin = Command::new(self.program("maturin"));
            maturin.args(["build", "--quiet", "--manifest-path"]).arg(Path::new(PACKAGE).join("Cargo.toml"));
            maturin.arg("--out").arg(&wheels).arg("--interpreter").arg(self.program("python"));
            maturin.args(match build {
                Build::Tests => ["--profile", "dev"].as_slice(),
                Build::Release => ["--release"].as_slice(),
            });
            run_command(maturin.current_dir(root()))?;
            self.pip(["--no-deps".as_ref(), only_file(&wheels)?.as_os_str()])
        })
    }

    /// That the stubs say what the extension has, and that the package, its tests and the tour keep to them.
    fn check_types(&self) -> Result<()> {
        let allowed = ["--allowlist", "stubtest-allowlist.txt", "--ignore-unused-allowlist"];
        let stubtest = ["-m", "mypy.stubtest", "statlas", "--concise"];
        // Installed modules are found from a folder that has none of the same name.
        self.run(stubtest.into_iter().chain(allowed).map(OsStr::new), PACKAGE)?;
        let tour = Path::new("../..").join(EXAMPLE);
        let strict = ["-m", "mypy", "--strict"].map(OsStr::new);
        self.run(strict.into_iter().chain(["python/statlas".as_ref()]), PACKAGE)?;
        self.run(strict.into_iter().chain(["tests".as_ref(), "bench".as_ref(), tour.as_os_str()]), PACKAGE)
    }

    /// Runs the tour in a folder that is removed afterwards, and the benchmark in its small size.
    fn run_tour(&self) -> Result<()> {
        let folder = self.folder.join("tour");
        fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        self.run([root().join(EXAMPLE).as_os_str()], &folder)?;
        let bench = root().join(PACKAGE).join("bench/targets.py");
        self.run([bench.as_os_str(), "--smoke".as_ref()], &folder)?;
        fs::remove_dir_all(&folder).with_context(|| format!("{}", folder.display()))
    }

    fn pip<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<()> {
        let mut command = Command::new(self.program("python"));
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-compile",
        ]);
        run_command(command.args(words).current_dir(root()))
    }

    /// Runs the environment's Python in a folder of the repository.
    fn run<'a>(&self, words: impl IntoIterator<Item = &'a OsStr>, folder: impl AsRef<Path>) -> Result<()> {
        let mut command = Command::new(self.program("python"));
        // What is tested is what was installed, and it leaves nothing beside the sources.
        command.env_remove("PYTHONPATH").env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("MYPY_CACHE_DIR", self.folder.join("mypy"));
        run_command(command.args(words).current_dir(root().join(folder)))
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name)
    }
}

/// The Python that is there, which must be new enough.
fn python() -> Result<String> {
    const ASK: &str = "import sys; print(*sys.version_info[:2])";
    let mut found = Vec::new();
    for name in ["python3", "python"] {
        let Ok(output) = Command::new(name).args(["-c", ASK]).output() else { continue };
        let said = String::from_utf8_lossy(&output.stdout);
        match version(&said) {
            Some((3, minor)) if minor >= MINOR_MIN => return Ok(name.to_owned()),
            Some((major, minor)) => found.push(format!("{name} {major}.{minor}")),
            None => {}
        }
    }
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    bail!(
        "Python: found {found}; the Python tests need `python3` of version 3.{MINOR_MIN} or later, with `venv`"
    )
}

fn version(said: &str) -> Option<(u32, u32)> {
    let (major, minor) = said.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The file that is alone in a folder.
fn only_file(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    ensure!(files.len() == 1, "{}: found {} files; one wheel should be there", folder.display(), files.len());
    Ok(files.into_iter().next().unwrap_or_default())
}

/// Does something and says how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let done = work().with_context(|| what.to_owned())?;
    println!("{what}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_of_python_is_read() {
        assert_eq!(version("3 10\n"), Some((3, 10)));
        for said in ["", "3.10", "three ten"] {
            assert_eq!(version(said), None, "{said}");
        }
    }
}
