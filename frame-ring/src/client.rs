//! The client's end: a network stack.
//!
//! [`Client`] has two halves, which can be borrowed apart: [`Tx`] and [`Rx`]. Frames are copied once each way, between
//! shared memory and the caller's: there is no reference to shared bytes, which a driver out of order may change.

mod rx;
mod tx;

use crate::layout::Layout;
use crate::memory::{Area, AreaError, ReadOnly, ReadWrite};
use crate::status::{Counters, Status, StatusWords};

pub use rx::{Received, Rx};
pub use tx::{SCRATCH_LEN, Tx};

/// The four areas, as a client has mapped them.
#[derive(Clone, Copy, Debug)]
pub struct Areas<'m> {
    /// [`crate::layout::AreaName::Client`].
    pub client: Area<'m, ReadWrite>,
    /// [`crate::layout::AreaName::TxBuffers`].
    pub tx_buffers: Area<'m, ReadWrite>,
    /// [`crate::layout::AreaName::Driver`].
    pub driver: Area<'m, ReadOnly>,
    /// [`crate::layout::AreaName::RxBuffers`].
    pub rx_buffers: Area<'m, ReadOnly>,
}

/// The client's end of a ring.
#[derive(Debug)]
pub struct Client<'m> {
    /// Frames in.
    pub rx: Rx<'m>,
    /// Frames out.
    pub tx: Tx<'m>,
    status: StatusWords<'m, ReadOnly>,
}

impl<'m> Client<'m> {
    /// Takes over the client's end of a ring to which nobody has attached since the driver has cleared it.
    ///
    /// # Errors
    ///
    /// When an area is too short.
    pub fn new(areas: &Areas<'m>, layout: &Layout) -> Result<Self, AreaError> {
        Ok(Self {
            rx: Rx::new(areas, layout)?,
            tx: Tx::new(areas, layout)?,
            status: StatusWords::new(&areas.driver)?,
        })
    }

    /// Status of the ring and its NIC. When it changes, the driver posts an event.
    pub fn status(&self) -> Status {
        self.status.status()
    }

    /// Frames that got lost.
    pub fn counters(&self) -> Counters {
        self.status.counters()
    }
}
