//! Pause frames: what is negotiated, and what the MAC is told of it. Against the fake.

use std::time::Duration;

use e1000_hw::chip::{CHIPS, Chip, Media, PhyAccess, Quirks};
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, chip};
use e1000_hw::flow_control::Pause;
use e1000_hw::link::Link;
use e1000_hw::nic::{Config, Nic};
use e1000_hw::phy::register::{AN_ADVERTISE, AN_PARTNER, BMSR};
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Ctrl};
use e1000_hw::warnings::Warnings;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

/// PHY register 4 or 5: all speeds, with these bits of PAUSE (10) and ASM_DIR (11).
fn abilities(symmetric: u16, asymmetric: u16) -> u16 {
    0x01E1 | symmetric << 10 | asymmetric << 11
}

fn bring_up(machine: &FakeMachine, chip: &'static Chip) -> FakeNic {
    Nic::bring_up(
        machine.registers(),
        chip,
        Config::default(),
        &mut machine.dma(),
        machine,
    )
    .expect(chip.name)
}

fn pause(link: Link) -> Pause {
    match link {
        Link::Up { pause, .. } => pause,
        Link::Down => panic!("the link is down"),
    }
}

/// FCRTL, FCRTH, FCTTV, and the two bits of CTRL.
fn programmed(machine: &FakeMachine) -> [u32; 4] {
    let ctrl = machine.peek(regs::CTRL) & (Ctrl::RFCE | Ctrl::TFCE).bits();
    let [low, high, time] = [regs::FCRTL, regs::FCRTH, regs::FCTTV].map(|register| machine.peek(register));
    [low, high, time, ctrl]
}

const RFCE: u32 = 1 << 27;
const TFCE: u32 = 1 << 28;

#[test]
fn pause_of_a_copper_link_is_what_both_phys_offer_and_the_driver_wants() {
    let levels = [0x8000_ACC0, 0xACC8, 0xFFFF];
    let off = [0, 0, 0];
    for (wanted, partner, want, thresholds, ctrl) in [
        (Pause::RX, (0, 0), Pause::NONE, off, 0),
        (Pause::RX, (0, 1), Pause::RX, off, RFCE),
        (Pause::RX, (1, 0), Pause::RX, off, RFCE),
        (Pause::RX, (1, 1), Pause::RX, off, RFCE),
        (Pause::BOTH, (1, 0), Pause::BOTH, levels, RFCE | TFCE),
        (Pause::BOTH, (1, 1), Pause::BOTH, levels, RFCE | TFCE),
        (Pause::BOTH, (0, 1), Pause::RX, off, RFCE),
        (Pause::TX, (1, 1), Pause::TX, levels, TFCE),
        (Pause::TX, (1, 0), Pause::NONE, off, 0),
        (Pause::NONE, (1, 1), Pause::NONE, off, 0),
    ] {
        let machine = FakeMachine::new(chip(0x100E));
        machine.set_link(false);
        let mut nic = bring_up(&machine, chip(0x100E));
        nic.link().set_pause(wanted, &machine);
        assert_eq!(
            machine.peek_phy(AN_ADVERTISE),
            abilities(wanted.rx.into(), (wanted.rx || wanted.tx).into()),
            "{wanted} is offered"
        );
        machine.poke_phy(AN_PARTNER, abilities(partner.0, partner.1));
        machine.set_link(true);
        let link = nic.link().refresh(&machine).expect("it came up");
        assert_eq!(
            pause(link),
            want,
            "{wanted} wanted, the partner offers {partner:?}"
        );
        let [low, high, time] = thresholds;
        assert_eq!(programmed(&machine), [low, high, time, ctrl]);
        // Nothing is asked again while nothing changes.
        machine.take_accesses();
        assert_eq!(nic.link().refresh(&machine), None);
        assert_eq!(machine.take_accesses().reads, [regs::STATUS]);
    }
}

#[test]
fn pause_is_off_unless_the_partner_negotiates_full_duplex() {
    for (status, bmsr) in [
        // Half duplex; a partner that does not negotiate.
        (0x82, 0x796D),
        (0x83, 0x794D),
    ] {
        let machine = FakeMachine::new(chip(0x10D3));
        machine.poke_phy(AN_ADVERTISE, abilities(1, 1));
        machine.poke_phy(AN_PARTNER, abilities(1, 1));
        machine.poke_phy(BMSR, bmsr);
        machine.poke(regs::STATUS, status);
        let nic = bring_up(&machine, chip(0x10D3));
        assert_eq!(pause(nic.state().link()), Pause::NONE, "{status:#x} {bmsr:#x}");
        assert_eq!(programmed(&machine), [0; 4]);
    }
}

