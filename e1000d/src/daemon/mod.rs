//! The process: start, its two threads, end.
//!
//! One thread (`requests`) blocks in a read of the scheme socket and serves what comes: for a request that need not
//! wait, two system calls in all, as few as any scheme can do. The main thread (`main_loop`) waits for everything
//! else (interrupt, timer, signals) at an event queue. They share the driver under a lock (`shared`).

mod main_loop;
mod requests;
mod shared;
mod start;

use std::sync::Arc;

use e1000_hw::chip::{self, Chip};
use e1000_hw::platform::Registers;
use libredox::flag::{F_SETFD, O_CLOEXEC};
use pcid_config::channel::Channel;
use pcid_config::protocol::PciFunction;
use redox_scheme::Socket;
use syscall::error::{EINTR, ENODEV};

use crate::error::{DaemonError, Doing};
use crate::options::Options;
use crate::platform::{Counters, Environment, Platform};
use crate::redox::clock::SystemClock;
use crate::redox::events::Events;
use crate::redox::irq::Interrupts;
use crate::redox::logger;
use crate::redox::pipe::Pipe;
use shared::{Lock, Shared};

/// Runs the daemon until a signal or an error ends it.
///
/// # Errors
///
/// See [`DaemonError`]. The NIC is stopped in any case.
pub fn run<P: Platform>(
    mut platform: P,
    environment: Environment,
    options: Options,
) -> Result<(), DaemonError> {
    for fd in std::iter::once(environment.channel).chain(environment.notify) {
        // The daemon executes no other program, so a failure has no consequences.
        let _ = libredox::call::fcntl(fd, F_SETFD as usize, O_CLOEXEC as usize);
    }
    let function = Function::open(&environment)?;
    logger::init(&function.scheme_name);
    let clock = SystemClock::default();
    let result = run_function(&mut platform, &environment, &function, &options, &clock);
    // A failed start may have leaked DMA memory, which the kernel frees when this process ends, and pcid leaves bus
    // mastering on when the channel closes. So it has to be turned off here.
    if result.is_err() {
        function.end_bus_mastering();
    }
    result
}

fn run_function<P: Platform>(
    platform: &mut P,
    environment: &Environment,
    function: &Function,
    options: &Options,
    clock: &SystemClock,
) -> Result<(), DaemonError> {
    let (daemon, registration) = Daemon::start(platform, function, options, clock)?;
    let name = &function.scheme_name;
    let registered = registration.register(name).doing("register the scheme");
    let result = registered.and_then(|()| {
        // Not earlier: smolnetd lists the schemes only once, after this report.
        environment.report_ready();
        platform.ready(name);
        daemon.main_loop()
    });
    let errno = if result.is_ok() { EINTR } else { ENODEV };
    platform.stopped(&daemon.stop(function, clock, errno));
    result
}

/// The PCI function that pcid handed over.
struct Function {
    channel: Arc<Channel>,
    config: PciFunction,
    chip: &'static Chip,
    scheme_name: String,
}

impl Function {
    fn open(environment: &Environment) -> Result<Self, DaemonError> {
        let channel = Arc::new(Channel::from_raw(environment.channel));
        let config = channel.config()?;
        let (vendor, device) = (config.id.vendor, config.id.device);
        Ok(Self {
            channel,
            chip: chip::find(vendor, device).ok_or(DaemonError::UnknownChip { vendor, device })?,
            scheme_name: format!("network.{}_e1000", config.address.scheme_name()),
            config,
        })
    }

    /// Turns off bus mastering, so that the function can no longer access memory. Returns true on success.
    fn end_bus_mastering(&self) -> bool {
        end_bus_mastering(&self.channel)
    }
}

fn end_bus_mastering(channel: &Channel) -> bool {
    let off = channel.set_bus_master(false);
    if let Err(error) = &off {
        log::warn!("bus mastering stays on: {error}");
    }
    off.is_ok()
}

/// A daemon that is up.
struct Daemon<R: Registers> {
    shared: Arc<Lock<Shared<R>>>,
    socket: Arc<Socket>,
    events: Events,
    interrupts: Interrupts,
    /// Pipe through which the thread that serves requests reports its end.
    ended: Pipe,
}

impl<R: Registers> Daemon<R> {
    /// Answers pending requests with `errno`, stops the NIC, turns off bus mastering and frees the NIC's memory, in
    /// this order.
    fn stop(self, function: &Function, clock: &SystemClock, errno: i32) -> Counters {
        let Some(driver) = self.shared.lock().stop() else {
            return Counters::default();
        };
        let mut nic = driver.stop(errno);
        let (rx, tx) = (nic.state().rx_counters(), nic.state().tx_counters());
        if !nic.halt(clock) {
            log::warn!("the NIC did not end its DMA; its memory is not freed");
        }
        if !function.end_bus_mastering() {
            // The NIC may still write to its memory, so that is leaked.
            std::mem::forget(nic);
        }
        Counters {
            rx_frames: rx.frames,
            tx_frames: tx.frames,
        }
    }
}
