//! What the driver shares with firmware and other ports: semaphores, NVM, PHY. Each with faults, each bounded.

mod recorder;

use std::time::Duration;

use e1000_hw::chip::{CHIPS, Media, Nvm, PhyAccess, Quirks, Semaphore};
use e1000_hw::fake::{FAKE_MAC, FAKE_PHY, FakeEeprom};
use e1000_hw::firmware::{Claim, Purpose};
use e1000_hw::flow_control::Pause;
use e1000_hw::notes::Notes;
use e1000_hw::nvm::{self, MacAddress, MacAddressError};
use e1000_hw::phy::{self, Advertise, HangCheck, Phy, PhyError, PhyId, register};
use e1000_hw::regs::{self, Ctrl};
use recorder::Step::{R, Us, W};
use recorder::{Recorder, chip};

// Semaphores (HF 7).

#[test]
fn ports_agree_first_then_software_and_firmware() {
    // HF 7: "SWSM.SMBI (... acquired if it reads 0), then set SWESMBI and read back until it sticks".
    let recorder = Recorder::new(chip(0x105E));
    let claim = Claim::new(&recorder, chip(0x105E), &recorder, Purpose::Phy);
    assert!(claim.is_obtained() && claim.notes().is_empty());
    drop(claim);
    assert_eq!(
        recorder.take(),
        [
            R(regs::SWSM),
            R(regs::SWSM),
            W(regs::SWSM, 2),
            R(regs::SWSM),
            R(regs::SWSM),
            W(regs::SWSM, 0),
        ]
    );
}

#[test]
fn port_that_never_lets_go_is_passed_over_but_firmware_is_not() {
    let recorder = Recorder::new(chip(0x105E));
    recorder.on_read(|offset, value| if offset == regs::SWSM { value | 1 } else { value });
    let time = recorder.time(|| {
        let claim = Claim::new(&recorder, chip(0x105E), &recorder, Purpose::Phy);
        assert!(claim.is_obtained(), "boot agents leave SMBI set");
        assert_eq!(claim.notes(), Notes::SEMAPHORE_BUSY);
    });
    assert!(time < Duration::from_millis(10), "{time:?}");

    recorder.on_read(|offset, value| if offset == regs::SWSM { value & !2 } else { value });
    recorder.take();
    let time = recorder.time(|| {
        let claim = Claim::new(&recorder, chip(0x105E), &recorder, Purpose::Phy);
        assert!(!claim.is_obtained());
        assert_eq!(claim.notes(), Notes::SEMAPHORE_BUSY);
    });
    assert!(time < Duration::from_millis(10), "{time:?}");
    assert_eq!(
        recorder.take().last(),
        Some(&W(regs::SWSM, 0)),
        "SMBI is given back"
    );
}

#[test]
fn every_semaphore_is_bounded_and_what_was_not_obtained_is_not_given_back() {
    for chip in CHIPS {
        for purpose in [Purpose::Phy, Purpose::Reset] {
            let recorder = Recorder::new(chip);
            // Firmware has it, and keeps it.
            recorder.on_write(|offset, value| match offset {
                regs::SWSM => Some(value & !2),
                regs::EXTCNF_CTRL => Some(value & !(1 << 5)),
                _ => Some(value),
            });
            let time = recorder.time(|| {
                let claim = Claim::new(&recorder, chip, &recorder, purpose);
                let nothing = match chip.limits.semaphore {
                    Semaphore::None => true,
                    Semaphore::Swsm => purpose == Purpose::Reset,
                    Semaphore::SwsmMdio | Semaphore::Mdio | Semaphore::SwFlag => false,
                };
                assert_eq!(claim.is_obtained(), nothing, "{}", chip.name);
            });
            assert!(time <= Duration::from_millis(201), "{}: {time:?}", chip.name);
        }
    }
    // The flag of firmware is not cleared by us.
    let recorder = Recorder::new(chip(0x153A));
    recorder.machine.poke(regs::EXTCNF_CTRL, 1 << 5);
    drop(Claim::new(&recorder, chip(0x153A), &recorder, Purpose::Reset));
    assert_eq!(recorder.machine.peek(regs::EXTCNF_CTRL), 1 << 5);
    assert!(recorder.take().iter().all(|step| !matches!(step, W(..))));
}

