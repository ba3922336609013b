//! Address and checksum, from EERD in both layouts and from pins, of NVMs that are wrong or silent.

use core::time::Duration;

use crate::chip::{CHIPS, Nvm};
use crate::ethernet::MacAddress;
use crate::fake::{FAKE_MAC, FakeEeprom, FakeMachine, FakeRegion, RecordedMachine, chip};
use crate::nic::{Config, Nic};
use crate::nvm::{self, MacAddressError};
use crate::platform::Clock;
use crate::recorder::Access::Write;
use crate::regs::{self, Ctrl};
use crate::warnings::Warnings;

// NVM.

#[test]
fn second_port_inverts_the_last_bit_of_the_nvm_address_only() {
    // 8254x manual, 12.3.1; Linux e1000, `e1000_read_mac_addr`.
    for (id, function, last) in [
        (0x1010, 0, 0x55),
        (0x1010, 1, 0x54),
        (0x1079, 1, 0x54),
        (0x105E, 1, 0x54),
        (0x107D, 1, 0x55),
        (0x100E, 1, 0x55),
    ] {
        let recorder = FakeMachine::recorded(chip(id));
        let machine = &recorder.inner;
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
        let recorder = FakeMachine::recorded(chip);
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
        // It never answers; the first word takes the whole bound, and no other is tried. Some then ask for its pins.
        recorder.on_read(|offset, value| if offset == regs::EERD { 0 } else { value });
        let time = recorder.time(|| {
            assert!(nvm::checksum_is_good(&recorder, chip, &recorder).is_err());
        });
        assert!(time <= Duration::from_millis(106), "{time:?}");
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
        let recorder = FakeMachine::recorded(chip);
        let _ = nvm::checksum_is_good(&recorder, chip, &recorder);
        for step in recorder.take() {
            // EEWR, the flash registers, and of EECD the write enable bits 5:4 and FLUPD.
            assert!(!matches!(step, Write(0x102C | 0x001C, _)), "{step:?}");
            if let Write(regs::EECD, value) = step {
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
        let recorder = FakeMachine::recorded(chip(id));
        recorder.inner.poke(regs::RAH, 0);
        recorder.inner.poke(regs::EECD, 1 << 8 | size);
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
fn pins_of_the_eeprom_give_the_address_where_eerd_is_silent_and_a_reset_clears_av() {
    // bhyve's pci_e82545.c: `e82545_read_register` knows no EERD, `e82545_reset` clears RAH.AV, `e82545_write_register`
    // gives the pins of EECD while REQ is set.
    for id in [0x100F, 0x100E, 0x1026] {
        let recorder = FakeMachine::recorded(chip(id));
        recorder.inner.poke(regs::EECD, 1 << 8);
        let mut words: [u16; 64] = [0; 64];
        words[..3].copy_from_slice(&[0x5452, 0x1200, 0x5634]);
        words[63] = 0xBABA_u16.wrapping_sub(words[..63].iter().fold(0, |sum, word| sum.wrapping_add(*word)));
        let mut eeprom = Microwire {
            words,
            address_bits: 6,
            pins: 0,
            bits_in: 0,
            command: 0,
            bits_out: 0,
        };
        let machine = recorder.inner.clone();
        recorder.on_write(move |offset, value| match offset {
            regs::EECD if value & regs::EECD_REQ != 0 => Some(eeprom.write(value) | regs::EECD_GNT),
            regs::EECD => Some(value & !regs::EECD_GNT),
            regs::CTRL | regs::CTRL_DUP if value & Ctrl::RST.bits() != 0 => {
                machine.poke(regs::RAH, machine.peek(regs::RAH) & !regs::RAH_AV);
                Some(value)
            }
            _ => Some(value),
        });
        recorder.on_read(|offset, value| if offset == regs::EERD { 0 } else { value });
        let good = nvm::checksum_is_good(&recorder, chip(id), &recorder);
        assert_eq!(good, Ok(Some(true)), "{id:04x}");
        let machine = recorder.inner.clone();
        let start = machine.now();
        let nic = Nic::bring_up(
            recorder,
            chip(id),
            Config::default(),
            &mut machine.dma(),
            &machine,
        );
        let nic = nic.unwrap_or_else(|error| panic!("{id:04x}: {error}"));
        assert_eq!(nic.state().mac(), MacAddress(FAKE_MAC));
        assert_eq!(nic.state().warnings(), Warnings::empty(), "the NVM did answer");
        assert_eq!(
            machine.peek(regs::EECD) & (regs::EECD_REQ | regs::EECD_GNT),
            0,
            "given back"
        );
        assert!(machine.now() - start < Duration::from_millis(300));
    }
}

#[test]
fn absent_eeprom_is_no_address() {
    for (line, address) in [(0, [0; 6]), (8, [0xFF; 6])] {
        let recorder = FakeMachine::recorded(chip(0x100C));
        recorder.inner.poke(regs::RAH, 0);
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
    let recorder = FakeMachine::recorded(chip(0x153A));
    recorder.inner.poke(regs::RAH, 0);
    assert!(matches!(
        nvm::mac_address(&recorder, chip(0x153A), &recorder),
        Err(MacAddressError::Invalid(_))
    ));
}
#[test]
fn nvm_that_answers_each_word_late_is_not_called_silent() {
    let chip = chip(0x10D3);
    let recorder = FakeMachine::recorded(chip);
    // Each word comes within its own time, and all of them do not: the machine is busy.
    let mut polls = 0;
    recorder.on_read(move |offset, value| {
        polls += u32::from(offset == regs::EERD);
        if offset == regs::EERD && polls % 1000 != 0 {
            0
        } else {
            value
        }
    });
    let machine = recorder.inner.clone();
    let nic: Nic<&RecordedMachine, FakeRegion> =
        Nic::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &recorder).expect(chip.name);
    assert_eq!(nic.state().warnings(), Warnings::empty());
    // One that answers nothing is.
    recorder.on_read(|offset, value| if offset == regs::EERD { 0 } else { value });
    std::mem::forget(nic);
    let nic: Nic<&RecordedMachine, FakeRegion> =
        Nic::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &recorder).expect(chip.name);
    assert_eq!(nic.state().warnings(), Warnings::NVM_SILENT);
    std::mem::forget(nic);
}
