//! A fake of the world that the core sees: registers that behave like a NIC's, DMA memory, a clock.
//!
//! For tests. It counts every register access, so that the cost of a frame is an assertion, and it can be told to
//! misbehave in ways that no emulator does: a reset that does not end, a device that is gone, descriptors with any
//! bits at any time.

mod checksums;
mod device;
pub mod mdio;
mod memory;
mod oddities;
mod receive;
mod transmit;

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

pub use memory::FakeRegion;
use memory::Regions;
pub use oddities::Oddities;

use crate::chip::{Chip, Nvm, VENDOR_INTEL, find};
use crate::platform::{Clock, Registers};
pub use crate::recorder::Accesses;
use crate::recorder::{Log, Recorder};
use crate::regs::{self, Causes, REGISTERS, Status};

/// Default duration of a restarted negotiation of the PHY.
const NEGOTIATION: Duration = Duration::from_millis(2500);
/// Bus address of the first DMA region. Not zero, and not equal to any CPU address.
const FIRST_BUS_ADDRESS: u64 = 0x1000_0000;
/// Receive address of the fake NIC.
pub const FAKE_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/// PHY registers of the fake: an 88E1011 with a link, which offers all speeds and no pause.
pub const FAKE_PHY: [u16; 32] = {
    let mut phy = [0; 32];
    phy[0] = 0x1140;
    phy[1] = 0x796D;
    phy[2] = 0x0141;
    phy[3] = 0x0C20;
    phy[4] = 0x01E1;
    phy[9] = 0x0200;
    phy
};

/// Returns the chip with this PCI id, which has to be in the table.
#[expect(clippy::expect_used, reason = "a test that names an unknown chip is wrong")]
pub fn chip(id: u16) -> &'static Chip {
    find(VENDOR_INTEL, id).expect("a chip of the table")
}

/// A fake machine, with everything that is done to it recorded.
pub type RecordedMachine = Recorder<FakeMachine>;

/// Answers of the NVM of the fake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeEeprom {
    /// Not at all, like 82543 and 82544.
    None,
    /// 82540 layout of EERD.
    Small,
    /// 82541, 8257x layout.
    Large,
}

/// Faults of the fake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every register reads as all ones, writes are lost.
    pub gone: bool,
    /// CTRL.RST never clears.
    pub reset_stuck: bool,
    /// CTRL.RST clears but resets nothing, like QEMU's `e1000`.
    pub reset_ignored: bool,
    /// Frames are not sent: descriptors stay with the hardware.
    pub transmitter_stalled: bool,
    /// Bits of one register, offset and mask, that read as zero whatever is written.
    pub stuck_bits: Option<(u32, u32)>,
    /// The words of the NVM do not add up.
    pub nvm_checksum_wrong: bool,
    /// The NVM has deep smart power down on.
    pub deep_smart_power_down: bool,
    /// A frame that is sent in loopback does not come back.
    pub loopback_loses: bool,
    /// A frame that is sent in loopback comes back with its last byte changed.
    pub loopback_damages: bool,
    /// Frames are sent, but that descriptors are done is written only when TIDV.FPD asks for it.
    pub writes_back_late: bool,
}

/// The fate of a frame on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is in the ring.
    Received,
    /// There is no link, or the receiver is off.
    Off,
    /// It is for somebody else.
    Filtered,
    /// It is shorter than any frame (RUC).
    TooShort,
    /// It is longer than RCTL allows (ROC).
    TooLong,
    /// There are too few descriptors (RNBC, MPC, RXO).
    NoBuffer,
}

struct Inner {
    chip: &'static Chip,
    registers: BTreeMap<u32, u32>,
    eeprom: FakeEeprom,
    eeprom_words: [u16; 3],
    phy: [u16; 32],
    /// Registers of pages that are at another address than the rest (82577 and later), by page and number, and the page
    /// that is selected.
    phy_pages: BTreeMap<(u16, u8), u16>,
    phy_page: u16,
    /// The link was lost since BMSR was last read, which reports it once.
    link_was_lost: bool,
    /// Time at which negotiation ends, and its duration.
    negotiated: Duration,
    negotiation: Duration,
    faults: Faults,
    oddities: Oddities,
    log: Log,
    /// Offsets of registers that reading clears.
    cleared_by_reading: Vec<u32>,
    time: Duration,
    regions: Rc<RefCell<Regions>>,
    next_bus_address: u64,
    largest_block: usize,
    /// Frames sent, and whether there was a link.
    sent: Vec<(Vec<u8>, bool)>,
    /// Descriptors that are done, which was not written yet: ring, slot, low word.
    late: Vec<(u64, u32, u32)>,
    /// The last context descriptor, and POPTS of the frame that is being fetched.
    context: transmit::Context,
    options: u32,
}

/// A NIC in a machine, all of it fake. Clones are the same machine.
#[derive(Clone)]
pub struct FakeMachine(Rc<RefCell<Inner>>);

