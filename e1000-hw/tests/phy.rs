//! The PHY: access, negotiation, the check of 82574. With faults, each wait bounded.

use std::time::Duration;

use e1000_hw::chip::{CHIPS, Chip, Media, PhyAccess, Quirks};
use e1000_hw::fake::mdio::Mdio;
use e1000_hw::fake::{FAKE_PHY, FakeMachine, FakeRegion, RecordedMachine, chip};
use e1000_hw::flow_control::Pause;
use e1000_hw::nic::{Config, Nic};
use e1000_hw::phy::{self, Advertise, HangCheck, Phy, PhyError, PhyId, register};
use e1000_hw::recorder::Access::{self, Read, Write};
use e1000_hw::regs::{self, Status};
use e1000_hw::warnings::Warnings;

fn phy_of(recorder: &RecordedMachine, id: u16) -> Phy<'_, RecordedMachine, RecordedMachine> {
    Phy::open(recorder, chip(id), recorder).expect("a PHY that nobody holds")
}

#[test]
fn command_words_are_clean() {
    // 8254x manual, 13.4.7: data 15:0, register 20:16, PHY 25:21, write 26, read 27; neither READY 28 nor INT_EN 29.
    let recorder = FakeMachine::recorded(chip(0x100E));
    let phy = phy_of(&recorder, 0x100E);
    assert_eq!(phy.read(register::ID_LOW), Ok(0x0C20));
    assert_eq!(phy.write(register::AN_ADVERTISE, 0x0DE1), Ok(()));
    let (read, write) = (1 << 27 | 1 << 21 | 3 << 16, 1 << 26 | 1 << 21 | 4 << 16 | 0x0DE1);
    assert_eq!(
        recorder.take(),
        [Write(0x20, read), Read(0x20), Write(0x20, write), Read(0x20)]
    );
    assert_eq!(phy.id(), Ok(PhyId(0x0141_0C20)));
    assert_eq!(PhyId(0x0141_0C20).to_string(), "88E1011 (01410c20)");
    // Two of these have address 2 (82579, I217).
    let recorder = FakeMachine::recorded(chip(0x153A));
    assert_eq!(phy_of(&recorder, 0x153A).read(register::ID_LOW), Ok(0x0C20));
}

#[test]
fn phy_that_is_not_ready_or_does_not_answer_is_an_error_in_time() {
    let recorder = FakeMachine::recorded(chip(0x10D3));
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
        let recorder = FakeMachine::recorded(chip(id));
        let phy = phy_of(&recorder, id);
        assert_eq!(recorder.inner.peek(register), bits, "{id:04x}");
        drop(phy);
        assert_eq!(recorder.inner.peek(register), 0, "{id:04x}");
        recorder.on_write(move |offset, value| Some(if offset == register { 0 } else { value }));
        assert!(matches!(
            Phy::open(&recorder, chip(id), &recorder),
            Err(PhyError::NotOwned)
        ));
        assert_eq!(
            phy::bring_up(&recorder, chip(id), &recorder, Advertise::default()),
            Warnings::empty(),
            "a link that is up needs no PHY"
        );
    }
    for chip in CHIPS.iter().filter(|chip| chip.media != Media::Copper) {
        let recorder = FakeMachine::recorded(chip);
        assert!(matches!(
            Phy::open(&recorder, chip, &recorder),
            Err(PhyError::NoPhy)
        ));
    }
}

#[test]
fn link_that_is_up_or_negotiates_what_is_wanted_is_left_alone() {
    for chip in CHIPS.iter().filter(|chip| chip.limits.phy != PhyAccess::BitBang) {
        let recorder = FakeMachine::recorded(chip);
        // Up: the PHY is not even asked.
        assert_eq!(
            phy::bring_up(&recorder, chip, &recorder, Advertise::default()),
            Warnings::empty()
        );
        assert_eq!(recorder.take_of(&[regs::MDIC]), [], "{}", chip.name);
        // Down, but negotiating: nothing is written, but for the analog settings of 82541 and 82547 (tests/igp.rs).
        if chip.quirks.contains(Quirks::PHY_NEEDS_SETTINGS) {
            continue;
        }
        recorder.inner.set_link(false);
        phy::bring_up(&recorder, chip, &recorder, Advertise::default());
        let written = recorder
            .take_of(&[regs::MDIC])
            .into_iter()
            .any(|step| matches!(step, Write(_, value) if value & regs::MDIC_OP_WRITE != 0));
        assert!(!written, "{}", chip.name);
    }
}

/// Returns whether the PHY was told to negotiate anew.
fn restarted(steps: &[Access]) -> bool {
    let bmcr = regs::MDIC_OP_WRITE | 1 << 21;
    steps
        .iter()
        .any(|step| matches!(step, Write(regs::MDIC, value) if value & !0xFFFF == bmcr))
}

#[test]
fn link_that_is_up_stays_up_through_resets_of_the_mac() {
    // What the PHY offers is not what would be offered anew: the fake's offers no pause. A reset has cleared CTRL.SLU,
    // without which the fake shows no link, as metal does not.
    let mdic = |chip: &&Chip| chip.media == Media::Copper && chip.limits.phy == PhyAccess::Mdic;
    for chip in CHIPS.iter().filter(mdic) {
        let recorder = FakeMachine::recorded(chip);
        let machine = recorder.inner.clone();
        let sizes = Config::default();
        let mut nic: Nic<&RecordedMachine, FakeRegion> =
            Nic::bring_up(&recorder, chip, sizes, &mut machine.dma(), &recorder).expect(chip.name);
        assert!(!restarted(&recorder.take()), "{}", chip.name);
        assert!(nic.state().link().is_up(), "{}", chip.name);
        nic.recovery().restart(&recorder).expect("a reset");
        assert!(!restarted(&recorder.take()), "{}: restarted", chip.name);
        nic.link().refresh(&recorder);
        assert!(nic.state().link().is_up(), "{}", chip.name);
        nic.stop(&machine);
    }
}

