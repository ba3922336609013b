//! The self-test against the fake: it passes on every part, each of its parts can fail, and afterwards all is as
//! before.

use std::time::Duration;

use e1000_hw::chip::{CHIPS, Chip, Media, Nvm, PhyAccess, find};
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FakeEeprom, FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::interrupt::Routing;
use e1000_hw::nic::{Config, Nic, SelfTest};
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Causes};
use e1000_hw::self_test::{Failure, Outcome, Report};
use e1000_hw::watchdog;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

/// No self-test may take longer, whatever goes wrong.
const LIMIT: Duration = Duration::from_secs(12);
/// No step may: others wait meanwhile.
const STEP_LIMIT: Duration = Duration::from_millis(500);

fn chip(id: u16) -> &'static Chip {
    find(0x8086, id).expect("a chip of the table")
}

fn start(chip: &'static Chip) -> (FakeMachine, FakeNic) {
    let machine = FakeMachine::new(chip);
    let nic = Nic::bring_up(
        machine.registers(),
        chip,
        Config::default(),
        &mut machine.dma(),
        &machine,
    );
    let mut nic = nic.expect(chip.name);
    nic.interrupts().enable();
    (machine, nic)
}

/// Runs a self-test to its end. Interrupts arrive as the fake has them, unless they are `lost`.
fn run(machine: &FakeMachine, nic: &mut FakeNic, lost: bool) -> Report {
    nic.diagnostics().start_self_test(true, machine);
    let began = machine.now();
    loop {
        let step_began = machine.now();
        let next = nic.diagnostics().continue_self_test(machine);
        let step = machine.now() - step_began;
        assert!(step <= STEP_LIMIT, "a step of {step:?}");
        match next {
            SelfTest::Done(report) => {
                assert!(machine.now() - began < LIMIT, "{:?}", machine.now() - began);
                assert_eq!(report.took, machine.now() - began);
                assert!(!nic.state().is_testing());
                return report;
            }
            SelfTest::Wait(delay) => {
                machine.sleep(delay);
                let raised = machine.peek(regs::ICR) & machine.peek(regs::IMS) != 0;
                if raised && !lost {
                    nic.interrupts().acknowledge(0);
                }
            }
        }
    }
}

fn with_faults(id: u16, faults: Faults) -> Report {
    let (machine, mut nic) = start(chip(id));
    machine.set_faults(faults);
    let report = run(&machine, &mut nic, false);
    assert!(!report.passed());
    report
}

/// Names of the parts that failed.
fn failed(report: &Report) -> Vec<&'static str> {
    let parts = report.parts();
    let failed = parts.iter().filter(|(_, outcome)| outcome.is_failure());
    failed.map(|(name, _)| *name).collect()
}

#[test]
fn every_chip_passes_and_skips_only_what_it_does_not_have() {
    for chip in CHIPS {
        let (machine, mut nic) = start(chip);
        let report = run(&machine, &mut nic, false);
        let fails: &[&str] = match chip.limits.nvm {
            // The fake has no EEPROM behind the pins of EECD.
            Nvm::Microwire => &["nvm"],
            _ => &[],
        };
        assert_eq!(failed(&report), fails, "{}: {report:?}", chip.name);
        assert_eq!(
            (report.link, report.registers),
            (Outcome::Passed, Outcome::Passed)
        );
        assert_eq!(report.interrupt, Outcome::Passed);
        let has_eeprom = matches!(chip.limits.nvm, Nvm::EerdSmall | Nvm::EerdLarge);
        assert_eq!(report.nvm == Outcome::Passed, has_eeprom, "{}", chip.name);
        let loops = chip.media != Media::Copper || chip.limits.phy == PhyAccess::Mdic;
        assert_eq!(report.loopback == Outcome::Passed, loops, "{}", chip.name);
        assert_eq!(report.absent_registers, 0);
        assert!(report.took < Duration::from_secs(1), "{:?}", report.took);
        assert_eq!(machine.take_sent(), Vec::<Vec<u8>>::new(), "nothing left the NIC");
    }
}

