//! Test of whether an interrupt line is the NIC's.
//!
//! The line number in configuration space may be wrong, and then interrupts of other devices on that line look like the
//! NIC's: the test interrupt sets ICR, whatever line it fires, so the next interrupt of any device finds a cause. So
//! several tests in a row each have to be answered within two milliseconds. Their number depends on how often the line
//! fires without a test, such that other devices answer all of them by chance in one of 100 000 rows.
//!
//! The line is polled without yielding the processor, because on a busy machine an event would arrive late although the
//! line works.

use std::time::Duration;

use e1000_hw::platform::Clock;

use crate::platform::LineTestLimits;

/// Probability of passing by chance below which a line is trusted.
const CHANCE: f64 = 1e-5;
/// Fewest tests in a row, on a line that is silent otherwise.
const FEWEST: u32 = 4;
/// Most tests in a row. A line that would need more is too busy for a test.
const MOST: u32 = 256;
/// Most tests that may fail, each of which begins a new row. An emulator on a busy host raises some late.
const MISSES: u32 = 32;
/// Failed tests after which a line without any interrupt counts as silent.
const SILENT: u32 = 8;
/// Time limit for all tests, in addition to that of each test.
const LIMIT: Duration = Duration::from_secs(2);
/// Pause for the drivers of other devices to serve their interrupts: they may need this processor.
const OTHERS: Duration = Duration::from_millis(1);
/// Pause between two polls after the usual time, if the limit of a test is longer.
const SLOW: Duration = Duration::from_micros(200);
/// Most pauses for a line to become quiet.
const QUIET_POLLS: usize = 8;

/// Result of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The line is the NIC's, after this number of tests in a row.
    Works(u32),
    /// No interrupt came.
    Silent,
    /// Interrupts came, but not with the tests.
    Unrelated,
    /// Other devices use the line so much that the test would be inconclusive.
    TooBusy,
}

/// A line, and the NIC that may be on it.
pub trait Line {
    /// Error of the line's handle.
    type Error;

    /// Masks the NIC's causes.
    fn mask(&mut self);

    /// Raises one of the NIC's causes, unmasked.
    fn raise(&mut self);

    /// Acknowledges the line if it has fired since the last poll, and then returns true if the NIC had a cause. Does
    /// not block.
    ///
    /// # Errors
    ///
    /// When the line fails.
    fn poll(&mut self) -> Result<Option<bool>, Self::Error>;
}

/// Tests whether the NIC's interrupts arrive on `line`. Takes little more than 20 ms on the right line, and two seconds
/// at most on any line.
///
/// # Errors
///
/// When the line fails.
pub fn test_line<L: Line>(
    line: &mut L,
    clock: &impl Clock,
    limits: LineTestLimits,
) -> Result<Verdict, L::Error> {
    let Some(wanted) = listen(line, clock, limits)? else {
        return Ok(Verdict::TooBusy);
    };
    let (mut row, mut misses, mut heard_any) = (0, 0, false);
    let start = clock.now();
    while clock.now().saturating_sub(start) < LIMIT + 4 * limits.test {
        wait_until_quiet(line, clock)?;
        match test(line, clock, limits.test)? {
            Answer::InTime => {
                heard_any = true;
                row += 1;
                if row >= wanted {
                    return Ok(Verdict::Works(row));
                }
            }
            // This process was not running meanwhile, so the test is inconclusive.
            Answer::Late => heard_any = true,
            Answer::None => {
                row = 0;
                misses += 1;
            }
        }
        if misses >= MISSES || misses >= SILENT && !heard_any {
            break;
        }
    }
    Ok(if heard_any {
        Verdict::Unrelated
    } else {
        Verdict::Silent
    })
}

