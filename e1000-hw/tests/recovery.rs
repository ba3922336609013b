//! A transmitter that hangs, step by step up the ladder. Against the fake.

use std::time::Duration;

use e1000_hw::chip::find;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::nic::{Nic, RingSizes};
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Status};
use e1000_hw::watchdog::Outcome;

const SECOND: Duration = Duration::from_secs(1);

fn start(id: u16) -> (FakeMachine, Nic<FakeRegisters, FakeRegion>) {
    let chip = find(0x8086, id).expect("a chip of the table");
    let machine = FakeMachine::new(chip);
    let nic = Nic::bring_up(
        machine.registers(),
        chip,
        RingSizes::default(),
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
        match nic.watch(machine) {
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
    nic.transmit(&[1; 60]).expect("room");
    nic.post();
    assert_eq!(nic.watch(&machine), Outcome::Busy);
    machine.sleep(Duration::from_millis(1900));
    nic.set_mtu(9000, &machine).expect("a reset");
    // The first frame of the new ring has the number that the lost one had.
    nic.transmit(&[2; 60]).expect("room");
    nic.post();
    machine.sleep(Duration::from_millis(200));
    assert_eq!(nic.watch(&machine), Outcome::Busy, "it is 0.2 s old");
    assert_eq!(nic.recoveries().hangs, 0);
    machine.sleep(2 * SECOND);
    assert_eq!(nic.watch(&machine), Outcome::Reset);
}

#[test]
fn nothing_to_send_is_nothing_to_watch_and_costs_nothing() {
    let (machine, mut nic) = start(0x100E);
    assert!(!nic.needs_watching());
    nic.transmit(&[1; 60]).expect("room");
    assert!(!nic.needs_watching(), "not posted yet");
    nic.post();
    assert!(nic.needs_watching());
    machine.take_accesses();
    assert_eq!(
        nic.watch(&machine),
        Outcome::Idle,
        "it was sent and is taken back"
    );
    assert!(!nic.needs_watching());
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
            nic.transmit(&[n; 60]).expect("room");
        }
        nic.post();
        let (finding, after) = watch(&machine, &mut nic);
        assert_eq!(finding, Outcome::Reset);
        assert!(after < 4 * SECOND, "{after:?}");
        let recoveries = nic.recoveries();
        assert_eq!(
            (recoveries.hangs, recoveries.resets, recoveries.flushes),
            (1, 1, 0)
        );
        assert_eq!(
            nic.tx_counters().dropped,
            5,
            "what was in the ring is lost, and counted"
        );
        let snapshot = *nic.last_hang().expect("a snapshot");
        assert_eq!(snapshot.tx, (0, 5, 5));
        let text = snapshot.to_string();
        assert!(text.contains("TDH 0x00000000\nTDT 0x00000005\n"), "{text}");
        assert!(text.contains("tx_descriptor_0 0x0b00003c 0x00000000\n"), "{text}");
        stall(&machine, false);
        nic.refresh_link(&machine);
        for n in 0..1000u32 {
            nic.transmit(&[n as u8; 60]).expect("room");
            nic.post();
            assert!(machine.deliver(&[n as u8; 60]));
            assert_eq!(nic.receive(&mut [0; 60]), Some(60));
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
    nic.transmit(&[1; 60]).expect("room");
    nic.post();
    assert_eq!(watch(&machine, &mut nic).0, Outcome::Idle);
    let recoveries = nic.recoveries();
    assert_eq!(
        (recoveries.flushes, recoveries.hangs, recoveries.resets),
        (1, 0, 0)
    );
    assert_eq!(nic.tx_counters().dropped, 0);
}

#[test]
fn pause_or_a_missing_link_is_no_hang() {
    let (machine, mut nic) = start(0x100E);
    stall(&machine, true);
    nic.transmit(&[1; 60]).expect("room");
    nic.post();
    machine.poke(regs::STATUS, machine.peek(regs::STATUS) | Status::TXOFF.bits());
    assert_eq!(
        watch(&machine, &mut nic).0,
        Outcome::Busy,
        "the other side asked for a pause"
    );
    machine.set_link(false);
    nic.refresh_link(&machine);
    assert!(!nic.needs_watching());
    assert_eq!(nic.watch(&machine), Outcome::Idle);
    assert_eq!(nic.recoveries().hangs, 0);
}

#[test]
fn device_that_never_recovers_is_reset_ever_more_rarely() {
    let (machine, mut nic) = start(0x100E);
    stall(&machine, true);
    let start = machine.now();
    while machine.now() - start < 600 * SECOND {
        let _ = nic.transmit(&[1; 60]);
        nic.post();
        machine.sleep(SECOND);
        nic.watch(&machine);
        nic.refresh_link(&machine);
    }
    let resets = nic.recoveries().resets;
    assert!((8..=16).contains(&resets), "{resets} resets in ten minutes");
}

#[test]
fn reset_that_fails_is_tried_again_and_device_that_is_gone_is_reported() {
    let (machine, mut nic) = start(0x100E);
    nic.enable_interrupts();
    machine.set_faults(Faults {
        transmitter_stalled: true,
        reset_stuck: true,
        ..Faults::default()
    });
    nic.transmit(&[1; 60]).expect("room");
    nic.post();
    assert_eq!(watch(&machine, &mut nic).0, Outcome::Hung);
    assert_eq!(nic.recoveries().failed_resets, 1);
    machine.poke(regs::CTRL, 0);
    stall(&machine, true);
    let mut finding = Outcome::Hung;
    for _ in 0..20 {
        if finding == Outcome::Hung || finding == Outcome::Busy {
            machine.sleep(SECOND);
            finding = nic.watch(&machine);
        }
    }
    assert_eq!(finding, Outcome::Reset);
    nic.transmit(&[1; 60]).expect("room");
    nic.post();
    machine.set_faults(Faults {
        gone: true,
        ..Faults::default()
    });
    assert_eq!(watch(&machine, &mut nic).0, Outcome::DeviceGone);
}