#[test]
fn afterwards_registers_filters_mtu_and_interrupts_are_as_before() {
    for chip in CHIPS {
        let (machine, mut nic) = start(chip);
        nic.settings()
            .set_filter(false, true, [MacAddress([0x33, 0x33, 0, 0, 0, 1])]);
        if nic.state().max_mtu() >= 9000 {
            nic.settings()
                .set_mtu(9000, &machine)
                .expect("an MTU that is possible");
        }
        nic.settings().set_vlan_filter(Some([7]));
        let mut before = vec![];
        nic.diagnostics()
            .dump_registers(|name, value| before.push((name, value)));
        let tables = |machine: &FakeMachine| {
            let words = (regs::MTA..regs::MTA + 512).chain(regs::VFTA..regs::VFTA + 512);
            words
                .step_by(4)
                .map(|offset| machine.peek(offset))
                .collect::<Vec<_>>()
        };
        let tables_before = tables(&machine);
        run(&machine, &mut nic, false);
        // The PHY negotiates anew after loopback.
        machine.sleep(Duration::from_secs(4));
        nic.link().refresh(&machine);
        let mut after = vec![];
        nic.diagnostics()
            .dump_registers(|name, value| after.push((name, value)));
        assert_eq!(before, after, "{}", chip.name);
        assert_eq!(tables_before, tables(&machine), "{}", chip.name);
        assert_eq!(machine.peek_phy(0) & 0x4000, 0, "the PHY loops no more");
        // Frames pass again, both ways.
        assert!(machine.deliver(&[0xFF; 60]));
        assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60));
        nic.tx().send(&[1; 60]).expect("room");
        nic.tx().post();
        assert_eq!(machine.take_sent().len(), 1);
        nic.stop(&machine);
        assert_eq!(machine.dma_in_use(), 0);
    }
}

#[test]
fn link_that_is_down_fails_the_link_and_nothing_else() {
    let (machine, mut nic) = start(chip(0x100E));
    machine.set_link(false);
    nic.link().refresh(&machine);
    let report = run(&machine, &mut nic, false);
    assert_eq!(report.link, Outcome::Failed(Failure::NoLink));
    assert_eq!(failed(&report), ["link"]);
}

#[test]
fn link_that_negotiates_is_waited_for() {
    let (machine, mut nic) = start(chip(0x100E));
    machine.set_link(false);
    nic.link().refresh(&machine);
    nic.diagnostics().start_self_test(false, &machine);
    let report = loop {
        match nic.diagnostics().continue_self_test(&machine) {
            SelfTest::Done(report) => break report,
            SelfTest::Wait(delay) => machine.sleep(delay),
        }
        machine.set_link(machine.now() > Duration::from_secs(5));
    };
    assert!(report.passed(), "{report:?}");
}

#[test]
fn one_bit_that_is_stuck_fails_the_registers() {
    for (offset, bit) in [
        (regs::RDLEN, 1 << 10),
        (regs::TDBAH, 1 << 31),
        (regs::RCTL, 1 << 15),
        (regs::ral(14), 1),
        (regs::MTA + 4 * 127, 1 << 16),
        (regs::FCAL, 1 << 3),
    ] {
        let faults = Faults {
            stuck_bits: Some((offset, bit)),
            ..Faults::default()
        };
        let report = with_faults(0x100E, faults);
        let Outcome::Failed(Failure::Register {
            offset: found,
            written,
            read,
            ..
        }) = report.registers
        else {
            panic!("{offset:#x}: {report:?}");
        };
        assert_eq!((found, written ^ read), (offset, bit));
        let text = report.registers.to_string();
        assert!(
            text.starts_with("failed: ") && text.contains(&format!("{offset:#06x}")),
            "{text}"
        );
    }
}

#[test]
fn register_that_emulators_lack_is_counted_and_others_may_not_be_missing() {
    let missing = |offset| Faults {
        stuck_bits: Some((offset, u32::MAX)),
        ..Faults::default()
    };
    let (machine, mut nic) = start(chip(0x100E));
    machine.set_faults(missing(regs::TIPG));
    let report = run(&machine, &mut nic, false);
    assert!(report.passed());
    assert_eq!(report.absent_registers, 1);
    let report = with_faults(0x100E, missing(regs::RDTR));
    assert!(failed(&report).contains(&"registers"));
}

