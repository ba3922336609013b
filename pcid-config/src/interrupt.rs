//! The function's INTx line.
//!
//! The kernel's irq scheme (kernel, src/scheme/irq.rs) counts the interrupts of each line since boot
//! (`irq_trigger`). A read gives the count, or nothing if the handle has acknowledged that very count
//! (`kreadoff`). Writing the count back acknowledges it, but only while it is still the current one; otherwise
//! the write returns 0 and has no effect (`kwrite`).
//!
//! Until somebody acknowledges, an x86 line stays masked, for all devices on it, and on GIC and PLIC no other
//! interrupt reaches the processor. So *every* driver on a shared line has to acknowledge *every* interrupt,
//! whether or not its device raised it: [`IrqLine::service`].
//!
//! Message interrupts (MSI, MSI-X) have vectors of their own in the same scheme, which must not be
//! acknowledged: they are never masked, and the write may unmask an unrelated IOAPIC pin. They do not belong
//! in an [`IrqLine`].

use std::fmt::Write;

use libredox::Fd;
use libredox::error::Error;
use libredox::flag::{O_CLOEXEC, O_CREAT, O_RDWR};

use crate::handle::{Handle, uninterrupted};
use crate::protocol::LegacyInterrupt;

/// Lines of the irq scheme with a plain number: `/scheme/irq/0` to `/scheme/irq/15`.
const PLAIN_LINES: u8 = 16;

/// Rounds of one [`IrqLine::service`].
///
/// Another round is needed only if the line has fired again within the round before, which takes another
/// driver that acknowledged in between; that many in a row is a storm that the event loop should see.
const SERVICE_ROUNDS: usize = 16;

/// The bytes of a count: a `usize` of the kernel, whose word size is that of its processes.
const COUNT_SIZE: usize = size_of::<usize>();

/// An interrupt line that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum InterruptError {
    /// The interrupt line register does not hold the number of a line.
    #[error("the function's interrupt line is {irq}; the irq scheme has 0 to 15")]
    NoSuchLine {
        /// The register's value.
        irq: u8,
    },
    /// The line could not be opened.
    ///
    /// `EEXIST` comes from device-tree lines on machines with a GIC, where all are marked as taken.
    #[error("cannot open {path}: {error}")]
    Open {
        /// The line's file.
        path: String,
        /// The error of the open.
        error: Error,
    },
    /// The count could not be read.
    #[error("cannot read the interrupt count: {error}")]
    Read {
        /// The error of the read.
        error: Error,
    },
    /// The count could not be written back.
    #[error("cannot acknowledge the interrupt: {error}")]
    Acknowledge {
        /// The error of the write.
        error: Error,
    },
    /// The kernel transferred something else than nothing or a whole count.
    #[error("{length} bytes transferred for an interrupt count of {COUNT_SIZE}")]
    Length {
        /// Bytes transferred.
        length: usize,
    },
}

/// Outcome of servicing a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serviced {
    /// The line has not fired since it was last acknowledged.
    Nothing,
    /// All is acknowledged.
    Acknowledged {
        /// Number of looks at the device, at least one.
        rounds: usize,
    },
    /// The line fires faster than it can be acknowledged. It has fired again, so an event is pending for it
    /// and brings the driver back.
    Stale {
        /// Number of looks at the device.
        rounds: usize,
    },
}

/// An open INTx line.
pub struct IrqLine<H = Fd> {
    handle: H,
}

impl IrqLine {
    /// Opens the line of a function.
    ///
    /// That it opens does not mean that it ever fires: without a device tree only x86 gives the interrupt
    /// line register a meaning.
    ///
    /// # Errors
    ///
    /// [`InterruptError::NoSuchLine`], [`InterruptError::Open`].
    pub fn open(interrupt: &LegacyInterrupt) -> Result<Self, InterruptError> {
        let (path, flags) = file(interrupt)?;
        match Fd::open(&path, flags, 0) {
            Ok(fd) => Ok(Self::from_handle(fd)),
            Err(error) => Err(InterruptError::Open { path, error }),
        }
    }

