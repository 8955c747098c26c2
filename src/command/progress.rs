//! What a person sees while a command works; nothing when standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar may change.
const TICK: Duration = Duration::from_millis(100);

/// A bar over a known length, with rate and time left; `unit` follows the rate.
pub(super) fn bar(what: &str, length: u64, unit: Unit) -> ProgressBar {
    let count = match unit {
        Unit::Bytes => "{bytes}/{total_bytes}",
        Unit::Count => "{human_pos}/{human_len}",
    };
    let text = format!(
        "{{prefix:>10}} [{{bar:30}}] {{percent:>3}}% {count} · {{elapsed}} gone, {{eta}} left {{msg}}"
    );
    let bar = ProgressBar::new(length).with_prefix(what.to_owned());
    bar.set_style(style(&text));
    bar.enable_steady_tick(TICK);
    bar
}

/// A line for work of unknown length.
pub(super) fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(what.to_owned());
    bar.set_style(style("{prefix:>10} {spinner} {elapsed} {msg}"));
    bar.enable_steady_tick(TICK);
    bar
}

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes of input.
    Bytes,
    /// Things.
    Count,
}

fn style(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).expect("a template of this file").progress_chars("=> ")
}