/// Registers of a [`FakeMachine`].
#[derive(Clone)]
pub struct FakeRegisters(FakeMachine);

/// DMA memory of a [`FakeMachine`].
#[derive(Clone)]
pub struct FakeDma(FakeMachine);

impl FakeMachine {
    /// A machine with one NIC, powered on, its PHY with a link; copper parts show it once CTRL.SLU is set, as metal
    /// does.
    pub fn new(chip: &'static Chip) -> Self {
        let mac = FAKE_MAC;
        let words = [0, 2, 4].map(|i| u16::from_le_bytes([mac[i], mac[i + 1]]));
        let inner = Inner {
            chip,
            registers: BTreeMap::new(),
            eeprom: match chip.limits.nvm {
                Nvm::Microwire | Nvm::Flash => FakeEeprom::None,
                Nvm::EerdSmall => FakeEeprom::Small,
                Nvm::EerdLarge => FakeEeprom::Large,
            },
            eeprom_words: words,
            phy: FAKE_PHY,
            phy_pages: BTreeMap::new(),
            phy_page: 0,
            link_was_lost: false,
            negotiated: Duration::ZERO,
            negotiation: NEGOTIATION,
            faults: Faults::default(),
            oddities: Oddities::default(),
            log: Log::default(),
            cleared_by_reading: REGISTERS
                .iter()
                .filter(|register| register.access.clears_on_read())
                .map(|register| register.offset)
                .collect(),
            time: Duration::from_secs(1),
            regions: Rc::default(),
            next_bus_address: FIRST_BUS_ADDRESS,
            largest_block: 4 << 20,
            sent: vec![],
            late: vec![],
            context: transmit::Context::default(),
            options: 0,
        };
        inner.log.start();
        let machine = Self(Rc::new(RefCell::new(inner)));
        machine.power_on();
        machine
    }

    /// The same machine with all accesses to its NIC and all waits recorded.
    pub fn recorded(chip: &'static Chip) -> RecordedMachine {
        Recorder::new(Self::new(chip))
    }

