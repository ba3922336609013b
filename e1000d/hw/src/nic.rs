//! One NIC, from bring-up to stop.
//!
//! Here is what every user needs; `control` has what may be changed while it runs, `link` what is done when the
//! link changes, `recovery` what happens when it hangs.

mod control;
mod link;
mod offload;
mod recovery;

use core::fmt;
use core::mem;

use crate::chip::{Chip, Quirks};
use crate::filter::Filter;
use crate::firmware;
use crate::flow_control::Pause;
use crate::init;
use crate::interrupt::{Purpose, Routing};
use crate::link::Link;
use crate::moderation::Moderator;
use crate::notes::Notes;
use crate::nvm::{self, MacAddress, MacAddressError};
use crate::offload::Offloads;
use crate::phy::{self, Advertise};
use crate::platform::{Clock, DmaAllocator, DmaRegion, Registers};
use crate::regs::{self, Causes};
use crate::reset;
use crate::ring::{OutOfDmaMemory, RingSize};
use crate::rx::{RxCounters, RxRing};
use crate::stats::Statistics;
use crate::tx::{TransmitError, TxCounters, TxRing};
use crate::wait::TimedOut;
use crate::watchdog::Watchdog;

pub use control::{DEFAULT_MTU, MIN_MTU, MtuError};

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

/// What an interrupt was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Another device on the same line.
    NotOurs,
    /// These causes, which are now acknowledged.
    Causes(Causes),
    /// Registers read as all ones: the device is gone.
    DeviceGone,
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
}

/// A device whose rings are programmed; dropping it stops the device.
struct Running<R: Registers> {
    registers: R,
    chip: &'static Chip,
}

impl<R: Registers> Drop for Running<R> {
    fn drop(&mut self) {
        reset::stop_now(&self.registers, self.chip);
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Takes the device from whatever state it is in to sending and receiving, with interrupts masked.
    ///
    /// The order is that of the 8254x manual, section 14, with the parts' own steps from the chip table. The
    /// receive filter takes the NIC's own address and broadcast: what smolnetd uses. Waits not for the link; where
    /// nothing is wrong, less than 100 ms in all, and below a second whatever is.
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
        if registers.read(regs::STATUS) == regs::ALL_ONES {
            return Err(BringUpError::DeviceGone);
        }
        let mut notes = reset::reset(&registers, chip, clock).map_err(BringUpError::Reset)?;
        let mac = nvm::mac_address(&registers, chip, clock).map_err(BringUpError::MacAddress)?;

        let limit = chip.limits.max_descriptors;
        let rx = RxRing::new(allocator, sizes.rx.at_most(limit), chip)?;
        let tx = match TxRing::new(allocator, sizes.tx.at_most(limit)) {
            Ok(tx) => tx,
            Err(error) => {
                rx.quiesced();
                return Err(error.into());
            }
        };

        notes |= nvm::check(&registers, chip, clock);
        let pause = Pause::RX;
        notes |= phy::bring_up(&registers, chip, clock, Advertise { pause });
        Statistics::discard(&registers);
        let mut nic = Self {
            device: Running { registers, chip },
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
        };
        nic.program(clock);
        Ok(nic)
    }

