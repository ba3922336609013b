//! `bench rx`

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::adapter::{self, AdapterName, FilterRequest, READ_BUFFER};
use crate::benchmark::{self, Parsed, SequenceTracker};
use crate::stats::Throughput;
use crate::{FrameIo, Result, Wait, bounded};
use clap::Args;
use serde::Serialize;

use super::IoMode;
use super::losses::Losses;
use crate::benchmark::groups::{GROUP, Groups};
use crate::benchmark::slots::Slots;
use crate::cli::{Context, Error, Outcome, value};

/// Time beyond the requested one for which a receiver in mode "blocking" is waited for.
const GRACE: Duration = Duration::from_millis(100);
/// Line for the driver's file "filter" from a process that does nothing but read: the driver applies no read budget to
/// it.
const ALONE: &str = "budget off\n";
/// Largest number of frames with --check-last, which keeps all of them, 2 KiB each.
const MOST_KEPT: u64 = 16_384;

/// Count received frames, and check those of "bench tx".
///
/// The rate covers the time from the first frame to the last. A frame counts as lost if frames with lower and with
/// higher numbers arrived and it did not. The exit status is 0 if frames arrived and none was damaged.
///
/// With --frames, frames are read in groups, and a group is checked after it was read. "a frame" in the result is the
/// median over the groups of the time to read a frame. It leaves out checking, and the groups that had to wait for
/// frames if there are others. "over all" is the time from the first frame to the last divided by their number,
/// including everything in between.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Stop after so many frames; fewer are a failure.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,

    /// Stop after this time.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    seconds: Duration,

    /// Mode in which the adapter is used.
    #[arg(long, value_enum, default_value_t = IoMode::Events)]
    mode: IoMode,

    /// Read without a budget: write "budget off" to the driver's file "filter".
    #[arg(long)]
    alone: bool,

    /// Read so many frames first without counting them, such as those that an earlier sender left in the ring.
    #[arg(long, value_name = "N", default_value_t = 0)]
    warm_up: u64,

    /// Check frames after all have been read, so that "over all" contains no checking. At most 16384 frames.
    #[arg(long, requires = "frames")]
    check_last: bool,
}

#[derive(Serialize)]
struct Report {
    mode: &'static str,
    #[serde(flatten)]
    throughput: Throughput,
    /// Frames of "bench tx" among them.
    benchmark: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    damaged: u64,
    /// Time of a read: the median over the groups that had no need to wait for a frame, or over all groups if each
    /// had to. In mode "blocking" a read does not say that it waited, so all groups count.
    nanoseconds: Option<f64>,
    /// Time from the first frame to the last, divided by their number.
    nanoseconds_over_all: Option<f64>,
    /// Number of groups.
    groups: usize,
    /// Number of groups that had to wait, in mode "events".
    groups_that_waited: usize,
    /// Frames that the driver dropped meanwhile; `None` if it does not count them.
    driver_dropped: Option<u64>,
    /// Frames that the NIC missed for lack of buffers meanwhile, as the driver counts them.
    nic_missed: Option<u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<10} {:>12}", "mode", self.mode)?;
        write!(formatter, "{}", self.throughput)?;
        for (name, value) in [
            ("benchmark", self.benchmark),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("damaged", self.damaged),
        ] {
            write!(formatter, "\n{name:<10} {value:>12}")?;
        }
        if let Some(nanoseconds) = self.nanoseconds {
            write!(formatter, "\n{:<10} {nanoseconds:>12.0} ns", "a frame")?;
        }
        if let Some(nanoseconds) = self.nanoseconds_over_all {
            write!(formatter, "\n{:<10} {nanoseconds:>12.0} ns", "over all")?;
        }
        if let Some(dropped) = self.driver_dropped {
            write!(formatter, "\n{:<10} {dropped:>12}", "dropped")?;
        }
        Ok(())
    }
}

/// Counts of received frames.
#[derive(Clone, Default)]
struct Counts {
    frames: u64,
    bytes: u64,
    /// Arrival of the first and of the last frame.
    span: Option<(Instant, Instant)>,
    benchmark: u64,
    damaged: u64,
    sequence: SequenceTracker,
    /// Groups that had no need to wait.
    ready: Groups,
    /// Groups that had to wait for a frame.
    waited: Groups,
}

impl Counts {
    /// Records the arrival times of some frames.
    fn came(&mut self, first: Instant, last: Instant) {
        self.span = Some((self.span.map_or(first, |(first, _)| first), last));
    }

    fn add(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.bytes += frame.len() as u64;
        match benchmark::parse(frame) {
            Parsed::Foreign => {}
            Parsed::Damaged => self.damaged += 1,
            Parsed::Intact { run, sequence } => {
                self.benchmark += 1;
                self.sequence.observe(run, sequence);
            }
        }
    }