// NVM (HF 4).

#[test]
fn second_port_inverts_the_last_bit_of_the_nvm_address_only() {
    // HF 4: "82546/82571 function 1 (STATUS.FUNC=1): invert bit 0 of the last byte when taken from the EEPROM".
    for (id, function, last) in [
        (0x1010, 0, 0x55),
        (0x1010, 1, 0x54),
        (0x1079, 1, 0x54),
        (0x105E, 1, 0x54),
        (0x107D, 1, 0x55),
        (0x100E, 1, 0x55),
    ] {
        let recorder = Recorder::new(chip(id));
        let machine = &recorder.machine;
        machine.poke(regs::STATUS, 0x83 | function << 2);
        // As loaded it is right already.
        let loaded = nvm::mac_address(&recorder, chip(id), &recorder);
        assert_eq!(loaded, Ok(MacAddress(FAKE_MAC)));
        machine.poke(regs::RAH, 0);
        let layout = if chip(id).limits.nvm == Nvm::EerdSmall {
            FakeEeprom::Small
        } else {
            FakeEeprom::Large
        };
        machine.set_eeprom(layout, [0x1100, 0x3322, 0x5544]);
        assert_eq!(
            nvm::mac_address(&recorder, chip(id), &recorder),
            Ok(MacAddress([0x00, 0x11, 0x22, 0x33, 0x44, last])),
            "{id:04x} function {function}"
        );
    }
}

#[test]
fn checksum_is_a_fact_not_an_error() {
    for chip in CHIPS.iter().filter(|chip| chip.limits.nvm != Nvm::Microwire) {
        let recorder = Recorder::new(chip);
        let good = nvm::checksum_is_good(&recorder, chip, &recorder);
        if chip.limits.nvm == Nvm::Flash {
            assert_eq!(good, Ok(None));
            continue;
        }
        assert_eq!(good, Ok(Some(true)), "{}", chip.name);
        // One bit of one word is wrong.
        let mut reads = 0;
        recorder.on_read(move |offset, value| {
            reads += u32::from(offset == regs::EERD);
            if offset == regs::EERD && reads == 9 {
                value ^ 1 << 20
            } else {
                value
            }
        });
        assert_eq!(
            nvm::checksum_is_good(&recorder, chip, &recorder),
            Ok(Some(false)),
            "{}",
            chip.name
        );
        // It never answers; the first word takes the whole bound, and no other is tried.
        recorder.on_read(|offset, value| if offset == regs::EERD { 0 } else { value });
        let time = recorder.time(|| {
            assert!(nvm::checksum_is_good(&recorder, chip, &recorder).is_err());
        });
        assert!(time <= Duration::from_millis(101), "{time:?}");
        // Each word takes 90 ms: that would be six seconds.
        let mut polls = 0;
        recorder.on_read(move |offset, value| {
            polls += u32::from(offset == regs::EERD);
            if offset == regs::EERD && polls % 1800 != 0 {
                0
            } else {
                value
            }
        });
        let time = recorder.time(|| {
            assert!(nvm::checksum_is_good(&recorder, chip, &recorder).is_err());
        });
        assert!(time <= Duration::from_millis(600), "{time:?}");
    }
}

#[test]
fn nvm_is_never_written() {
    for chip in CHIPS {
        let recorder = Recorder::new(chip);
        let _ = nvm::checksum_is_good(&recorder, chip, &recorder);
        for step in recorder.take() {
            // EEWR, the flash registers, and of EECD the write enable bits 5:4 and FLUPD.
            assert!(!matches!(step, W(0x102C | 0x001C, _)), "{step:?}");
            if let W(regs::EECD, value) = step {
                assert_eq!(value & (0b11 << 4 | 1 << 19), 0);
            }
        }
    }
}