    /// Programs the device, which was just reset, up to sending and receiving.
    fn program(&mut self, clock: &impl Clock) {
        let Running { registers, chip } = &self.device;
        init::program_mac(registers, chip, self.pause);
        control::split_packet_buffer(registers, chip, self.mtu);
        control::program_vlan_offload(registers, self.vlan_offload);
        init::program_filter(registers, chip, self.mac);
        self.filter.restore(registers, chip);
        self.rx.program(registers);
        init::program_receive_unit(registers, chip, self.moderator.interval());
        offload::program(registers, self.offloads);
        self.tx.program(registers);
        init::program_transmit_unit(registers, chip);
        registers.write(regs::TCTL, init::tctl(chip).bits());
        let seen = self.seen_link();
        self.link = self.settle_link(seen, clock);
        let Running { registers, chip } = &self.device;
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

    /// What bring-up met that is worth telling.
    pub fn notes(&self) -> Notes {
        self.notes
    }

    /// Highest address that the device was given, exclusive: parts with [`Quirks::DMA32`] want it below 4 GiB.
    pub fn end_address(&self) -> u64 {
        self.rx.end_address().max(self.tx.end_address())
    }

    /// Decides how interrupts reach the processor. They are masked afterwards.
    pub fn route_interrupts(&mut self, routing: Routing) {
        let registers = &self.device.registers;
        registers.write(regs::IMC, regs::ALL_ONES);
        registers.read(regs::STATUS);
        self.routing = routing;
        routing.program(registers, self.moderator.interval());
    }

    /// How interrupts reach the processor.
    pub fn routing(&self) -> Routing {
        self.routing
    }

    /// Unmasks the causes that are always wanted: frames arrived, or could not; the link changed. Those of the
    /// transmitter are not: descriptors are taken back when the next frame needs one. The caller looks for frames
    /// once more afterwards.
    pub fn enable_interrupts(&mut self) {
        let causes = self.routing.receive_causes() | self.routing.other_causes();
        self.device.registers.write(regs::IMS, causes.bits());
        self.receive_masked = false;
        self.interrupts_enabled = true;
    }

    /// Raises an interrupt as if a frame had arrived, to see whether it comes through.
    pub fn raise_test_interrupt(&mut self) {
        self.device
            .registers
            .write(regs::ICS, self.routing.receive_causes().bits());
    }

    /// Masks all causes, and forgets those that are pending.
    pub fn disable_interrupts(&mut self) {
        self.interrupts_enabled = false;
        self.device.registers.write(regs::IMC, regs::ALL_ONES);
        self.routing.acknowledge(&self.device.registers);
    }

    /// Asks for an interrupt, or stops asking, when descriptors were sent: for a caller that met
    /// [`TransmitError::Full`].
    pub fn set_transmit_interrupt(&mut self, wanted: bool) {
        self.transmit_interrupt = wanted;
        let register = if wanted { regs::IMS } else { regs::IMC };
        self.device
            .registers
            .write(register, self.routing.transmit_causes().bits());
    }

    /// An interrupt was served, and frames are still waiting to be read.
    ///
    /// The first time, that is how it should be: the reader was just told. The second time without the ring having
    /// been empty in between, further interrupts would only slow the reader down: they are held off until
    /// [`Self::next_frame_len`] finds none. One register write then.
    pub fn frames_left_waiting(&mut self) {
        if self.backlog && !self.receive_masked {
            self.receive_masked = true;
            self.device
                .registers
                .write(regs::IMC, self.routing.receive_causes().bits());
        }
        self.backlog = true;
    }

    /// Reads, and so acknowledges, what the interrupt on `vector` is about (0 but for MSI-X with several). At most
    /// two register accesses; none where the vector says all.
    pub fn interrupt(&mut self, vector: u16) -> Interrupt {
        match self.routing.purpose(vector) {
            Purpose::Receive => Interrupt::Causes(Causes::RXQ0),
            Purpose::Transmit => Interrupt::Causes(Causes::TXQ0),
            Purpose::Any => match self.routing.acknowledge(&self.device.registers) {
                regs::ALL_ONES => Interrupt::DeviceGone,
                0 => Interrupt::NotOurs,
                causes => {
                    let causes = Causes::from_bits_retain(causes);
                    self.link_suspect |= causes.contains(Causes::LSC);
                    Interrupt::Causes(causes)
                }
            },
        }
    }

    /// Length without FCS of the frame that [`Self::receive`] will give next, if there is one. Reads no register.
    pub fn next_frame_len(&mut self) -> Option<usize> {
        let len = self.rx.next_len(&self.device.registers);
        if len.is_some() {
            return len;
        }
        self.backlog = false;
        if !self.receive_masked {
            return None;
        }
        // One may have arrived since the ring was looked at, so it is looked at again.
        self.receive_masked = false;
        self.device
            .registers
            .write(regs::IMS, self.routing.receive_causes().bits());
        self.rx.next_len(&self.device.registers)
    }

    /// Copies the next frame, without FCS, into `out` and returns how many bytes that were; what does not fit is
    /// lost. `None` when there is no frame. Reads no register.
    pub fn receive(&mut self, out: &mut [u8]) -> Option<usize> {
        let len = self.next_frame_len()?;
        Some(self.rx.take(&self.device.registers, len, out))
    }

    /// Takes one frame, without FCS, for transmission. The device learns of it with the next [`Self::post`].
    ///
    /// While the link is down, frames wait in the ring; when that is full, further ones are dropped and counted.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`].
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        self.transmit_tagged(frame, None)
    }

    /// As [`Self::transmit`]; the device inserts a VLAN tag, if there is one and [`Self::set_vlan_offload`] is on.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`].
    pub fn transmit_tagged(&mut self, frame: &[u8], tag: Option<u16>) -> Result<(), TransmitError> {
        match self.tx.transmit(frame, tag) {
            Err(TransmitError::Full) if self.makes_do_without_room() => Ok(()),
            Err(TransmitError::Full) => self.tx.transmit(frame, tag),
            result => result,
        }
    }

    /// The ring is full. Without a link the frame is dropped, and counted; otherwise the ring may be full of frames that
    /// the device was not told of, so it is told. Returns whether that settles it.
    fn makes_do_without_room(&mut self) -> bool {
        if self.link.is_up() {
            self.post();
            return false;
        }
        self.tx.count_dropped();
        true
    }

    /// Whether [`Self::transmit`] would take a frame now.
    pub fn has_room(&mut self) -> bool {
        self.tx.has_room()
    }

    /// Counts a frame that its sender was told was taken, but that was dropped.
    pub fn count_dropped_frame(&mut self) {
        self.tx.count_dropped();
    }

    /// Tells the device of the frames taken since the last time: at most one register write for all.
    pub fn post(&mut self) {
        if self.link.is_up() {
            self.tx.post(&self.device.registers);
        }
    }

    /// Frames that wait for the link.
    pub fn held_frames(&self) -> u32 {
        self.tx.unposted()
    }

    /// Drops the frames that wait for the link, and counts them. Returns how many.
    pub fn drop_held_frames(&mut self) -> u32 {
        self.tx.drop_unposted()
    }

    /// How large the rings are.
    pub fn ring_sizes(&self) -> RingSizes {
        RingSizes {
            rx: self.rx.size(),
            tx: self.tx.size(),
        }
    }

    /// What became of received frames.
    pub fn rx_counters(&self) -> RxCounters {
        self.rx.counters()
    }

    /// What became of frames to transmit.
    pub fn tx_counters(&self) -> TxCounters {
        self.tx.counters()
    }

    /// Stops the device, waits until its DMA has ended, and frees its memory.
    pub fn stop(self, clock: &impl Clock) {
        let Self { device, rx, tx, .. } = self;
        reset::quiesce(&device.registers, device.chip, clock);
        if device.chip.quirks.contains(Quirks::NO_RX_DISABLE)
            && reset::reset(&device.registers, device.chip, clock).is_err()
        {
            // The receiver may still run: dropping `device` tries once more, the memory is leaked.
            return;
        }
        firmware::set_driver_loaded(&device.registers, device.chip, false);
        mem::forget(device);
        rx.quiesced();
        tx.quiesced();
    }
}
