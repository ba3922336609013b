//! Link maintenance, and a reset that did not end: all through `watch`, and none of it on an
//! idle NIC. Against the fake.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use e1000_hw::chip::{CHIPS, Media};
use e1000_hw::fake::mdio::Mdio;
use e1000_hw::fake::{FAKE_PHY, FakeMachine, FakeRegion, FakeRegisters, Faults, chip};
use e1000_hw::link::Link;
use e1000_hw::nic::{Config, Interrupt, MtuError, Nic};
use e1000_hw::phy::register;
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Ctrl, Rctl};
use e1000_hw::watchdog::Outcome;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

const SECOND: Duration = Duration::from_secs(1);

fn start(id: u16) -> (FakeMachine, FakeNic) {
    let machine = FakeMachine::new(chip(id));
    let nic = bring_up(&machine, id);
    (machine, nic)
}

fn bring_up(machine: &FakeMachine, id: u16) -> FakeNic {
    let dma = &mut machine.dma();
    let nic = Nic::bring_up(machine.registers(), chip(id), Config::default(), dma, machine);
    let mut nic = nic.expect("bring-up");
    nic.interrupts().enable();
    nic
}

/// A second passes.
fn tick(machine: &FakeMachine, nic: &mut FakeNic) -> Outcome {
    machine.sleep(SECOND);
    let finding = nic.recovery().watch(machine);
    nic.link().refresh(machine);
    finding
}

/// Sends a frame, and looks after it a second later.
fn send(machine: &FakeMachine, nic: &mut FakeNic) -> Outcome {
    nic.tx().send(&[1; 60]).expect("room");
    nic.tx().post();
    assert!(nic.state().needs_watching(), "a frame was just sent");
    tick(machine, nic)
}

#[test]
fn idle_nic_with_a_steady_link_needs_no_watching() {
    for chip in CHIPS {
        let (machine, mut nic) = start(chip.device_id);
        send(&machine, &mut nic);
        for _ in 0..12 {
            if nic.state().needs_watching() {
                assert_ne!(chip.media, Media::Copper, "{}", chip.name);
                tick(&machine, &mut nic);
            }
        }
        assert!(!nic.state().needs_watching(), "{}", chip.name);
        // Nor for ever without a link.
        machine.set_link(false);
        nic.link().refresh(&machine);
        for _ in 0..12 {
            if nic.state().needs_watching() {
                tick(&machine, &mut nic);
            }
        }
        assert!(!nic.state().needs_watching(), "{} without a link", chip.name);
    }
}

#[test]
fn reset_that_failed_for_the_mtu_is_tried_again_until_it_works() {
    for id in [0x100E, 0x10D3, 0x105E] {
        let (machine, mut nic) = start(id);
        machine.set_faults(Faults {
            reset_stuck: true,
            ..Faults::default()
        });
        assert!(matches!(
            nic.settings().set_mtu(9000, &machine),
            Err(MtuError::Reset(_))
        ));
        assert_eq!(
            machine.peek(regs::RCTL) & Rctl::EN.bits() != 0,
            id == 0x10D3,
            "off, or about to be"
        );
        assert!(nic.state().needs_watching(), "though no frame was sent");
        assert_eq!(
            nic.link().refresh(&machine),
            Some(Link::Down),
            "frames wait as for a link"
        );
        nic.tx().send(&[1; 60]).expect("it waits");
        nic.tx().post();
        assert_eq!(nic.state().pending_frames(), 1);
        // Ever more rarely, while it does not help.
        let before = nic.state().recoveries().failed_resets;
        for _ in 0..60 {
            assert_eq!(tick(&machine, &mut nic), Outcome::Hung);
        }
        let attempts = nic.state().recoveries().failed_resets - before;
        assert!((3..=6).contains(&attempts), "{attempts} attempts in a minute");
        machine.set_faults(Faults::default());
        machine.poke(regs::CTRL, 0);
        let found = (0..70)
            .map(|_| tick(&machine, &mut nic))
            .find(|finding| *finding != Outcome::Hung);
        assert_eq!(found, Some(Outcome::Reset));
        assert!(nic.state().link().is_up() && nic.state().mtu() == 9000);
        assert!(machine.deliver(&[0xFF; 5000]), "it receives, with the new MTU");
        assert_eq!(nic.rx().receive(&mut [0; 6000]), Some(5000));
        assert_ne!(machine.peek(regs::IMS), 0, "interrupts are on as before");
        nic.tx().send(&[1; 60]).expect("room");
        nic.tx().post();
        assert_eq!(machine.take_sent().len(), 1);
    }
}

#[test]
fn nic_that_is_removed_while_it_is_off_is_gone_for_good() {
    let (machine, mut nic) = start(0x100E);
    machine.set_faults(Faults {
        reset_stuck: true,
        ..Faults::default()
    });
    assert!(nic.settings().set_mtu(9000, &machine).is_err());
    let gone = Faults {
        gone: true,
        ..Faults::default()
    };
    machine.set_faults(gone);
    assert_eq!(tick(&machine, &mut nic), Outcome::DeviceGone);
    assert!(nic.state().is_gone() && !nic.state().needs_watching());
    let before = nic.state().statistics().clone();
    nic.diagnostics().collect_statistics();
    assert_eq!(
        before.values().collect::<Vec<_>>(),
        nic.state().statistics().values().collect::<Vec<_>>(),
        "ones are not counted"
    );
    machine.take_accesses();
    assert_eq!(nic.recovery().watch(&machine), Outcome::DeviceGone);
    assert_eq!(machine.take_accesses(), Default::default(), "it is not touched");
}