    /// The descriptor's number, for an event queue: it is readable at each interrupt.
    ///
    /// There is no event for interrupts before the subscription.
    pub fn fd(&self) -> usize {
        self.handle.raw()
    }
}

impl<H: Handle> IrqLine<H> {
    /// A line over any handle.
    pub fn from_handle(handle: H) -> Self {
        Self { handle }
    }

    /// The line's count of interrupts since boot, `None` if it is the one acknowledged last. Never blocks.
    ///
    /// On a fresh line the count may be of interrupts before it was opened.
    ///
    /// # Errors
    ///
    /// [`InterruptError::Read`], [`InterruptError::Length`].
    pub fn read_count(&self) -> Result<Option<usize>, InterruptError> {
        let mut count = [0; COUNT_SIZE];
        match uninterrupted(|| self.handle.read(&mut count)) {
            Ok(0) => Ok(None),
            Ok(COUNT_SIZE) => Ok(Some(usize::from_ne_bytes(count))),
            Ok(length) => Err(InterruptError::Length { length }),
            Err(error) => Err(InterruptError::Read { error }),
        }
    }

    /// Acknowledges the interrupts up to `count`; `false` if it is no longer the current count, and nothing
    /// is acknowledged.
    ///
    /// # Errors
    ///
    /// [`InterruptError::Acknowledge`], [`InterruptError::Length`].
    pub fn acknowledge(&self, count: usize) -> Result<bool, InterruptError> {
        match uninterrupted(|| self.handle.write(&count.to_ne_bytes())) {
            Ok(0) => Ok(false),
            Ok(COUNT_SIZE) => Ok(true),
            Ok(length) => Err(InterruptError::Length { length }),
            Err(error) => Err(InterruptError::Acknowledge { error }),
        }
    }

    /// Looks after the line: as long as it has fired, calls `on_interrupt`, which reads the device's
    /// interrupt cause register, and acknowledges.
    ///
    /// The acknowledgement does not depend on whether the device had a cause, and a refused one is repeated
    /// with the new count. Otherwise two drivers on one line could mask it for good: the first acknowledges,
    /// the line fires again, the second's count is stale, and then neither finds a cause in its device.
    ///
    /// # Errors
    ///
    /// [`InterruptError`] of the read or the write. After a failing write the line may stay masked.
    pub fn service(&self, mut on_interrupt: impl FnMut()) -> Result<Serviced, InterruptError> {
        for before in 0..SERVICE_ROUNDS {
            let Some(count) = self.read_count()? else {
                // Not the first round: somebody else has acknowledged the new count through this very file.
                return Ok(match before {
                    0 => Serviced::Nothing,
                    rounds => Serviced::Acknowledged { rounds },
                });
            };
            on_interrupt();
            if self.acknowledge(count)? {
                return Ok(Serviced::Acknowledged { rounds: before + 1 });
            }
        }
        Ok(Serviced::Stale {
            rounds: SERVICE_ROUNDS,
        })
    }
}

/// The file of a line and the flags to open it with.
fn file(interrupt: &LegacyInterrupt) -> Result<(String, i32), InterruptError> {
    let Some(phandle) = &interrupt.phandle else {
        let irq = interrupt.irq;
        if irq >= PLAIN_LINES {
            return Err(InterruptError::NoSuchLine { irq });
        }
        return Ok((format!("/scheme/irq/{irq}"), O_RDWR | O_CLOEXEC));
    };
    let mut path = format!("/scheme/irq/phandle-{}", phandle.phandle());
    for (index, cell) in phandle.specifier().iter().enumerate() {
        let separator = if index == 0 { '/' } else { ',' };
        // Writing to a string does not fail.
        let _ = write!(path, "{separator}{cell}");
    }
    // The scheme reserves the line for its opener and wants that said: O_CREAT.
    Ok((path, O_RDWR | O_CREAT | O_CLOEXEC))
}

#[cfg(test)]
mod tests;
