//! The main thread: interrupts, timer, signals, and the end of the other thread.

use std::sync::Arc;

use e1000_hw::platform::Registers;

use super::Daemon;
use super::requests::serve_requests;
use crate::error::{DaemonError, Doing};
use crate::redox::events::Source;

impl<R: Registers + Send + 'static> Daemon<R> {
    /// Starts the thread that serves requests, then serves everything else until a termination signal.
    ///
    /// # Errors
    ///
    /// When waiting fails, an interrupt cannot be acknowledged, or the other thread has ended.
    pub(super) fn main_loop(&self) -> Result<(), DaemonError> {
        let (socket, shared) = (Arc::clone(&self.socket), Arc::clone(&self.shared));
        let ended = self.ended.clone();
        let thread = std::thread::Builder::new()
            .name("requests".to_owned())
            .spawn(move || {
                // Dropped at the end of the thread, also when a panic ends it.
                let _ended = ended.signal_on_drop();
                serve_requests(&socket, &shared)
            })
            .doing("start a thread")?;

        // Frames may have arrived before the interrupt was watched.
        self.interrupt(0)?;
        loop {
            match self.events.next().doing("wait for events")? {
                Source::Interrupt(vector) => self.interrupt(vector)?,
                Source::Timer => self.tick()?,
                Source::Termination => return Ok(()),
                Source::RequestsEnded => {
                    return thread.join().unwrap_or(Err(DaemonError::RequestsPanicked));
                }
            }
        }
    }

    /// Serves an interrupt on `vector`.
    fn interrupt(&self, vector: u16) -> Result<(), DaemonError> {
        let served = self.shared.lock().step(|driver| {
            self.interrupts
                .service(|| driver.scheme().acknowledge_interrupt(vector))?;
            driver.serve_interrupt();
            Ok(())
        })?;
        served.unwrap_or(Ok(()))
    }

    /// Serves the timer.
    fn tick(&self) -> Result<(), DaemonError> {
        let mut shared = self.shared.lock();
        if shared.timer_has_expired() {
            shared.step(|driver| driver.tick())?;
        }
        Ok(())
    }
}
