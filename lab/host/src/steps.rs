//! Showing what happens: a line for each step, with a spinner while it lasts and its time when it is done.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows steps on standard error, so that standard output stays free for results.
pub struct Steps {
    quiet: bool,
}

impl Steps {
    /// Shows steps, or does not if `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Carries a step out; `work` returns its result and a word about it.
    pub fn step<T, E>(&self, name: &str, work: impl FnOnce() -> Result<(T, String), E>) -> Result<T, E> {
        let bar = self.bar("  {spinner} {msg}", name);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.show(name, &bar, work)
    }

    /// Like [`step`](Self::step), for one that builds: `work` has the spinner say how far it is.
    pub fn build<T, E>(
        &self,
        name: &str,
        work: impl FnOnce(&ProgressBar) -> Result<(T, String), E>,
    ) -> Result<T, E> {
        let bar = self
            .bar("  {spinner} {prefix}  {msg}", "")
            .with_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.show(name, &bar, || work(&bar))
    }

    /// Like [`step`](Self::step), for one that moves bytes: `work` sets the length of the bar and advances it.
    pub fn bytes<T, E>(
        &self,
        name: &str,
        work: impl FnOnce(&ProgressBar) -> Result<(T, String), E>,
    ) -> Result<T, E> {
        let bar = self.bar(
            "  {msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}",
            name,
        );
        self.show(name, &bar, || work(&bar))
    }

    /// Draws nothing where there is no terminal; the line at the end is printed in any case.
    fn bar(&self, template: &str, name: &str) -> ProgressBar {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_spinner());
        ProgressBar::with_draw_target(None, target)
            .with_style(style)
            .with_message(name.to_owned())
    }

    fn show<T, E>(
        &self,
        name: &str,
        bar: &ProgressBar,
        work: impl FnOnce() -> Result<(T, String), E>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let result = work();
        bar.finish_and_clear();
        if !self.quiet {
            let (mark, word) = match &result {
                Ok((_, word)) => ("ok  ", word.as_str()),
                Err(_) => ("FAIL", ""),
            };
            eprintln!(
                "  {mark} {name:<34} {:>7.1} s  {word}",
                start.elapsed().as_secs_f64()
            );
        }
        result.map(|(value, _)| value)
    }
}
