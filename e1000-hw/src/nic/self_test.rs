//! The self-test of a running NIC, in steps that are short enough for its owner to do other work in between.

use core::time::Duration;

use super::{Nic, Power};
use crate::ethernet::HEADER_LEN;
use crate::nvm;
use crate::phy::PhyError;
use crate::platform::{Clock, DmaRegion, Registers};
use crate::reset;
use crate::self_test::loopback::{LENGTHS, Loopback, Match, NotOn, TestFrame};
use crate::self_test::{Failure, Outcome, Report, registers};
use crate::wait::TimedOut;

/// Longest wait for a link that negotiates (Linux e1000e, `e1000_link_test`: 5 s).
const LINK_LIMIT: Duration = Duration::from_secs(5);
const LINK_INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait for the first frame in loopback: a PHY has to get in step, and QEMU's `e1000` receives nothing for a
/// second after RCTL was written (QEMU, hw/net/e1000.c, `set_rx_control`).
const FIRST_FRAME_LIMIT: Duration = Duration::from_millis(2500);
/// Longest wait for each of the others.
const FRAME_LIMIT: Duration = Duration::from_millis(250);
/// Time after which a frame that did not come back is sent again: the first ones may be lost.
const RESEND_INTERVAL: Duration = Duration::from_millis(100);
/// Polling interval for frames.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Longest wait for a test interrupt. Real ones take microseconds.
const INTERRUPT_LIMIT: Duration = Duration::from_millis(100);

/// Result of a step of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is no allocator, and it is passed on a few times a second"
)]
pub enum SelfTest {
    /// The next step is due after this time.
    Wait(Duration),
    /// The self-test has ended, and the NIC works as before.
    Done(Report),
}

/// A self-test in progress.
pub(super) struct Run {
    phase: Phase,
    report: Report,
    /// Interrupts are tested.
    interrupts: bool,
    /// An interrupt arrived since the test interrupt was raised.
    arrived: bool,
    began: Duration,
}

enum Phase {
    Link,
    Registers,
    Nvm,
    /// Loopback is turned on.
    Enable,
    Loopback(Loop),
    /// The NIC is programmed as before the self-test.
    Restore,
    Interrupt {
        raised: Duration,
    },
}

/// The course of a test from here.
enum Next {
    /// With this phase, after so long.
    Phase(Phase, Duration),
    Done,
}

/// The course of a test from here, or a reset that did not end.
type Step = Result<Next, TimedOut>;

/// Frames in loopback.
struct Loop {
    loopback: Loopback,
    /// Index of the frame that is waited for, and time of its first transmission.
    index: usize,
    since: Duration,
    /// Time of its last transmission.
    sent: Option<Duration>,
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    pub(super) fn start_self_test(&mut self, interrupts: bool, clock: &impl Clock) {
        if matches!(self.power, Power::Halted { .. }) {
            return;
        }
        self.self_test = Some(Run {
            phase: Phase::Link,
            report: Report::new(),
            interrupts,
            arrived: false,
            began: clock.now(),
        });
    }

    /// Records an interrupt of this NIC during a self-test.
    pub(super) fn note_test_interrupt(&mut self) {
        if let Some(run) = &mut self.self_test {
            run.arrived = true;
        }
    }

    pub(super) fn continue_self_test(&mut self, clock: &impl Clock) -> SelfTest {
        let Some(mut run) = self.self_test.take() else {
            return SelfTest::Done(Report::new());
        };
        let next = match run.phase {
            Phase::Link => Ok(self.test_link(&mut run.report, run.began, clock)),
            Phase::Registers => self.test_registers(&mut run.report, clock),
            Phase::Nvm => Ok(self.test_nvm(&mut run.report, clock)),
            Phase::Enable => self.enable_loopback(&mut run.report, clock),
            Phase::Loopback(frames) => self.test_loopback(&mut run.report, frames, clock),
            Phase::Restore => self.restore(&mut run.report, run.interrupts, clock),
            Phase::Interrupt { raised } => Ok(await_interrupt(&mut run.report, run.arrived, raised, clock)),
        };
        match next {
            Ok(Next::Phase(phase, delay)) => {
                // The time limit of the interrupt begins when it is raised.
                self.self_test = Some(Run {
                    phase,
                    report: run.report,
                    interrupts: run.interrupts,
                    arrived: false,
                    began: run.began,
                });
                return SelfTest::Wait(delay);
            }
            Ok(Next::Done) => {}
            Err(error) => {
                self.power = Power::Off;
                run.report.fail_rest(Failure::Reset(error));
            }
        }
        run.report.took = clock.now().saturating_sub(run.began);
        SelfTest::Done(run.report)
    }

