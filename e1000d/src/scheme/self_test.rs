//! The file `selftest`: start, steps and report of a self-test.
//!
//! Writing `run` starts one, unless a process has the file of frames open; `run force` starts one in any case. The
//! write returns at once. The main thread then does one step at a time, each shorter than half a second and mostly a
//! few ms. Requests are served between the steps: frames that clients write are dropped and counted, reads find no
//! frame, and writes to `mtu` and `filter` fail with `EBUSY`. The test ends after twelve seconds at the latest, with a
//! reset. The link may take some seconds more to come up.

use std::time::Duration;

use e1000_hw::nic::SelfTest;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use e1000_hw::self_test::Report;
use syscall::error::{EBUSY, EINVAL};
use syscall::{Error, Result};

use super::{NetworkScheme, files};

/// Self-tests so far.
#[derive(Debug, Default)]
pub(super) struct SelfTests {
    /// Time of the next step of the self-test in progress.
    due: Option<Duration>,
    last: Option<Report>,
    runs: u64,
    failures: u64,
}

impl SelfTests {
    /// Text of the file.
    pub(super) fn text(&self) -> String {
        let state = match (self.due, &self.last) {
            (Some(_), _) => "running",
            (None, None) => "never",
            (None, Some(_)) => "done",
        };
        let mut pairs = vec![
            ("state", state.to_owned()),
            ("runs", self.runs.to_string()),
            ("failures", self.failures.to_string()),
        ];
        if let Some(report) = &self.last {
            let result = if report.passed() { "passed" } else { "failed" };
            pairs.push(("result", result.to_owned()));
            pairs.extend(report.parts().map(|(name, outcome)| (name, outcome.to_string())));
            pairs.push(("absent_registers", report.absent_registers.to_string()));
            pairs.push(("milliseconds", report.took.as_millis().to_string()));
        }
        files::lines(&pairs)
    }
}

/// Parses what was written: true for `run force`, false for `run`.
fn parse(text: &[u8]) -> Option<bool> {
    let mut words = std::str::from_utf8(text).ok()?.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("run"), None, None) => Some(false),
        (Some("run"), Some("force"), None) => Some(true),
        _ => None,
    }
}

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// Starts a self-test, if `text` asks for one.
    pub(super) fn start_self_test(&mut self, text: &[u8]) -> Result<()> {
        let force = parse(text).ok_or(Error::new(EINVAL))?;
        if !force && self.handles.subscribers().next().is_some() {
            return Err(Error::new(EBUSY));
        }
        log::info!("self-test");
        self.self_tests.due = Some(self.clock.now());
        self.self_tests.runs += 1;
        self.nic
            .diagnostics()
            .start_self_test(!self.description.polling, &self.clock);
        Ok(())
    }

    /// Delay until the next step of the self-test in progress.
    pub fn self_test_due(&self) -> Option<Duration> {
        let due = self.self_tests.due?;
        Some(due.saturating_sub(self.clock.now()))
    }

    /// Makes the next step of a self-test due now: an interrupt arrived, for which it may be waiting.
    pub(super) fn hasten_self_test(&mut self) {
        if let Some(due) = &mut self.self_tests.due {
            *due = self.clock.now();
        }
    }

    /// Forgets the self-test in progress, because the NIC is gone.
    pub(super) fn abandon_self_test(&mut self) {
        self.self_tests.due = None;
    }

    /// Does the next step of a self-test if it is due. Returns true while one is in progress.
    pub fn continue_self_test(&mut self) -> bool {
        let Some(due) = self.self_tests.due else {
            return false;
        };
        if due > self.clock.now() {
            return true;
        }
        match self.nic.diagnostics().continue_self_test(&self.clock) {
            SelfTest::Wait(delay) => {
                self.self_tests.due = Some(self.clock.now() + delay);
                true
            }
            SelfTest::Done(report) => {
                self.finish_self_test(report);
                false
            }
        }
    }

    fn finish_self_test(&mut self, report: Report) {
        self.self_tests.due = None;
        self.self_tests.last = Some(report);
        if report.passed() {
            log::info!("self-test passed after {:?}", report.took);
        } else {
            self.self_tests.failures += 1;
            for (name, outcome) in report.parts() {
                if outcome.is_failure() {
                    log::warn!("self-test: {name} {outcome}");
                }
            }
        }
        // Handles may have been opened or closed meanwhile.
        self.apply_receive_mode();
        self.check_link();
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn run_and_run_force_and_nothing_else() {
        assert_eq!(parse(b"run"), Some(false));
        assert_eq!(parse(b" run  force\n"), Some(true));
        for bad in ["", "force", "run run", "run force now", "RUN", "1"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(&[0xFF]), None);
    }
}
