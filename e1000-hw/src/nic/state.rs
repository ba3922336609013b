//! State of the NIC that is known without a register access.

use super::{Config, Nic};
use crate::chip::Chip;
use crate::ethernet::MacAddress;
use crate::filter::Filter;
use crate::flow_control::Pause;
use crate::interrupt::Routing;
use crate::link::Link;
use crate::offload::Offloads;
use crate::platform::{DmaRegion, Registers};
use crate::rx::RxCounters;
use crate::stats::Statistics;
use crate::tx::TxCounters;
use crate::warnings::Warnings;
use crate::watchdog::{Recoveries, Snapshot};

/// Known state of the NIC: [`Nic::state`]. No method accesses the hardware, changes anything or sleeps.
pub struct State<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> Clone for State<'_, R, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Registers, D: DmaRegion> Copy for State<'_, R, D> {}

impl<'a, R: Registers, D: DmaRegion> State<'a, R, D> {
    /// The chip.
    pub fn chip(self) -> &'static Chip {
        self.nic.device.chip
    }

    /// The NIC's own address.
    pub fn mac(self) -> MacAddress {
        self.nic.mac
    }

    /// The configuration, limited to what the chip takes.
    pub fn config(self) -> Config {
        Config {
            rx: self.nic.rx.size(),
            tx: self.nic.tx.size(),
            copy_rx: !self.nic.rx.pool.is_empty(),
            copy_tx: !self.nic.tx.pool.is_empty(),
        }
    }

    /// End of the highest of the core's memory that the device was given: parts with
    /// [`Quirks::DMA32`](crate::chip::Quirks::DMA32) need it to be at most 4 GiB.
    pub fn end_address(self) -> u64 {
        self.nic.rx.end_address().max(self.nic.tx.end_address())
    }

    /// Warnings since the start of bring-up.
    pub fn warnings(self) -> Warnings {
        self.nic.warnings
    }

    /// Returns true if registers have read as all ones: the device was removed. This is never undone.
    pub fn is_gone(self) -> bool {
        self.nic.gone
    }

    /// Link state as last read.
    pub fn link(self) -> Link {
        self.nic.link
    }

    /// Pause frames that the owner asked for; [`Link::Up`] has the negotiated ones.
    pub fn pause(self) -> Pause {
        self.nic.pause
    }

    /// Routing of interrupts to vectors.
    pub fn routing(self) -> Routing {
        self.nic.routing
    }

    /// Shortest time between two interrupts, in units of 256 ns.
    pub fn interrupt_interval(self) -> u32 {
        self.nic.moderator.interval()
    }

    /// The receive filter.
    pub fn filter(self) -> &'a Filter {
        &self.nic.filter
    }

    /// The MTU: bytes of a frame without header, VLAN tag and FCS.
    pub fn mtu(self) -> usize {
        self.nic.mtu
    }

    /// The largest MTU that can be set.
    pub fn max_mtu(self) -> usize {
        self.nic.max_mtu()
    }

    /// Offloads that are on; none after bring-up.
    pub fn offloads(self) -> Offloads {
        self.nic.offloads
    }

    /// Counters of received frames.
    pub fn rx_counters(self) -> RxCounters {
        self.nic.rx.counters()
    }

    /// Counters of frames to transmit.
    pub fn tx_counters(self) -> TxCounters {
        self.nic.tx.counters()
    }

    /// Number of frames to transmit that were not posted: they wait for the link, or for [`Tx::post`](super::Tx::post).
    pub fn pending_frames(self) -> u32 {
        self.nic.tx.pending()
    }

    /// Counters of the hardware, as last collected.
    pub fn statistics(self) -> &'a Statistics {
        &self.nic.statistics
    }

    /// Returns true if [`Recovery::watch`](super::Recovery::watch) is due in a second: frames were posted and not
    /// reclaimed, a reset did not end, or the link needs maintenance. Never on an idle NIC with a steady link.
    pub fn needs_watching(self) -> bool {
        self.nic.needs_watching()
    }

    /// Counters of hangs and resets since bring-up.
    pub fn recoveries(self) -> Recoveries {
        self.nic.watchdog.recoveries
    }

    /// Snapshot of the NIC at its last hang.
    pub fn last_hang(self) -> Option<&'a Snapshot> {
        self.nic.watchdog.snapshot.as_ref()
    }

    /// Returns true if a self-test is in progress.
    pub fn is_testing(self) -> bool {
        self.nic.self_test.is_some()
    }
}