/// Listens for interrupts of other devices. Returns the number of tests in a row that are conclusive, if there is one.
fn listen<L: Line>(
    line: &mut L,
    clock: &impl Clock,
    limits: LineTestLimits,
) -> Result<Option<u32>, L::Error> {
    line.mask();
    wait_until_quiet(line, clock)?;
    let start = clock.now();
    let (mut events, mut heard, mut last) = (0u32, Duration::ZERO, start);
    while heard < limits.listen && clock.now().saturating_sub(start) < LIMIT {
        if line.poll()?.is_some() {
            events += 1;
            clock.sleep(OTHERS);
            last = clock.now();
        } else {
            let now = clock.now();
            // In a longer time without a poll the line may have fired more than once.
            heard += now.saturating_sub(last).min(limits.test);
            last = now;
        }
    }
    Ok(tests_wanted(events, heard, limits.test))
}

/// Number of tests in a row that other devices, which fired `events` times within `heard`, pass by chance with a
/// probability below [`CHANCE`].
fn tests_wanted(events: u32, heard: Duration, test: Duration) -> Option<u32> {
    if heard.is_zero() {
        return (events == 0).then_some(FEWEST);
    }
    // One more than was counted, because a line without interrupts now may have some later.
    let expected = f64::from(events + 1) * test.as_secs_f64() / heard.as_secs_f64();
    // Logarithm of the probability that one of them comes within the time of a test.
    let logarithm = (-(-expected).exp()).ln_1p();
    let wanted = (CHANCE.ln() / logarithm.min(-f64::EPSILON)).ceil();
    (wanted <= f64::from(MOST)).then(|| (wanted as u32).max(FEWEST))
}

/// Waits until the line is quiet, for a few pauses at most.
fn wait_until_quiet<L: Line>(line: &mut L, clock: &impl Clock) -> Result<(), L::Error> {
    for _ in 0..QUIET_POLLS {
        if line.poll()?.is_none() {
            break;
        }
        clock.sleep(OTHERS);
    }
    Ok(())
}

/// Result of one test.
enum Answer {
    InTime,
    Late,
    None,
}

