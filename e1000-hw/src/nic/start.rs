//! Bring-up of a NIC: from whatever state the device is in to sending and receiving.

use core::mem::MaybeUninit;

use super::maintenance::Maintenance;
use super::{Config, DEFAULT_MTU, Device, Nic, Power};
use crate::bring_up::{self, BringUpError};
use crate::chip::{Chip, Quirks};
use crate::ethernet::MacAddress;
use crate::filter::Filter;
use crate::flow_control::Pause;
use crate::interrupt::Routing;
use crate::link::Link;
use crate::moderation::Moderator;
use crate::offload::Offloads;
use crate::platform::{Clock, DmaAllocator, DmaRegion, Registers};
use crate::ring::{DescriptorRing, OutOfDmaMemory};
use crate::rx::Receiver;
use crate::stats::Statistics;
use crate::tx::Transmitter;
use crate::warnings::Warnings;
use crate::watchdog::Watchdog;

/// Initialises all fields of a structure in place, without a copy of it on the stack. Leaving out a field is a
/// compile-time error.
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
    /// The order is that of the 8254x manual, section 14, with each part's own steps from the chip table. The receive
    /// filter accepts the NIC's own address and broadcast. Bring-up does not wait for the link. It takes less than
    /// 200 ms on a device in order, and less than a second on any other.
    ///
    /// The value is moved to the caller, which takes some 3 KB of stack. Where that is too much, [`Self::bring_up_in`]
    /// builds it in place.
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

    /// Same as [`Self::bring_up`], but builds the NIC in `slot`: no function needs more than 2 KiB of stack. The caller
    /// has to drop the NIC.
    ///
    /// Context: may sleep.
    ///
    /// # Errors
    ///
    /// See [`BringUpError`]; the device is left with receiver, transmitter and interrupts off, and `slot` is left
    /// uninitialised.
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

    /// Writes a NIC whose device is not programmed yet into `slot`, field by field, because the whole value is too
    /// large for a small stack.
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

    /// Programs the device, which has just been reset, up to sending and receiving.
    pub(super) fn program(&mut self, clock: &impl Clock) {
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
}
