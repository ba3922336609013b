//! Time of the devices, which no clock of this machine moves.
//!
//! QEMU counts the processor's instructions instead of nanoseconds (`-icount`), and the processor halts for ever. With
//! `sleep=off` time then jumps to whatever a device has set a timer for (QEMU, accel/tcg/icount-common.c,
//! `icount_start_warp_timer`); without a timer it stands. To have a certain time pass, one more timer is set: one of
//! the HPET, whose interrupt says that it has passed, and all timers before it with it.

use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::qtest::Qtest;

pub(super) const ARGUMENTS: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// The pin of the IOAPIC that the HPET's timers may use on a PC with PIIX3.
pub(super) const PIN: u32 = 2;

/// Longest wait for a timer. QEMU needs microseconds.
const LIMIT: Duration = Duration::from_secs(10);

// IA-PC HPET specification 1.0a, 2.3.
const HPET: u64 = 0xFED0_0000;
const CONFIGURATION: u64 = HPET + 0x10;
const ENABLE: u64 = 1;
const COUNTER: u64 = HPET + 0xF0;
const TIMER: u64 = HPET + 0x100;
const TIMER_ENABLE: u64 = 1 << 2;
const TIMER_ROUTE: u64 = (PIN as u64) << 9;
const COMPARATOR: u64 = HPET + 0x108;
/// Length of one tick of QEMU's.
const TICK: Duration = Duration::from_nanos(10);

/// The devices' time does not move: there is no HPET, or time is real.
#[derive(Debug, thiserror::Error)]
#[error("the devices' time does not move")]
pub struct TimeStands;

pub(super) struct VirtualTime {
    qtest: Qtest,
    fired: Mutex<Receiver<()>>,
}

impl VirtualTime {
    /// Takes over time. `fired` says that [`PIN`] was raised.
    pub(super) fn start(qtest: Qtest, fired: Receiver<()>) -> Self {
        // The PIT ticks from power on: once more in mode 0, then no more.
        qtest.outb(0x43, 0x30);
        qtest.outb(0x40, 1);
        qtest.outb(0x40, 0);
        Self {
            qtest,
            fired: Mutex::new(fired),
        }
    }

    pub(super) fn advance(&self, duration: Duration) -> Result<(), TimeStands> {
        let ticks = (duration.as_nanos() / TICK.as_nanos()) as u64;
        let fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        // One that fired of itself is not this one.
        let _ = fired.try_iter().count();
        // The counter can only be set while it stands.
        let post = |register: u64, value: u64| self.qtest.post(&format!("writeq {register:#x} {value:#x}"));
        post(CONFIGURATION, 0);
        post(TIMER, 0);
        post(COUNTER, 0);
        post(COMPARATOR, ticks);
        post(TIMER, TIMER_ENABLE | TIMER_ROUTE);
        self.qtest
            .command(&format!("writeq {CONFIGURATION:#x} {ENABLE:#x}"))
            .ok_or(TimeStands)?;
        fired.recv_timeout(LIMIT).map_err(|_| TimeStands)
    }
}
