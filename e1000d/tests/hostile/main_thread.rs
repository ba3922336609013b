//! The daemon's main thread: interrupts, time and a self-test.

use std::time::Duration;

use e1000_hw::platform::Clock;
use e1000d::driver::Next;
use e1000d::overload::IDLE_POLLS;

use super::requests::COST;
use super::{BASE_COST, Case};

/// Register accesses of an interrupt that reports a change of the link: the PHY is asked, if firmware gives it up.
const LINK_COST: usize = 2000;
/// Register accesses of a step of a self-test: the NVM of the oldest parts is read bit by bit.
const SELF_TEST_COST: usize = 40_000;
/// Longest time of a step of a self-test: others are not served meanwhile.
const SELF_TEST_STEP: Duration = Duration::from_millis(500);
/// Longest time of a self-test, whatever happens.
const SELF_TEST_LIMIT: Duration = Duration::from_secs(13);

impl Case {
    /// Time passes until something is due, or a tick of the clock. There are no requests meanwhile, as the thread that
    /// serves them finds out in a yield to others, which is bounded.
    pub(super) fn go_on(&mut self) {
        let mut polls = 0;
        while self.driver.scheme().yields_to_others() {
            polls += 1;
            assert!(polls <= IDLE_POLLS, "the yield to others does not end");
            self.step(0, |driver, _| {
                let next = driver.note_idle_poll();
                assert_eq!(next == Next::YieldAndPoll, driver.scheme().yields_to_others());
            });
        }
        let due = self.driver.scheme().self_test_due();
        self.machine.sleep(due.unwrap_or(Duration::from_millis(4)));
        self.tick(1);
    }

    /// An interrupt arrives.
    pub(super) fn interrupt(&mut self, vector: u16) {
        self.registers.allow(BASE_COST + LINK_COST);
        self.driver.scheme().acknowledge_interrupt(vector % 4);
        self.step(0, |driver, _| driver.serve_interrupt());
    }

    /// The timer goes off.
    pub(super) fn tick(&mut self, bits: u8) {
        let nic = self.driver.scheme().nic();
        if bits & 0b11 == 0 && !nic.state().link().is_up() {
            nic.tx().drop_pending();
        }
        let tests = nic.state().is_testing();
        self.kernel.inner().wire.may_loop |= tests && self.resets_fail;
        self.registers.set_testing(tests);
        let start = self.machine.now();
        let cost = if tests { SELF_TEST_COST } else { COST };
        self.step(cost, |driver, _| driver.tick());
        let took = self.machine.now().saturating_sub(start);
        assert!(
            !tests || took <= SELF_TEST_STEP,
            "a step of the self-test takes {took:?}"
        );
        self.registers.set_testing(false);
    }

    /// A self-test that is under way ends in time.
    pub(super) fn end_self_test(&mut self) {
        let start = self.machine.now();
        while self.driver.scheme().self_test_due().is_some() {
            self.go_on();
            let took = self.machine.now().saturating_sub(start);
            assert!(took < SELF_TEST_LIMIT, "the self-test takes {took:?}");
        }
    }
}