    fn report(&self, mode: IoMode) -> Report {
        let time = self.span.map_or(Duration::ZERO, |(first, last)| last - first);
        Report {
            mode: mode.name(),
            throughput: Throughput::new(self.frames, self.bytes, time),
            benchmark: self.benchmark,
            lost: self.sequence.lost(),
            duplicated: self.sequence.duplicates(),
            reordered: self.sequence.reordered(),
            damaged: self.damaged,
            nanoseconds: self.ready.median().or_else(|| self.waited.median()),
            nanoseconds_over_all: (self.frames > 1)
                .then(|| time.as_nanos() as f64 / (self.frames - 1) as f64),
            groups: self.ready.count() + self.waited.count(),
            groups_that_waited: self.waited.count(),
            driver_dropped: None,
            nic_missed: None,
        }
    }
}

/// Turns off the driver's read budget for this process until the result is dropped.
fn read_alone(name: &AdapterName) -> Result<FilterRequest, Error> {
    adapter::ask_filter(name, ALONE).map_err(|error| {
        Error::Other(format!(
            "the driver of {name} does not accept \"{}\" in its file filter: {error}",
            ALONE.trim_end()
        ))
    })
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    if arguments.check_last && arguments.frames.is_some_and(|count| count > MOST_KEPT) {
        return Err(Error::Other(format!(
            "--check-last keeps at most {MOST_KEPT} frames"
        )));
    }
    let name = context.adapter()?;
    let alone = arguments.alone.then(|| read_alone(&name)).transpose()?;
    let (mut adapter, mut waiter) = arguments.mode.open(context)?;
    // Read again at the end of the warm-up.
    let before = Arc::new(Mutex::new(Losses::read(&name)?));
    let counts = Arc::new(Mutex::new(Counts::default()));
    let deadline = Instant::now() + arguments.seconds;
    let plan = Plan {
        count: arguments.frames,
        warm_up: arguments.warm_up,
        check_last: arguments.check_last,
        deadline,
    };
    let shared = Arc::clone(&counts);
    let (counted_from, of) = (Arc::clone(&before), name.clone());
    // In mode "blocking" the last read usually never returns. The losses are read while the file is still open, because
    // the driver drops (and counts) waiting frames when the last reader closes its file.
    let result = bounded::within(arguments.seconds + GRACE, move || {
        let begin = || {
            *lock(&counted_from) = Losses::read(&of)?;
            Ok(())
        };
        receive(&mut adapter, &mut waiter, &shared, &plan, begin)?;
        Losses::read(&of)
    });
    let after = match result.transpose()? {
        Some(losses) => losses,
        None => Losses::read(&name)?,
    };
    drop(alone);
    let counts = lock(&counts).clone();
    let mut report = counts.report(arguments.mode);
    if let (Some(before), Some(after)) = (*lock(&before), after) {
        report.driver_dropped = Some(after.dropped.saturating_sub(before.dropped));
        report.nic_missed = Some(after.missed.saturating_sub(before.missed));
    }
    context.output.result(&report);
    Ok(counts.frames >= arguments.frames.unwrap_or(1) && counts.damaged == 0)
}

/// Number of frames to read, and the deadline.
#[derive(Clone, Copy, Debug)]
struct Plan {
    count: Option<u64>,
    warm_up: u64,
    check_last: bool,
    deadline: Instant,
}

/// Reads and counts frames; calls `begin` at the end of the warm-up.
fn receive(
    adapter: &mut impl FrameIo,
    waiter: &mut impl Wait,
    counts: &Mutex<Counts>,
    plan: &Plan,
    begin: impl FnOnce() -> Result<()>,
) -> Result<()> {
    // Without a number of frames the next one may be long in coming, so each counts at once.
    let most = if plan.count.is_some() { GROUP } else { 1 };
    let kept = match plan.count {
        Some(count) if plan.check_last => count.min(MOST_KEPT) as usize,
        _ => GROUP,
    };
    let mut slots = Slots::new(kept);
    let mut left = plan.warm_up;
    while left > 0 {
        let wanted = left.min(GROUP as u64) as usize;
        let group = Group::read(adapter, waiter, &mut slots, 0, wanted, plan.deadline)?;
        if group.lengths.len() < wanted {
            return Ok(());
        }
        left -= wanted as u64;
    }
    if plan.warm_up > 0 {
        begin()?;
    }
    let mut left = plan.count.unwrap_or(u64::MAX);
    let mut unchecked = Vec::new();
    while left > 0 {
        let wanted = left.min(most as u64) as usize;
        let first = if plan.check_last { unchecked.len() } else { 0 };
        let group = Group::read(adapter, waiter, &mut slots, first, wanted, plan.deadline)?;
        let mut counts = lock(counts);
        if let Some((first, last)) = group.span {
            counts.came(first, last);
        }
        let complete = group.lengths.len() == wanted;
        if complete {
            let groups = if group.waited {
                &mut counts.waited
            } else {
                &mut counts.ready
            };
            groups.add(wanted, group.time);
        }
        if plan.check_last {
            unchecked.extend(group.lengths);
        } else {
            check(&mut counts, &mut slots, &group.lengths);
        }
        if !complete {
            break;
        }
        left -= wanted as u64;
    }
    check(&mut lock(counts), &mut slots, &unchecked);
    Ok(())
}

