//! Fiber and serdes: a link that is forced for a partner that does not negotiate. Against the fake.

use std::time::Duration;

use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, chip};
use e1000_hw::nic::{Config, Nic};
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Causes, Ctrl, Status};
use e1000_hw::watchdog::Outcome;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

const SECOND: Duration = Duration::from_secs(1);

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

/// A fiber or serdes NIC without a link, at a partner that sends idles and does not negotiate.
fn at_a_silent_partner(id: u16) -> (FakeMachine, FakeNic) {
    let machine = FakeMachine::new(chip(id));
    machine.set_link(false);
    let mut nic = bring_up(&machine, id);
    signal(&machine, id, true);
    nic.interrupts().enable();
    (machine, nic)
}

/// Light arrives, or none.
fn signal(machine: &FakeMachine, id: u16, on: bool) {
    let inverted = matches!(id, 0x1001 | 0x1009);
    let ctrl = machine.peek(regs::CTRL) & !Ctrl::SIGNAL.bits();
    machine.poke(
        regs::CTRL,
        ctrl | if on != inverted { Ctrl::SIGNAL.bits() } else { 0 },
    );
    machine.poke(regs::RXCW, if on { regs::RXCW_SYNCH } else { 0 });
}

fn is_forced(machine: &FakeMachine) -> bool {
    machine.peek(regs::TXCW) & regs::TXCW_ANE == 0
}

const FIBER: [u16; 6] = [0x1001, 0x1009, 0x1011, 0x1028, 0x105F, 0x1060];

#[test]
fn link_is_forced_for_a_partner_that_does_not_negotiate() {
    for id in FIBER {
        let (machine, mut nic) = at_a_silent_partner(id);
        assert!(nic.state().needs_watching());
        assert_eq!(
            tick(&machine, &mut nic),
            Outcome::Idle,
            "negotiation gets its time"
        );
        assert!(!is_forced(&machine));
        assert_eq!(tick(&machine, &mut nic), Outcome::LinkHelped);
        assert!(is_forced(&machine), "{id:04x}");
        let forced = (Ctrl::SLU | Ctrl::FD).bits();
        assert_eq!(machine.peek(regs::CTRL) & forced, forced);
        machine.set_link(true);
        assert!(nic.link().refresh(&machine).is_some());
        // For some seconds it is looked at, then no more.
        for _ in 0..20 {
            if nic.state().needs_watching() {
                assert_eq!(tick(&machine, &mut nic), Outcome::Idle);
            }
        }
        assert!(!nic.state().needs_watching() && is_forced(&machine));
    }
}

#[test]
fn forced_link_is_negotiated_again_when_the_partner_begins_to() {
    for id in FIBER {
        let (machine, mut nic) = at_a_silent_partner(id);
        tick(&machine, &mut nic);
        tick(&machine, &mut nic);
        machine.set_link(true);
        nic.link().refresh(&machine);
        // That of the link that came up.
        nic.interrupts().acknowledge(0);
        while nic.state().needs_watching() {
            tick(&machine, &mut nic);
        }
        // It comes as an interrupt, though nobody watches.
        assert_ne!(machine.peek(regs::IMS) & Causes::RXSEQ.bits(), 0);
        machine.poke(regs::RXCW, regs::RXCW_SYNCH | regs::RXCW_C);
        machine.poke(regs::ICR, Causes::RXSEQ.bits());
        nic.interrupts().acknowledge(0);
        assert!(nic.state().needs_watching());
        assert_eq!(tick(&machine, &mut nic), Outcome::LinkHelped);
        assert!(!is_forced(&machine), "{id:04x}");
        assert_eq!(machine.peek(regs::CTRL) & Ctrl::SLU.bits(), 0);
    }
}

#[test]
fn forced_link_whose_partner_is_gone_is_negotiated_again() {
    for id in FIBER {
        let (machine, mut nic) = at_a_silent_partner(id);
        tick(&machine, &mut nic);
        tick(&machine, &mut nic);
        signal(&machine, id, false);
        assert_eq!(tick(&machine, &mut nic), Outcome::LinkHelped);
        assert!(!is_forced(&machine));
    }
}

#[test]
fn link_is_not_forced_without_a_signal_or_while_the_partner_negotiates() {
    for id in FIBER {
        for received in [0, regs::RXCW_SYNCH | regs::RXCW_C] {
            let (machine, mut nic) = at_a_silent_partner(id);
            signal(&machine, id, received != 0);
            machine.poke(regs::RXCW, received);
            for _ in 0..20 {
                assert_eq!(tick(&machine, &mut nic), Outcome::Idle);
            }
            assert!(!is_forced(&machine), "{id:04x}");
            assert!(!nic.state().needs_watching(), "not for ever");
            // Somebody who wants to send has it looked at again.
            nic.tx().send(&[1; 60]).expect("it waits");
            assert!(nic.state().needs_watching());
        }
    }
}

#[test]
fn link_that_came_up_by_negotiation_is_left_alone() {
    for id in FIBER {
        let (machine, mut nic) = at_a_silent_partner(id);
        tick(&machine, &mut nic);
        machine.set_link(true);
        nic.link().refresh(&machine);
        machine.take_accesses();
        assert_eq!(tick(&machine, &mut nic), Outcome::Idle);
        assert_eq!(machine.take_accesses().writes, []);
        assert!(!nic.state().needs_watching() && !is_forced(&machine));
        assert_ne!(machine.peek(regs::STATUS) & Status::LU.bits(), 0);
    }
}