    /// Ends a self-test without a report. The PHY must not remain in loopback.
    pub(super) fn abandon_self_test(&mut self, clock: &impl Clock) {
        if let Some(Run {
            phase: Phase::Loopback(frames),
            mut report,
            ..
        }) = self.self_test.take()
        {
            self.end_loopback(&mut report, frames.loopback, clock);
        }
    }

    fn test_link(&mut self, report: &mut Report, began: Duration, clock: &impl Clock) -> Next {
        report.link = if self.link_now().is_up() {
            Outcome::Passed
        } else if clock.now().saturating_sub(began) < LINK_LIMIT && !self.gone {
            return Next::Phase(Phase::Link, LINK_INTERVAL);
        } else {
            Outcome::Failed(Failure::NoLink)
        };
        Next::Phase(Phase::Registers, Duration::ZERO)
    }

    fn test_registers(&mut self, report: &mut Report, clock: &impl Clock) -> Step {
        self.collect_statistics();
        let (registers, chip) = (&self.device.registers, self.device.chip);
        self.warnings |= reset::reset(registers, chip, clock)?;
        (report.registers, report.absent_registers) = registers::test(registers, chip);
        Ok(Next::Phase(Phase::Nvm, Duration::ZERO))
    }

    fn test_nvm(&mut self, report: &mut Report, clock: &impl Clock) -> Next {
        report.nvm = match nvm::checksum_is_good(&self.device.registers, self.device.chip, clock) {
            Ok(Some(true)) => Outcome::Passed,
            Ok(Some(false)) => Outcome::Failed(Failure::NvmChecksum),
            Ok(None) => Outcome::Skipped("it is flash, which is not read"),
            Err(error) => Outcome::Failed(Failure::NvmSilent(error)),
        };
        Next::Phase(Phase::Enable, Duration::ZERO)
    }

    /// Resets the device, which the test of the registers left in disorder, and turns loopback on.
    fn enable_loopback(&mut self, report: &mut Report, clock: &impl Clock) -> Step {
        let (registers, chip) = (&self.device.registers, self.device.chip);
        self.warnings |= reset::reset(registers, chip, clock)?;
        let link = self.link;
        self.program(clock);
        self.link = link;
        if self.rx.pool.is_empty() || self.tx.pool.is_empty() {
            report.loopback = Outcome::Skipped("the buffers are the owner's");
            return Ok(Next::Phase(Phase::Restore, Duration::ZERO));
        }
        let (registers, chip) = (&self.device.registers, self.device.chip);
        match Loopback::enable(registers, chip, clock) {
            Ok(loopback) => {
                let frames = Loop {
                    loopback,
                    index: 0,
                    since: clock.now(),
                    sent: None,
                };
                return Ok(Next::Phase(Phase::Loopback(frames), Duration::ZERO));
            }
            Err(NotOn::Unsupported(why)) => report.loopback = Outcome::Skipped(why),
            Err(NotOn::Phy(error)) => report.loopback = Outcome::Failed(Failure::Phy(error)),
        }
        Ok(Next::Phase(Phase::Restore, Duration::ZERO))
    }