#[test]
fn nvm_that_does_not_add_up_or_answer_fails() {
    let wrong = Faults {
        nvm_checksum_wrong: true,
        ..Faults::default()
    };
    let report = with_faults(0x10D3, wrong);
    assert_eq!(report.nvm, Outcome::Failed(Failure::NvmChecksum));
    assert_eq!(failed(&report), ["nvm"]);
    let (machine, mut nic) = start(chip(0x10D3));
    machine.set_eeprom(FakeEeprom::None, [0; 3]);
    let report = run(&machine, &mut nic, false);
    assert!(matches!(report.nvm, Outcome::Failed(Failure::NvmSilent(_))));
    assert_eq!(failed(&report), ["nvm"]);
}

#[test]
fn frames_that_do_not_come_back_or_come_back_changed_fail_the_loopback() {
    // PHY of three families, transceiver, serdes.
    for id in [0x100E, 0x1019, 0x10D3, 0x1011, 0x1060] {
        let lost = Faults {
            loopback_loses: true,
            ..Faults::default()
        };
        let report = with_faults(id, lost);
        assert_eq!(
            report.loopback,
            Outcome::Failed(Failure::FrameLost { length: 60 })
        );
        assert_eq!(failed(&report), ["loopback"]);
        let damaged = Faults {
            loopback_damages: true,
            ..Faults::default()
        };
        let report = with_faults(id, damaged);
        assert_eq!(
            report.loopback,
            Outcome::Failed(Failure::FrameDamaged { length: 60 })
        );
        assert_eq!(failed(&report), ["loopback"]);
    }
}

#[test]
fn frames_of_others_do_not_disturb_the_loopback() {
    let (machine, mut nic) = start(chip(0x100E));
    nic.diagnostics().start_self_test(false, &machine);
    let report = loop {
        match nic.diagnostics().continue_self_test(&machine) {
            SelfTest::Done(report) => break report,
            SelfTest::Wait(delay) => machine.sleep(delay),
        }
        for n in 0..20 {
            machine.deliver(&[n; 100]);
        }
    };
    assert_eq!(report.loopback, Outcome::Passed);
    assert_eq!(report.interrupt, Outcome::Skipped("polling"));
}

#[test]
fn phy_that_does_not_answer_fails_the_loopback() {
    let (machine, mut nic) = start(chip(0x100E));
    machine.poke_phy(2, 0xFFFF);
    machine.poke_phy(3, 0xFFFF);
    let report = run(&machine, &mut nic, false);
    assert_eq!(failed(&report), ["loopback"]);
}

#[test]
fn interrupt_that_is_lost_fails() {
    let (machine, mut nic) = start(chip(0x100E));
    let report = run(&machine, &mut nic, true);
    assert_eq!(report.interrupt, Outcome::Failed(Failure::InterruptLost));
    assert_eq!(failed(&report), ["interrupt"]);
    let (machine, mut nic) = start(chip(0x100E));
    let stuck = Faults {
        stuck_bits: Some((regs::ICS, u32::MAX)),
        ..Faults::default()
    };
    machine.set_faults(stuck);
    assert_eq!(failed(&run(&machine, &mut nic, false)), ["interrupt"]);
}

#[test]
fn interrupts_are_tested_the_way_they_are_routed() {
    for routing in [Routing::OneVector, Routing::ThreeVectors] {
        let (machine, mut nic) = start(chip(0x10D3));
        nic.interrupts().route(routing);
        nic.interrupts().enable();
        machine.take_accesses();
        assert!(run(&machine, &mut nic, false).passed(), "{routing:?}");
        let raised = machine.take_accesses().writes;
        assert!(raised.contains(&(regs::ICS, Causes::RXQ0.bits())), "{routing:?}");
        assert_eq!(nic.state().routing(), routing);
        assert_eq!(failed(&run(&machine, &mut nic, true)), ["interrupt"]);
    }
}

