//! A fake of the world that the core sees: registers that behave like a NIC's, DMA memory, a clock.
//!
//! For tests. Frames that hardware would complete or cut come out as they are. It counts every register access, so that the cost of a frame is an assertion, and it can be told to
//! misbehave in ways that no emulator does: a reset that does not end, a device that is gone, descriptors with
//! any bits at any time.

use core::ptr::NonNull;
use core::time::Duration;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use crate::chip::{Chip, Nvm, PhyAccess, Quirks};
use crate::nvm::CHECKSUM;
use crate::platform::{Clock, DmaAllocator, DmaRegion, Registers};
use crate::regs::{self, Causes, Ctrl, Rctl, Status, Tctl};
use crate::ring::{BUFFER_LEN, DESCRIPTOR_LEN};

/// Bus address of the first DMA region. Not zero, and not equal to any CPU address.
const FIRST_BUS_ADDRESS: u64 = 0x1000_0000;
/// Receive address of the fake NIC.
pub const FAKE_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/// Transmit descriptors: DEXT and the field DTYP, and the command TSE.
const DEXT: u32 = 1 << 29;
const DTYP: u32 = 0xF << 20;
const TSE: u32 = 1 << 26;

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

/// How the NVM of the fake answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeEeprom {
    /// Not at all, like 82543 and 82544.
    None,
    /// 82540 layout of EERD.
    Small,
    /// 82541, 8257x layout.
    Large,
}

/// What the fake does wrong.
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
    /// Frames are sent, but that descriptors are done is written only when TIDV.FPD asks for it.
    pub writes_back_late: bool,
}

/// Register accesses since the last [`FakeMachine::take_accesses`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accesses {
    /// Offsets read, in order.
    pub reads: Vec<u32>,
    /// Offsets and values written, in order.
    pub writes: Vec<(u32, u32)>,
}

struct Inner {
    chip: &'static Chip,
    registers: BTreeMap<u32, u32>,
    eeprom: FakeEeprom,
    eeprom_words: [u16; 3],
    phy: [u16; 32],
    faults: Faults,
    accesses: Accesses,
    time: Duration,
    regions: BTreeMap<u64, (NonNull<u8>, usize)>,
    next_bus_address: u64,
    largest_block: usize,
    sent: Vec<Vec<u8>>,
    /// Descriptors that are done, which was not written yet: ring, slot, low word.
    late: Vec<(u64, u32, u32)>,
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

/// One block of DMA memory of a [`FakeMachine`].
pub struct FakeRegion {
    machine: FakeMachine,
    pointer: NonNull<u8>,
    len: usize,
    bus_address: u64,
}

impl FakeMachine {
    /// A machine with one NIC, powered on, link up.
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
            faults: Faults::default(),
            accesses: Accesses::default(),
            time: Duration::from_secs(1),
            regions: BTreeMap::new(),
            next_bus_address: FIRST_BUS_ADDRESS,
            largest_block: 4 << 20,
            sent: vec![],
            late: vec![],
        };
        let machine = Self(Rc::new(RefCell::new(inner)));
        machine.power_on();
        machine
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

    /// Refuses DMA blocks above `len` bytes from now on, as fragmented memory does.
    pub fn set_largest_block(&self, len: usize) {
        self.0.borrow_mut().largest_block = len;
    }

    /// Bytes of DMA memory allocated now.
    pub fn dma_in_use(&self) -> usize {
        self.0.borrow().regions.values().map(|(_, len)| len).sum()
    }

    /// Plugs the cable in or out.
    pub fn set_link(&self, up: bool) {
        let mut inner = self.0.borrow_mut();
        let status = inner.registers.entry(regs::STATUS).or_default();
        *status = *status & !Status::LU.bits() | if up { Status::LU.bits() } else { 0 };
        *inner.registers.entry(regs::ICR).or_default() |= Causes::LSC.bits();
    }

    /// Value of a register, without counting as an access.
    pub fn peek(&self, offset: u32) -> u32 {
        self.0.borrow().registers.get(&offset).copied().unwrap_or(0)
    }

