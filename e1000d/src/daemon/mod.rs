//! The daemon from start to stop: bring-up order, its two threads, end.
//!
//! One thread blocks in a read of the scheme socket and serves what comes: for a request that needs not wait, two
//! system calls in all, as few as any scheme can do. The other waits for everything else (interrupt, timer,
//! signals) at an event queue. They share the scheme under a lock; whichever has made something possible answers
//! who waited for it.

pub mod requests;

use std::sync::Arc;
use std::time::Duration;

use e1000_hw::chip::{self, Chip, Quirks};
use e1000_hw::nic::{Config, Nic};
use e1000_hw::platform::{Clock, Registers};
use e1000_hw::reset;
use libredox::flag::{F_SETFD, O_CLOEXEC};
use pcid_config::channel::Channel;
use pcid_config::protocol::PciFunction;
use redox_scheme::Socket;
use redox_scheme::scheme::SchemeSync;
use syscall::error::{EINTR, ENODEV};

use crate::daemon::requests::{Lock, Service, Shared, WATCH_INTERVAL, serve_requests};
use crate::driver::Server;
use crate::error::{DaemonError, Doing};
use crate::platform::{Counters, Environment, Options, Platform};
use crate::redox::clock::SystemClock;
use crate::redox::config_space::{self, Tuning};
use crate::redox::dma::{DmaBlock, DmaMemory};
use crate::redox::events::{Events, Source};
use crate::redox::irq::{Interrupts, Kind};
use crate::redox::namespace::Registration;
use crate::redox::timer::Alarm;
use crate::redox::{logger, signals};
use crate::scheme::NetworkScheme;
use crate::scheme::files::Description;

/// Longest wait for the link before the daemon reports that it is ready.
///
/// Autonegotiation takes 1 to 4 s on real hardware, often less. dhcpd sends a single DISCOVER right after the
/// boot: it should meet a live link, but need not, since frames for a link that comes later are kept. A boot without a cable
/// has to go on within 5 s, with the network stack and what comes behind it.
const LINK_LIMIT: Duration = Duration::from_secs(3);

/// Runs the daemon until it is told to end.
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
        // Nothing is ever executed; a failure costs nothing.
        let _ = libredox::call::fcntl(fd, F_SETFD as usize, O_CLOEXEC as usize);
    }
    let channel = Arc::new(Channel::from_raw(environment.channel));
    let function = channel.config()?;
    let id = function.id;
    let chip = chip::find(id.vendor, id.device).ok_or(DaemonError::UnknownChip {
        vendor: id.vendor,
        device: id.device,
    })?;
    let name = format!("network.{}_e1000", function.address.scheme_name());
    logger::init(&name);

    let clock = SystemClock::default();
    let result = Daemon::start(&mut platform, &channel, &function, chip, &name, &options, &clock).and_then(
        |mut daemon| {
            let result = daemon
                .announce(&mut platform, &environment, &name)
                .and_then(|()| daemon.serve());
            let counters = daemon.stop(&clock, &channel, if result.is_ok() { EINTR } else { ENODEV });
            platform.stopped(&counters);
            result
        },
    );
    // Also after a start that failed half-way: pcid leaves it on when the channel closes, and the memory that such a start
    // has leaked is the kernel's again when this process ends.
    if result.is_err() {
        end_bus_mastering(&channel);
    }
    result
}

/// Takes bus mastering from the function. Returns whether that worked: from then on it reaches no memory.
fn end_bus_mastering(channel: &Channel) -> bool {
    let off = channel.set_bus_master(false);
    if let Err(error) = &off {
        log::warn!("bus mastering stays on: {error}");
    }
    off.is_ok()
}

struct Daemon<R: Registers> {
    service: Shared<R>,
    socket: Arc<Socket>,
    events: Events,
    interrupts: Interrupts,
    registration: Option<Registration>,
    /// Both ends of the pipe through which the serving thread reports its end.
    ended: signals::Pipe,
}

