//! The state that both threads share.

use std::sync::Arc;

use e1000_hw::platform::Registers;
use redox_scheme::Socket;

use crate::driver::Driver;
use crate::error::{DaemonError, Doing};
use crate::redox::clock::SystemClock;
use crate::redox::dma::DmaBlock;
use crate::redox::timer::Timer;

/// Driver of a NIC on Redox.
pub type SystemDriver<R> = Driver<R, DmaBlock, SystemClock, Arc<Socket>>;

/// Lock around the shared state.
///
/// It is taken for each batch of requests, for some microseconds, and rarely contended. relibc's mutex makes a system
/// call at each unlock (2 % of the cost of a frame). This one makes none, and yields the processor while it waits.
pub type Lock<T> = spin::mutex::SpinMutex<T, spin::Yield>;

/// Driver and timer.
pub struct Shared<R: Registers> {
    /// `None` once the daemon has stopped.
    driver: Option<SystemDriver<R>>,
    timer: Timer,
}

impl<R: Registers> Shared<R> {
    /// Joins both.
    pub fn new(driver: SystemDriver<R>, timer: Timer) -> Self {
        Self {
            driver: Some(driver),
            timer,
        }
    }

    /// Does one step of either thread, then arms the timer for work that is due later. Returns `None` once the daemon
    /// has stopped.
    ///
    /// # Errors
    ///
    /// When the timer cannot be set.
    pub fn step<T>(
        &mut self,
        work: impl FnOnce(&mut SystemDriver<R>) -> T,
    ) -> Result<Option<T>, DaemonError> {
        let Some(driver) = &mut self.driver else {
            return Ok(None);
        };
        let result = work(driver);
        if let Some(delay) = driver.next_tick() {
            self.timer.arm(delay).doing("set the timer")?;
        }
        Ok(Some(result))
    }

    /// Returns true if the timer has expired; an event of the timer may belong to an earlier arming.
    pub fn timer_has_expired(&mut self) -> bool {
        self.timer.has_expired()
    }

    /// Takes the driver out: from now on neither thread finds any work.
    pub fn stop(&mut self) -> Option<SystemDriver<R>> {
        self.driver.take()
    }
}
