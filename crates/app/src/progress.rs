//! Progress bars on a terminal.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::output::thousands;

/// How often a bar is drawn while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// What a progress bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Anything else.
    Count,
}

/// A progress bar that disappears when it is dropped, so that an error is not written behind it.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// One that nobody sees.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// A line that says what is being done, on standard error.
    pub(crate) fn line() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// A bar, or with an unknown total a counter, on standard error.
    pub(crate) fn shown(what: &'static str, total: Option<u64>, unit: Unit) -> Self {
        let (position, of, rate) = match unit {
            Unit::Bytes => ("{binary_bytes}", "{binary_total_bytes}", "{binary_bytes_per_sec}"),
            Unit::Count => ("{human_pos}", "{human_len}", "{rate}"),
        };
        let (bar, template) = match total {
            Some(total) => {
                let template = format!("{{msg}} {{wide_bar:.cyan}} {position} of {of}, {rate}, {{eta}} left");
                (ProgressBar::new(total), template)
            }
            None => (ProgressBar::new_spinner(), format!("{{spinner}} {{msg}} {position}, {rate}")),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.with_key("rate", whole_rate));
        }
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }
}

impl Deref for Progress {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The rate of a bar, without a fraction.
fn whole_rate(state: &ProgressState, text: &mut dyn fmt::Write) {
    // The cast saturates. A bar with a hole in it is all that can come of an error here.
    let _ = write!(text, "{}/s", thousands(state.per_sec().round() as u64));
}
