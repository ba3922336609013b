//! One NIC, from bring-up to stop.
//!
//! Here are bring-up and stop. Everything else is in groups, each in a file of its own:
//!
//! | group | of |
//! |---|---|
//! | [`Nic::state`] | what is known, without asking the hardware |
//! | [`Nic::rx`] | frames in |
//! | [`Nic::tx`] | frames out |
//! | [`Nic::interrupts`] | interrupts: the way they take, unmasking, acknowledging, moderation |
//! | [`Nic::link`] | looking at the link, pause frames |
//! | [`Nic::settings`] | receive filter, VLAN tags, MTU, offloads |
//! | [`Nic::recovery`] | the watchdog, resets, link maintenance |
//! | [`Nic::diagnostics`] | counters, registers, the self-test |
//!
//! # Context
//!
//! A method that takes a [`Clock`] may sleep; one that does not never sleeps, and waits for no other device, so that an
//! interrupt handler may call it. Each says so. No method allocates; only bring-up takes DMA memory.

mod diagnostics;
mod interrupts;
mod link;
mod maintenance;
mod recovery;
mod rx;
mod self_test;
mod settings;
mod state;
mod tx;

use core::mem::MaybeUninit;

use crate::bring_up;
use crate::chip::{Chip, Quirks};
use crate::ethernet::MacAddress;
use crate::filter::Filter;
use crate::firmware;
use crate::flow_control::Pause;
use crate::interrupt::Routing;
use crate::link::Link;
use crate::moderation::Moderator;
use crate::offload::Offloads;
use crate::platform::{Clock, DmaAllocator, DmaRegion, Registers};
use crate::regs;
use crate::reset;
use crate::ring::{DescriptorRing, OutOfDmaMemory, RingSize};
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
    /// Has a buffer of 2 KiB for each receive descriptor, out of which frames are copied. If not, buffers are the
    /// owner's ([`Rx::provide`]).
    pub copy_rx: bool,
    /// Has a buffer of 2 KiB for each transmit descriptor, into which frames are copied. If not, all frames are sent
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
/// Dropping it stops the device but leaks its DMA memory, because DMA in flight may still end, unless [`Nic::halt`] has
/// waited for that: then dropping it frees the memory.
pub struct Nic<R: Registers, D: DmaRegion> {
    device: Device<R>,
    power: Power,
    mac: MacAddress,
    warnings: Warnings,
    link: Link,
    /// The pause frames that are wanted.
    pause: Pause,
    /// An interrupt told that the link changed: what was negotiated may be something else, though it looks the same.
    link_suspect: bool,
    rx: Receiver<D>,
    tx: Transmitter<D>,
    routing: Routing,
    /// Interrupts for received frames are held off, because frames are waiting anyway.
    receive_masked: bool,
    /// Frames have been waiting since the interrupt before the last.
    backlog: bool,
    /// [`InterruptControl::enable`] was called.
    interrupts_enabled: bool,
    /// Interrupts for sent frames were asked for.
    transmit_interrupt: bool,
    /// The value last written to RCTL.
    rctl: u32,
    filter: Filter,
    mtu: usize,
    /// VLAN tags are stripped and inserted.
    vlan_offload: bool,
    moderator: Moderator,
    /// Work that is taken off the stack.
    offloads: Offloads,
    statistics: Statistics,
    watchdog: Watchdog,
    maintenance: Maintenance,
    /// The self-test that is under way.
    self_test: Option<self_test::Run>,
    /// Registers read as all ones.
    gone: bool,
    /// The part may not be given buffers of 2 KiB to send.
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
    /// It was stopped, or not programmed yet. Nothing but [`Recovery::restart`] ends that.
    Halted {
        /// By all that it says, it does not access its memory any more.
        dma_ended: bool,
    },
}

impl<R: Registers, D: DmaRegion> Drop for Nic<R, D> {
    fn drop(&mut self) {
        match self.power {
            Power::Halted { dma_ended: true } => {
                // SAFETY: the device was reset or its receiver and transmitter were turned off and their DMA ended, or
                // it was never programmed; only `program`, which changes `power`, turns them on again. `self` is being
                // dropped, so rings and buffers are not used any more.
                unsafe {
                    self.rx.free();
                    self.tx.free();
                }
            }
            Power::Halted { dma_ended: false } => {}
            Power::On | Power::Off => reset::post_stop(&self.device.registers, self.device.chip),
        }
    }
}