/// A 93C46 (6 address bits) or 93C66 (8) on the pins of EECD.
struct Microwire {
    words: [u16; 64],
    address_bits: u32,
    pins: u32,
    bits_in: u32,
    command: u32,
    bits_out: u32,
}

impl Microwire {
    fn write(&mut self, pins: u32) -> u32 {
        let (rising, falling) = (pins & !self.pins & 1 != 0, self.pins & !pins & 1 != 0);
        self.pins = pins;
        if pins & 2 == 0 {
            (self.bits_in, self.command, self.bits_out) = (0, 0, 0);
            return pins;
        }
        let whole = 3 + self.address_bits;
        if rising && self.bits_in < whole {
            self.command = self.command << 1 | pins >> 2 & 1;
            self.bits_in += 1;
        } else if falling && self.bits_in == whole {
            self.bits_out += 1;
        }
        let opcode = self.command >> self.address_bits;
        if self.bits_in == whole && opcode == 0b110 && (1..=16).contains(&self.bits_out) {
            let word = self.words[(self.command & 63) as usize];
            return pins & !8 | u32::from(word >> (16 - self.bits_out) & 1) << 3;
        }
        pins & !8
    }
}

#[test]
fn microwire_eeprom_gives_the_address_where_eerd_does_not_exist() {
    for (id, size, address_bits) in [(0x1004, 0, 6), (0x100C, 0, 6), (0x100C, 1 << 9, 8)] {
        let recorder = Recorder::new(chip(id));
        recorder.machine.poke(regs::RAH, 0);
        recorder.machine.poke(regs::EECD, 1 << 8 | size);
        let mut words: [u16; 64] = std::array::from_fn(|n| n as u16 * 0x0101);
        words[..3].copy_from_slice(&[0x1100, 0x3322, 0x5544]);
        words[63] = 0xBABA_u16.wrapping_sub(words[..63].iter().fold(0, |sum, word| sum.wrapping_add(*word)));
        let mut eeprom = Microwire {
            words,
            address_bits,
            pins: 0,
            bits_in: 0,
            command: 0,
            bits_out: 0,
        };
        recorder.on_write(move |offset, value| {
            Some(if offset == regs::EECD {
                eeprom.write(value)
            } else {
                value
            })
        });
        assert_eq!(
            nvm::mac_address(&recorder, chip(id), &recorder),
            Ok(MacAddress([0x00, 0x11, 0x22, 0x33, 0x44, 0x55])),
            "{id:04x}"
        );
        let mut good = None;
        let time = recorder.time(|| good = nvm::checksum_is_good(&recorder, chip(id), &recorder).ok());
        assert_eq!(good, Some(Some(true)));
        assert!(time < Duration::from_millis(330), "{time:?}");
    }
}

#[test]
fn absent_eeprom_is_no_address() {
    for (line, address) in [(0, [0; 6]), (8, [0xFF; 6])] {
        let recorder = Recorder::new(chip(0x100C));
        recorder.machine.poke(regs::RAH, 0);
        recorder.on_read(move |offset, value| {
            if offset == regs::EECD {
                value & !8 | line
            } else {
                value
            }
        });
        assert_eq!(
            nvm::mac_address(&recorder, chip(0x100C), &recorder),
            Err(MacAddressError::Invalid(MacAddress(address)))
        );
    }
    let recorder = Recorder::new(chip(0x153A));
    recorder.machine.poke(regs::RAH, 0);
    assert!(matches!(
        nvm::mac_address(&recorder, chip(0x153A), &recorder),
        Err(MacAddressError::Invalid(_))
    ));
}

// PHY (HF 5).

