//! Start: everything from the PCI function to a scheme that is ready to be registered.

use std::sync::Arc;
use std::time::Duration;

use e1000_hw::chip::{Chip, Quirks};
use e1000_hw::nic::{Config, Nic};
use e1000_hw::platform::{Clock, Registers};
use e1000_hw::reset;
use pcid_config::channel::Channel;
use redox_scheme::Socket;
use redox_scheme::scheme::SchemeSync;

use super::shared::{Lock, Shared};
use super::{Daemon, Function, end_bus_mastering};
use crate::driver::{Driver, WATCH_INTERVAL};
use crate::error::{DaemonError, Doing};
use crate::options::Options;
use crate::platform::Platform;
use crate::redox::clock::SystemClock;
use crate::redox::config_space::{self, Tuning};
use crate::redox::dma::{DmaBlock, DmaMemory};
use crate::redox::events::{Events, Source};
use crate::redox::irq::{Interrupts, Kind};
use crate::redox::namespace::Registration;
use crate::redox::pipe::Pipe;
use crate::redox::signals;
use crate::redox::timer::Timer;
use crate::scheme::NetworkScheme;
use crate::scheme::files::Description;

/// Longest wait for the link before the daemon reports that it is ready.
///
/// Autonegotiation takes 1 to 4 s on real hardware, often less. dhcpd sends a single DISCOVER right after the boot. A
/// link by then is better, but not needed: frames are kept until the link is up. Without a cable, a boot has to go on
/// within 5 s.
const LINK_LIMIT: Duration = Duration::from_secs(3);
/// Interval of polling the link meanwhile.
const LINK_INTERVAL: Duration = Duration::from_millis(50);

impl<R: Registers + Clone + Send + Sync + 'static> Daemon<R> {
    /// Opens everything, brings the NIC up and enters the null namespace. Nobody can open the scheme yet.
    pub(super) fn start<P: Platform<Registers = R>>(
        platform: &mut P,
        function: &Function,
        options: &Options,
        clock: &SystemClock,
    ) -> Result<(Self, Registration), DaemonError> {
        // Everything that is opened by a path comes first: the null namespace has no paths.
        let memory = DmaMemory::open().doing("open the memory scheme")?;
        let mut events = Events::new().doing("create an event queue")?;
        let timer = Timer::open().doing("open a timer")?;
        let socket = Arc::new(Socket::create().doing("create a scheme")?);
        let termination = signals::termination().doing("catch signals")?;
        let ended = Pipe::new().doing("create a pipe")?;
        platform
            .remove_stale_scheme(&function.scheme_name)
            .doing("remove the scheme of an earlier driver")?;

        let registers = platform
            .map_registers(&function.channel, &function.config)
            .map_err(DaemonError::Registers)?;
        let tuning = tune(&function.channel, function.chip);
        let hazard = check_hazard(function.chip, options.force)?;
        stop_on_panic(registers.clone(), function.chip, Arc::clone(&function.channel));
        let mut nic = bring_up(registers, function.chip, memory, options, clock)?;
        let interrupts = Interrupts::choose(
            options.interrupts,
            &function.channel,
            &function.config,
            &mut nic,
            &mut events,
            (platform.line_test_limits(), clock),
        )?;
        wait_for_link(&mut nic, clock);
        let revision = function.config.id.revision;
        log::info!(
            "{} rev {revision:#04x}, MAC address {}, link {}, interrupt {interrupts}",
            function.chip.name,
            nic.state().mac(),
            nic.state().link(),
        );
        for (fd, source) in [
            (timer.fd(), Source::Timer),
            (termination, Source::Termination),
            (ended.read_end(), Source::RequestsEnded),
        ] {
            events.watch(fd, source).doing("watch a descriptor")?;
        }

        let description = Description {
            revision,
            interrupts: interrupts.to_string(),
            polling: interrupts.kind() == Kind::Polling,
            aspm: tuning.aspm.map(|aspm| aspm.to_string()),
            pcix_longest_read: tuning.longest_read.map(|bytes| bytes.to_string()),
            hazard,
        };
        let mut scheme = NetworkScheme::new(function.scheme_name.clone(), nic, description, *clock);
        scheme.log_warnings();
        let root = scheme.scheme_root().doing("make a root handle")?;
        let registration = Registration::prepare(&socket, root).doing("enter the null namespace")?;
        let driver = Driver::new(Arc::clone(&socket), scheme);
        let daemon = Self {
            shared: Arc::new(Lock::new(Shared::new(driver, timer))),
            socket,
            events,
            interrupts,
            ended,
        };
        Ok((daemon, registration))
    }
}

/// Makes the settings in configuration space that the part needs. A failure is only logged, since most machines need
/// none of them.
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

/// Refuses a part with a known defect, unless forced. Returns the defect.
fn check_hazard(chip: &Chip, force: bool) -> Result<Option<&'static str>, DaemonError> {
    let hazard = chip.hazard();
    if let Some(hazard) = hazard {
        if !force {
            return Err(DaemonError::Refused {
                chip: chip.name,
                hazard,
            });
        }
        log::warn!("{}, driven because of --force: {hazard}", chip.name);
    }
    Ok(hazard)
}

/// Stops the NIC in a panic, before the kernel gives its memory to somebody else. Release builds abort, so nothing is
/// dropped.
fn stop_on_panic<R: Registers + Send + Sync + 'static>(
    registers: R,
    chip: &'static Chip,
    channel: Arc<Channel>,
) {
    std::panic::set_hook(Box::new(move |panic| {
        reset::stop_now(&registers, chip, &SystemClock::default());
        // If the panic came between a request to pcid and its answer, this fails at once instead of waiting.
        end_bus_mastering(&channel);
        log::error!("{panic}");
    }));
}

/// Brings the NIC up with rings in memory that it can reach.
fn bring_up<R: Registers>(
    registers: R,
    chip: &'static Chip,
    mut memory: DmaMemory,
    options: &Options,
    clock: &SystemClock,
) -> Result<Nic<R, DmaBlock>, DaemonError> {
    let wants_low_memory = chip.quirks.contains(Quirks::DMA32);
    if wants_low_memory && !options.force {
        memory = memory.below(1 << 32);
    }
    let mut nic = Nic::bring_up(registers, chip, Config::default(), &mut memory, clock)?;
    if wants_low_memory && nic.state().end_address() > 1 << 32 {
        log::warn!(
            "DMA memory above 4 GiB, which {} may not reach on conventional PCI",
            chip.name
        );
    }
    nic.link().set_pause(options.pause, clock);
    nic.interrupts().set_moderation(options.moderation);
    Ok(nic)
}

fn wait_for_link<R: Registers>(nic: &mut Nic<R, DmaBlock>, clock: &SystemClock) {
    let start = clock.now();
    let mut watched = start;
    // The link may have changed while interrupts were being set up.
    nic.link().refresh(clock);
    while !nic.state().link().is_up() && clock.now().saturating_sub(start) < LINK_LIMIT {
        clock.sleep(LINK_INTERVAL);
        // A fiber link may have to be forced.
        if nic.state().needs_watching() && clock.now().saturating_sub(watched) >= WATCH_INTERVAL {
            watched = clock.now();
            nic.recovery().watch(clock);
        }
        nic.link().refresh(clock);
    }
}