impl<R: Registers + Clone + Send + Sync + 'static> Daemon<R> {
    /// Opens everything, brings the NIC up and enters the null namespace. Nobody can open the scheme yet.
    fn start<P: Platform<Registers = R>>(
        platform: &mut P,
        channel: &Arc<Channel>,
        function: &PciFunction,
        chip: &'static Chip,
        name: &str,
        options: &Options,
        clock: &SystemClock,
    ) -> Result<Self, DaemonError> {
        // What takes a path comes first: there are none in the null namespace.
        let mut memory = DmaMemory::open().doing("open the memory scheme")?;
        let mut events = Events::new().doing("create an event queue")?;
        let alarm = Alarm::open().doing("open a timer")?;
        let socket = Arc::new(Socket::create().doing("create a scheme")?);
        let termination = signals::termination().doing("catch signals")?;
        let ended = signals::Pipe::new().doing("create a pipe")?;
        platform
            .remove_stale_scheme(name)
            .doing("remove the scheme of an earlier driver")?;

        let registers = platform
            .map_registers(channel, function)
            .map_err(DaemonError::Registers)?;
        let tuning = tune(channel, chip);
        let hazard = chip.hazard();
        match hazard {
            Some(hazard) if options.force => log::warn!("{}, driven because of --force: {hazard}", chip.name),
            Some(hazard) => {
                return Err(DaemonError::Refused {
                    chip: chip.name,
                    hazard,
                });
            }
            None => {}
        }
        stop_on_panic(registers.clone(), chip, Arc::clone(channel));
        if chip.quirks.contains(Quirks::DMA32) && !options.force {
            memory = memory.below(1 << 32);
        }
        let mut nic = Nic::bring_up(registers, chip, Config::default(), &mut memory, clock)?;
        if chip.quirks.contains(Quirks::DMA32) && nic.state().end_address() > 1 << 32 {
            log::warn!(
                "DMA memory above 4 GiB, which {} may not reach on conventional PCI",
                chip.name
            );
        }
        nic.link().set_pause(options.pause, clock);
        nic.interrupts().set_moderation(options.moderation);
        let limits = (platform.interrupt_limits(), clock);
        let interrupts = Interrupts::choose(
            options.interrupts,
            channel,
            function,
            &mut nic,
            &mut events,
            limits,
        )?;
        wait_for_link(&mut nic, clock);
        log::info!(
            "{} rev {:#04x}, MAC address {}, link {}, interrupt {interrupts}",
            chip.name,
            function.id.revision,
            nic.state().mac(),
            nic.state().link(),
        );
        for (fd, source) in [
            (alarm.fd(), Source::Alarm),
            (termination, Source::Termination),
            (ended.read_end(), Source::Server),
        ] {
            events.watch(fd, source).doing("watch a descriptor")?;
        }

        let description = Description {
            revision: function.id.revision,
            interrupts: interrupts.to_string(),
            polling: interrupts.kind() == Kind::Polling,
            tuning,
            hazard,
        };
        let mut scheme = NetworkScheme::new(name.to_owned(), nic, description);
        scheme.log_news();
        let root = scheme.scheme_root().doing("make a root handle")?;
        let registration = Registration::prepare(&socket, root).doing("enter the null namespace")?;
        let server = Server::new(Arc::clone(&socket), scheme);
        let service = Service::new(server, alarm, interrupts.kind() == Kind::Polling);
        Ok(Self {
            service: Arc::new(Lock::new(service)),
            socket,
            events,
            interrupts,
            registration: Some(registration),
            ended,
        })
    }

    /// Registers the scheme and, only then, reports readiness: smolnetd looks for schemes once.
    fn announce<P: Platform>(
        &mut self,
        platform: &mut P,
        environment: &Environment,
        name: &str,
    ) -> Result<(), DaemonError> {
        if let Some(registration) = self.registration.take() {
            registration.register(name).doing("register the scheme")?;
        }
        if let Some(notify) = environment.notify {
            // Whoever waited may be gone by now.
            if let Err(error) = libredox::call::write(notify, &[0]) {
                log::warn!("readiness could not be reported: {error}");
            }
            let _ = libredox::call::close(notify);
        }
        platform.ready(name);
        Ok(())
    }

    fn serve(&mut self) -> Result<(), DaemonError> {
        let (socket, service, ended) = (
            Arc::clone(&self.socket),
            Arc::clone(&self.service),
            self.ended.clone(),
        );
        let thread = std::thread::Builder::new()
            .name("requests".to_owned())
            .spawn(move || {
                // Also when it ends in a panic.
                let _ended = ended.signal_on_drop();
                serve_requests(&socket, &service)
            })
            .doing("start a thread")?;

        // Frames may have arrived before anybody watched.
        self.interrupt(0)?;
        self.service.lock().plan()?;
        loop {
            match self.events.next().doing("wait for events")? {
                Source::Interrupt(vector) => self.interrupt(vector)?,
                Source::Alarm => self.service.lock().check()?,
                Source::Termination => return Ok(()),
                Source::Server => return thread.join().unwrap_or(Err(DaemonError::ServerPanicked)),
            }
        }
    }

    fn interrupt(&self, vector: u16) -> Result<(), DaemonError> {
        self.service.lock().interrupt(&self.interrupts, vector)
    }

    /// Answers who still waits, stops the NIC, takes the bus from it, and frees its memory, in this order.
    fn stop(self, clock: &SystemClock, channel: &Channel, errno: i32) -> Counters {
        // The other thread finds nothing to serve from now on.
        let Some(mut server) = self.service.lock().server.take() else {
            return Counters::default();
        };
        if let Err(error) = server.answer_all(errno) {
            log::warn!("requests stay unanswered: {error}");
        }
        let mut nic = server.into_scheme().into_nic();
        let (rx, tx) = (nic.state().rx_counters(), nic.state().tx_counters());
        if !nic.halt(clock) {
            log::warn!("the NIC did not end its DMA; its memory is not freed");
        }
        if !end_bus_mastering(channel) {
            // Its memory is leaked.
            std::mem::forget(nic);
        }
        Counters {
            rx_frames: rx.frames,
            tx_frames: tx.frames,
        }
    }
}

