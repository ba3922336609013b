//! The daemon's platform on Linux.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use e1000_hw::platform::Registers;
use e1000_hw::recorder::Counts;
use e1000_hw::regs::{self, Rctl, Tctl};
use e1000d::platform::{Counters, LineTestLimits, Platform};
use pcid_config::channel::Channel;
use pcid_config::protocol::PciFunction;
use serde::{Deserialize, Serialize};

use crate::registers::QtestRegisters;

/// Counts of a daemon from its readiness to its stop.
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
    /// State of the NIC when bus mastering was switched off; none while it is on.
    pub bus_master_off: Option<BusMasterOff>,
    /// DMA memory that was left when the daemon's work was done.
    pub dma_bytes_left: u64,
}

/// State of the NIC when the driver switched its bus mastering off for the first time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BusMasterOff {
    /// DMA memory that was mapped.
    pub dma_bytes: u64,
    /// The receiver was on.
    pub receiving: bool,
    /// The transmitter was on.
    pub transmitting: bool,
}

#[derive(Default)]
struct Progress {
    at_ready: Counts,
    report: Report,
    bus_master_off: Option<BusMasterOff>,
}

/// The machine under a hosted daemon. Clones share the report.
#[derive(Clone)]
pub struct HostedPlatform {
    registers: QtestRegisters,
    progress: Arc<Mutex<Progress>>,
    /// Directory in which somebody else takes the scheme's name.
    take_name_in: Option<PathBuf>,
}

impl HostedPlatform {
    /// A platform whose BAR 0 is `registers`.
    pub fn new(registers: QtestRegisters) -> Self {
        Self {
            registers,
            progress: Arc::default(),
            take_name_in: None,
        }
    }

    /// Takes the scheme's name, in this directory, just before the daemon wants it: its start fails when all
    /// else is up.
    pub fn with_name_taken(mut self, directory: PathBuf) -> Self {
        self.take_name_in = Some(directory);
        self
    }

    /// Counts of the daemon; zero until it stopped.
    pub fn report(&self) -> Report {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            bus_master_off: progress.bus_master_off,
            dma_bytes_left: redox_shim::memory::in_use(),
            ..progress.report
        }
    }

    /// The driver took bus mastering from the NIC.
    pub fn bus_master_off(&self) {
        let seen = BusMasterOff {
            dma_bytes: redox_shim::memory::in_use(),
            receiving: self.registers.read(regs::RCTL) & Rctl::EN.bits() != 0,
            transmitting: self.registers.read(regs::TCTL) & Tctl::EN.bits() != 0,
        };
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.bus_master_off.get_or_insert(seen);
    }
}

impl Platform for HostedPlatform {
    type Registers = QtestRegisters;

    fn map_registers(&mut self, _channel: &Channel, _function: &PciFunction) -> io::Result<QtestRegisters> {
        Ok(self.registers.clone())
    }

    fn remove_stale_scheme(&mut self, name: &str) -> io::Result<()> {
        if let Some(directory) = &self.take_name_in {
            return fs::write(directory.join(name), []);
        }
        match redox_shim::unlink_scheme(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn line_test_limits(&self) -> LineTestLimits {
        // An interrupt is a message that goes through two threads, which wait for their turns; nobody shares the line.
        LineTestLimits {
            test: Duration::from_secs(1),
            listen: Duration::ZERO,
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
        let passed = self.registers.counts() - progress.at_ready;
        progress.report = Report {
            register_reads: passed.reads,
            register_writes: passed.writes,
            rx_frames: counters.rx_frames,
            tx_frames: counters.tx_frames,
            ..Report::default()
        };
    }
}
