//! How the program answers: text or JSON on standard output, errors and progress on standard error.
//!
//! Colours and progress bars appear on a terminal only, so that pipes and logs stay plain.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::exit;
use crate::failure::{Failure, FailureKind, Hint};
use crate::progress::{Progress, Unit};

/// Standard output is written in pieces of this size.
const STDOUT_BUFFER_BYTES: usize = 64 << 10;

/// When colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The form of answers, settled once for the whole run.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    styled_stdout: bool,
    styled_stderr: bool,
}

impl Output {
    pub(crate) fn new(json: bool, color: Color) -> Self {
        let styled = |detected: ColorChoice| match color {
            Color::Auto => detected != ColorChoice::Never,
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            json,
            styled_stdout: styled(AutoStream::choice(&io::stdout())) && !json,
            styled_stderr: styled(AutoStream::choice(&io::stderr())),
        }
    }

    /// Whether answers are JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Standard output, buffered; flush it before the end, or errors get lost.
    pub(crate) fn stdout(&self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(STDOUT_BUFFER_BYTES, io::stdout().lock())
    }

    /// Text that stands out on standard output.
    pub(crate) fn strong(&self, text: impl Display) -> String {
        paint(self.styled_stdout, Style::new().bold(), &text)
    }

    /// Text that steps back on standard output.
    pub(crate) fn faint(&self, text: impl Display) -> String {
        paint(self.styled_stdout, Style::new().dimmed(), &text)
    }

    /// Writes one JSON value as a line.
    pub(crate) fn print_json(&self, value: &Value) -> Result<()> {
        let mut stdout = self.stdout();
        writeln!(stdout, "{value}").and_then(|()| stdout.flush()).context("cannot write to standard output")
    }

    /// Writes text as it is and a line break.
    pub(crate) fn print(&self, text: impl Display) -> Result<()> {
        let mut stdout = self.stdout();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).context("cannot write to standard output")
    }

    /// Says on standard error what a person should know but a script need not; silent with `--json`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.json {
            self.stderr_line(&format!("{}: {text}", paint(self.styled_stderr, Style::new().bold(), &"note")));
        }
    }

    /// Says on standard error what should worry a person; silent with `--json`, whose answer says it.
    pub(crate) fn warn(&self, text: impl Display) {
        if !self.json {
            let style = AnsiColor::Yellow.on_default().bold();
            self.stderr_line(&format!("{}: {text}", paint(self.styled_stderr, style, &"warning")));
        }
    }

    /// Says on standard error what should worry people and scripts alike: with `--json` this object.
    pub(crate) fn alert(&self, text: impl Display, warning: &Value) {
        if self.json {
            self.stderr_line(&json!({ "warning": warning }).to_string());
        } else {
            self.warn(text);
        }
    }

    /// Writes an error to standard error, as the user wants to read it, and returns the exit code.
    ///
    /// When the reader of standard output went away, nothing is written and that is no error.
    pub(crate) fn report(&self, error: &anyhow::Error) -> u8 {
        if exit::is_broken_pipe(error) {
            return exit::DONE;
        }
        self.stderr_line(&self.error_line(error));
        exit::of(error)
    }

    /// An error as it is written to standard error.
    pub(crate) fn error_line(&self, error: &anyhow::Error) -> String {
        if self.json { error_json(error).to_string() } else { self.error_text(error) }
    }

    fn error_text(&self, error: &anyhow::Error) -> String {
        let interrupted = error.chain().any(|cause| {
            cause.downcast_ref::<Failure>().is_some_and(|failure| failure.kind() == FailureKind::Interrupted)
        });
        let (word, color) =
            if interrupted { ("interrupted", AnsiColor::Yellow) } else { ("error", AnsiColor::Red) };
        let mut text = paint(self.styled_stderr, color.on_default().bold(), &word) + ": ";
        for (at, message) in messages(error).into_iter().enumerate() {
            if at > 0 {
                text.push_str("\n  cause: ");
            }
            text.push_str(&message);
        }
        for hint in hints(error) {
            text.push_str(&format!("\n{}: {hint}", paint(self.styled_stderr, Style::new().bold(), &"hint")));
        }
        text
    }

    /// Nothing can be done about an error on standard error.
    fn stderr_line(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A bar, or with an unknown total a counter, on standard error if that is a terminal.
    pub(crate) fn progress(&self, what: &'static str, total: Option<u64>, unit: Unit) -> Progress {
        if self.json || !io::stderr().is_terminal() {
            return Progress::hidden();
        }
        Progress::shown(what, total, unit)
    }

    /// The same for a command that writes its answer to standard output meanwhile: not if both are on the
    /// same terminal.
    pub(crate) fn progress_beside_stdout(
        &self,
        what: &'static str,
        total: Option<u64>,
        unit: Unit,
    ) -> Progress {
        if io::stdout().is_terminal() { Progress::hidden() } else { self.progress(what, total, unit) }
    }

    /// A line that says what is being done, on standard error if that is a terminal.
    pub(crate) fn live_line(&self) -> Progress {
        if self.json || !io::stderr().is_terminal() { Progress::hidden() } else { Progress::line() }
    }
}

