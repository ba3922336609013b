//! The driver's end.
//!
//! [`Driver`] has two halves, which can be borrowed apart: [`Tx`] and [`Rx`], and the status that the client sees. A
//! pass over the ring is: [`Tx::complete`] for each frame that the NIC has done with and [`Tx::publish`]; [`Tx::peek`]
//! and [`Tx::take`] while the NIC has room; [`Rx::push`] for each frame received and [`Rx::publish`]; at last
//! [`Tx::arm`], before the driver sleeps.

mod rx;
mod tx;

use crate::error::AttachError;
use crate::features::Features;
use crate::layout::Layout;
use crate::memory::{Area, ReadWrite};
use crate::status::{Count, Counters, Link, State, Status, StatusWords};

pub use rx::{PushError, Rx};
pub use tx::{CAPACITY, Frame, PeekError, Segment, Tx};

/// The four areas, as the driver has them.
#[derive(Clone, Copy, Debug)]
pub struct Areas<'m> {
    /// [`crate::layout::AreaName::Client`].
    pub client: Area<'m, ReadWrite>,
    /// [`crate::layout::AreaName::TxBuffers`].
    pub tx_buffers: Area<'m, ReadWrite>,
    /// [`crate::layout::AreaName::Driver`].
    pub driver: Area<'m, ReadWrite>,
    /// [`crate::layout::AreaName::RxBuffers`].
    pub rx_buffers: Area<'m, ReadWrite>,
}

/// The driver's end of a ring.
#[derive(Debug)]
pub struct Driver<'m> {
    /// Frames in.
    pub rx: Rx<'m>,
    /// Frames out.
    pub tx: Tx<'m>,
    status: StatusWords<'m, ReadWrite>,
    epoch: Count<'m>,
}

impl<'m> Driver<'m> {
    /// Clears the areas and begins a ring in them, in the state [`State::Detached`]. Until a client has been answered
    /// nobody may have them mapped: not the client before, either.
    ///
    /// # Errors
    ///
    /// When an area is too short, or the ring has more than [`CAPACITY`] entries.
    pub fn new(
        areas: &Areas<'m>,
        layout: &Layout,
        features: Features,
        max_frame_len: u32,
    ) -> Result<Self, AttachError> {
        if layout.entries() as usize > CAPACITY {
            return Err(AttachError::Entries(layout.entries()));
        }
        for area in [areas.client, areas.tx_buffers, areas.driver, areas.rx_buffers] {
            area.clear();
        }
        let status = StatusWords::new(&areas.driver)?;
        let mut driver = Self {
            rx: Rx::new(areas, layout, Count::new(status.rx_dropped))?,
            tx: Tx::new(areas, layout, features, &status)?,
            status,
            epoch: Count::new(status.epoch),
        };
        driver.set_max_frame_len(max_frame_len);
        Ok(driver)
    }

    /// Sets the state. A change of it, or of what follows, is to be followed by an event for the client.
    pub fn set_state(&mut self, state: State) {
        self.status.state.store_release(state.into());
    }

    /// Sets the state of the link.
    pub fn set_link(&mut self, link: Link) {
        self.status.link.store(link.into());
    }

    /// Begins a new epoch: the NIC was reset.
    pub fn begin_epoch(&mut self) {
        self.epoch.add_one();
    }

    /// Sets the length of the longest frame, without FCS and without a tag that is to be inserted.
    pub fn set_max_frame_len(&mut self, len: u32) {
        self.tx.set_max_len(len);
        self.status.max_frame_len.store(len);
    }

    /// Status, as the client sees it.
    pub fn status(&self) -> Status {
        self.status.status()
    }

    /// Counters, as the client sees them.
    pub fn counters(&self) -> Counters {
        self.status.counters()
    }
}