fn phy_of(recorder: &Recorder, id: u16) -> Phy<'_, Recorder, Recorder> {
    Phy::open(recorder, chip(id), recorder).expect("a PHY that nobody holds")
}

#[test]
fn command_words_are_clean() {
    // HF 5.1: data 15:0, register 20:16, PHY 25:21, write 26, read 27; neither READY 28 nor INT_EN 29.
    let recorder = Recorder::new(chip(0x100E));
    let phy = phy_of(&recorder, 0x100E);
    assert_eq!(phy.read(register::ID_LOW), Ok(0x0C20));
    assert_eq!(phy.write(register::AN_ADVERTISE, 0x0DE1), Ok(()));
    let (read, write) = (1 << 27 | 1 << 21 | 3 << 16, 1 << 26 | 1 << 21 | 4 << 16 | 0x0DE1);
    assert_eq!(recorder.take(), [W(0x20, read), R(0x20), W(0x20, write), R(0x20)]);
    assert_eq!(phy.id(), Ok(PhyId(0x0141_0C20)));
    assert_eq!(PhyId(0x0141_0C20).to_string(), "88E1011 (01410c20)");
    // Two of these have address 2 (82579, I217).
    let recorder = Recorder::new(chip(0x153A));
    assert_eq!(phy_of(&recorder, 0x153A).read(register::ID_LOW), Ok(0x0C20));
}

#[test]
fn phy_that_is_not_ready_or_does_not_answer_is_an_error_in_time() {
    let recorder = Recorder::new(chip(0x10D3));
    recorder.on_read(|offset, value| {
        if offset == regs::MDIC {
            value & !regs::MDIC_READY
        } else {
            value
        }
    });
    let phy = phy_of(&recorder, 0x10D3);
    let time = recorder.time(|| assert!(matches!(phy.read(2), Err(PhyError::Busy(_)))));
    assert!(time <= Duration::from_millis(11), "{time:?}");
    recorder.on_read(|offset, value| {
        if offset == regs::MDIC {
            value | regs::MDIC_ERROR
        } else {
            value
        }
    });
    assert_eq!(phy.read(2), Err(PhyError::NoAnswer));
    recorder.on_read(|_, _| u32::MAX);
    assert_eq!(phy.write(2, 0), Err(PhyError::NoAnswer), "the device is gone");
}

#[test]
fn phy_is_taken_and_given_back() {
    for (id, register, bits) in [(0x105E, regs::SWSM, 2), (0x10D3, regs::EXTCNF_CTRL, 1 << 5)] {
        let recorder = Recorder::new(chip(id));
        let phy = phy_of(&recorder, id);
        assert_eq!(recorder.machine.peek(register), bits, "{id:04x}");
        drop(phy);
        assert_eq!(recorder.machine.peek(register), 0, "{id:04x}");
        recorder.on_write(move |offset, value| Some(if offset == register { 0 } else { value }));
        assert!(matches!(
            Phy::open(&recorder, chip(id), &recorder),
            Err(PhyError::NotOwned)
        ));
        assert_eq!(
            phy::bring_up(&recorder, chip(id), &recorder, Advertise::default()),
            Notes::empty(),
            "a link that is up needs no PHY"
        );
    }
    for chip in CHIPS.iter().filter(|chip| chip.media != Media::Copper) {
        let recorder = Recorder::new(chip);
        assert!(matches!(
            Phy::open(&recorder, chip, &recorder),
            Err(PhyError::NoPhy)
        ));
    }
}

