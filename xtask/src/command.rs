//! Commands that are shown before they run, in the repository's root.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The cargo that runs this program, with arguments.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// What the compiler calls this machine.
pub(crate) fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("rustc did not start")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc did not say which machine this is")?.to_owned())
}

/// Shows the command, runs it, and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("`{line}` did not start"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// Whether `cargo NAME` can be run.
pub(crate) fn is_installed(name: &str) -> bool {
    let status = cargo([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Fails with what to install if `cargo NAME` cannot be run.
pub(crate) fn ensure_component(name: &str, component: &str) -> Result<()> {
    ensure!(is_installed(name), "{component} is missing: install it with `rustup component add {component}`");
    Ok(())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={} ", name.to_string_lossy(), quoted(value?))));
    let arguments = command.get_args().map(|argument| format!(" {}", quoted(argument)));
    let program = program(Path::new(command.get_program()));
    format!("{}{program}{}", variables.collect::<String>(), arguments.collect::<String>())
}

/// A program by its name, or by its path in the repository.
fn program(path: &Path) -> String {
    let inside = path.strip_prefix(root()).ok();
    let name = path.file_stem().filter(|name| inside.is_none() && *name == "cargo");
    quoted(name.unwrap_or(inside.unwrap_or(path).as_os_str()))
}

fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{cargo, line, root};

    #[test]
    fn commands_are_shown_as_one_would_type_them() {
        let mut command = cargo(["clippy", "--", "-D", "warnings", "it's", ""]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(line(&command), r"RUSTDOCFLAGS='-D warnings' cargo clippy -- -D warnings 'it'\''s' ''");
        assert_eq!(line(Command::new(root().join("target/tool")).arg("-x")), "target/tool -x");
        assert_eq!(line(&Command::new("python3")), "python3");
    }
}