    /// Changes a register, without counting as an access.
    pub fn poke(&self, offset: u32, value: u32) {
        self.0.borrow_mut().registers.insert(offset, value);
    }

    /// Register accesses since the last time.
    pub fn take_accesses(&self) -> Accesses {
        core::mem::take(&mut self.0.borrow_mut().accesses)
    }

    /// Frames that the NIC put on the wire since the last time.
    pub fn take_sent(&self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.0.borrow_mut().sent)
    }

    /// Sends what a stalled transmitter kept.
    pub fn resume_transmitter(&self) {
        let mut inner = self.0.borrow_mut();
        inner.faults.transmitter_stalled = false;
        inner.transmit();
    }

    /// A frame arrives from the wire, without FCS. Returns whether it was received: the receiver must be on and
    /// have enough descriptors. Longer than a buffer, it takes several.
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

impl Inner {
    fn get(&self, offset: u32) -> u32 {
        self.registers.get(&offset).copied().unwrap_or(0)
    }

    fn pair(&self, low: u32, high: u32) -> u64 {
        u64::from(self.get(low)) | u64::from(self.get(high)) << 32
    }

    /// CPU address of `len` bytes at a bus address. Panics when the driver never allocated them: DMA into foreign
    /// memory is the worst thing that a driver can cause.
    fn dma(&self, address: u64, len: usize) -> NonNull<u8> {
        let (base, (pointer, region_len)) = self
            .regions
            .range(..=address)
            .next_back()
            .expect("DMA below every region");
        let offset = (address - base) as usize;
        assert!(
            offset + len <= *region_len,
            "DMA to {address:#x}+{len} leaves its region"
        );
        // SAFETY: offset + len lies inside the allocation, checked above.
        unsafe { pointer.add(offset) }
    }

    fn load(&self, address: u64, len: usize) -> Vec<u8> {
        let source = self.dma(address, len);
        // SAFETY: `dma` checked that len bytes are inside a live allocation; they were zeroed at the start.
        unsafe { core::slice::from_raw_parts(source.as_ptr(), len) }.to_vec()
    }

    fn store(&self, address: u64, bytes: &[u8]) {
        let target = self.dma(address, bytes.len());
        // SAFETY: `dma` checked the length; `bytes` is an ordinary slice outside DMA memory.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), bytes.len()) };
    }

    fn store_words(&self, ring: u64, slot: u32, low: u32, high: u32) {
        let address = ring + u64::from(slot) * DESCRIPTOR_LEN as u64 + 8;
        self.store(address, &low.to_le_bytes());
        self.store(address + 4, &high.to_le_bytes());
    }

    fn descriptor(&self, ring: u64, slot: u32) -> (u64, u32, u32) {
        let bytes = self.load(ring + u64::from(slot) * DESCRIPTOR_LEN as u64, DESCRIPTOR_LEN);
        let word = |n: usize| {
            u32::from_le_bytes([bytes[4 * n], bytes[4 * n + 1], bytes[4 * n + 2], bytes[4 * n + 3]])
        };
        (u64::from(word(0)) | u64::from(word(1)) << 32, word(2), word(3))
    }

    fn receive(&mut self, frame: &[u8]) -> bool {
        let rctl = self.get(regs::RCTL);
        if self.faults.gone || rctl & Rctl::EN.bits() == 0 {
            return false;
        }
        let size = self.get(regs::RDLEN) / DESCRIPTOR_LEN as u32;
        let strip = rctl & Rctl::SECRC.bits() != 0 && !self.chip.quirks.contains(Quirks::NO_SECRC);
        let mut wire = frame.to_vec();
        if !strip {
            wire.extend([0xFC; 4]);
        }
        let head = self.get(regs::RDH);
        let free = (self.get(regs::RDT) + size - head) % size;
        let pieces: Vec<&[u8]> = wire.chunks(BUFFER_LEN).collect();
        if (free as usize) < pieces.len() {
            *self.registers.entry(regs::ICR).or_default() |= Causes::RXO.bits();
            return false;
        }
        let ring = self.pair(regs::RDBAL, regs::RDBAH);
        for (n, piece) in pieces.iter().enumerate() {
            let slot = (head + n as u32) % size;
            let (address, _, old) = self.descriptor(ring, slot);
            self.store(address, piece);
            let end_of_packet = u32::from(n + 1 == pieces.len()) << 1;
            // Like QEMU: the error byte stays as the driver left it.
            self.store_words(ring, slot, piece.len() as u32, old & 0xFF00 | end_of_packet | 1);
        }
        self.registers
            .insert(regs::RDH, (head + pieces.len() as u32) % size);
        *self.registers.entry(regs::ICR).or_default() |= Causes::RXT0.bits();
        true
    }