#[test]
fn pause_of_a_fiber_link_is_what_both_code_words_offer() {
    let anc = 1 << 31;
    for chip in CHIPS.iter().filter(|chip| chip.media != Media::Copper) {
        for (partner, want) in [
            (anc | 1 << 5, Pause::NONE),
            (anc | 1 << 8 | 1 << 5, Pause::RX),
            (anc | 1 << 7 | 1 << 5, Pause::BOTH),
            (anc | 0b11 << 7 | 1 << 5, Pause::BOTH),
            // Not ended.
            (0b11 << 7 | 1 << 5, Pause::NONE),
        ] {
            let machine = FakeMachine::new(chip);
            machine.set_link(false);
            let mut nic = bring_up(&machine, chip);
            nic.link().set_pause(Pause::BOTH, &machine);
            machine.poke(regs::RXCW, partner);
            machine.set_link(true);
            let link = nic.link().refresh(&machine).expect("it came up");
            assert_eq!(pause(link), want, "{} {partner:#x}", chip.name);
            assert_eq!(programmed(&machine)[1] != 0, want.tx, "{}", chip.name);
        }
    }
}

#[test]
fn renegotiated_pause_is_noticed_though_the_link_looks_the_same() {
    let machine = FakeMachine::new(chip(0x100E));
    machine.poke_phy(AN_ADVERTISE, abilities(1, 1));
    let mut nic = bring_up(&machine, chip(0x100E));
    assert_eq!(pause(nic.state().link()), Pause::NONE);
    // Away and back before anybody looked: the interrupt is all there is to see.
    machine.poke_phy(AN_PARTNER, abilities(1, 1));
    machine.set_link(true);
    assert_eq!(nic.link().refresh(&machine), None);
    nic.interrupts().acknowledge(0);
    assert_eq!(nic.link().refresh(&machine).map(pause), Some(Pause::RX));
}

#[test]
fn thresholds_follow_the_mtu_and_pause_survives_a_restart() {
    let machine = FakeMachine::new(chip(0x10D3));
    machine.poke_phy(AN_ADVERTISE, abilities(1, 1));
    machine.poke_phy(AN_PARTNER, abilities(1, 1));
    let mut nic = bring_up(&machine, chip(0x10D3));
    assert_eq!(
        nic.link().set_pause(Pause::BOTH, &machine).map(pause),
        Some(Pause::BOTH)
    );
    // 32 KiB less a tenth, and 22 KiB less one frame of 9022 bytes.
    let high = |kib: u32, len: u32| (kib * 1024 / 10 * 9).min(kib * 1024 - len) & !7;
    assert_eq!(programmed(&machine)[1], high(32, 1522));
    nic.settings().set_mtu(9000, &machine).expect("a jumbo MTU");
    assert_eq!(programmed(&machine)[1], high(22, 9022));
    assert_eq!(programmed(&machine)[3], RFCE | TFCE);
}

#[test]
fn phy_that_does_not_answer_costs_a_bounded_wait_and_means_no_pause() {
    for chip in CHIPS.iter().filter(|chip| chip.media == Media::Copper) {
        let recorder = FakeMachine::recorded(chip);
        recorder.inner.poke_phy(AN_PARTNER, abilities(1, 1));
        // MDIC never becomes ready; MDIO pins read as ones.
        recorder.on_read(|offset, value| match offset {
            regs::MDIC => 0,
            regs::CTRL => value | Ctrl::MDIO.bits(),
            _ => value,
        });
        let machine = recorder.inner.clone();
        let start = machine.now();
        let nic =
            Nic::<_, FakeRegion>::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &recorder)
                .expect(chip.name);
        assert_eq!(pause(nic.state().link()), Pause::NONE, "{}", chip.name);
        let asked = chip.limits.phy != PhyAccess::Firmware;
        assert_eq!(
            nic.state().warnings().contains(Warnings::PHY_SILENT),
            asked,
            "{}",
            chip.name
        );
        assert!(
            machine.now() - start < Duration::from_millis(300),
            "{}",
            chip.name
        );
        assert_eq!(programmed(&machine)[3], 0);
    }
}

#[test]
fn speed_of_82543_is_copied_from_the_phy_whenever_the_link_comes_up() {
    let id = 0x1004;
    assert!(chip(id).quirks.contains(Quirks::NO_SPEED_DETECTION));
    let machine = FakeMachine::new(chip(id));
    machine.set_link(false);
    let mut nic = bring_up(&machine, chip(id));
    machine.set_link(true);
    machine.take_accesses();
    assert!(nic.link().refresh(&machine).is_some());
    // The PHY is on pins of CTRL: it was asked.
    assert!(
        machine
            .take_accesses()
            .writes
            .iter()
            .filter(|(offset, _)| *offset == regs::CTRL)
            .count()
            > 64
    );
}
