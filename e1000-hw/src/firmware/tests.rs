//! Semaphores, with firmware and ports that do not give them up: every wait is bounded.

use core::time::Duration;

use crate::chip::{CHIPS, Semaphore};
use crate::fake::{FakeMachine, chip};
use crate::firmware::{Purpose, SemaphoreGuard};
use crate::recorder::Access::{Read, Write};
use crate::regs;
use crate::warnings::Warnings;

// Semaphores.

#[test]
fn ports_agree_first_then_software_and_firmware() {
    // Linux e1000e, `e1000_get_hw_semaphore_82571`: SMBI is acquired if it reads zero, then SWESMBI if it sticks.
    let recorder = FakeMachine::recorded(chip(0x105E));
    let guard = SemaphoreGuard::acquire(&recorder, chip(0x105E), &recorder, Purpose::Phy);
    assert!(guard.is_obtained() && guard.warnings().is_empty());
    drop(guard);
    assert_eq!(
        recorder.take(),
        [
            Read(regs::SWSM),
            Read(regs::SWSM),
            Write(regs::SWSM, 2),
            Read(regs::SWSM),
            Read(regs::SWSM),
            Write(regs::SWSM, 0),
        ]
    );
}

#[test]
fn port_that_never_lets_go_is_passed_over_but_firmware_is_not() {
    let recorder = FakeMachine::recorded(chip(0x105E));
    recorder.on_read(|offset, value| if offset == regs::SWSM { value | 1 } else { value });
    let time = recorder.time(|| {
        let guard = SemaphoreGuard::acquire(&recorder, chip(0x105E), &recorder, Purpose::Phy);
        assert!(guard.is_obtained(), "boot agents leave SMBI set");
        assert_eq!(guard.warnings(), Warnings::SEMAPHORE_BUSY);
    });
    assert!(time < Duration::from_millis(10), "{time:?}");

    recorder.on_read(|offset, value| if offset == regs::SWSM { value & !2 } else { value });
    recorder.take();
    let time = recorder.time(|| {
        let guard = SemaphoreGuard::acquire(&recorder, chip(0x105E), &recorder, Purpose::Phy);
        assert!(!guard.is_obtained());
        assert_eq!(guard.warnings(), Warnings::SEMAPHORE_BUSY);
    });
    assert!(time < Duration::from_millis(10), "{time:?}");
    assert_eq!(
        recorder.take().last(),
        Some(&Write(regs::SWSM, 0)),
        "SMBI is given back"
    );
}

#[test]
fn every_semaphore_is_bounded_and_what_was_not_obtained_is_not_given_back() {
    for chip in CHIPS {
        for purpose in [Purpose::Phy, Purpose::Reset] {
            let recorder = FakeMachine::recorded(chip);
            // Firmware has it, and keeps it.
            recorder.on_write(|offset, value| match offset {
                regs::SWSM => Some(value & !2),
                regs::EXTCNF_CTRL => Some(value & !(1 << 5)),
                _ => Some(value),
            });
            let time = recorder.time(|| {
                let guard = SemaphoreGuard::acquire(&recorder, chip, &recorder, purpose);
                let nothing = match chip.limits.semaphore {
                    Semaphore::None => true,
                    Semaphore::Swsm => purpose == Purpose::Reset,
                    Semaphore::SwsmMdio | Semaphore::Mdio | Semaphore::SwFlag => false,
                };
                assert_eq!(guard.is_obtained(), nothing, "{}", chip.name);
            });
            assert!(time <= Duration::from_millis(201), "{}: {time:?}", chip.name);
        }
    }
    // The flag of firmware is not cleared by us.
    let recorder = FakeMachine::recorded(chip(0x153A));
    recorder.inner.poke(regs::EXTCNF_CTRL, 1 << 5);
    drop(SemaphoreGuard::acquire(
        &recorder,
        chip(0x153A),
        &recorder,
        Purpose::Reset,
    ));
    assert_eq!(recorder.inner.peek(regs::EXTCNF_CTRL), 1 << 5);
    assert!(recorder.take().iter().all(|step| !matches!(step, Write(..))));
}