    fn transmit(&mut self) {
        if self.faults.transmitter_stalled || self.get(regs::TCTL) & Tctl::EN.bits() == 0 {
            return;
        }
        let size = self.get(regs::TDLEN) / DESCRIPTOR_LEN as u32;
        let ring = self.pair(regs::TDBAL, regs::TDBAH);
        let mut head = self.get(regs::TDH);
        let mut frame = vec![];
        while head != self.get(regs::TDT) {
            let (address, command, high) = self.descriptor(ring, head);
            let extended = command & DEXT != 0;
            if extended && command & DTYP == 0 {
                // A context: there is nothing to fetch, and nobody asked for a report.
                head = (head + 1) % size;
                continue;
            }
            let options = if extended { (DEXT | TSE) >> 24 } else { 0 };
            assert_eq!(
                command >> 24 & !0x41 & !options,
                0b1010,
                "IFCS and RS on every descriptor"
            );
            frame.extend(self.load(address, (command & 0xFFFF) as usize));
            if command >> 30 & 1 != 0 && self.get(regs::CTRL) & Ctrl::VME.bits() != 0 {
                let tag = (high >> 16) as u16;
                frame.splice(12..12, [0x81, 0x00].into_iter().chain(tag.to_be_bytes()));
            }
            if command >> 24 & 1 != 0 {
                self.sent.push(core::mem::take(&mut frame));
            }
            if self.faults.writes_back_late {
                self.late.push((ring, head, command));
            } else {
                self.store_words(ring, head, command, 1);
            }
            head = (head + 1) % size;
        }
        assert!(frame.is_empty(), "the tail is in the middle of a frame");
        self.registers.insert(regs::TDH, head);
        *self.registers.entry(regs::ICR).or_default() |= Causes::TXDW.bits();
    }

    fn read(&mut self, offset: u32) -> u32 {
        self.accesses.reads.push(offset);
        if self.faults.gone {
            return regs::ALL_ONES;
        }
        match offset {
            // Cleared by reading: causes and statistics.
            regs::ICR | 0x4000..0x4128 => self.registers.insert(offset, 0).unwrap_or(0),
            _ => self.get(offset),
        }
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.accesses.writes.push((offset, value));
        if self.faults.gone {
            return;
        }
        match offset {
            regs::STATUS => {}
            regs::CTRL | regs::CTRL_DUP if value & Ctrl::RST.bits() != 0 => self.reset(value),
            regs::MDIC => {
                let answer = self.access_phy(value);
                self.registers.insert(regs::MDIC, answer);
            }
            regs::IMC => *self.registers.entry(regs::IMS).or_default() &= !value,
            regs::IMS => *self.registers.entry(regs::IMS).or_default() |= value,
            regs::ICR => *self.registers.entry(regs::ICR).or_default() &= !value,
            regs::ICS => *self.registers.entry(regs::ICR).or_default() |= value,
            regs::EERD => {
                let answer = self.read_eeprom(value);
                self.registers.insert(regs::EERD, answer);
            }
            regs::TDT => {
                self.registers.insert(offset, value);
                self.transmit();
            }
            regs::TIDV if value & regs::TIDV_FPD != 0 => {
                for (ring, slot, low) in core::mem::take(&mut self.late) {
                    self.store_words(ring, slot, low, 1);
                }
            }
            _ => {
                self.registers.insert(offset, value);
            }
        }
    }

