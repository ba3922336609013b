//! One NIC, from bring-up to stop.
//!
//! Here are bring-up and stop; `frames`, `interrupts` and `link` have what every user needs besides, `control` what may be
//! changed while it runs, `offload` checksums and segmentation, `recovery` what happens when it hangs, `upkeep` what the
//! link needs, `self_test` the self-test, `backlog` what is there for an owner that cannot keep up.

mod backlog;
mod control;
mod frames;
mod interrupts;
mod link;
mod offload;
mod recovery;
mod self_test;
mod upkeep;

use core::fmt;

use crate::chip::{Chip, Quirks};
use crate::ethernet::MacAddress;
use crate::filter::Filter;
use crate::firmware;
use crate::flow_control::Pause;
use crate::init;
use crate::interrupt::Routing;
use crate::link::Link;
use crate::moderation::Moderator;
use crate::notes::Notes;
use crate::nvm::{self, MacAddressError};
use crate::offload::Offloads;
use crate::phy::{self, Advertise};
use crate::platform::{Clock, DmaAllocator, DmaRegion, Registers};
use crate::regs::{self, Status};
use crate::reset;
use crate::ring::{OutOfDmaMemory, RingSize};
use crate::rx::RxRing;
use crate::self_test::loopback;
use crate::stats::Statistics;
use crate::tx::TxRing;
use crate::wait::TimedOut;
use crate::watchdog::Watchdog;

pub use control::{DEFAULT_MTU, MIN_MTU, MtuError};
pub use interrupts::Interrupt;
pub use self_test::SelfTest;

/// How large the rings are. Limited to what the chip takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// Receive descriptors, each with a buffer of 2 KiB.
    pub rx: RingSize,
    /// Transmit descriptors, each with a buffer of 2 KiB.
    pub tx: RingSize,
}

impl Default for RingSizes {
    fn default() -> Self {
        Self {
            rx: RingSize::DEFAULT,
            tx: RingSize::DEFAULT,
        }
    }
}

/// Why a NIC could not be brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BringUpError {
    /// Registers read as all ones.
    DeviceGone,
    /// The reset did not end.
    Reset(TimedOut),
    /// The NIC has no usable MAC address.
    MacAddress(MacAddressError),
    /// Not enough memory for rings and buffers.
    Memory(OutOfDmaMemory),
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceGone => f.write_str("the device does not answer (registers read as all ones)"),
            Self::Reset(error) => write!(f, "the reset did not end: {error}"),
            Self::MacAddress(MacAddressError::NvmSilent(error)) => {
                write!(f, "no MAC address: none in RAL/RAH, and {error}")
            }
            Self::MacAddress(MacAddressError::Invalid(address)) => {
                write!(f, "no MAC address: the NVM holds {address}")
            }
            Self::Memory(error) => write!(f, "no DMA memory: a block of {} bytes was refused", error.wanted),
        }
    }
}

impl core::error::Error for BringUpError {}

impl From<OutOfDmaMemory> for BringUpError {
    fn from(error: OutOfDmaMemory) -> Self {
        Self::Memory(error)
    }
}

/// One NIC that is up.
///
/// Dropping it stops the device but leaks its DMA memory, because DMA in flight may still end; [`Nic::stop`]
/// waits for that and frees the memory.
pub struct Nic<R: Registers, D: DmaRegion> {
    // First, so that the device stops before anything else is dropped.
    device: Running<R>,
    mac: MacAddress,
    notes: Notes,
    link: Link,
    /// The pause frames that are wanted.
    pause: Pause,
    /// An interrupt told that the link changed: what was negotiated may be something else, though it looks the same.
    link_suspect: bool,
    rx: RxRing<D>,
    tx: TxRing<D>,
    routing: Routing,
    /// Interrupts for received frames are held off, because frames are waiting anyway.
    receive_masked: bool,
    /// Frames have been waiting since the interrupt before the last.
    backlog: bool,
    /// [`Self::enable_interrupts`] was called.
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
    /// What is taken off the stack.
    offloads: Offloads,
    statistics: Statistics,
    watchdog: Watchdog,
    upkeep: upkeep::Upkeep,
    /// The self-test that is under way.
    self_test: Option<self_test::Run>,
    /// A reset did not end: the device is off, and [`Self::watch`] tries again.
    off: bool,
    /// Registers read as all ones.
    gone: bool,
    /// The part may not be given buffers of 2 KiB to send.
    short_buffers: bool,
}

/// A device whose rings are programmed; dropping it stops the device.
struct Running<R: Registers> {
    registers: R,
    chip: &'static Chip,
    stopped: bool,
}

