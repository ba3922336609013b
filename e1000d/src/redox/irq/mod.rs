//! Interrupts of the NIC: MSI-X, MSI, the INTx line, or none.
//!
//! They are tried in that order, and each is tested: the NIC raises test interrupts, which have to arrive
//! ([`line_test`]). If a kind cannot be set up, or its interrupts do not arrive, the next kind is tried. If none works,
//! the rings are polled.

mod arrival;
pub mod line_test;

use std::fmt;
use std::str::FromStr;

use e1000_hw::interrupt::Routing;
use e1000_hw::nic::Nic;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use pcid_config::channel::{COMMAND, Channel, ChannelError};
use pcid_config::interrupt::{InterruptError, IrqLine};
use pcid_config::message::{self, MessageError, MessageVector, MsiX};
use pcid_config::protocol::PciFunction;

use super::events::{Events, Source};
use crate::error::{DaemonError, Doing};
use crate::platform::LineTestLimits;

/// Command register: the function does not drive its line.
const COMMAND_INTX_DISABLE: u32 = 1 << 10;

/// Kind of interrupt.
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

    /// Switches message interrupts off, because a function with message interrupts on does not drive its line.
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

/// Text that is not the name of a [`Kind`].
#[derive(Debug, thiserror::Error)]
#[error("\"{}\" is no kind of interrupt: msi-x, msi, intx or polling", .0.escape_debug())]
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

/// Error of setting up a kind of interrupt.
#[derive(Debug, thiserror::Error)]
enum SetUpError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Line(#[from] InterruptError),
    #[error("the function has no interrupt line")]
    NoLine,
    #[error("the chip cannot use {0} vectors")]
    Vectors(usize),
    #[error("INTx cannot be switched: {0}")]
    Command(#[from] ChannelError),
}

/// The interrupts in use.
pub enum Interrupts {
    /// MSI-X vectors: one for all causes, or one each for receive, transmit and the rest.
    MsiX(MsiX),
    /// One MSI vector.
    Msi(MessageVector),
    /// The INTx line. Each driver on a shared line has to acknowledge each interrupt.
    Line(IrqLine),
    /// None.
    Polling,
}

impl Interrupts {
    /// Sets up the best kind that works; `first` is the first to try. The NIC's interrupts are unmasked afterwards.
    ///
    /// Opens files of the irq scheme, so it has to be called before the null namespace is entered.
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
        (limits, clock): (LineTestLimits, &impl Clock),
    ) -> Result<Self, DaemonError> {
        for kind in Kind::ALL.into_iter().skip_while(|kind| *kind != first) {
            let interrupts = match Self::set_up(kind, channel, function, nic) {
                Ok(interrupts) => interrupts,
                Err(reason) => {
                    log::debug!("no {kind}: {reason}");
                    if !matches!(reason, SetUpError::Message(MessageError::NotOffered)) {
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
            let Some(failure) = interrupts.test(nic, events, limits, clock)? else {
                // Test interrupts may have masked themselves.
                nic.interrupts().enable();
                return Ok(interrupts);
            };
            log::warn!("{kind} was set up, but {failure}");
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
    ) -> Result<Self, SetUpError> {
        let chip = nic.state().chip();
        let (interrupts, routing) = match kind {
            Kind::MsiX => {
                let choose = |vectors| Routing::for_vectors(chip, vectors).map_or(0, Routing::vectors);
                let vectors = MsiX::enable(channel, function, choose)?;
                let count = vectors.vectors().len();
                let routing = u16::try_from(count).ok();
                let routing = routing.and_then(|count| Routing::for_vectors(chip, count));
                (Self::MsiX(vectors), routing.ok_or(SetUpError::Vectors(count))?)
            }
            Kind::Msi => (Self::Msi(message::enable_msi(channel)?), Routing::Single),
            Kind::Line => {
                let line = function.legacy_interrupt.as_ref().ok_or(SetUpError::NoLine)?;
                (Self::Line(IrqLine::open(line)?), Routing::Single)
            }
            Kind::Polling => (Self::Polling, Routing::Single),
        };
        set_intx(channel, kind == Kind::Line)?;
        nic.interrupts().route(routing);
        Ok(interrupts)
    }

    /// The kind in use.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MsiX(_) => Kind::MsiX,
            Self::Msi(_) => Kind::Msi,
            Self::Line(_) => Kind::Line,
            Self::Polling => Kind::Polling,
        }
    }

    /// The descriptors to watch, each with the number of its vector.
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

    /// Serves an interrupt whose event arrived: calls `on_interrupt`, which reads the NIC's causes, and acknowledges
    /// a line.
    ///
    /// # Errors
    ///
    /// When the line's handle fails.
    pub fn service(&self, mut on_interrupt: impl FnMut()) -> Result<(), InterruptError> {
        match self {
            Self::Line(line) => line.service(on_interrupt).map(|_| ()),
            // A message is an edge and masks nothing. Acknowledging it could unmask another device's line.
            Self::MsiX(_) | Self::Msi(_) => {
                on_interrupt();
                Ok(())
            }
            Self::Polling => Ok(()),
        }
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

/// Allows the function to drive its line, or forbids it. pcid does not change that bit.
fn set_intx(channel: &Channel, on: bool) -> Result<(), ChannelError> {
    // The upper half is the status register, where ones clear.
    let command = channel.read_config(COMMAND)? & 0xFFFF;
    let wanted = if on {
        command & !COMMAND_INTX_DISABLE
    } else {
        command | COMMAND_INTX_DISABLE
    };
    if wanted == command {
        Ok(())
    } else {
        channel.write_config(COMMAND, wanted)
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