    fn reset(&mut self, ctrl: u32) {
        self.late.clear();
        if self.faults.reset_stuck {
            self.registers.insert(regs::CTRL, ctrl);
            return;
        }
        if !self.faults.reset_ignored {
            for register in [
                regs::RCTL,
                regs::TCTL,
                regs::IMS,
                regs::ICR,
                regs::RDH,
                regs::RDT,
                regs::TDH,
                regs::TDT,
            ] {
                self.registers.insert(register, 0);
            }
        }
        self.registers.insert(regs::CTRL, ctrl & !Ctrl::RST.bits());
    }

    fn read_eeprom(&self, request: u32) -> u32 {
        let (done, shift) = match self.eeprom {
            FakeEeprom::None => return 0,
            FakeEeprom::Small => (1 << 4, 8),
            FakeEeprom::Large => (1 << 1, 2),
        };
        let sum = self
            .eeprom_words
            .iter()
            .fold(0u16, |sum, word| sum.wrapping_add(*word));
        let word = match (request >> shift & 0xFF) as usize {
            n @ 0..3 => self.eeprom_words[n],
            0x3F => CHECKSUM.wrapping_sub(sum),
            _ => 0,
        };
        u32::from(word) << 16 | done
    }

    /// One access through MDIC, which ends at once, like QEMU's.
    fn access_phy(&mut self, command: u32) -> u32 {
        let address = match self.chip.limits.phy {
            PhyAccess::Firmware => 2,
            PhyAccess::BitBang | PhyAccess::Mdic => 1,
        };
        if command >> 21 & 31 != address {
            return command | regs::MDIC_READY | regs::MDIC_ERROR;
        }
        let register = &mut self.phy[(command >> 16 & 31) as usize];
        if command & regs::MDIC_OP_WRITE != 0 {
            *register = command as u16;
        }
        command & !0xFFFF | u32::from(*register) | regs::MDIC_READY
    }
}

impl Registers for FakeRegisters {
    fn read(&self, offset: u32) -> u32 {
        assert!(
            offset.is_multiple_of(4) && (offset as usize) < regs::BAR_LEN,
            "register {offset:#x}"
        );
        self.0.0.borrow_mut().read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        assert!(
            offset.is_multiple_of(4) && (offset as usize) < regs::BAR_LEN,
            "register {offset:#x}"
        );
        self.0.0.borrow_mut().write(offset, value);
    }
}

impl Clock for FakeMachine {
    fn now(&self) -> Duration {
        self.0.borrow().time
    }

    fn sleep(&self, duration: Duration) {
        self.0.borrow_mut().time += duration;
    }
}

impl DmaAllocator for FakeDma {
    type Region = FakeRegion;

    fn allocate(&mut self, len: usize) -> Option<FakeRegion> {
        assert!(len.is_power_of_two() && len >= 4096, "{len} bytes of DMA memory");
        if len > self.0.0.borrow().largest_block {
            return None;
        }
        let layout = layout(len);
        // SAFETY: len is not zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        let Some(pointer) = NonNull::new(pointer) else {
            handle_alloc_error(layout)
        };
        let mut inner = self.0.0.borrow_mut();
        // Naturally aligned, and never adjacent to its neighbour.
        let bus_address = inner.next_bus_address.next_multiple_of(len as u64);
        inner.next_bus_address = bus_address + 2 * len as u64;
        inner.regions.insert(bus_address, (pointer, len));
        Some(FakeRegion {
            machine: self.0.clone(),
            pointer,
            len,
            bus_address,
        })
    }
}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, 4096).expect("a power of two of at least 4096")
}

// SAFETY: a private heap allocation of `len` zeroed bytes aligned to 4096; the fake NIC reaches it at
// `bus_address` through the machine's table, from which it is taken when the region is dropped. Bus addresses are
// aligned to `len`.
unsafe impl DmaRegion for FakeRegion {
    fn as_ptr(&self) -> NonNull<u8> {
        self.pointer
    }

    fn bus_address(&self) -> u64 {
        self.bus_address
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for FakeRegion {
    fn drop(&mut self) {
        self.machine.0.borrow_mut().regions.remove(&self.bus_address);
        // SAFETY: allocated with the same layout, and gone from the table of regions.
        unsafe { dealloc(self.pointer.as_ptr(), layout(self.len)) };
    }
}
