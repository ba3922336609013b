//! `bench rx`

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::adapter::{self, AdapterName, Held, READ_BUFFER};
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

/// How much longer than its time a receiver in mode "blocking" is waited for.
const GRACE: Duration = Duration::from_millis(100);
/// What a process that does nothing but read tells the driver, in the file "filter": it is never told that there is
/// nothing while frames are there.
const ALONE: &str = "budget off\n";
/// The most frames of --check-last: all of them are kept, 2 KiB each.
const MOST_KEPT: u64 = 16_384;

/// Count received frames, and check those of "bench tx".
///
/// The rate is that of the time between the first and the last frame. Frames are lost if their number lies
/// between others that came. The exit status is 0 if frames came and none was damaged.
///
/// With --frames, groups of frames are read and then checked. The time for a frame that is printed at the end is the
/// median over the groups: it is that of reading, with waiting where a group had to, and without checking. The time "over
/// all" is that from the first frame to the last, divided by their number: with whatever happened meanwhile.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Stop after so many frames; fewer are a failure.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,

    /// Stop after this time.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    seconds: Duration,

    /// How the adapter is used.
    #[arg(long, value_enum, default_value_t = IoMode::Events)]
    mode: IoMode,

    /// Tell the driver that this process does nothing but read ("budget off" in its file "filter").
    #[arg(long)]
    alone: bool,

    /// Read so many frames first that count for nothing: what an earlier sender has left in the ring, for example.
    #[arg(long, value_name = "N", default_value_t = 0)]
    warm_up: u64,

    /// Check frames when all have been read, so that the time over all is that of reading. At most 16384 frames.
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
    /// What a read takes: the median over groups of frames for which there was no need to wait, if there are such,
    /// else over all of them. In mode "blocking" nobody knows which had to.
    nanoseconds: Option<f64>,
    /// The time from the first frame to the last for each frame, whatever it was spent with.
    nanoseconds_over_all: Option<f64>,
    /// How many groups there were.
    groups: usize,
    /// How many of them had to wait, in mode "events".
    groups_that_waited: usize,
    /// Frames that the driver says it has dropped meanwhile; none if it counts no such.
    driver_dropped: Option<u64>,
    /// Frames for which the NIC had no room meanwhile, by the driver's count.
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

/// What was received so far.
#[derive(Clone, Default)]
struct Counts {
    frames: u64,
    bytes: u64,
    /// When the first and the last frame came.
    span: Option<(Instant, Instant)>,
    benchmark: u64,
    damaged: u64,
    sequence: SequenceTracker,
    /// Groups of frames that came without waiting, and the others.
    ready: Groups,
    waited: Groups,
}

impl Counts {
    /// Takes note of when frames came.
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

/// Tells the driver that this process does nothing but read, for as long as the result is held.
fn read_alone(name: &AdapterName) -> Result<Held, Error> {
    adapter::ask_filter(name, ALONE).map_err(|error| {
        Error::Other(format!(
            "the driver of {name} cannot be told that a process reads alone ({:?}): {error}",
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
    // Again when frames begin to count.
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
    // A read that blocks for good is the normal end of mode "blocking". What waits when the last reader closes its file is
    // dropped, so it is still open when the losses are read.
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

/// How many frames are to be read, and until when.
#[derive(Clone, Copy, Debug)]
struct Plan {
    count: Option<u64>,
    warm_up: u64,
    check_last: bool,
    deadline: Instant,
}

/// Reads frames; `begin` is called when they begin to count.
fn receive(
    adapter: &mut impl FrameIo,
    waiter: &mut impl Wait,
    counts: &Mutex<Counts>,
    plan: &Plan,
    begin: impl FnOnce() -> Result<()>,
) -> Result<()> {
    // Without a number to reach, the next frame may be long in coming: each one counts at once.
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

/// Looks at the frames of the first slots.
fn check(counts: &mut Counts, slots: &mut Slots, lengths: &[usize]) {
    for (index, length) in lengths.iter().enumerate() {
        counts.add(slots.get(index, *length));
    }
}

/// Frames that were read one after the other into slots.
struct Group {
    lengths: Vec<usize>,
    /// When the first and the last of them came.
    span: Option<(Instant, Instant)>,
    time: Duration,
    /// Whether there was nothing to read at some time.
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
        // The clock is read where a frame was waited for, and at the end: not for every frame.
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
    // What is shared is whole after every frame, whatever happened to the thread that made it.
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
