//! The lab's steps, for work whose errors are of any kind.

use anyhow::Result;
use indicatif::ProgressBar;
use lab_host::steps;

/// Shows what happens: a line for each step.
pub struct Steps(steps::Steps);

impl Steps {
    /// Shows steps on standard error, or does not if `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self(steps::Steps::new(quiet))
    }

    /// The same, for the lab.
    pub fn lab(&self) -> &steps::Steps {
        &self.0
    }

    /// Carries a step out; `work` returns its result and a word about it.
    pub fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
        self.0.step(name, work)
    }

    /// Carries out a step that builds: `work` has the bar say how far it is.
    pub fn build<T>(&self, name: &str, work: impl FnOnce(&ProgressBar) -> Result<(T, String)>) -> Result<T> {
        self.0.build(name, work)
    }

    /// Carries out a step that moves bytes: `work` sets the length of the bar and advances it.
    pub fn bytes<T>(&self, name: &str, work: impl FnOnce(&ProgressBar) -> Result<(T, String)>) -> Result<T> {
        self.0.bytes(name, work)
    }
}