#[test]
fn every_way_of_finding_out_that_the_nic_is_gone_counts() {
    let gone = Faults {
        gone: true,
        ..Faults::default()
    };
    let ways: [fn(&FakeMachine, &mut FakeNic); 3] = [
        |_, nic| assert_eq!(nic.interrupts().acknowledge(0), Interrupt::DeviceGone),
        |machine, nic| assert_eq!(nic.link().refresh(machine), Some(Link::Down)),
        |_, nic| nic.diagnostics().collect_statistics(),
    ];
    for way in ways {
        let (machine, mut nic) = start(0x100E);
        machine.set_faults(gone);
        assert!(!nic.state().is_gone());
        way(&machine, &mut nic);
        assert!(nic.state().is_gone());
    }
}

/// Receive errors and idle errors at their ends, or not.
fn hang_phy(machine: &FakeMachine, hung: bool) {
    machine.poke_phy(21, if hung { 0xFFFF } else { 3 });
    machine.poke_phy(10, if hung { 0x3CFF } else { 0x3C00 });
}

#[test]
fn hung_phy_of_82574_is_found_while_frames_are_sent_and_reset() {
    let (machine, mut nic) = start(0x10D3);
    hang_phy(&machine, true);
    assert!(!nic.state().needs_watching(), "an idle NIC is not asked");
    assert_eq!(send(&machine, &mut nic), Outcome::Idle);
    assert!(
        nic.state().needs_watching(),
        "one look is no proof, and the second is due"
    );
    assert_eq!(tick(&machine, &mut nic), Outcome::Idle, "two seconds apart");
    assert_eq!(tick(&machine, &mut nic), Outcome::Reset);
    let recoveries = nic.state().recoveries();
    assert_eq!(
        (recoveries.phy_hangs, recoveries.resets, recoveries.hangs),
        (1, 1, 0)
    );
    assert!(nic.state().last_hang().is_some());
    hang_phy(&machine, false);
    for _ in 0..10 {
        assert_eq!(send(&machine, &mut nic), Outcome::Idle);
    }
    assert_eq!(nic.state().recoveries().phy_hangs, 1);
    assert!(!nic.state().needs_watching());
}

#[test]
fn one_suspicious_look_is_forgotten() {
    let (machine, mut nic) = start(0x10D3);
    hang_phy(&machine, true);
    send(&machine, &mut nic);
    hang_phy(&machine, false);
    tick(&machine, &mut nic);
    assert_eq!(tick(&machine, &mut nic), Outcome::Idle);
    assert!(!nic.state().needs_watching());
    assert_eq!(nic.state().recoveries().phy_hangs, 0);
}

#[test]
fn phy_is_asked_every_two_seconds_and_only_that_of_82574() {
    for (id, asked) in [
        (0x10D3, true),
        (0x10F6, true),
        (0x150C, false),
        (0x105E, false),
        (0x100E, false),
    ] {
        let (machine, mut nic) = start(id);
        machine.take_accesses();
        for _ in 0..20 {
            send(&machine, &mut nic);
        }
        let writes = machine.take_accesses().writes;
        let accesses = writes.iter().filter(|(offset, _)| *offset == regs::MDIC).count();
        assert_eq!(accesses, if asked { 10 } else { 0 }, "{id:04x}");
    }
}

#[test]
fn phy_that_hangs_for_ever_is_reset_ever_more_rarely() {
    let (machine, mut nic) = start(0x10D3);
    hang_phy(&machine, true);
    for _ in 0..300 {
        send(&machine, &mut nic);
    }
    let resets = nic.state().recoveries().resets;
    assert!((5..=9).contains(&resets), "{resets} resets in five minutes");
}

#[test]
fn mac_of_82543_learns_the_speed_of_each_link() {
    let recorder = FakeMachine::recorded(chip(0x1004));
    let machine = recorder.inner.clone();
    let resolved = Rc::new(Cell::new(0));
    let answer = Rc::clone(&resolved);
    let mut phy = Mdio::new(FAKE_PHY);
    recorder.on_write(move |offset, value| {
        phy.registers[usize::from(register::M88_STATUS)] = answer.get();
        Some(if offset == regs::CTRL {
            phy.write(value)
        } else {
            value
        })
    });
    machine.set_link(false);
    let sizes = Config::default();
    let mut nic =
        Nic::bring_up(recorder, chip(0x1004), sizes, &mut machine.dma(), &machine).expect("bring-up");
    assert!(!nic.state().needs_watching());
    // Speed and duplex as the PHY says: bits 15:14, 13, and 11 for resolved; what CTRL has to say.
    for (status, speed, full) in [(0x6800, 1, true), (0xA800, 2, true), (0x0800, 0, false)] {
        resolved.set(status);
        machine.set_link(true);
        assert!(nic.link().refresh(&machine).is_some());
        let ctrl = machine.peek(regs::CTRL);
        let forced = (Ctrl::FRCSPD | Ctrl::FRCDPX | Ctrl::SLU).bits();
        assert_eq!(ctrl & forced, forced);
        assert_eq!((ctrl >> 8 & 3, ctrl & 1 != 0), (speed, full));
        machine.set_link(false);
        nic.link().refresh(&machine);
    }
    // Parts that detect the speed are not asked.
    let (machine, mut nic) = start(0x100C);
    machine.set_link(false);
    nic.link().refresh(&machine);
    machine.set_link(true);
    nic.link().refresh(&machine);
    assert!(!nic.state().needs_watching());
}