fn test<L: Line>(line: &mut L, clock: &impl Clock, limit: Duration) -> Result<Answer, L::Error> {
    let start = clock.now();
    line.raise();
    loop {
        let ours = line.poll()? == Some(true);
        let passed = clock.now().saturating_sub(start);
        match (ours, passed <= limit) {
            (true, true) => return Ok(Answer::InTime),
            (true, false) => return Ok(Answer::Late),
            (false, false) => return Ok(Answer::None),
            (false, true) if passed > LineTestLimits::default().test => clock.sleep(SLOW),
            (false, true) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    /// Time that passes with each poll, and when somebody sleeps: no clock of this machine's.
    #[derive(Default)]
    struct Time(Cell<Duration>);

    impl Clock for &Time {
        fn now(&self) -> Duration {
            self.0.get()
        }

        fn sleep(&self, duration: Duration) {
            self.0.set(self.0.get() + duration);
        }
    }

    /// A line in virtual time.
    struct Simulated<'a> {
        time: &'a Time,
        random: u64,
        /// The line is the NIC's; its interrupts take so long.
        own: Option<Duration>,
        /// Mean time between interrupts of others.
        others: Option<Duration>,
        next_other: Duration,
        /// Polls of a thousand that come late, because the processor was taken away.
        taken_away: u64,
        /// When the NIC's own interrupt arrives.
        due: Option<Duration>,
        cause: bool,
        unmasked: bool,
    }

    impl<'a> Simulated<'a> {
        fn new(time: &'a Time, seed: u64, own: Option<Duration>, others: Option<Duration>) -> Self {
            let mut line = Self {
                time,
                random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
                own,
                others,
                next_other: Duration::ZERO,
                taken_away: 0,
                due: None,
                cause: false,
                unmasked: false,
            };
            line.plan_other();
            line
        }

        fn next_random(&mut self) -> u64 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.random
        }

        fn plan_other(&mut self) {
            if let Some(mean) = self.others {
                let uniform = (self.next_random() >> 11) as f64 / (1u64 << 53) as f64;
                let gap = mean.mul_f64(-(1.0 - uniform).ln());
                self.next_other = self.time.0.get() + gap;
            }
        }
    }

    impl Line for Simulated<'_> {
        type Error = Infallible;

        fn mask(&mut self) {
            (self.unmasked, self.cause, self.due) = (false, false, None);
        }

        fn raise(&mut self) {
            (self.unmasked, self.cause) = (true, true);
            self.due = self.own.map(|after| self.time.0.get() + after);
        }

        fn poll(&mut self) -> Result<Option<bool>, Infallible> {
            let away = if self.next_random() % 1000 < self.taken_away {
                Duration::from_millis(12)
            } else {
                Duration::from_micros(2)
            };
            self.time.0.set(self.time.0.get() + away);
            let now = self.time.0.get();
            let own = self.due.is_some_and(|due| now >= due) && self.unmasked;
            let other = self.others.is_some() && now >= self.next_other;
            if other {
                self.plan_other();
            }
            if !own && !other {
                return Ok(None);
            }
            // Reading ICR clears it and takes the line down.
            self.due = None;
            Ok(Some(std::mem::take(&mut self.cause)))
        }
    }

    fn verdicts(own: Option<Duration>, others: Option<Duration>, taken_away: u64) -> Vec<Verdict> {
        (1..=100)
            .map(|seed| {
                let time = Time::default();
                let mut line = Simulated::new(&time, seed, own, others);
                line.taken_away = taken_away;
                let Ok(verdict) = test_line(&mut line, &&time, LineTestLimits::default());
                assert!(time.0.get() < Duration::from_secs(5), "{:?}", time.0.get());
                verdict
            })
            .collect()
    }

    fn working(verdicts: &[Verdict]) -> usize {
        verdicts
            .iter()
            .filter(|verdict| matches!(verdict, Verdict::Works(_)))
            .count()
    }

    const MS: Duration = Duration::from_millis(1);
    const OWN: Option<Duration> = Some(Duration::from_micros(130));

    #[test]
    fn interrupts_of_others_on_a_wrong_line_are_not_taken_for_the_nics() {
        for per_second in [1, 18, 100, 250, 1000, 4000, 20_000] {
            let others = Some(1000 * MS / per_second);
            let verdicts = verdicts(None, others, 0);
            assert_eq!(working(&verdicts), 0, "{per_second} a second");
        }
        assert!(
            verdicts(None, None, 0)
                .iter()
                .all(|verdict| *verdict == Verdict::Silent)
        );
    }

    #[test]
    fn own_line_passes_alone_and_with_others_on_it() {
        for per_second in [0, 1, 18, 100, 250] {
            let others = (per_second != 0).then(|| 1000 * MS / per_second);
            let verdicts = verdicts(OWN, others, 0);
            assert_eq!(working(&verdicts), verdicts.len(), "{per_second} a second");
        }
        assert_eq!(verdicts(OWN, None, 0)[0], Verdict::Works(5));
    }

    #[test]
    fn processor_that_is_taken_away_does_not_hide_a_line() {
        let verdicts = verdicts(OWN, None, 5);
        assert_eq!(working(&verdicts), verdicts.len());
    }

    #[test]
    fn interrupt_that_is_always_late_does_not_pass() {
        let verdicts = verdicts(Some(5 * MS), None, 0);
        assert_eq!(working(&verdicts), 0);
    }

    #[test]
    fn busier_lines_need_more_tests() {
        let wanted = |events| tests_wanted(events, 20 * MS, 2 * MS);
        assert_eq!(
            [0, 1, 5, 10, 20, 40].map(wanted),
            [Some(5), Some(7), Some(15), Some(29), Some(89), None]
        );
        // Where nobody listens, because nobody shares the line.
        assert_eq!(tests_wanted(0, Duration::ZERO, 2 * MS), Some(FEWEST));
    }
}