/// Initialises all fields of a structure in place, without a copy of it on the stack. A field that is missing is an
/// error.
macro_rules! write_fields {
    ($slot:ident, Self { $($field:ident: $value:expr,)* }) => {{
        let pointer = $slot.as_mut_ptr();
        $(
            // SAFETY: a field of a place that is valid for writes and exclusively borrowed.
            unsafe { (&raw mut (*pointer).$field).write($value) };
        )*
        // SAFETY: each field was just written: the closure does not compile if one is missing.
        unsafe {
            let _ = |Self { $($field: _,)* }: &Self| ();
            $slot.assume_init_mut()
        }
    }};
}

/// Descriptors of both directions: received frames, frames to transmit.
type Rings<D> = (DescriptorRing<D>, DescriptorRing<D>);

/// Allocates the descriptors of both directions.
fn allocate_rings<A: DmaAllocator>(
    allocator: &mut A,
    chip: &Chip,
    config: Config,
) -> Result<Rings<A::Region>, OutOfDmaMemory> {
    let limit = chip.limits.max_descriptors;
    let mut rx = DescriptorRing::new(allocator, config.rx.at_most(limit))?;
    match DescriptorRing::new(allocator, config.tx.at_most(limit)) {
        Ok(tx) => Ok((rx, tx)),
        Err(error) => {
            // SAFETY: the device was never told of the ring.
            unsafe { rx.free() };
            Err(error)
        }
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Takes the device from whatever state it is in to sending and receiving, with interrupts masked.
    ///
    /// The order is that of the 8254x manual, section 14, with the parts' own steps from the chip table. The
    /// receive filter takes the NIC's own address and broadcast: what smolnetd uses. Waits not for the link; where
    /// nothing is wrong, less than 200 ms in all, and below a second whatever is.
    ///
    /// The value is moved to the caller: some 3 KB of stack. Where that is too much, [`Self::bring_up_in`] builds it in
    /// place.
    ///
    /// Context: may sleep.
    ///
    /// # Errors
    ///
    /// See [`BringUpError`]; the device is left with receiver, transmitter and interrupts off.
    pub fn bring_up<A, C>(
        registers: R,
        chip: &'static Chip,
        config: Config,
        allocator: &mut A,
        clock: &C,
    ) -> Result<Self, BringUpError>
    where
        A: DmaAllocator<Region = D>,
        C: Clock,
    {
        let mut slot = MaybeUninit::uninit();
        Self::bring_up_in(&mut slot, registers, chip, config, allocator, clock)?;
        // SAFETY: `bring_up_in` has initialised it.
        Ok(unsafe { slot.assume_init() })
    }

    /// As [`Self::bring_up`], into `slot`, with less than 2 KiB of stack in any one function. Dropping the NIC is the
    /// caller's business.
    ///
    /// Context: may sleep.
    ///
    /// # Errors
    ///
    /// See [`BringUpError`]; the device is left with receiver, transmitter and interrupts off, and there is nothing in
    /// `slot`.
    pub fn bring_up_in<'n, A, C>(
        slot: &'n mut MaybeUninit<Self>,
        registers: R,
        chip: &'static Chip,
        config: Config,
        allocator: &mut A,
        clock: &C,
    ) -> Result<&'n mut Self, BringUpError>
    where
        A: DmaAllocator<Region = D>,
        C: Clock,
    {
        let identity = bring_up::reset_device(&registers, chip, clock)?;
        let (rx, tx) = allocate_rings(allocator, chip, config)?;
        let nic = Self::place(slot, Device { registers, chip }, identity.mac, rx, tx);
        nic.warnings = identity.warnings;
        nic.short_buffers = identity.pcix && chip.quirks.contains(Quirks::PCIX_TX_2015);
        if identity.pcix && chip.quirks.contains(Quirks::PCIX_BUFFER_END_HANGS) {
            nic.tx.end_in_upper_dword();
        }
        let started = nic.allocate_buffers(allocator, config);
        if let Err(error) = started {
            // SAFETY: `place` has initialised it, and nobody uses it any more.
            unsafe { slot.assume_init_drop() };
            return Err(error.into());
        }
        // SAFETY: `place` has initialised it.
        let nic = unsafe { slot.assume_init_mut() };
        let Device { registers, chip } = &nic.device;
        nic.warnings |= bring_up::start_phy(registers, chip, clock, nic.pause);
        nic.program(clock);
        Ok(nic)
    }

    /// Writes a NIC that was not programmed yet into `slot`, field by field: it is too large for a small stack.
    #[inline(never)]
    fn place(
        slot: &mut MaybeUninit<Self>,
        device: Device<R>,
        mac: MacAddress,
        rx: DescriptorRing<D>,
        tx: DescriptorRing<D>,
    ) -> &mut Self {
        let chip = device.chip;
        write_fields!(
            slot,
            Self {
                device: device,
                power: Power::Halted { dma_ended: true },
                mac: mac,
                warnings: Warnings::empty(),
                link: Link::Down,
                pause: Pause::RX,
                link_suspect: false,
                rx: Receiver::new(rx, chip),
                tx: Transmitter::new(tx, chip),
                routing: Routing::Single,
                receive_masked: false,
                backlog: false,
                interrupts_enabled: false,
                transmit_interrupt: false,
                rctl: 0,
                filter: Filter::new(),
                mtu: DEFAULT_MTU,
                vlan_offload: false,
                moderator: Moderator::new(),
                offloads: Offloads::empty(),
                statistics: Statistics::default(),
                watchdog: Watchdog::default(),
                maintenance: Maintenance::new(chip),
                self_test: None,
                gone: false,
                short_buffers: false,
            }
        )
    }

    /// Allocates the buffers that frames are copied into and out of.
    fn allocate_buffers<A>(&mut self, allocator: &mut A, config: Config) -> Result<(), OutOfDmaMemory>
    where
        A: DmaAllocator<Region = D>,
    {
        if config.copy_rx {
            self.rx.pool.allocate(allocator, self.rx.size())?;
        }
        if config.copy_tx {
            self.tx.pool.allocate(allocator, self.tx.size())?;
        }
        Ok(())
    }

    /// Programs the device, which was just reset, up to sending and receiving.
    fn program(&mut self, clock: &impl Clock) {
        self.power = Power::On;
        let Device { registers, chip } = &self.device;
        let settings = bring_up::Settings {
            mac: self.mac,
            pause: self.pause,
            mtu: self.mtu,
            vlan_offload: self.vlan_offload,
            filter: &self.filter,
            interval: self.moderator.interval(),
            offloads: self.offloads,
        };
        bring_up::program(registers, chip, &settings, &mut self.rx, &mut self.tx);
        self.watchdog.emptied();
        let seen = self.link_now();
        self.link = self.program_link(seen, clock);
        let Device { registers, chip } = &self.device;
        let rctl = bring_up::rctl(chip, &self.filter, self.mtu);
        self.rctl = rctl.bits();
        bring_up::enable_receiver(registers, rctl, &mut self.rx);
    }

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

    /// Stops the device, waits until its DMA has ended, and frees its memory; leaks it if DMA did not end. Who can turn
    /// bus mastering off by other means does so between [`Self::halt`] and dropping the NIC instead.
    pub fn stop(mut self, clock: &impl Clock) {
        self.halt(clock);
    }

    /// Stops the device and waits until its DMA has ended. Returns true if it has, as far as the device tells: not if
    /// its reset did not end, if it went on being a bus master, or if it did not answer.
    ///
    /// Dropping the NIC frees its memory if DMA has ended, and leaks it otherwise. Who knows better forgets it
    /// ([`core::mem::forget`]). [`Recovery::restart`] brings a halted device up again.
    pub fn halt(&mut self, clock: &impl Clock) -> bool {
        self.abandon_self_test(clock);
        let Device { registers, chip } = &self.device;
        let mut warnings = reset::quiesce(registers, chip, clock);
        // Where only a reset stops the receiver, and where the last one did not end.
        let was_reset = if self.power == Power::Off || chip.quirks.contains(Quirks::NO_RX_DISABLE) {
            reset::reset(registers, chip, clock).map(|seen| warnings |= seen)
        } else {
            Ok(())
        };
        let answers = registers.read(regs::STATUS) != regs::ALL_ONES;
        if was_reset.is_ok() {
            firmware::set_driver_loaded(registers, chip, false);
        } else {
            // The receiver may still run.
            reset::post_stop(registers, chip);
        }
        let dma_ended = was_reset.is_ok() && answers && !warnings.contains(Warnings::BUS_MASTER_BUSY);
        self.power = Power::Halted { dma_ended };
        self.link = Link::Down;
        self.interrupts_enabled = false;
        dma_ended
    }
}