#[test]
fn phy_is_believed_before_a_mac_that_shows_no_link_yet() {
    let recorder = FakeMachine::recorded(chip(0x105E));
    recorder.on_read(|offset, value| {
        if offset == regs::STATUS {
            value & !Status::LU.bits()
        } else {
            value
        }
    });
    let advertise = Advertise { pause: Pause::RX };
    assert_eq!(
        phy::bring_up(&recorder, chip(0x105E), &recorder, advertise),
        Warnings::empty()
    );
    assert!(!restarted(&recorder.take()));
    // A loss that BMSR still tells of is not one that is now.
    recorder.inner.set_link(false);
    recorder.inner.set_link(true);
    phy::bring_up(&recorder, chip(0x105E), &recorder, advertise);
    assert!(!restarted(&recorder.take()));
    recorder.inner.set_link(false);
    phy::bring_up(&recorder, chip(0x105E), &recorder, advertise);
    assert!(restarted(&recorder.take()));
}

#[test]
fn negotiation_restarts_only_when_it_offers_something_else() {
    // IEEE 802.3, 22.2.4: register 4 has the selector, 10 and 100 Mbit/s, pause in bits 10 and 11; register 9 has
    // 1000 Mbit/s full duplex, never half; register 0 restarts negotiation with bits 12 and 9.
    let offers = |id, advertise, before: [u16; 3]| {
        let recorder = FakeMachine::recorded(chip(id));
        recorder.inner.set_link(false);
        for (number, value) in [0, 4, 9].into_iter().zip(before) {
            recorder.inner.poke_phy(number, value);
        }
        assert_eq!(
            phy::bring_up(&recorder, chip(id), &recorder, advertise),
            Warnings::empty()
        );
        [0, 4, 9].map(|number| recorder.inner.peek_phy(number))
    };
    let (off, on) = (Advertise { pause: Pause::NONE }, Advertise { pause: Pause::RX });
    let before = [0x1140, 0x0DE1, 0x0F00];
    assert_eq!(offers(0x100E, off, before), [0x1200, 0x01E1, 0x0E00]);
    assert_eq!(offers(0x10D3, on, before), [0x1200, 0x0DE1, 0x0E00]);
    // 82547 does not offer half duplex: it would lock up (Linux e1000, `e1000_82547_fifo_workaround`).
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
        let recorder = FakeMachine::recorded(chip(0x100E));
        recorder.inner.set_link(false);
        recorder.inner.poke_phy(2, high);
        recorder.inner.poke_phy(3, low);
        let warnings = phy::bring_up(&recorder, chip(0x100E), &recorder, Advertise::default());
        assert_eq!(warnings, Warnings::PHY_SILENT);
        assert_eq!(warnings.to_string(), "the PHY did not answer");
    }
}

#[test]
fn two_looks_in_a_row_tell_a_hung_phy() {
    // Linux e1000e, `e1000_check_phy_82574`: register 21 is 0xFFFF, the low byte of register 10 is 0xFF.
    let recorder = FakeMachine::recorded(chip(0x10D3));
    let phy = phy_of(&recorder, 0x10D3);
    let mut check = HangCheck::default();
    let mut look = |errors, idle| {
        recorder.inner.poke_phy(21, errors);
        recorder.inner.poke_phy(10, idle);
        check.check(&phy)
    };
    assert_eq!(look(0xFFFF, 0x3CFF), Ok(false));
    assert_eq!(look(0xFFFF, 0x3CFE), Ok(false));
    assert_eq!(look(0xFFFF, 0x3CFF), Ok(false));
    assert_eq!(look(0xFFFF, 0x00FF), Ok(true));
    assert_eq!(look(0xFFFE, 0x00FF), Ok(false));
}

#[test]
fn mdio_of_82543_is_clocked_by_hand() {
    let id = 0x1004;
    let recorder = FakeMachine::recorded(chip(id));
    let mut phy = FAKE_PHY;
    // Resolved, 100 Mbit/s, full duplex.
    phy[usize::from(register::M88_STATUS)] = 1 << 14 | 1 << 13 | 1 << 11;
    let mut mdio = Mdio::new(phy);
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
        .filter(|access| **access == Access::us(10))
        .count();
    assert!(edges < 4 * 200, "{edges} edges for four accesses");
    drop(phy);
    // Linux e1000, `e1000_config_mac_to_phy`: FRCSPD, FRCDPX, SPEED and FD.
    let warnings = phy::bring_up(&recorder, chip(id), &recorder, Advertise::default());
    assert_eq!(warnings, Warnings::empty());
    let ctrl = recorder.inner.peek(regs::CTRL);
    assert_eq!(
        ctrl & (1 << 12 | 1 << 11 | 0b11 << 8 | 1 << 6 | 1 << 5 | 1),
        1 << 12 | 1 << 11 | 1 << 8 | 1 << 6 | 1
    );
}
