//! State of the NIC that is known without asking it.

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

/// State of the NIC that is known: [`Nic::state`]. Nothing here touches the hardware, changes anything or sleeps.
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

    /// Highest address that the device was given, exclusive, of memory of the core's own: parts with
    /// [`Quirks::DMA32`](crate::chip::Quirks::DMA32) want it below 4 GiB.
    pub fn end_address(self) -> u64 {
        self.nic.rx.end_address().max(self.nic.tx.end_address())
    }

    /// Things that bring-up, and whatever was done since, met that are worth telling.
    pub fn warnings(self) -> Warnings {
        self.nic.warnings
    }

    /// Returns true if registers were found to read as all ones: the device was removed, and will not come back.
    pub fn is_gone(self) -> bool {
        self.nic.gone
    }

    /// The link as last looked at.
    pub fn link(self) -> Link {
        self.nic.link
    }

    /// The pause frames that are wanted; [`Link::Up`] has what was negotiated.
    pub fn pause(self) -> Pause {
        self.nic.pause
    }

    /// The way in which interrupts reach the processor.
    pub fn routing(self) -> Routing {
        self.nic.routing
    }

    /// The least time between two interrupts now, in units of 256 ns.
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

    /// Work that is taken off the stack. None, after bring-up.
    pub fn offloads(self) -> Offloads {
        self.nic.offloads
    }

    /// Results of received frames.
    pub fn rx_counters(self) -> RxCounters {
        self.nic.rx.counters()
    }

    /// Results of frames to transmit.
    pub fn tx_counters(self) -> TxCounters {
        self.nic.tx.counters()
    }

    /// Frames to transmit that the device was not told of: they wait for the link, or for
    /// [`Tx::post`](super::Tx::post).
    pub fn pending_frames(self) -> u32 {
        self.nic.tx.pending()
    }

    /// The counters of the hardware, as of the last time that they were collected.
    pub fn statistics(self) -> &'a Statistics {
        &self.nic.statistics
    }

    /// Returns true if [`Recovery::watch`](super::Recovery::watch) is due in a second: frames are with the hardware, a
    /// reset did not end, or the link needs to be helped. Never on an idle NIC whose link is steady.
    pub fn needs_watching(self) -> bool {
        self.nic.needs_watching()
    }

    /// Resets and the like since bring-up.
    pub fn recoveries(self) -> Recoveries {
        self.nic.watchdog.recoveries
    }

    /// The NIC as it was when it last hung.
    pub fn last_hang(self) -> Option<&'a Snapshot> {
        self.nic.watchdog.snapshot.as_ref()
    }

    /// Returns true if a self-test is under way.
    pub fn is_testing(self) -> bool {
        self.nic.self_test.is_some()
    }
}