    fn test_loopback(&mut self, report: &mut Report, mut frames: Loop, clock: &impl Clock) -> Step {
        let now = clock.now();
        let outcome = match self.look_for_frame(frames.index) {
            Some(Match::Same) if frames.index + 1 == LENGTHS.len() => Some(Outcome::Passed),
            Some(Match::Same) => {
                frames.index += 1;
                (frames.since, frames.sent) = (now, None);
                None
            }
            Some(_) => Some(Outcome::Failed(Failure::FrameDamaged {
                length: self.test_frame(frames.index).len(),
            })),
            None => None,
        };
        let limit = if frames.index == 0 {
            FIRST_FRAME_LIMIT
        } else {
            FRAME_LIMIT
        };
        let outcome = match outcome {
            None if now.saturating_sub(frames.since) >= limit => Some(Outcome::Failed(Failure::FrameLost {
                length: self.test_frame(frames.index).len(),
            })),
            outcome => outcome,
        };
        if let Some(outcome) = outcome {
            report.loopback = outcome;
            self.end_loopback(report, frames.loopback, clock);
            return Ok(Next::Phase(Phase::Restore, Duration::ZERO));
        }
        if frames
            .sent
            .is_none_or(|sent| now.saturating_sub(sent) >= RESEND_INTERVAL)
        {
            frames.sent = Some(now);
            self.send_test_frame(frames.index);
        }
        Ok(Next::Phase(Phase::Loopback(frames), LOOK_INTERVAL))
    }

    // Not inlined, as the next one: both have a frame on the stack.
    #[inline(never)]
    fn send_test_frame(&mut self, index: usize) {
        let frame = self.test_frame(index);
        let mut bytes = [0; TestFrame::LONGEST];
        for (to, from) in bytes.iter_mut().zip(frame.bytes()) {
            *to = from;
        }
        // A ring that stays full does not send; then the time limit of the test ends this.
        let _ = self.tx.send(bytes.get(..frame.len()).unwrap_or_default(), None);
        self.tx.post(&self.device.registers);
    }

    /// Compares received frames, at most as many as the ring has descriptors, with the expected one.
    #[inline(never)]
    fn look_for_frame(&mut self, index: usize) -> Option<Match> {
        let sent = self.test_frame(index);
        let mut received = [0; TestFrame::LONGEST];
        for _ in 0..self.rx.size().get() {
            let len = self.rx.next_len(&self.device.registers)?;
            let taken = self.rx.take(&self.device.registers, len, &mut received);
            match sent.compare(received.get(..taken).unwrap_or_default(), len) {
                Match::Foreign => {}
                found => return Some(found),
            }
        }
        None
    }

    fn end_loopback(&mut self, report: &mut Report, loopback: Loopback, clock: &impl Clock) {
        let result: Result<(), PhyError> = loopback.disable(&self.device.registers, self.device.chip, clock);
        if let Err(error) = result
            && !report.loopback.is_failure()
        {
            report.loopback = Outcome::Failed(Failure::Phy(error));
        }
    }

    /// Programs the NIC as before the self-test, and then raises the test interrupt.
    fn restore(&mut self, report: &mut Report, interrupts: bool, clock: &impl Clock) -> Step {
        self.restart(clock)?;
        if !interrupts {
            report.interrupt = Outcome::Skipped("polling");
        } else if !self.interrupts_enabled {
            report.interrupt = Outcome::Skipped("interrupts are off");
        } else {
            self.raise_test_interrupt();
            let raised = clock.now();
            return Ok(Next::Phase(Phase::Interrupt { raised }, INTERRUPT_LIMIT));
        }
        Ok(Next::Done)
    }

    fn test_frame(&self, index: usize) -> TestFrame {
        TestFrame::new(self.mac, index, self.mtu + HEADER_LEN)
    }
}

fn await_interrupt(report: &mut Report, arrived: bool, raised: Duration, clock: &impl Clock) -> Next {
    let left = INTERRUPT_LIMIT.saturating_sub(clock.now().saturating_sub(raised));
    if !arrived && !left.is_zero() {
        return Next::Phase(Phase::Interrupt { raised }, left);
    }
    report.interrupt = if arrived {
        Outcome::Passed
    } else {
        Outcome::Failed(Failure::InterruptLost)
    };
    Next::Done
}