impl<R: Registers> Drop for Running<R> {
    fn drop(&mut self) {
        if !self.stopped {
            reset::post_stop(&self.registers, self.chip);
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
    /// # Errors
    ///
    /// See [`BringUpError`]; the device is left with receiver, transmitter and interrupts off.
    pub fn bring_up<A, C>(
        registers: R,
        chip: &'static Chip,
        sizes: RingSizes,
        allocator: &mut A,
        clock: &C,
    ) -> Result<Self, BringUpError>
    where
        A: DmaAllocator<Region = D>,
        C: Clock,
    {
        let status = registers.read(regs::STATUS);
        if status == regs::ALL_ONES {
            return Err(BringUpError::DeviceGone);
        }
        let pcix = status & Status::PCIX_MODE.bits() != 0;
        let ctrl = registers.read(regs::CTRL);
        let mut notes = reset::reset(&registers, chip, clock).map_err(BringUpError::Reset)?;
        loopback::end_of_others(&registers, chip, clock, ctrl);
        let mac = nvm::mac_address(&registers, chip, clock).map_err(BringUpError::MacAddress)?;

        let limit = chip.limits.max_descriptors;
        let rx = RxRing::new(allocator, sizes.rx.at_most(limit), chip)?;
        let mut tx = match TxRing::new(allocator, sizes.tx.at_most(limit)) {
            Ok(tx) => tx,
            Err(error) => {
                rx.quiesced();
                return Err(error.into());
            }
        };

        if pcix && chip.quirks.contains(Quirks::PCIX_BUFFER_END_HANGS) {
            tx.end_in_upper_dword();
        }
        notes |= nvm::check(&registers, chip, clock);
        let pause = Pause::RX;
        notes |= phy::bring_up(&registers, chip, clock, Advertise { pause });
        Statistics::discard(&registers);
        let mut nic = Self {
            device: Running {
                registers,
                chip,
                stopped: false,
            },
            mac,
            notes,
            link: Link::Down,
            pause,
            link_suspect: false,
            rx,
            tx,
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
            upkeep: upkeep::Upkeep::new(chip),
            self_test: None,
            off: false,
            gone: false,
            short_buffers: pcix && chip.quirks.contains(Quirks::PCIX_TX_2015),
        };
        nic.program(clock);
        Ok(nic)
    }

    /// Programs the device, which was just reset, up to sending and receiving.
    fn program(&mut self, clock: &impl Clock) {
        let Running { registers, chip, .. } = &self.device;
        init::program_mac(registers, chip, self.pause);
        control::split_packet_buffer(registers, chip, self.mtu);
        control::program_vlan_offload(registers, self.vlan_offload);
        init::program_filter(registers, chip, self.mac);
        self.filter.restore(registers, chip);
        self.rx.program(registers);
        init::program_receive_unit(registers, chip, self.moderator.interval());
        offload::program(registers, self.offloads);
        self.tx.program(registers);
        self.watchdog.emptied();
        init::program_transmit_unit(registers, chip);
        registers.write(regs::TCTL, init::tctl(chip).bits());
        let seen = self.link_now();
        self.link = self.settle_link(seen, clock);
        let Running { registers, chip, .. } = &self.device;
        self.rctl = control::rctl(chip, &self.filter, self.mtu).bits();
        registers.write(regs::RCTL, self.rctl);
        self.rx.start(registers);
    }

    /// The chip.
    pub fn chip(&self) -> &'static Chip {
        self.device.chip
    }

    /// The NIC's own address.
    pub fn mac(&self) -> MacAddress {
        self.mac
    }

    /// What bring-up, and whatever was done since, met that is worth telling.
    pub fn notes(&self) -> Notes {
        self.notes
    }

    /// Highest address that the device was given, exclusive: parts with [`Quirks::DMA32`] want it below 4 GiB.
    pub fn end_address(&self) -> u64 {
        self.rx.end_address().max(self.tx.end_address())
    }

    /// Whether registers were found to read as all ones: the device was removed, and will not come back.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether frames reach the hardware.
    fn can_send(&self) -> bool {
        self.link.is_up() && !self.off && !self.is_testing()
    }

    /// How large the rings are.
    pub fn ring_sizes(&self) -> RingSizes {
        RingSizes {
            rx: self.rx.size(),
            tx: self.tx.size(),
        }
    }

    /// Stops the device, waits until its DMA has ended, and frees its memory; leaks it if DMA did not end. Who can turn bus
    /// mastering off by other means does so between [`Self::halt`] and [`Halted::free`] instead.
    pub fn stop(self, clock: &impl Clock) {
        self.halt(clock).free();
    }

    /// Stops the device and waits until its DMA has ended. Its memory is kept.
    pub fn halt(mut self, clock: &impl Clock) -> Halted<D> {
        self.abandon_self_test(clock);
        let Self {
            mut device,
            rx,
            tx,
            off,
            ..
        } = self;
        let mut notes = reset::quiesce(&device.registers, device.chip, clock);
        // Where only a reset stops the receiver, and where the last one did not end.
        let was_reset = if off || device.chip.quirks.contains(Quirks::NO_RX_DISABLE) {
            reset::reset(&device.registers, device.chip, clock).map(|seen| notes |= seen)
        } else {
            Ok(())
        };
        let answers = device.registers.read(regs::STATUS) != regs::ALL_ONES;
        if was_reset.is_ok() {
            firmware::set_driver_loaded(&device.registers, device.chip, false);
            device.stopped = true;
        }
        // Otherwise the receiver may still run: dropping `device` tries once more.
        Halted {
            rx,
            tx,
            dma_ended: was_reset.is_ok() && answers && !notes.contains(Notes::BUS_MASTER_BUSY),
        }
    }
}

/// The memory of a NIC that was stopped. Dropping it leaks the memory.
#[must_use = "the memory is leaked unless it is freed"]
pub struct Halted<D: DmaRegion> {
    rx: RxRing<D>,
    tx: TxRing<D>,
    dma_ended: bool,
}

impl<D: DmaRegion> Halted<D> {
    /// Whether the device ended its DMA, as far as it tells. Not if its reset did not end, if it went on being a bus
    /// master, or if it did not answer.
    pub fn dma_ended(&self) -> bool {
        self.dma_ended
    }

    /// Frees the memory if DMA has ended, leaks it otherwise.
    pub fn free(self) {
        if self.dma_ended {
            self.rx.quiesced();
            self.tx.quiesced();
        }
    }
}
