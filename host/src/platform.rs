//! What the daemon needs from the machine, on Linux.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use e1000d::platform::{Counters, Platform};
use pcid_config::channel::Channel;
use pcid_config::protocol::PciFunction;
use serde::{Deserialize, Serialize};

use crate::registers::{AccessCounts, QtestRegisters};

/// What a daemon counted from readiness to its stop.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Register reads.
    pub register_reads: u64,
    /// Register writes.
    pub register_writes: u64,
    /// Frames handed to clients.
    pub rx_frames: u64,
    /// Frames taken from clients.
    pub tx_frames: u64,
}

#[derive(Default)]
struct Progress {
    at_ready: AccessCounts,
    report: Report,
}

/// The machine under a hosted daemon. Clones share the report.
#[derive(Clone)]
pub struct HostedPlatform {
    registers: QtestRegisters,
    progress: Arc<Mutex<Progress>>,
}

impl HostedPlatform {
    /// A platform whose BAR 0 is `registers`.
    pub fn new(registers: QtestRegisters) -> Self {
        Self {
            registers,
            progress: Arc::default(),
        }
    }

    /// What the daemon counted; zero until it stopped.
    pub fn report(&self) -> Report {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .report
    }
}

impl Platform for HostedPlatform {
    type Registers = QtestRegisters;

    fn map_registers(&mut self, _channel: &Channel, _function: &PciFunction) -> io::Result<QtestRegisters> {
        Ok(self.registers.clone())
    }

    fn remove_stale_scheme(&mut self, name: &str) -> io::Result<()> {
        match redox_shim::unlink_scheme(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn ready(&mut self, name: &str) {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .at_ready = self.registers.counts();
        println!("ready {name}");
    }

    fn stopped(&mut self, counters: &Counters) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.registers.counts();
        progress.report = Report {
            register_reads: now.reads - progress.at_ready.reads,
            register_writes: now.writes - progress.at_ready.writes,
            rx_frames: counters.rx_frames,
            tx_frames: counters.tx_frames,
        };
    }
}
