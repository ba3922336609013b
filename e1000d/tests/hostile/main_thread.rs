//! What the daemon's main thread does about interrupts, time and a self-test, in its place.

use std::time::Duration;

use e1000_hw::platform::Clock;
use e1000d::scheme::notify::Occasion;

use super::requests::COST;
use super::{BASE_COST, Case};

/// Register accesses of an interrupt that says that the link changed: the PHY is asked, if firmware gives it up.
const LINK_COST: usize = 2000;
/// Register accesses of a step of a self-test: the NVM of the oldest parts is read bit by bit.
const SELF_TEST_COST: usize = 40_000;
/// A step of a self-test takes no longer: others are not served meanwhile.
const SELF_TEST_STEP: Duration = Duration::from_millis(500);
/// A self-test takes no longer, whatever happens.
const SELF_TEST_LIMIT: Duration = Duration::from_secs(13);

impl Case {
    /// The time passes until something is due, or a tick of the clock. Nobody asks for anything meanwhile, as the thread that
    /// serves requests finds out in the others' turn, which is bounded.
    pub(super) fn go_on(&mut self) {
        let mut looks = 0;
        while self.server.scheme().has_others_turn() {
            looks += 1;
            assert!(looks <= e1000d::overload::LOOKS, "the others' turn does not end");
            if self.server.scheme().look_idle() {
                self.settle(0, |server, _| server.settle(Occasion::Served));
            }
        }
        let due = self.server.scheme().self_test_due();
        self.machine.sleep(due.unwrap_or(Duration::from_millis(4)));
        self.check(1);
    }

    /// What ends each step of either thread: a device that is gone is told of, once; a self-test goes on.
    pub(super) fn plan(&mut self) {
        if self.server.scheme().nic().state().is_gone() {
            self.server.lose_device().expect("answers are taken");
            self.kernel.inner().gone = true;
        }
        self.server.scheme().reader_may_have_stopped();
        let scheme = self.server.scheme();
        let due = scheme.self_test_due();
        let tests = scheme.nic().state().is_testing() && !scheme.nic().state().is_gone();
        assert_eq!(due.is_some(), tests, "a self-test was forgotten");
    }

    /// What the main thread does about an interrupt.
    pub(super) fn interrupt(&mut self, vector: u16) {
        self.registers.allow(BASE_COST + LINK_COST);
        self.server.scheme().interrupt(vector % 4);
        if self.server.scheme().nic().state().is_gone() {
            return self.plan();
        }
        self.settle(0, |server, _| server.settle(Occasion::Tick));
        self.server.scheme().note_backlog();
    }

    /// What the main thread does when the alarm goes off.
    pub(super) fn check(&mut self, bits: u8) {
        let reads_wait = self.server.reads_wait();
        if self.continue_self_test() {
            return self.settle(0, |server, _| server.settle(Occasion::Tick));
        }
        let scheme = self.server.scheme();
        scheme.expire_others_turn();
        scheme.note_lost_interrupt(reads_wait);
        if !scheme.nic().state().link().is_up() {
            scheme.look_at_link();
        }
        scheme.watch();
        let nic = scheme.nic();
        if bits & 0b11 == 0 && !nic.state().link().is_up() {
            nic.tx().drop_pending();
        }
        self.settle(0, |server, _| server.settle(Occasion::Tick));
    }

    /// Whether a self-test is still under way.
    fn continue_self_test(&mut self) -> bool {
        self.registers.allow(SELF_TEST_COST);
        let tested = self.server.scheme().nic().state().is_testing();
        self.registers.set_testing(true);
        let start = self.machine.now();
        let tests = self.server.scheme().continue_self_test();
        let took = self.machine.now().saturating_sub(start);
        assert!(took <= SELF_TEST_STEP, "a step of the self-test takes {took:?}");
        self.registers.set_testing(false);
        self.kernel.inner().wire.may_loop |= tested && self.resets_fail;
        self.registers.allow(COST);
        tests
    }

    /// A self-test that is looked after ends in time.
    pub(super) fn end_self_test(&mut self) {
        let start = self.machine.now();
        while self.server.scheme().self_test_due().is_some() {
            self.go_on();
            let took = self.machine.now().saturating_sub(start);
            assert!(took < SELF_TEST_LIMIT, "the self-test takes {took:?}");
        }
    }
}