#[test]
fn link_that_is_up_or_negotiates_what_is_wanted_is_left_alone() {
    for chip in CHIPS.iter().filter(|chip| chip.limits.phy != PhyAccess::BitBang) {
        let recorder = Recorder::new(chip);
        // Up: the PHY is not even asked.
        assert_eq!(
            phy::bring_up(&recorder, chip, &recorder, Advertise::default()),
            Notes::empty()
        );
        assert_eq!(recorder.take_of(&[regs::MDIC]), [], "{}", chip.name);
        // Down, but negotiating: nothing is written.
        recorder.machine.set_link(false);
        if chip.quirks.contains(Quirks::HD_FIFO) {
            recorder.machine.poke_phy(register::AN_ADVERTISE, 0x0141);
        }
        phy::bring_up(&recorder, chip, &recorder, Advertise::default());
        let written = recorder
            .take_of(&[regs::MDIC])
            .into_iter()
            .any(|step| matches!(step, W(_, value) if value & regs::MDIC_OP_WRITE != 0));
        assert!(!written, "{}", chip.name);
    }
}

#[test]
fn negotiation_restarts_only_when_it_offers_something_else() {
    // HF 5.2: register 4 = selector, 10/100, pause 10 and 11; register 9 = 1000 full duplex, never half; register 0 bits
    // 12 and 9.
    let offers = |id, advertise, before: [u16; 3]| {
        let recorder = Recorder::new(chip(id));
        recorder.machine.set_link(false);
        for (number, value) in [0, 4, 9].into_iter().zip(before) {
            recorder.machine.poke_phy(number, value);
        }
        assert_eq!(
            phy::bring_up(&recorder, chip(id), &recorder, advertise),
            Notes::empty()
        );
        [0, 4, 9].map(|number| recorder.machine.peek_phy(number))
    };
    let (off, on) = (Advertise { pause: Pause::NONE }, Advertise { pause: Pause::RX });
    let before = [0x1140, 0x0DE1, 0x0F00];
    assert_eq!(offers(0x100E, off, before), [0x1200, 0x01E1, 0x0E00]);
    assert_eq!(offers(0x10D3, on, before), [0x1200, 0x0DE1, 0x0E00]);
    // 82547 does not offer half duplex (HF 9.7).
    assert_eq!(offers(0x1019, off, before), [0x1200, 0x0141, 0x0E00]);
    // Powered down, isolated, or not negotiating.
    for control in [0x1940, 0x1540, 0x0140] {
        assert_eq!(offers(0x100E, off, [control, 0x01E1, 0x0200])[0], 0x1200);
    }
    assert_eq!(offers(0x100E, off, [0x1140, 0x01E1, 0x0200])[0], 0x1140);
}

#[test]
fn phy_that_is_missing_is_a_note() {
    for (high, low) in [(0xFFFF, 0xFFFF), (0, 0)] {
        let recorder = Recorder::new(chip(0x100E));
        recorder.machine.set_link(false);
        recorder.machine.poke_phy(2, high);
        recorder.machine.poke_phy(3, low);
        let notes = phy::bring_up(&recorder, chip(0x100E), &recorder, Advertise::default());
        assert_eq!(notes, Notes::PHY_SILENT);
        assert_eq!(notes.to_string(), "the PHY did not answer");
    }
}

#[test]
fn two_looks_in_a_row_tell_a_hung_phy() {
    // HF 5.3: register 21 is 0xFFFF, the low byte of register 10 is 0xFF; two consecutive strikes.
    let recorder = Recorder::new(chip(0x10D3));
    let phy = phy_of(&recorder, 0x10D3);
    let mut check = HangCheck::default();
    let mut look = |errors, idle| {
        recorder.machine.poke_phy(21, errors);
        recorder.machine.poke_phy(10, idle);
        check.look(&phy)
    };
    assert_eq!(look(0xFFFF, 0x3CFF), Ok(false));
    assert_eq!(look(0xFFFF, 0x3CFE), Ok(false));
    assert_eq!(look(0xFFFF, 0x3CFF), Ok(false));
    assert_eq!(look(0xFFFF, 0x00FF), Ok(true));
    assert_eq!(look(0xFFFE, 0x00FF), Ok(false));
}

