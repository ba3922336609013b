//! A link that fails while the system sends. Whoever plays the host switches it: off and on while "flaps" lasts, off
//! when "down" begins, on when it is over.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{self, Process};
use crate::services::DRIVERS;
use netstack_client::benchmark::Generator;
use netstack_client::bounded::within;
use netstack_client::{Adapter, AdapterName, MacAddress, Mode, adapter};

use super::boot::{boot, fresh_stack, pings};
use super::restart::Traffic;
use super::steps::{Flow, Seen, Steps, Verdict, text};

/// Time for which the link flaps.
const FLAPPING: Duration = Duration::from_secs(8);
/// Autonegotiation, and frames that were lost while the stack noticed nothing.
const RECOVERY: Duration = Duration::from_secs(3);
/// From one frame to the next while the link is down: little enough that a busy driver is one that spins.
const PACE: Duration = Duration::from_millis(10);
/// A driver may keep a frame for a while before it drops it; more is a hang.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
const MAC_LIMIT: Duration = Duration::from_secs(2);
/// Memory that a driver may take in addition, in bytes.
const MEMORY_LIMIT: u64 = 1 << 20;
/// The part of the time that it may use the processor.
const LOAD_LIMIT: f64 = 0.5;

pub fn link(steps: &mut Steps<'_>, down: Duration) -> Flow {
    boot(steps)?;
    let flapping = FLAPPING + Duration::from_secs(15);
    let router = steps.router;
    steps.step("flaps", "the link flaps during transmit", flapping, move || {
        let traffic = Traffic::start(router)?;
        thread::sleep(FLAPPING);
        let answered = traffic.answered();
        drop(traffic);
        thread::sleep(RECOVERY);
        Ok(Seen::Counted(
            format!("{answered} pings were answered meanwhile"),
            answered,
        ))
    })?;
    pings(steps, "flapped", "after that 4 of 4 pings are answered")?;
    let services = steps.services.clone();
    let title = format!("{} s of transmit with the link down", down.as_secs());
    steps.step("down", &title, down + Duration::from_secs(40), move || {
        services.stop_stack().map_err(text)?;
        transmit_without_link(down)
    })?;
    thread::sleep(RECOVERY);
    fresh_stack(
        steps,
        "recovered",
        "after that, with a new stack: DHCP, and 4 of 4 pings are answered",
    )
}

/// Report of the writing thread.
#[derive(Default)]
struct Writes {
    count: u64,
    longest: Duration,
    /// The one that lasts.
    since: Option<Instant>,
    error: Option<String>,
}

type Shared = Arc<Mutex<Writes>>;

fn with<T>(writes: &Shared, action: impl FnOnce(&mut Writes) -> T) -> T {
    action(&mut writes.lock().unwrap_or_else(PoisonError::into_inner))
}

fn transmit_without_link(time: Duration) -> Verdict {
    let name = adapter::select(None).map_err(text)?;
    let before = driver()?;
    let writes = Shared::default();
    let (writer, of_writer) = (Arc::clone(&writes), name.clone());
    let start = Instant::now();
    thread::spawn(move || {
        if let Err(error) = write_frames(&of_writer, &writer, start + time) {
            with(&writer, |writes| writes.error = Some(error));
        }
    });
    let mut longest_mac = Duration::ZERO;
    while start.elapsed() < time {
        thread::sleep(Duration::from_millis(500));
        let asked = Instant::now();
        let name = name.clone();
        within(WRITE_LIMIT, move || adapter::mac(&name))
            .ok_or("reading mac hangs")?
            .map_err(text)?;
        longest_mac = longest_mac.max(asked.elapsed());
        with(&writes, |writes| {
            if let Some(error) = &writes.error {
                return Err(error.clone());
            }
            match writes.since {
                Some(since) if since.elapsed() > WRITE_LIMIT => {
                    Err(format!("a write hangs, after {} others", writes.count))
                }
                _ => Ok(()),
            }
        })?;
    }
    let after = driver()?;
    let (count, longest) = with(&writes, |writes| (writes.count, writes.longest));
    let grown = after.memory.saturating_sub(before.memory);
    let load = after.time.saturating_sub(before.time).as_secs_f64() / start.elapsed().as_secs_f64();
    let seen = format!(
        "{count} frames, longest write {} ms, longest read of mac {} ms, {} KiB more memory, {:.0} % of a processor",
        longest.as_millis(),
        longest_mac.as_millis(),
        grown >> 10,
        load * 100.0
    );
    if longest_mac > MAC_LIMIT || grown > MEMORY_LIMIT || load > LOAD_LIMIT || count == 0 {
        Err(seen)
    } else {
        Ok(Seen::Counted(seen, count))
    }
}

fn driver() -> Result<Process, String> {
    let found = process::find(&DRIVERS).map_err(text)?;
    found
        .into_iter()
        .next()
        .ok_or_else(|| "the driver is gone".to_owned())
}

fn write_frames(name: &AdapterName, writes: &Shared, end: Instant) -> Result<(), String> {
    let adapter = Adapter::open(name, Mode::NonBlocking).map_err(text)?;
    let mac = adapter.mac().map_err(text)?;
    let mut generator = Generator::new(MacAddress::BROADCAST, mac, 1, 1000);
    while Instant::now() < end {
        let start = Instant::now();
        with(writes, |writes| writes.since = Some(start));
        adapter.write_frame(generator.next_frame()).map_err(text)?;
        with(writes, |writes| {
            writes.since = None;
            writes.count += 1;
            writes.longest = writes.longest.max(start.elapsed());
        });
        thread::sleep(PACE);
    }
    Ok(())
}