    /// The chip of the NIC.
    pub fn chip(&self) -> &'static Chip {
        self.0.borrow().chip
    }

    fn power_on(&self) {
        let mut inner = self.0.borrow_mut();
        inner.registers.clear();
        inner.registers.insert(regs::STATUS, 0x83);
        inner.registers.insert(regs::EECD, regs::EECD_AUTO_RD);
        inner.registers.insert(
            regs::RAL,
            u32::from_le_bytes([FAKE_MAC[0], FAKE_MAC[1], FAKE_MAC[2], FAKE_MAC[3]]),
        );
        let high = u32::from(u16::from_le_bytes([FAKE_MAC[4], FAKE_MAC[5]]));
        inner.registers.insert(regs::RAH, high | regs::RAH_AV);
    }

    /// The NIC's registers.
    pub fn registers(&self) -> FakeRegisters {
        FakeRegisters(self.clone())
    }

    /// The machine's DMA memory.
    pub fn dma(&self) -> FakeDma {
        FakeDma(self.clone())
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.borrow_mut().faults = faults;
    }

    /// Has the fake do from now on what an emulator does.
    pub fn set_oddities(&self, oddities: Oddities) {
        self.0.borrow_mut().oddities = oddities;
    }

    /// Sets how the NVM answers and what its first three words, the MAC address, are.
    pub fn set_eeprom(&self, eeprom: FakeEeprom, words: [u16; 3]) {
        let mut inner = self.0.borrow_mut();
        inner.eeprom = eeprom;
        inner.eeprom_words = words;
    }

    /// Value of PHY register `number`.
    pub fn peek_phy(&self, number: u8) -> u16 {
        self.0.borrow().phy[usize::from(number & 31)]
    }

    /// Changes PHY register `number`.
    pub fn poke_phy(&self, number: u8, value: u16) {
        self.0.borrow_mut().phy[usize::from(number & 31)] = value;
    }

    /// Value of PHY register `number` of `page`, 768 or above.
    pub fn peek_phy_page(&self, page: u16, number: u8) -> u16 {
        let inner = self.0.borrow();
        inner.phy_pages.get(&(page, number)).copied().unwrap_or(0)
    }

    /// Changes PHY register `number` of `page`, 768 or above.
    pub fn poke_phy_page(&self, page: u16, number: u8, value: u16) {
        self.0.borrow_mut().phy_pages.insert((page, number), value);
    }

    /// Sets how long the PHY negotiates.
    pub fn set_negotiation(&self, duration: Duration) {
        self.0.borrow_mut().negotiation = duration;
    }

    /// Refuses DMA blocks above `len` bytes from now on, as fragmented memory does.
    pub fn set_largest_block(&self, len: usize) {
        self.0.borrow_mut().largest_block = len;
    }

    /// Bytes of DMA memory allocated now.
    pub fn dma_in_use(&self) -> usize {
        let inner = self.0.borrow();
        inner.regions.borrow().0.values().map(|(_, len)| len).sum()
    }

    /// Plugs the cable in or out. There is a link at once.
    pub fn set_link(&self, up: bool) {
        let mut inner = self.0.borrow_mut();
        inner.link_was_lost |= !up;
        inner.negotiated = inner.time;
        let status = inner.registers.entry(regs::STATUS).or_default();
        *status = *status & !Status::LU.bits() | if up { Status::LU.bits() } else { 0 };
        if up {
            inner.link_is_up();
        } else {
            inner.raise(Causes::LSC);
        }
    }

    /// Value of a register, without counting as an access.
    pub fn peek(&self, offset: u32) -> u32 {
        self.0.borrow().registers.get(&offset).copied().unwrap_or(0)
    }

    /// Changes a register, without counting as an access.
    pub fn poke(&self, offset: u32, value: u32) {
        self.0.borrow_mut().registers.insert(offset, value);
    }

    /// `len` bytes of DMA memory at a bus address. Panics if they were not allocated in one block.
    pub fn peek_dma(&self, address: u64, len: usize) -> Vec<u8> {
        self.0.borrow().load(address, len)
    }

    /// Changes DMA memory at a bus address. Panics if it was not allocated in one block.
    pub fn poke_dma(&self, address: u64, bytes: &[u8]) {
        self.0.borrow().store(address, bytes);
    }

    /// Register accesses since the last time.
    pub fn take_accesses(&self) -> Accesses {
        self.0.borrow().log.take().into_iter().collect()
    }

    /// Frames that the NIC put on the wire since the last time.
    pub fn take_sent(&self) -> Vec<Vec<u8>> {
        let sent = core::mem::take(&mut self.0.borrow_mut().sent);
        let on_wire = sent.into_iter().filter(|(_, link)| *link);
        on_wire.map(|(frame, _)| frame).collect()
    }

    /// As [`Self::take_sent`], with the frames that were lost because there was no link.
    pub fn take_sent_and_lost(&self) -> Vec<Vec<u8>> {
        let sent = core::mem::take(&mut self.0.borrow_mut().sent);
        sent.into_iter().map(|(frame, _)| frame).collect()
    }

    /// Sends what a stalled transmitter kept.
    pub fn resume_transmitter(&self) {
        let mut inner = self.0.borrow_mut();
        inner.faults.transmitter_stalled = false;
        inner.transmit();
    }

    /// A frame arrives from the wire, without FCS: filtered, counted, with its VLAN tag stripped and its checksums
    /// examined as the registers say. Has no packet buffer: a frame that finds no descriptor is lost.
    pub fn arrive(&self, frame: &[u8]) -> Arrival {
        self.0.borrow_mut().arrive(frame)
    }

    /// Returns true if the interrupt line is asserted: a cause is pending that is not masked.
    pub fn interrupt_line(&self) -> bool {
        self.0.borrow().interrupts()
    }

    /// A frame, without FCS, gets into the ring as it is, past filter and limits. Returns whether it was received: the
    /// receiver must be on and have enough descriptors. Longer than a buffer, it takes several.
    pub fn deliver(&self, frame: &[u8]) -> bool {
        self.0.borrow_mut().receive(frame)
    }

    /// Overwrites bytes 8 to 15 of receive descriptor `slot`: what a hostile device might write.
    pub fn poke_rx_descriptor(&self, slot: u32, low: u32, high: u32) {
        let inner = self.0.borrow();
        let base = inner.pair(regs::RDBAL, regs::RDBAH);
        inner.store_words(base, slot, low, high);
    }

    /// The four words of transmit descriptor `slot`.
    pub fn peek_tx_descriptor(&self, slot: u32) -> [u32; 4] {
        let inner = self.0.borrow();
        let base = inner.pair(regs::TDBAL, regs::TDBAH);
        let (address, low, high) = inner.descriptor(base, slot);
        [address as u32, (address >> 32) as u32, low, high]
    }

    /// Overwrites bytes 8 to 15 of transmit descriptor `slot`.
    pub fn poke_tx_descriptor(&self, slot: u32, low: u32, high: u32) {
        let inner = self.0.borrow();
        let base = inner.pair(regs::TDBAL, regs::TDBAH);
        inner.store_words(base, slot, low, high);
    }
}

impl Registers for FakeMachine {
    fn read(&self, offset: u32) -> u32 {
        assert!(
            offset.is_multiple_of(4) && (offset as usize) < regs::BAR_LEN,
            "register {offset:#x}"
        );
        self.0.borrow_mut().read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        assert!(
            offset.is_multiple_of(4) && (offset as usize) < regs::BAR_LEN,
            "register {offset:#x}"
        );
        self.0.borrow_mut().write(offset, value);
    }
}

impl Registers for FakeRegisters {
    fn read(&self, offset: u32) -> u32 {
        self.0.read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        self.0.write(offset, value);
    }
}

impl Clock for FakeMachine {
    fn now(&self) -> Duration {
        self.0.borrow().time
    }

    fn sleep(&self, duration: Duration) {
        self.0.borrow_mut().pass(duration);
    }
}
