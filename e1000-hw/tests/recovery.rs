//! A transmitter that hangs, step by step up the ladder; a device that was halted. Against the fake.

use std::time::Duration;

use e1000_hw::chip::{CHIPS, find};
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::flow_control::Pause;
use e1000_hw::interrupt::Routing;
use e1000_hw::nic::{Config, Nic};
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Rctl, Status, Tctl};
use e1000_hw::watchdog::Outcome;

const SECOND: Duration = Duration::from_secs(1);

fn start(id: u16) -> (FakeMachine, Nic<FakeRegisters, FakeRegion>) {
    let chip = find(0x8086, id).expect("a chip of the table");
    let machine = FakeMachine::new(chip);
    let nic = Nic::bring_up(
        machine.registers(),
        chip,
        Config::default(),
        &mut machine.dma(),
        &machine,
    );
    (machine, nic.expect("bring-up"))
}

fn stall(machine: &FakeMachine, stalled: bool) {
    machine.set_faults(Faults {
        transmitter_stalled: stalled,
        ..Faults::default()
    });
}

/// Looks every second until something other than `Busy` is found; what, and after how long.
fn watch(machine: &FakeMachine, nic: &mut Nic<FakeRegisters, FakeRegion>) -> (Outcome, Duration) {
    let start = machine.now();
    for _ in 0..100 {
        machine.sleep(SECOND);
        match nic.recovery().watch(machine) {
            Outcome::Busy => {}
            finding => return (finding, machine.now() - start),
        }
    }
    (Outcome::Busy, machine.now() - start)
}

#[test]
fn age_of_frames_ends_with_the_ring_that_they_were_in() {
    let (machine, mut nic) = start(0x100E);
    stall(&machine, true);
    nic.tx().send(&[1; 60]).expect("room");
    nic.tx().post();
    assert_eq!(nic.recovery().watch(&machine), Outcome::Busy);
    machine.sleep(Duration::from_millis(1900));
    nic.settings().set_mtu(9000, &machine).expect("a reset");
    // The first frame of the new ring has the number that the lost one had.
    nic.tx().send(&[2; 60]).expect("room");
    nic.tx().post();
    machine.sleep(Duration::from_millis(200));
    assert_eq!(nic.recovery().watch(&machine), Outcome::Busy, "it is 0.2 s old");
    assert_eq!(nic.state().recoveries().hangs, 0);
    machine.sleep(2 * SECOND);
    assert_eq!(nic.recovery().watch(&machine), Outcome::Reset);
}

#[test]
fn nothing_to_send_is_nothing_to_watch_and_costs_nothing() {
    let (machine, mut nic) = start(0x100E);
    assert!(!nic.state().needs_watching());
    nic.tx().send(&[1; 60]).expect("room");
    assert!(!nic.state().needs_watching(), "not posted yet");
    nic.tx().post();
    assert!(nic.state().needs_watching());
    machine.take_accesses();
    assert_eq!(
        nic.recovery().watch(&machine),
        Outcome::Idle,
        "it was sent and is taken back"
    );
    assert!(!nic.state().needs_watching());
    assert_eq!(
        machine.take_accesses(),
        Default::default(),
        "no register was touched"
    );
}

#[test]
fn hang_is_kept_as_a_snapshot_and_ends_with_a_reset() {
    for id in [0x100E, 0x100C, 0x10D3, 0x109A, 0x1503] {
        let (machine, mut nic) = start(id);
        stall(&machine, true);
        for n in 0..5 {
            nic.tx().send(&[n; 60]).expect("room");
        }
        nic.tx().post();
        let (finding, after) = watch(&machine, &mut nic);
        assert_eq!(finding, Outcome::Reset);
        assert!(after < 4 * SECOND, "{after:?}");
        let recoveries = nic.state().recoveries();
        assert_eq!(
            (recoveries.hangs, recoveries.resets, recoveries.flushes),
            (1, 1, 0)
        );
        assert_eq!(
            nic.state().tx_counters().dropped,
            5,
            "what was in the ring is lost, and counted"
        );
        let snapshot = *nic.state().last_hang().expect("a snapshot");
        assert_eq!(snapshot.tx, (0, 5, 5));
        let text = snapshot.to_string();
        assert!(text.contains("TDH 0x00000000\nTDT 0x00000005\n"), "{text}");
        assert!(text.contains("tx_descriptor_0 0x0b00003c 0x00000000\n"), "{text}");
        stall(&machine, false);
        nic.link().refresh(&machine);
        for n in 0..1000u32 {
            nic.tx().send(&[n as u8; 60]).expect("room");
            nic.tx().post();
            assert!(machine.deliver(&[n as u8; 60]));
            assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60));
        }
        assert_eq!(machine.take_sent().len(), 1000);
        nic.stop(&machine);
        assert_eq!(machine.dma_in_use(), 0);
    }
}

#[test]
fn late_write_back_is_flushed_out_without_a_reset() {
    let (machine, mut nic) = start(0x10D3);
    machine.set_faults(Faults {
        writes_back_late: true,
        ..Faults::default()
    });
    nic.tx().send(&[1; 60]).expect("room");
    nic.tx().post();
    assert_eq!(watch(&machine, &mut nic).0, Outcome::Idle);
    let recoveries = nic.state().recoveries();
    assert_eq!(
        (recoveries.flushes, recoveries.hangs, recoveries.resets),
        (1, 0, 0)
    );
    assert_eq!(nic.state().tx_counters().dropped, 0);
}

