//! One NIC, from bring-up to stop.
//!
//! [`Nic::bring_up`] begins, [`Nic::halt`] or [`Nic::stop`] ends. Everything between is in groups, each in a file of
//! its own:
//!
//! | group | of |
//! |---|---|
//! | [`Nic::state`] | what is known without a register access |
//! | [`Nic::rx`] | frames in |
//! | [`Nic::tx`] | frames out |
//! | [`Nic::interrupts`] | interrupts: routing, unmasking, acknowledging, moderation |
//! | [`Nic::link`] | link state, pause frames |
//! | [`Nic::settings`] | receive filter, VLAN tags, MTU, offloads |
//! | [`Nic::recovery`] | the watchdog, resets, link maintenance |
//! | [`Nic::diagnostics`] | counters, registers, the self-test |
//!
//! # Context
//!
//! A method that takes a [`Clock`](crate::platform::Clock) may sleep. A method without one never sleeps or waits, so an
//! interrupt handler may call it. The documentation of each method says so, too. No method allocates; only bring-up
//! takes DMA memory.

mod diagnostics;
mod interrupts;
mod link;
mod maintenance;
mod recovery;
mod rx;
mod self_test;
mod settings;
mod start;
mod state;
mod stop;
mod tx;

use crate::chip::Chip;
#[cfg(doc)]
use crate::chip::Quirks;
use crate::ethernet::MacAddress;
use crate::filter::Filter;
use crate::flow_control::Pause;
use crate::interrupt::Routing;
use crate::link::Link;
use crate::moderation::Moderator;
use crate::offload::Offloads;
use crate::platform::{DmaRegion, Registers};
use crate::ring::RingSize;
use crate::rx::Receiver;
use crate::stats::Statistics;
use crate::tx::Transmitter;
use crate::warnings::Warnings;
use crate::watchdog::Watchdog;

use maintenance::Maintenance;

pub use crate::bring_up::BringUpError;
pub use diagnostics::Diagnostics;
pub use interrupts::{Interrupt, InterruptControl};
pub use link::LinkControl;
pub use recovery::Recovery;
pub use rx::Rx;
pub use self_test::SelfTest;
pub use settings::{DEFAULT_MTU, MIN_MTU, MtuError, Settings};
pub use state::State;
pub use tx::{SendOptions, Tx};

/// Rings and buffers of a NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Receive descriptors; limited to what the chip takes.
    pub rx: RingSize,
    /// Transmit descriptors; limited to what the chip takes.
    pub tx: RingSize,
    /// Give each receive descriptor a buffer of 2 KiB, from which frames are copied out. Without this the owner
    /// provides the buffers ([`Rx::provide`]).
    pub copy_rx: bool,
    /// Give each transmit descriptor a buffer of 2 KiB, into which frames are copied. Without this all frames are sent
    /// from the owner's memory ([`Tx::send_segments`]).
    pub copy_tx: bool,
}

impl Config {
    /// Rings of these sizes, with buffers.
    pub const fn with_rings(rx: RingSize, tx: RingSize) -> Self {
        Self {
            rx,
            tx,
            copy_rx: true,
            copy_tx: true,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::with_rings(RingSize::DEFAULT, RingSize::DEFAULT)
    }
}

/// One NIC that is up.
///
/// Dropping it stops the device. The DMA memory is freed only if [`Nic::halt`] has found that DMA has ended; otherwise
/// it is leaked, because the device may still write to it.
pub struct Nic<R: Registers, D: DmaRegion> {
    device: Device<R>,
    power: Power,
    mac: MacAddress,
    warnings: Warnings,
    link: Link,
    /// Pause frames that the owner asked for.
    pause: Pause,
    /// An interrupt reported a change of the link: speed and duplex may have been negotiated again, even if the link
    /// state reads as before.
    link_suspect: bool,
    rx: Receiver<D>,
    tx: Transmitter<D>,
    routing: Routing,
    /// Interrupts for received frames are masked while received frames are waiting.
    receive_masked: bool,
    /// Frames have been waiting since before the last interrupt.
    backlog: bool,
    /// [`InterruptControl::enable`] was called.
    interrupts_enabled: bool,
    /// Interrupts for sent frames were asked for.
    transmit_interrupt: bool,
    /// Value last written to RCTL.
    rctl: u32,
    filter: Filter,
    mtu: usize,
    /// VLAN tags are stripped and inserted.
    vlan_offload: bool,
    moderator: Moderator,
    /// Checksum and segmentation work that the NIC does for its owner.
    offloads: Offloads,
    statistics: Statistics,
    watchdog: Watchdog,
    maintenance: Maintenance,
    /// Self-test in progress.
    self_test: Option<self_test::Run>,
    /// Registers read as all ones: the device is gone.
    gone: bool,
    /// Frames have to fit one descriptor of 2015 bytes on this device ([`Quirks::PCIX_TX_2015`]): no jumbo frames.
    short_buffers: bool,
}

/// The device: registers, and which part it is.
struct Device<R: Registers> {
    registers: R,
    chip: &'static Chip,
}

/// The device's right to do DMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    /// It is programmed.
    On,
    /// A reset did not end: receiver and transmitter should be off. [`Recovery::watch`] tries again.
    Off,
    /// It was stopped, or is not programmed yet. Only [`Recovery::restart`] ends this state.
    Halted {
        /// As far as the device reports, it accesses memory no more.
        dma_ended: bool,
    },
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// The state of the NIC, as far as it is known without asking it.
    pub fn state(&self) -> State<'_, R, D> {
        State { nic: self }
    }

    /// Frames in.
    pub fn rx(&mut self) -> Rx<'_, R, D> {
        Rx { nic: self }
    }

    /// Frames out.
    pub fn tx(&mut self) -> Tx<'_, R, D> {
        Tx { nic: self }
    }

    /// Interrupts.
    pub fn interrupts(&mut self) -> InterruptControl<'_, R, D> {
        InterruptControl { nic: self }
    }

    /// The link.
    pub fn link(&mut self) -> LinkControl<'_, R, D> {
        LinkControl { nic: self }
    }

    /// Receive filter, VLAN tags, MTU, offloads.
    pub fn settings(&mut self) -> Settings<'_, R, D> {
        Settings { nic: self }
    }

    /// The watchdog, resets, link maintenance.
    pub fn recovery(&mut self) -> Recovery<'_, R, D> {
        Recovery { nic: self }
    }

    /// Counters, registers, the self-test.
    pub fn diagnostics(&mut self) -> Diagnostics<'_, R, D> {
        Diagnostics { nic: self }
    }
}