#[test]
fn reset_that_does_not_end_fails_what_was_not_tested_and_is_tried_again() {
    let (machine, mut nic) = start(chip(0x100E));
    machine.set_faults(Faults {
        reset_stuck: true,
        ..Faults::default()
    });
    let report = run(&machine, &mut nic, false);
    assert_eq!(failed(&report), ["registers", "nvm", "loopback", "interrupt"]);
    assert!(nic.state().needs_watching());
    machine.set_faults(Faults::default());
    machine.poke(regs::CTRL, 0);
    machine.sleep(Duration::from_secs(1));
    assert_eq!(nic.recovery().watch(&machine), watchdog::Outcome::Reset);
    assert!(machine.deliver(&[0xFF; 60]));
    assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60));
}

#[test]
fn device_that_goes_away_meanwhile_fails_and_ends() {
    let (machine, mut nic) = start(chip(0x10D3));
    nic.diagnostics().start_self_test(true, &machine);
    // The link, and the registers.
    nic.diagnostics().continue_self_test(&machine);
    nic.diagnostics().continue_self_test(&machine);
    machine.set_faults(Faults {
        gone: true,
        ..Faults::default()
    });
    let report = loop {
        match nic.diagnostics().continue_self_test(&machine) {
            SelfTest::Done(report) => break report,
            SelfTest::Wait(delay) => machine.sleep(delay),
        }
    };
    assert!(!report.passed());
    assert_eq!(nic.recovery().watch(&machine), watchdog::Outcome::DeviceGone);
}

#[test]
fn meanwhile_frames_are_dropped_and_counted_and_none_is_received() {
    let (machine, mut nic) = start(chip(0x100E));
    nic.diagnostics().start_self_test(false, &machine);
    loop {
        let dropped = nic.state().tx_counters().dropped;
        assert!(nic.state().is_testing() && nic.tx().has_room() && !nic.state().needs_watching());
        nic.tx().send(&[1; 60]).expect("taken");
        nic.tx().post();
        assert_eq!(nic.state().tx_counters().dropped, dropped + 1);
        machine.deliver(&[0xFF; 60]);
        assert_eq!(nic.rx().receive(&mut [0; 60]), None);
        assert_eq!(nic.link().refresh(&machine), None);
        match nic.diagnostics().continue_self_test(&machine) {
            SelfTest::Done(report) => break assert!(report.passed()),
            SelfTest::Wait(delay) => machine.sleep(delay),
        }
    }
    assert_eq!(machine.take_sent(), Vec::<Vec<u8>>::new());
}

/// Goes on with a self-test until the PHY loops.
fn run_into_loopback(machine: &FakeMachine, nic: &mut FakeNic) {
    nic.diagnostics().start_self_test(false, machine);
    while machine.peek_phy(0) & 0x4000 == 0 {
        nic.diagnostics().continue_self_test(machine);
        assert!(nic.state().is_testing(), "it ended without loopback");
    }
}

#[test]
fn phy_does_not_loop_on_when_the_driver_ends_or_is_killed_meanwhile() {
    for id in [0x100E, 0x100C, 0x1013, 0x105E, 0x109A, 0x10D3] {
        let (machine, mut nic) = start(chip(id));
        run_into_loopback(&machine, &mut nic);
        nic.stop(&machine);
        assert_eq!(machine.peek_phy(0) & 0x4000, 0, "{id:04x}: stopped");

        for reset_ignored in [false, true] {
            let (machine, mut nic) = start(chip(id));
            machine.set_faults(Faults {
                reset_ignored,
                ..Faults::default()
            });
            run_into_loopback(&machine, &mut nic);
            std::mem::forget(nic);
            assert_ne!(machine.peek_phy(0) & 0x4000, 0);
            let sizes = Config::default();
            let mut nic = Nic::bring_up(machine.registers(), chip(id), sizes, &mut machine.dma(), &machine)
                .expect("bring-up");
            assert_eq!(machine.peek_phy(0) & 0x4000, 0, "{id:04x}: killed");
            machine.sleep(Duration::from_secs(4));
            nic.link().refresh(&machine);
            nic.tx().send(&[1; 60]).expect("room");
            nic.tx().post();
            assert_eq!(machine.take_sent().len(), 1);
            nic.stop(&machine);
        }
    }
}
