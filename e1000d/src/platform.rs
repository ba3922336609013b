//! What the daemon needs from the machine that differs between Redox and the hosted mode.

use std::io;

use e1000_hw::flow_control::Pause;
use e1000_hw::moderation::{DEFAULT_POLICY, Policy};
use e1000_hw::platform::Registers;
use pcid_config::channel::Channel;
use pcid_config::protocol::PciFunction;

use crate::redox::irq::Kind;
use crate::redox::irq::line_test::Limits;

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

    /// Takes the name of a scheme whose daemon is gone out of the namespace. Not finding it is no error.
    ///
    /// # Errors
    ///
    /// When the namespace refuses.
    fn remove_stale_scheme(&mut self, name: &str) -> io::Result<()>;

    /// How long test interrupts on a line may take.
    fn interrupt_limits(&self) -> Limits {
        Limits::default()
    }

    /// Called once, after the scheme is registered and readiness was reported.
    fn ready(&mut self, _name: &str) {}

    /// Called when the daemon stops, with what it counted.
    fn stopped(&mut self, _counters: &Counters) {}
}

/// What the daemon was started with: file descriptors of `PCID_CLIENT_CHANNEL` and `INIT_NOTIFY`.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// The open pcid channel of the function to drive.
    pub channel: usize,
    /// The pipe that takes one byte once the scheme is registered; none when started by hand.
    pub notify: Option<usize>,
}

/// What may be chosen on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The first kind of interrupt to try; those that follow are fallbacks.
    pub interrupts: Kind,
    /// The pause frames that are wanted of those that the partner offers.
    pub pause: Pause,
    /// How long the NIC waits between two interrupts.
    pub moderation: Policy,
    /// Drive parts that are known not to be right, and with memory that they may not reach.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interrupts: Kind::MsiX,
            pause: Pause::RX,
            moderation: DEFAULT_POLICY,
            force: false,
        }
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

/// Redox: registers are memory, and schemes are files.
#[cfg(target_os = "redox")]
pub struct Redox;

#[cfg(target_os = "redox")]
impl Platform for Redox {
    type Registers = crate::redox::mmio::Mmio;

    fn map_registers(&mut self, channel: &Channel, function: &PciFunction) -> io::Result<Self::Registers> {
        use e1000_hw::regs::BAR_LEN;
        use pcid_config::bar::MappedBar;

        let bar = MappedBar::map(channel, function, 0, BAR_LEN).map_err(io::Error::other)?;
        crate::redox::mmio::Mmio::new(bar)
    }

    fn remove_stale_scheme(&mut self, name: &str) -> io::Result<()> {
        // Removing a name that is not there makes the namespace manager print an error.
        let listed = std::fs::read_dir("/scheme")?
            .flatten()
            .any(|entry| entry.file_name() == name);
        if !listed {
            return Ok(());
        }
        log::info!("the scheme of an earlier driver is in the namespace; taking its name over");
        // The namespace manager itself is asked: from July 2026 on the C library's unlink opens the root of the scheme
        // first, which is a dead driver's (relibc, redox-rt/src/sys.rs, `unlink`).
        let namespace =
            libredox::call::getns().map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        syscall::unlinkat(namespace, format!("/scheme/{name}"), 0)
            .map(drop)
            .map_err(|error| io::Error::from_raw_os_error(error.errno))
    }
}