/// Sets what the part needs in configuration space. A failure is no reason to stop: most machines need nothing of it.
fn tune(channel: &Channel, chip: &Chip) -> Tuning {
    let tuning = config_space::tune(channel, chip).unwrap_or_else(|error| {
        log::warn!("configuration space: {error}");
        Tuning::default()
    });
    if tuning.aspm_stays_on(chip) {
        log::warn!("PCIe power management stays on, which may hang {}", chip.name);
    }
    tuning
}

/// A panic must not leave the NIC writing to memory that the kernel gives to somebody else: release builds abort,
/// so nothing is dropped.
fn stop_on_panic<R: Registers + Send + Sync + 'static>(
    registers: R,
    chip: &'static Chip,
    channel: Arc<Channel>,
) {
    std::panic::set_hook(Box::new(move |panic| {
        reset::stop_now(&registers, chip, &SystemClock::default());
        // Refused, not waited for, if the panic came between a request to pcid and its answer.
        end_bus_mastering(&channel);
        log::error!("{panic}");
    }));
}

fn wait_for_link<R: Registers>(nic: &mut Nic<R, DmaBlock>, clock: &SystemClock) {
    let start = clock.now();
    let mut watched = start;
    // An interrupt of the link may have come while interrupts were being set up.
    nic.link().refresh(clock);
    while !nic.state().link().is_up() && clock.now().saturating_sub(start) < LINK_LIMIT {
        clock.sleep(Duration::from_millis(50));
        // A fiber link may have to be forced.
        if nic.state().needs_watching() && clock.now().saturating_sub(watched) >= WATCH_INTERVAL {
            watched = clock.now();
            nic.recovery().watch(clock);
        }
        nic.link().refresh(clock);
    }
}
