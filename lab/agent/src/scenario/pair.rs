//! Two NICs that are connected to each other: numbered and hashed frames in both directions at once.
//!
//! A sender has a limited number of frames on the way, so what does not arrive was lost by a driver and not by a full
//! ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::services;
use netstack_client::benchmark::{Generator, Parsed, SequenceTracker, parse};
use netstack_client::{Adapter, AdapterName, MacAddress, Mode, Readiness, Wait, adapter};

use super::steps::{Flow, Seen, Steps, Verdict, text};

/// Lengths of frames, in turn.
const SIZES: [usize; 5] = [60, 61, 600, 1513, 1514];
/// Frames on the way in one direction: fewer than the smallest ring of a driver takes.
const WINDOW: u64 = 8;
/// Time for which a sender waits for room. Not by yielding: a kernel of June 2026 then runs nobody else on its
/// processor.
const PAUSE: Duration = Duration::from_millis(1);
/// After this time without an arrival those on the way are lost.
const STALL: Duration = Duration::from_secs(2);
/// Time to wait for the last ones.
const TAIL: Duration = Duration::from_secs(3);
/// Stalls after which a direction is taken for dead.
const MAX_STALLS: u64 = 5;

pub fn pair(steps: &mut Steps<'_>, time: Duration) -> Flow {
    let services = steps.services.clone();
    steps.step("two", "both drivers are up", Duration::from_secs(30), move || {
        services.stop_stack().map_err(text)?;
        match services::living_adapters().len() {
            2 => Ok(Seen::Good(String::new())),
            count => Err(format!("{count} adapters answer")),
        }
    })?;
    let title = format!("frames in both directions at once for {} s", time.as_secs());
    steps.step("frames", &title, time + Duration::from_secs(60), move || {
        exchange(time)
    })
}

/// State of one direction.
#[derive(Default)]
struct Direction {
    sent: AtomicU64,
    /// Those that arrived, however late.
    received: AtomicU64,
    stalls: AtomicU64,
    done: AtomicBool,
}

/// The frames that arrived.
struct Arrivals {
    unique: u64,
    duplicates: u64,
    reordered: u64,
    damaged: u64,
}

fn exchange(time: Duration) -> Verdict {
    let names = adapter::list().map_err(text)?;
    let [a, b] = names.as_slice() else {
        return Err(format!("{} adapters instead of 2", names.len()));
    };
    // QEMU's e1000 receives nothing in its first second.
    thread::sleep(Duration::from_millis(1500));
    let start = Instant::now();
    let directions = [
        start_direction(a, b, start + time)?,
        start_direction(b, a, start + time)?,
    ];
    let mut good = true;
    let mut both = 0;
    let mut words = Vec::new();
    for (direction, sender, receiver) in directions {
        let panicked = |_| "a thread panicked".to_owned();
        sender.join().map_err(panicked)??;
        let arrivals = receiver.join().map_err(panicked)??;
        let sent = direction.sent.load(Ordering::Relaxed);
        let lost = sent.saturating_sub(arrivals.unique);
        both += arrivals.unique;
        let Arrivals {
            duplicates,
            damaged,
            reordered,
            ..
        } = arrivals;
        good &= sent > 0 && lost + duplicates + damaged + reordered == 0;
        words.push(if sent > 0 && lost + duplicates + damaged + reordered == 0 {
            format!("{sent}")
        } else {
            format!("{sent} ({lost} lost, {duplicates} doubled, {damaged} damaged, {reordered} out of order)")
        });
    }
    let seen = format!("{} frames", words.join(" + "));
    if good {
        Ok(Seen::Counted(seen, both))
    } else {
        Err(seen)
    }
}

type Started = (
    Arc<Direction>,
    JoinHandle<Result<(), String>>,
    JoinHandle<Result<Arrivals, String>>,
);

fn start_direction(from: &AdapterName, to: &AdapterName, end: Instant) -> Result<Started, String> {
    let direction = Arc::new(Direction::default());
    let sender = Adapter::open(from, Mode::NonBlocking).map_err(text)?;
    let receiver = Adapter::open(to, Mode::NonBlocking).map_err(text)?;
    let (source, destination) = (sender.mac().map_err(text)?, receiver.mac().map_err(text)?);
    let (of_sender, of_receiver) = (Arc::clone(&direction), Arc::clone(&direction));
    let receiving = thread::spawn(move || receive(receiver, &of_receiver));
    let sending = thread::spawn(move || {
        let result = send(sender, source, destination, &of_sender, end);
        of_sender.done.store(true, Ordering::Release);
        result
    });
    Ok((direction, sending, receiving))
}

fn send(
    adapter: Adapter,
    source: MacAddress,
    destination: MacAddress,
    direction: &Direction,
    end: Instant,
) -> Result<(), String> {
    // Each length is a run of its own.
    let mut generators: Vec<_> = (0..)
        .zip(SIZES)
        .map(|(run, size)| Generator::new(destination, source, run, size))
        .collect();
    // Frames given up for lost no longer count as on the way.
    let mut given_up = 0;
    for turn in (0..SIZES.len()).cycle() {
        let mut arrivals = direction.received.load(Ordering::Acquire);
        let mut since = Instant::now();
        while direction.sent.load(Ordering::Relaxed) >= arrivals + given_up + WINDOW {
            thread::sleep(PAUSE);
            let now = direction.received.load(Ordering::Acquire);
            if now != arrivals {
                (arrivals, since) = (now, Instant::now());
            } else if since.elapsed() > STALL {
                given_up = direction.sent.load(Ordering::Relaxed).saturating_sub(arrivals);
                if direction.stalls.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_STALLS {
                    return Ok(());
                }
            }
        }
        if Instant::now() >= end {
            break;
        }
        adapter.write_frame(generators[turn].next_frame()).map_err(text)?;
        direction.sent.fetch_add(1, Ordering::Release);
    }
    Ok(())
}

fn receive(adapter: Adapter, direction: &Direction) -> Result<Arrivals, String> {
    let mut readiness = Readiness::new(&adapter).map_err(text)?;
    let mut trackers = vec![SequenceTracker::default(); SIZES.len()];
    let mut damaged = 0;
    let mut unique = 0;
    let mut buffer = vec![0; adapter::READ_BUFFER];
    let mut last = Instant::now();
    loop {
        while let Some(length) = adapter.read_frame(&mut buffer).map_err(text)? {
            last = Instant::now();
            match parse(&buffer[..length]) {
                Parsed::Foreign => continue,
                Parsed::Damaged => damaged += 1,
                Parsed::Intact { run, sequence } => {
                    if let Some(tracker) = trackers.get_mut(run as usize) {
                        let before = tracker.duplicates();
                        tracker.observe(run, sequence);
                        unique += u64::from(tracker.duplicates() == before);
                    }
                }
            }
            direction.received.fetch_add(1, Ordering::Release);
        }
        let done = direction.done.load(Ordering::Acquire);
        let complete = unique >= direction.sent.load(Ordering::Acquire);
        if done && (complete || last.elapsed() > TAIL) {
            break;
        }
        readiness.wait(Some(Duration::from_millis(100))).map_err(text)?;
    }
    let sum = |count: fn(&SequenceTracker) -> u64| trackers.iter().map(count).sum();
    Ok(Arrivals {
        unique,
        duplicates: sum(SequenceTracker::duplicates),
        reordered: sum(SequenceTracker::reordered),
        damaged,
    })
}
