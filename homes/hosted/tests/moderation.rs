//! Interrupt moderation on QEMU's device models: interrupts for so many frames, and how long an answer waits.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Bench, MAC, ModelNic, frame, interrupt};
use e1000_hosted::machine::NicModel;
use e1000_hw::moderation::{Class, Policy};
use e1000_hw::nic::Interrupt;

const POLICIES: [(&str, Policy); 5] = [
    ("off", Policy::Fixed(0)),
    ("lowest", Policy::Fixed(Class::Lowest.interval())),
    ("low", Policy::Fixed(Class::Low.interval())),
    ("bulk", Policy::Fixed(Class::Bulk.interval())),
    ("adaptive", Policy::Adaptive),
];

/// Outcome of serving a flow of frames.
struct Cost {
    interrupts: u64,
    frames: u64,
    writes: u64,
    took: Duration,
    /// With the pause at the end, in which late ones are still served.
    whole: Duration,
}

/// Serves interrupts as the daemon does while frames of `size` bytes come in one every `gap`.
fn serve(bench: &Bench, nic: &mut ModelNic, size: usize, gap: Duration, frames: u64) -> Cost {
    interrupt(nic);
    nic.interrupts().enable();
    let ended = AtomicBool::new(false);
    let before = bench.registers.counts();
    let (mut interrupts, mut received) = (0, 0);
    let mut buffer = [0; 2048];
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            for n in 0..frames {
                while start.elapsed() < gap * n as u32 {
                    thread::yield_now();
                }
                bench.cable.send(&frame(MAC, size, n as u8));
            }
            thread::sleep(Duration::from_millis(20));
            ended.store(true, Ordering::Relaxed);
        });
        while !ended.load(Ordering::Relaxed) {
            if !bench.is_raised() {
                thread::sleep(Duration::from_micros(10));
                continue;
            }
            if let Interrupt::Causes(_) = interrupt(nic) {
                interrupts += 1;
                nic.interrupts().moderate();
            }
            while nic.rx().receive(&mut buffer).is_some() {
                received += 1;
            }
        }
    });
    while nic.rx().receive(&mut buffer).is_some() {
        received += 1;
    }
    let whole = start.elapsed();
    nic.interrupts().disable();
    Cost {
        interrupts,
        frames: received,
        writes: bench.registers.counts().writes - before.writes,
        took: whole.saturating_sub(Duration::from_millis(20)),
        whole,
    }
}

/// Outcome of round trips.
struct RoundTrips {
    median: Duration,
    /// Of all together, with their pauses.
    whole: Duration,
    interrupts: u64,
}

/// So many round trips: a frame comes in, its interrupt is served, an answer goes out; then a pause.
fn round_trips(bench: &Bench, nic: &mut ModelNic, pause: Duration, count: usize) -> RoundTrips {
    interrupt(nic);
    let start = Instant::now();
    let mut interrupts = 0;
    nic.interrupts().enable();
    let ended = AtomicBool::new(false);
    let mut buffer = [0; 2048];
    let mut times = thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let mut times = Vec::new();
            for n in 0..count {
                thread::sleep(pause);
                let start = Instant::now();
                bench.cable.send(&frame(MAC, 98, n as u8));
                bench.cable.receive();
                times.push(start.elapsed());
            }
            ended.store(true, Ordering::Relaxed);
            times
        });
        while !ended.load(Ordering::Relaxed) {
            if !bench.is_raised() {
                thread::yield_now();
                continue;
            }
            if let Interrupt::Causes(_) = interrupt(nic) {
                interrupts += 1;
                nic.interrupts().moderate();
            }
            while let Some(len) = nic.rx().receive(&mut buffer) {
                nic.tx().send(&buffer[..len]).unwrap();
            }
            nic.tx().post();
        }
        peer.join().unwrap()
    });
    let whole = start.elapsed();
    nic.interrupts().disable();
    times.sort();
    RoundTrips {
        median: times[count / 2],
        whole,
        interrupts,
    }
}

#[test]
fn answers_wait_for_the_interval_only_one_after_the_other() {
    for model in [NicModel::E1000, NicModel::E1000e] {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(512, 512);
        for pause in [0, 10] {
            for (name, policy) in POLICIES {
                nic.interrupts().set_moderation(policy);
                let count = if pause == 0 { 1000 } else { 100 };
                let found = round_trips(&bench, &mut nic, Duration::from_millis(pause), count);
                println!(
                    "{model:8} round trip after {pause:2} ms, {name:8}: {:?}, {} interrupts in {:?}",
                    found.median, found.interrupts, found.whole
                );
                if let Some(most) = most(policy, found.whole) {
                    assert!(found.interrupts <= most, "{most} are allowed");
                }
                if policy == Policy::Adaptive {
                    assert_eq!(nic.state().interrupt_interval(), Class::Lowest.interval());
                }
            }
        }
    }
}

/// The shortest interval of QEMU's models, whatever they are told: 500 * 256 ns.
const FLOOR: u32 = 500;

/// The most interrupts that an interval allows in so much time: one at its beginning, and one after each interval.
/// Those of the devices are at least an interval apart in QEMU's time, which is that of this machine, however late
/// anybody notices them: on a busy machine there are fewer.
fn most(policy: Policy, time: Duration) -> Option<u64> {
    let Policy::Fixed(interval) = policy else {
        return None;
    };
    let shortest = Duration::from_nanos(256) * interval.max(FLOOR);
    Some((time.as_nanos() / shortest.as_nanos()) as u64 + 1)
}

#[test]
fn interrupts_come_no_faster_than_the_interval() {
    for model in [NicModel::E1000, NicModel::E1000e] {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(512, 512);
        for (size, gap) in [(1514, 20), (1514, 50), (1514, 100), (100, 50), (100, 1000)] {
            for (name, policy) in POLICIES {
                nic.interrupts().set_moderation(policy);
                let cost = serve(&bench, &mut nic, size, Duration::from_micros(gap), 100_000 / gap);
                let rate = cost.interrupts as f64 / cost.took.as_secs_f64();
                println!(
                    "{model:8} {size:4} B every {gap:4} us, {name:8}: \
                     {:5} frames, {:5} interrupts, {rate:.0}/s, {:4} writes",
                    cost.frames, cost.interrupts, cost.writes,
                );
                assert!(cost.frames > 0 && cost.interrupts > 0);
                if let Some(most) = most(policy, cost.whole) {
                    assert!(cost.interrupts <= most, "{most} are allowed");
                }
            }
        }
    }
}
