//! How the NIC's interrupts reach the daemon: MSI-X, MSI, the INTx line, or not at all.
//!
//! They are tried in that order, and each must prove itself: the NIC raises test interrupts, which have to arrive, on a line
//! each within two milliseconds ([`proof`]). What cannot be set up, or does not fire, is passed over; without any, the
//! rings are polled.

pub mod line_test;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use e1000_hw::interrupt::Routing;
use e1000_hw::nic::{Interrupt, Nic};
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use pcid_config::channel::{Channel, ChannelError};
use pcid_config::interrupt::{InterruptError, IrqLine, Serviced};
use pcid_config::message::{self, MessageError, MessageVector, MsiX};
use pcid_config::protocol::PciFunction;

use self::line_test::{self as proof, Verdict};
use crate::error::{DaemonError, Doing};
use crate::redox::events::{Events, Source};

/// How long a test message may take to be told of. A vector is nobody else's: its time proves nothing.
const MESSAGE_LIMIT: Duration = Duration::from_millis(100);
/// Test messages that have to arrive.
const MESSAGES: usize = 3;
/// Other messages of the NIC that are put up with during the test.
const MESSAGE_EVENTS: usize = 16;
/// PCI configuration space: command register, and its bit that turns INTx off.
const PCI_COMMAND: u16 = 4;
const COMMAND_INTX_DISABLE: u32 = 1 << 10;

/// A way for interrupts, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Message interrupts with a table of vectors.
    MsiX,
    /// One message interrupt.
    Msi,
    /// The function's line, which it may share.
    Line,
    /// None: the rings are polled.
    Polling,
}

impl Kind {
    const ALL: [Self; 4] = [Self::MsiX, Self::Msi, Self::Line, Self::Polling];

    /// Switches messages off: a function that may send them does not drive its line.
    fn switch_off(self, channel: &Channel) {
        if matches!(self, Self::MsiX | Self::Msi)
            && let Err(error) = message::switch_off(channel)
        {
            log::warn!("{self} stays on: {error}");
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MsiX => "MSI-X",
            Self::Msi => "MSI",
            Self::Line => "INTx",
            Self::Polling => "polling",
        })
    }
}

/// Not the name of a [`Kind`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no kind of interrupt: msi-x, msi, intx or polling")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let known = Self::ALL
            .into_iter()
            .find(|kind| kind.to_string().eq_ignore_ascii_case(name));
        known.ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// The interrupts in use.
pub enum Interrupts {
    /// MSI-X vectors: one for all causes, or one each for receive, transmit and the rest.
    MsiX(MsiX),
    /// One MSI vector.
    Msi(MessageVector),
    /// The line, which everybody on it has to acknowledge.
    Line(IrqLine),
    /// None.
    Polling,
}

impl Interrupts {
    /// Sets up the best kind that works; `first` is the first to try. The NIC's interrupts are unmasked afterwards.
    ///
    /// Opens files of the irq scheme, so this comes before the null namespace.
    ///
    /// # Errors
    ///
    /// Only when events cannot be waited for: every other failure leads to the next kind.
    pub fn choose<R: Registers, D: DmaRegion>(
        first: Kind,
        channel: &Channel,
        function: &PciFunction,
        nic: &mut Nic<R, D>,
        events: &mut Events,
        (limits, clock): (proof::Limits, &impl Clock),
    ) -> Result<Self, DaemonError> {
        for kind in Kind::ALL.into_iter().skip_while(|kind| *kind != first) {
            let interrupts = match Self::set_up(kind, channel, function, nic) {
                Ok(interrupts) => interrupts,
                Err(reason) => {
                    log::debug!("no {kind}: {reason}");
                    if !matches!(reason.downcast_ref(), Some(MessageError::NotOffered)) {
                        kind.switch_off(channel);
                    }
                    continue;
                }
            };
            for (vector, fd) in interrupts.descriptors() {
                events
                    .watch(fd, Source::Interrupt(vector))
                    .doing("watch an interrupt")?;
            }
            nic.interrupts().enable();
            let failed = match &interrupts {
                Self::Polling => None,
                Self::Line(line) => match proof::prove(&mut Test { line, nic }, clock, limits)? {
                    Verdict::Proven(_) => None,
                    Verdict::Silent => Some("test interrupts did not arrive"),
                    Verdict::Unrelated => Some("interrupts on it were not those that were tested"),
                    Verdict::TooBusy => Some("others use it too much to tell whose interrupts are whose"),
                },
                Self::MsiX(_) | Self::Msi(_) if interrupts.messages_arrive(nic, events)? => None,
                Self::MsiX(_) | Self::Msi(_) => Some("a test interrupt did not arrive"),
            };
            let Some(failed) = failed else {
                // What fired in the tests may have masked itself.
                nic.interrupts().enable();
                return Ok(interrupts);
            };
            log::warn!("{kind} was set up, but {failed}");
            nic.interrupts().disable();
            kind.switch_off(channel);
        }
        Ok(Self::Polling)
    }