/// A PHY on the two MDIO pins of CTRL: it samples, and drives, at the rising edge of the clock.
struct Mdio {
    registers: [u16; 32],
    ctrl: u32,
    ones: u32,
    /// Bits of a frame after the preamble, and how many.
    frame: (u32, u32),
    /// What the PHY drives.
    line: bool,
}

impl Mdio {
    fn write(&mut self, ctrl: u32) -> u32 {
        let bit = |bits: Ctrl| ctrl & bits.bits() != 0;
        let rising = bit(Ctrl::MDC) && self.ctrl & Ctrl::MDC.bits() == 0;
        self.ctrl = ctrl;
        if rising {
            assert!(bit(Ctrl::MDC_OUT));
            self.clock(bit(Ctrl::MDIO_OUT), bit(Ctrl::MDIO));
        }
        if bit(Ctrl::MDIO_OUT) {
            return ctrl;
        }
        let line = if self.line { Ctrl::MDIO.bits() } else { 0 };
        ctrl & !Ctrl::MDIO.bits() | line
    }

    fn clock(&mut self, driven: bool, bit: bool) {
        let (bits, count) = self.frame;
        if count == 0 && (bit || !driven) {
            self.ones += 1;
            return;
        }
        if count == 0 {
            assert!(self.ones >= 32, "a preamble of 32 ones");
            self.ones = 0;
        }
        self.frame = (bits << 1 | u32::from(bit && driven), count + 1);
        let (bits, count) = self.frame;
        let head = if count >= 14 { bits >> (count - 14) } else { 0 };
        let (opcode, phy, number) = (head >> 10 & 3, head >> 5 & 31, (head & 31) as usize);
        match (count, opcode) {
            // Turnaround is bit 15; data are bits 16 to 31, one after each edge.
            (15.., 0b10) if phy == 1 => {
                assert!(!driven, "both ends drive the line");
                self.line = count > 15 && count <= 31 && self.registers[number] >> (31 - count) & 1 != 0;
            }
            (32, 0b01) if phy == 1 => {
                assert_eq!(bits >> 16 & 3, 0b10, "turnaround");
                self.registers[number] = bits as u16;
            }
            _ => {}
        }
        if count == 32 {
            self.frame = (0, 0);
        }
    }
}

#[test]
fn mdio_of_82543_is_clocked_by_hand() {
    let id = 0x1004;
    let recorder = Recorder::new(chip(id));
    let mut phy = FAKE_PHY;
    // Resolved, 100 Mbit/s, full duplex.
    phy[usize::from(register::M88_STATUS)] = 1 << 14 | 1 << 13 | 1 << 11;
    let mut mdio = Mdio {
        registers: phy,
        ctrl: 0,
        ones: 0,
        frame: (0, 0),
        line: false,
    };
    recorder.on_write(move |offset, value| {
        Some(if offset == regs::CTRL {
            mdio.write(value)
        } else {
            value
        })
    });
    let phy = phy_of(&recorder, id);
    assert_eq!(phy.id(), Ok(PhyId(0x0141_0C20)));
    assert_eq!(phy.write(register::AN_ADVERTISE, 0xA5C3), Ok(()));
    assert_eq!(phy.read(register::AN_ADVERTISE), Ok(0xA5C3));
    let edges = recorder
        .take()
        .iter()
        .filter(|step| matches!(step, Us(10)))
        .count();
    assert!(edges < 4 * 200, "{edges} edges for four accesses");
    drop(phy);
    // HF 5.2: "copy PHY speed/duplex into CTRL (FRCSPD|FRCDPX|SPEED|FD)".
    let notes = phy::bring_up(&recorder, chip(id), &recorder, Advertise::default());
    assert_eq!(notes, Notes::empty());
    let ctrl = recorder.machine.peek(regs::CTRL);
    assert_eq!(
        ctrl & (1 << 12 | 1 << 11 | 0b11 << 8 | 1 << 6 | 1 << 5 | 1),
        1 << 12 | 1 << 11 | 1 << 8 | 1 << 6 | 1
    );
}
