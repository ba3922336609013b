//! The machine under the daemon, as far as it differs between Redox and the hosted mode.

use std::io;
use std::time::Duration;

use e1000_hw::platform::Registers;
use pcid_config::channel::Channel;
use pcid_config::environment::{EnvironmentError, INIT_NOTIFY, PCID_CLIENT_CHANNEL, parse_fd};
use pcid_config::protocol::PciFunction;

/// The machine under the daemon. Everything else the daemon does through libredox, the same on both sides.
pub trait Platform {
    /// BAR 0 of the NIC. Clones address the same registers; the panic hook keeps one.
    type Registers: Registers + Clone + Send + Sync + 'static;

    /// Maps BAR 0 of `function`.
    ///
    /// # Errors
    ///
    /// When the function has no usable memory BAR 0 or the machine refuses to map it.
    fn map_registers(&mut self, channel: &Channel, function: &PciFunction) -> io::Result<Self::Registers>;

    /// Removes the name of a scheme whose daemon is gone from the namespace. A missing name is no error.
    ///
    /// # Errors
    ///
    /// When the namespace refuses.
    fn remove_stale_scheme(&mut self, name: &str) -> io::Result<()>;

    /// Time limits of the test of an interrupt line.
    fn line_test_limits(&self) -> LineTestLimits {
        LineTestLimits::default()
    }

    /// Called once, after the scheme is registered and readiness was reported.
    fn ready(&mut self, _name: &str) {}

    /// Called when the daemon stops.
    fn stopped(&mut self, _counters: &Counters) {}
}

/// Time limits of the test of an interrupt line ([`crate::redox::irq::line_test`]).
#[derive(Clone, Copy, Debug)]
pub struct LineTestLimits {
    /// Limit for the interrupt of one test.
    pub test: Duration,
    /// Time for interrupts of others, before the tests; zero where the line is known not to be shared.
    pub listen: Duration,
}

impl Default for LineTestLimits {
    fn default() -> Self {
        Self {
            // Real interrupts take microseconds; QEMU's moderation up to 500.
            test: Duration::from_millis(2),
            listen: Duration::from_millis(20),
        }
    }
}

/// File descriptors that the daemon inherits: those of `PCID_CLIENT_CHANNEL` and `INIT_NOTIFY`.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// The open pcid channel of the function to drive.
    pub channel: usize,
    /// The pipe that takes one byte once the scheme is registered; none when started by hand.
    pub notify: Option<usize>,
}

/// Error of an environment that pcid-spawner did not prepare.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// There is no channel.
    #[error("{PCID_CLIENT_CHANNEL} is not set: this program is started by pcid-spawner")]
    NoChannel,
    /// A variable holds no descriptor.
    #[error(transparent)]
    Variable(#[from] EnvironmentError),
}

impl Environment {
    /// Reads the descriptors that pcid-spawner named in the environment of this process.
    ///
    /// # Errors
    ///
    /// See [`InheritError`].
    pub fn inherited() -> Result<Self, InheritError> {
        let fd = |name| parse_fd(name, std::env::var_os(name).as_deref());
        Ok(Self {
            channel: fd(PCID_CLIENT_CHANNEL)?.ok_or(InheritError::NoChannel)?,
            notify: fd(INIT_NOTIFY)?,
        })
    }

    /// Reports that the scheme is registered. A failure is only logged, since the process that waited may have ended.
    pub(crate) fn report_ready(&self) {
        let Some(notify) = self.notify else {
            return;
        };
        if let Err(error) = libredox::call::write(notify, &[0]) {
            log::warn!("readiness could not be reported: {error}");
        }
        let _ = libredox::call::close(notify);
    }
}

/// Frames since start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Frames handed to clients.
    pub rx_frames: u64,
    /// Frames taken from clients and given to the NIC.
    pub tx_frames: u64,
}