#[test]
fn pause_or_a_missing_link_is_no_hang() {
    let (machine, mut nic) = start(0x100E);
    stall(&machine, true);
    nic.tx().send(&[1; 60]).expect("room");
    nic.tx().post();
    machine.poke(regs::STATUS, machine.peek(regs::STATUS) | Status::TXOFF.bits());
    assert_eq!(
        watch(&machine, &mut nic).0,
        Outcome::Busy,
        "the other side asked for a pause"
    );
    machine.set_link(false);
    nic.link().refresh(&machine);
    assert!(!nic.state().needs_watching());
    assert_eq!(nic.recovery().watch(&machine), Outcome::Idle);
    assert_eq!(nic.state().recoveries().hangs, 0);
}

#[test]
fn device_that_never_recovers_is_reset_ever_more_rarely() {
    let (machine, mut nic) = start(0x100E);
    stall(&machine, true);
    let start = machine.now();
    while machine.now() - start < 600 * SECOND {
        let _ = nic.tx().send(&[1; 60]);
        nic.tx().post();
        machine.sleep(SECOND);
        nic.recovery().watch(&machine);
        nic.link().refresh(&machine);
    }
    let resets = nic.state().recoveries().resets;
    assert!((8..=16).contains(&resets), "{resets} resets in ten minutes");
}

#[test]
fn reset_that_fails_is_tried_again_and_device_that_is_gone_is_reported() {
    let (machine, mut nic) = start(0x100E);
    nic.interrupts().enable();
    machine.set_faults(Faults {
        transmitter_stalled: true,
        reset_stuck: true,
        ..Faults::default()
    });
    nic.tx().send(&[1; 60]).expect("room");
    nic.tx().post();
    assert_eq!(watch(&machine, &mut nic).0, Outcome::Hung);
    assert_eq!(nic.state().recoveries().failed_resets, 1);
    machine.poke(regs::CTRL, 0);
    stall(&machine, true);
    let mut finding = Outcome::Hung;
    for _ in 0..20 {
        if finding == Outcome::Hung || finding == Outcome::Busy {
            machine.sleep(SECOND);
            finding = nic.recovery().watch(&machine);
        }
    }
    assert_eq!(finding, Outcome::Reset);
    nic.tx().send(&[1; 60]).expect("room");
    nic.tx().post();
    machine.set_faults(Faults {
        gone: true,
        ..Faults::default()
    });
    assert_eq!(watch(&machine, &mut nic).0, Outcome::DeviceGone);
}

#[test]
fn halted_device_stays_off_whatever_is_asked_of_it_and_its_memory_is_freed() {
    for chip in CHIPS {
        let (machine, mut nic) = start(chip.device_id);
        nic.tx().send(&[0; 60]).expect("room");
        assert!(nic.halt(&machine), "{}", chip.name);
        nic.tx().send(&[0; 60]).expect("room");
        nic.tx().post();
        nic.interrupts().route(Routing::Single);
        nic.interrupts().enable();
        nic.interrupts().raise_test();
        nic.interrupts().acknowledge(0);
        nic.rx().receive(&mut [0; 60]);
        nic.rx().complete();
        nic.link().refresh(&machine);
        nic.link().set_pause(Pause::BOTH, &machine);
        nic.settings().set_filter(true, true, []);
        nic.settings().set_vlan_filter(Some([7]));
        let max = nic.state().max_mtu();
        nic.settings().set_mtu(max, &machine).expect("in range");
        assert!(!nic.state().needs_watching(), "{}", chip.name);
        assert_eq!(nic.recovery().watch(&machine), Outcome::Idle, "{}", chip.name);
        nic.diagnostics().start_self_test(true, &machine);
        assert!(!nic.state().is_testing(), "{}", chip.name);
        nic.diagnostics().continue_self_test(&machine);
        assert_eq!(machine.peek(regs::RCTL) & Rctl::EN.bits(), 0, "{}", chip.name);
        assert_eq!(machine.peek(regs::TCTL) & Tctl::EN.bits(), 0, "{}", chip.name);
        drop(nic);
        assert_eq!(machine.dma_in_use(), 0, "{}", chip.name);
    }
}

#[test]
fn halted_device_is_restarted_as_it_was_and_then_keeps_its_memory() {
    for chip in CHIPS {
        let (machine, mut nic) = start(chip.device_id);
        nic.settings().set_filter(true, false, []);
        nic.halt(&machine);
        nic.recovery().restart(&machine).expect("a reset that ends");
        assert!(machine.deliver(&[7; 60]), "{}", chip.name);
        assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60), "{}", chip.name);
        assert_ne!(machine.peek(regs::RCTL) & Rctl::UPE.bits(), 0, "{}", chip.name);
        drop(nic);
        assert_ne!(
            machine.dma_in_use(),
            0,
            "{}: nobody waited for DMA to end",
            chip.name
        );
    }
}