fn paint(styled: bool, style: Style, text: &dyn Display) -> String {
    if styled { format!("{style}{text}{style:#}") } else { text.to_string() }
}

/// The messages of an error's chain without hints, and without those that the one before repeats.
fn messages(error: &anyhow::Error) -> Vec<String> {
    let hint = error.downcast_ref::<Hint>().map(ToString::to_string);
    let mut messages: Vec<String> = Vec::new();
    for message in error.chain().map(ToString::to_string) {
        let said = messages.last().is_some_and(|last| last.ends_with(&message));
        if !said && hint.as_ref() != Some(&message) {
            messages.push(message);
        }
    }
    messages
}

fn hints(error: &anyhow::Error) -> Vec<String> {
    let context = error.downcast_ref::<Hint>().map(ToString::to_string);
    let failure =
        error.chain().find_map(|cause| cause.downcast_ref::<Failure>()?.hint_text().map(ToOwned::to_owned));
    context.into_iter().chain(failure).collect()
}

/// `{"error": {"kind", "message", "file", "line", "field", "found", "allowed", "hint"}}`, those that are known.
fn error_json(error: &anyhow::Error) -> Value {
    let mut object = Map::new();
    object.insert("kind".into(), exit::kind_name(error).into());
    object.insert("message".into(), messages(error).join(": ").into());
    if let Some(hint) = error.downcast_ref::<Hint>() {
        object.insert("hint".into(), hint.0.as_str().into());
    }
    if let Some(failure) = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        failure.describe(&mut object);
    }
    json!({ "error": object })
}

/// A count with its thousands set apart.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// Bytes in a unit that leaves at most four digits before the point.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "";
    for name in UNITS {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = name;
    }
    format!("{value:.1} {unit}")
}

/// A duration in a unit that leaves a few digits.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds >= 100.0 => format!("{seconds:.0} s"),
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.2} ms", seconds * 1e3),
        _ if seconds >= 1e-6 => format!("{:.2} µs", seconds * 1e6),
        _ => format!("{:.0} ns", seconds * 1e9),
    }
}

/// `count` per second, rounded; 0 if no time went by.
pub(crate) fn per_second(count: u64, time: Duration) -> u64 {
    let seconds = time.as_secs_f64();
    // The cast saturates, and rates have far fewer digits than fit.
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}

/// Text from a store or a file name, safe for a terminal: control characters are shown as escapes.
pub(crate) fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut safe, character| {
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, duration, printable, thousands};

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(thousands).each_ref().map(String::as_str)
        );
        assert_eq!(
            ["999 B", "1.0 kB", "4.3 GB"],
            [999, 1000, 4_294_967_296].map(bytes).each_ref().map(String::as_str)
        );
        assert_eq!(duration(Duration::from_nanos(1500)), "1.50 µs");
        assert_eq!(duration(Duration::from_secs(200)), "200 s");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(printable("größe"), "größe");
    }
}
