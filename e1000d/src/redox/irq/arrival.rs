//! Test of whether the NIC's interrupts arrive.

use std::time::Duration;

use e1000_hw::nic::{Interrupt, Nic};
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use pcid_config::interrupt::{InterruptError, IrqLine, Serviced};

use super::Interrupts;
use super::line_test::{self, Verdict};
use crate::error::DaemonError;
use crate::platform::LineTestLimits;
use crate::redox::events::{Events, Source};

/// Longest time from a test message to its event. It can be long, because a vector is not shared with other devices.
const MESSAGE_LIMIT: Duration = Duration::from_millis(100);
/// Test messages that have to arrive.
const MESSAGES: usize = 3;
/// Most other messages of the NIC during one test: the link may change meanwhile.
const OTHER_MESSAGES: usize = 16;

impl Interrupts {
    /// Raises test interrupts. Returns a description of the fault if they do not arrive.
    ///
    /// # Errors
    ///
    /// When events cannot be waited for, or the line's handle fails.
    pub(super) fn test<R: Registers, D: DmaRegion>(
        &self,
        nic: &mut Nic<R, D>,
        events: &mut Events,
        limits: LineTestLimits,
        clock: &impl Clock,
    ) -> Result<Option<&'static str>, DaemonError> {
        Ok(match self {
            Self::Polling => None,
            Self::Line(line) => match line_test::test_line(&mut TestedLine { line, nic }, clock, limits)? {
                Verdict::Works(_) => None,
                Verdict::Silent => Some("test interrupts did not arrive"),
                Verdict::Unrelated => Some("interrupts on it were not those that were tested"),
                Verdict::TooBusy => Some("other devices use it too much for a test"),
            },
            Self::MsiX(_) | Self::Msi(_) => {
                for _ in 0..MESSAGES {
                    nic.interrupts().enable();
                    nic.interrupts().raise_test();
                    if !self.message_arrives(nic, events)? {
                        return Ok(Some("a test interrupt did not arrive"));
                    }
                }
                None
            }
        })
    }

    fn message_arrives<R: Registers, D: DmaRegion>(
        &self,
        nic: &mut Nic<R, D>,
        events: &mut Events,
    ) -> Result<bool, DaemonError> {
        for _ in 0..OTHER_MESSAGES {
            let Some(Source::Interrupt(vector)) = events.next_within(MESSAGE_LIMIT)? else {
                return Ok(false);
            };
            let mut ours = false;
            self.service(|| {
                ours |= vector == 0 && matches!(nic.interrupts().acknowledge(vector), Interrupt::Causes(_))
            })?;
            if ours {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A line, and the NIC that should be on it.
struct TestedLine<'a, R: Registers, D: DmaRegion> {
    line: &'a IrqLine,
    nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> line_test::Line for TestedLine<'_, R, D> {
    type Error = InterruptError;

    fn mask(&mut self) {
        self.nic.interrupts().disable();
    }

    fn raise(&mut self) {
        self.nic.interrupts().enable();
        self.nic.interrupts().raise_test();
    }

    fn poll(&mut self) -> Result<Option<bool>, InterruptError> {
        let mut ours = false;
        let serviced = self
            .line
            .service(|| ours |= matches!(self.nic.interrupts().acknowledge(0), Interrupt::Causes(_)))?;
        Ok((serviced != Serviced::Nothing).then_some(ours))
    }
}