/// Counts and checks the frames in the first slots.
fn check(counts: &mut Counts, slots: &mut Slots, lengths: &[usize]) {
    for (index, length) in lengths.iter().enumerate() {
        counts.add(slots.get(index, *length));
    }
}

/// Frames that were read one after the other into slots.
struct Group {
    lengths: Vec<usize>,
    /// Arrival of the first and of the last of them.
    span: Option<(Instant, Instant)>,
    time: Duration,
    /// True if there was nothing to read at some time.
    waited: bool,
}

impl Group {
    /// Reads `count` frames, or fewer if the deadline is earlier, into the slots from `slot` on.
    fn read(
        adapter: &mut impl FrameIo,
        waiter: &mut impl Wait,
        slots: &mut Slots,
        slot: usize,
        count: usize,
        deadline: Instant,
    ) -> Result<Self> {
        let start = Instant::now();
        let mut group = Self {
            lengths: Vec::with_capacity(count),
            span: None,
            time: Duration::ZERO,
            waited: false,
        };
        // To keep the measurement small, the clock is read at a wait and at the end, not for every frame.
        let mut last = start;
        while group.lengths.len() < count {
            match adapter.read_frame(slots.get(slot + group.lengths.len(), READ_BUFFER))? {
                Some(length) => {
                    if group.lengths.is_empty() {
                        last = Instant::now();
                        group.span = Some((last, last));
                    }
                    group.lengths.push(length.min(READ_BUFFER));
                }
                None => {
                    let now = Instant::now();
                    let remaining = deadline.saturating_duration_since(now);
                    if remaining.is_zero() {
                        group.span = group.span.map(|(first, _)| (first, last));
                        return Ok(group);
                    }
                    last = now;
                    group.waited = true;
                    waiter.wait(Some(remaining))?;
                }
            }
        }
        let end = Instant::now();
        group.time = end - start;
        group.span = group.span.map(|(first, _)| (first, end));
        Ok(group)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // The shared values are consistent after every frame, so a panic of the other thread does not matter.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use crate::benchmark::Generator;
    use crate::{MacAddress, Woken};

    use super::*;

    #[test]
    fn counts_tell_own_frames_from_others() {
        let mut generator = Generator::new(MacAddress::BROADCAST, MacAddress([2; 6]), 1, 100);
        let mut counts = Counts::default();
        let start = Instant::now();
        counts.came(start, start);
        counts.add(generator.next_frame());
        generator.next_frame();
        let mut damaged = generator.next_frame().to_vec();
        damaged[99] ^= 1;
        counts.add(&damaged);
        counts.add(generator.next_frame());
        counts.came(start + Duration::from_secs(1), start + Duration::from_secs(2));
        counts.add(&[0; 60]);

        let report = counts.report(IoMode::Events);
        assert_eq!((report.throughput.frames, report.throughput.bytes), (4, 360));
        assert!((report.throughput.seconds - 2.0).abs() < 1e-9);
        assert_eq!(
            (report.benchmark, report.damaged, report.lost, report.duplicated),
            (2, 1, 2, 0)
        );
    }

    /// Gives frames, with nothing in between where there is a `None`.
    struct Wire(VecDeque<Option<Vec<u8>>>);

    impl FrameIo for Wire {
        fn read_frame(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
            let frame = self.0.pop_front().flatten();
            Ok(frame.map(|frame| {
                buffer[..frame.len()].copy_from_slice(&frame);
                frame.len()
            }))
        }

        fn write_frame(&mut self, _frame: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    struct Patience;

    impl Wait for Patience {
        fn wait(&mut self, _timeout: Option<Duration>) -> Result<Woken> {
            Ok(Woken::Frames)
        }
    }

    fn received(wire: Vec<Option<Vec<u8>>>, warm_up: u64, count: u64, check_last: bool) -> Report {
        let counts = Mutex::new(Counts::default());
        let plan = Plan {
            count: Some(count),
            warm_up,
            check_last,
            deadline: Instant::now() + Duration::from_secs(3600),
        };
        let mut begun = 0;
        let begin = || {
            begun += 1;
            Ok(())
        };
        receive(&mut Wire(wire.into()), &mut Patience, &counts, &plan, begin).unwrap();
        assert_eq!(begun, u32::from(warm_up > 0));
        lock(&counts).report(IoMode::Events)
    }

    #[test]
    fn warm_up_counts_for_nothing_and_late_checks_find_the_same() {
        let mut generator = Generator::new(MacAddress::BROADCAST, MacAddress([2; 6]), 1, 60);
        let mut wire: Vec<_> = (0..300).map(|_| Some(generator.next_frame().to_vec())).collect();
        wire[20] = None;
        wire[150] = None;
        wire[200].as_mut().unwrap()[50] ^= 1;
        for check_last in [false, true] {
            let report = received(wire.clone(), 100, 192, check_last);
            assert_eq!((report.throughput.frames, report.benchmark), (192, 191));
            assert_eq!(
                (report.damaged, report.lost),
                (1, 2),
                "one was not sent, one is damaged"
            );
            assert_eq!((report.groups, report.groups_that_waited), (3, 1));
            assert!(report.nanoseconds_over_all.is_some());
        }
    }
}