    fn set_up<R: Registers, D: DmaRegion>(
        kind: Kind,
        channel: &Channel,
        function: &PciFunction,
        nic: &mut Nic<R, D>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let chip = nic.state().chip();
        let (interrupts, routing) = match kind {
            Kind::MsiX => {
                let choose = |vectors| Routing::for_vectors(chip, vectors).map_or(0, Routing::vectors);
                let vectors = MsiX::enable(channel, function, choose)?;
                let count = u16::try_from(vectors.vectors().len())?;
                let routing = Routing::for_vectors(chip, count).ok_or("the chip has no MSI-X")?;
                (Self::MsiX(vectors), routing)
            }
            Kind::Msi => (Self::Msi(message::enable_msi(channel)?), Routing::Single),
            Kind::Line => {
                let line = function
                    .legacy_interrupt
                    .as_ref()
                    .ok_or("the function has no interrupt line")?;
                (Self::Line(IrqLine::open(line)?), Routing::Single)
            }
            Kind::Polling => (Self::Polling, Routing::Single),
        };
        set_intx(channel, kind == Kind::Line)?;
        nic.interrupts().route(routing);
        Ok(interrupts)
    }

    /// Raises test messages and waits for each.
    fn messages_arrive<R: Registers, D: DmaRegion>(
        &self,
        nic: &mut Nic<R, D>,
        events: &mut Events,
    ) -> Result<bool, DaemonError> {
        for _ in 0..MESSAGES {
            nic.interrupts().enable();
            nic.interrupts().raise_test();
            if !self.message_arrives(nic, events)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn message_arrives<R: Registers, D: DmaRegion>(
        &self,
        nic: &mut Nic<R, D>,
        events: &mut Events,
    ) -> Result<bool, DaemonError> {
        // The link may have something to say meanwhile.
        for _ in 0..MESSAGE_EVENTS {
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

    /// Which kind this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MsiX(_) => Kind::MsiX,
            Self::Msi(_) => Kind::Msi,
            Self::Line(_) => Kind::Line,
            Self::Polling => Kind::Polling,
        }
    }

    /// The descriptors to watch, with the number of the vector that each is for.
    fn descriptors(&self) -> Vec<(u16, usize)> {
        match self {
            Self::MsiX(vectors) => (0..)
                .zip(vectors.vectors().iter().map(MessageVector::fd))
                .collect(),
            Self::Msi(vector) => vec![(0, vector.fd())],
            Self::Line(line) => vec![(0, line.fd())],
            Self::Polling => Vec::new(),
        }
    }

    /// An interrupt's event arrived: calls `on_interrupt`, which reads the NIC's causes, and acknowledges what has to
    /// be acknowledged.
    ///
    /// # Errors
    ///
    /// When the line's handle fails.
    pub fn service(&self, mut on_interrupt: impl FnMut()) -> Result<(), InterruptError> {
        match self {
            Self::Line(line) => line.service(on_interrupt).map(|_| ()),
            // A message is an edge: nothing is masked, and acknowledging it could unmask somebody else's line.
            Self::MsiX(_) | Self::Msi(_) => {
                on_interrupt();
                Ok(())
            }
            Self::Polling => Ok(()),
        }
    }
}

/// A line, and the NIC that should be on it.
struct Test<'a, R: Registers, D: DmaRegion> {
    line: &'a IrqLine,
    nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> proof::Line for Test<'_, R, D> {
    type Error = InterruptError;

    fn mask(&mut self) {
        self.nic.interrupts().disable();
    }

    fn raise(&mut self) {
        self.nic.interrupts().enable();
        self.nic.interrupts().raise_test();
    }

    fn look(&mut self) -> Result<Option<bool>, InterruptError> {
        let mut ours = false;
        let serviced = self
            .line
            .service(|| ours |= matches!(self.nic.interrupts().acknowledge(0), Interrupt::Causes(_)))?;
        Ok((serviced != Serviced::Nothing).then_some(ours))
    }
}

impl fmt::Display for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MsiX(vectors) => write!(f, "MSI-X, {} vectors", vectors.vectors().len()),
            other => other.kind().fmt(f),
        }
    }
}

/// Lets the function drive its line, or not: pcid never touches that bit.
fn set_intx(channel: &Channel, on: bool) -> Result<(), ChannelError> {
    // The upper half is the status register, where ones clear.
    let command = channel.read_config(PCI_COMMAND)? & 0xFFFF;
    let wanted = if on {
        command & !COMMAND_INTX_DISABLE
    } else {
        command | COMMAND_INTX_DISABLE
    };
    if wanted == command {
        Ok(())
    } else {
        channel.write_config(PCI_COMMAND, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_name() {
        for (name, kind) in [
            ("msi-x", Kind::MsiX),
            ("MSI", Kind::Msi),
            ("intx", Kind::Line),
            ("polling", Kind::Polling),
        ] {
            assert_eq!(name.parse::<Kind>().ok(), Some(kind));
        }
        assert!("irq".parse::<Kind>().is_err());
    }
}
