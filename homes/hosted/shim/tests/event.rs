//! Event queues: schemes, interrupt lines, timers, plain descriptors.

mod common;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use common::{Daemon, SOON, pipe};
use event::raw::{RawEventV1, redox_event_queue_get_events_v1};
use event::{EventFlags, EventQueue, RawEventQueue};
use libredox::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use libredox::{Fd, errno};
use redox_shim::irq;
use syscall::Event;

const READ: usize = 1;
const WRITE: usize = 2;

/// A queue that does not block: `/scheme/event` itself.
struct Records(Fd);

impl Records {
    fn new() -> Self {
        Self(Fd::open("/scheme/event", O_RDWR | O_NONBLOCK, 0).unwrap())
    }

    fn register(&self, fd: usize, flags: usize, data: usize) -> libredox::error::Result<usize> {
        let flags = syscall::EventFlags::from_bits_retain(flags);
        self.0.write(&Event { id: fd, flags, data })
    }

    /// (fd, flags, user data) of everything queued.
    fn take(&self) -> Vec<(usize, usize, usize)> {
        let mut buffer = [0; 24 * 64];
        match self.0.read(&mut buffer) {
            Ok(length) => buffer[..length].chunks_exact(24).map(decode).collect(),
            Err(error) => {
                assert_eq!(error.errno(), errno::EAGAIN);
                Vec::new()
            }
        }
    }

    /// Waits for as many events.
    fn take_until(&self, count: usize) -> Vec<(usize, usize, usize)> {
        let mut events = Vec::new();
        let start = std::time::Instant::now();
        while events.len() < count {
            assert!(start.elapsed() < SOON, "{} of {count} events came", events.len());
            events.extend(self.take());
            thread::sleep(Duration::from_millis(1));
        }
        events
    }
}

fn decode(record: &[u8]) -> (usize, usize, usize) {
    let word = |index: usize| usize::from_ne_bytes(record[8 * index..8 * index + 8].try_into().unwrap());
    (word(0), word(1), word(2))
}

#[test]
fn every_post_is_one_event() {
    let daemon = Daemon::start("posts");
    let file = daemon.open("", O_RDWR).unwrap();
    let queue = Records::new();
    queue.register(file.raw(), READ, 77).unwrap();
    let (id, flags) = daemon.seen().fevents[0];
    assert_eq!(flags, READ);
    for _ in 0..5 {
        daemon.post(id, READ);
    }
    daemon.post(id, WRITE);
    daemon.post(id + 1, READ);
    assert_eq!(queue.take_until(5), [(file.raw(), READ, 77); 5]);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(queue.take(), []);
}

#[test]
fn subscriber_that_comes_late_is_told_at_once() {
    let daemon = Daemon::start("late");
    let file = daemon.open("", O_RDWR).unwrap();
    file.write(b"pending").unwrap();
    let queue = EventQueue::<usize>::new().unwrap();
    queue.subscribe(file.raw(), 5, EventFlags::READ).unwrap();
    let event = queue.next_event().unwrap();
    assert_eq!(
        (event.fd, event.user_data, event.flags),
        (file.raw(), 5, EventFlags::READ)
    );
}

#[test]
fn fevent_asks_for_the_flags_of_all_queues() {
    let daemon = Daemon::start("union");
    let file = daemon.open("", O_RDWR).unwrap();
    let (one, two) = (Records::new(), Records::new());
    one.register(file.raw(), READ, 1).unwrap();
    two.register(file.raw(), WRITE, 2).unwrap();
    assert_eq!(daemon.seen().fevents[1].1, READ | WRITE);
    let id = daemon.seen().fevents[0].0;
    daemon.post(id, READ | WRITE);
    assert_eq!(one.take_until(1), [(file.raw(), READ, 1)]);
    assert_eq!(two.take_until(1), [(file.raw(), WRITE, 2)]);
    one.register(file.raw(), 0, 1).unwrap();
    assert_eq!(daemon.seen().fevents[2].1, WRITE);
    daemon.post(id, READ | WRITE);
    assert_eq!(two.take_until(1).len(), 1);
    assert_eq!(one.take(), []);
}

#[test]
fn registration_is_removed_only_with_its_user_data() {
    let daemon = Daemon::start("userdata");
    let file = daemon.open("", O_RDWR).unwrap();
    let queue = Records::new();
    queue.register(file.raw(), READ, 9).unwrap();
    queue.register(file.raw(), 0, 0).unwrap();
    daemon.post(daemon.seen().fevents[0].0, READ);
    assert_eq!(queue.take_until(1).len(), 1);
}

#[test]
fn several_events_are_taken_at_once() {
    let line = irq::line(3);
    let handle = Fd::open("/scheme/irq/3", O_RDWR, 0).unwrap();
    let clock = Fd::open("/scheme/time/4", O_RDWR, 0).unwrap();
    let queue = RawEventQueue::new().unwrap();
    queue.subscribe(handle.raw(), 1, EventFlags::READ).unwrap();
    queue.subscribe(clock.raw(), 2, EventFlags::READ).unwrap();
    line.raise();
    clock.write(&[0; 16]).unwrap();
    thread::sleep(Duration::from_millis(50));
    let mut events = [RawEventV1::default(); 8];
    // The queue's number is private to redox_event; it is the lowest thing RawEventQueue holds.
    let fd = queue_number(&queue);
    // SAFETY: `events` has room for 8 records; timeout and signal set may be null.
    let count = unsafe {
        redox_event_queue_get_events_v1(fd, events.as_mut_ptr(), 8, 0, std::ptr::null(), std::ptr::null())
    };
    let mut seen: Vec<_> = events[..count].iter().map(|event| event.user_data).collect();
    seen.sort();
    assert_eq!(seen, [1, 2]);
}

fn queue_number(queue: &RawEventQueue) -> usize {
    let text = format!("{queue:?}");
    text.chars()
        .filter(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .unwrap()
}

#[test]
fn plain_pipe_reports_data() {
    let (reader, mut writer) = pipe();
    let queue = EventQueue::<usize>::new().unwrap();
    queue
        .subscribe(reader.as_raw_fd() as usize, 4, EventFlags::READ)
        .unwrap();
    writer.write_all(&[1]).unwrap();
    let event = queue.next_event().unwrap();
    assert_eq!((event.user_data, event.fd as i32), (4, reader.as_raw_fd()));
}

#[test]
fn interrupt_masks_its_line_until_acknowledged() {
    let line = irq::line(11);
    let (one, two) = (
        Fd::open("/scheme/irq/11", O_RDWR, 0).unwrap(),
        Fd::open("/scheme/irq/11", O_RDWR, 0).unwrap(),
    );
    let queue = Records::new();
    queue.register(one.raw(), READ, 1).unwrap();
    queue.register(two.raw(), READ, 2).unwrap();
    let mut count = [0; 8];
    assert_eq!(one.read(&mut count).unwrap(), 0, "no interrupt yet");

    line.raise();
    line.lower();
    line.raise();
    assert_eq!(
        queue.take().len(),
        2,
        "one event per handle, and the second edge is masked"
    );
    assert_eq!(one.read(&mut count).unwrap(), 8);
    assert_eq!(usize::from_ne_bytes(count), 1);

    let stale = 0usize.to_ne_bytes();
    assert_eq!(one.write(&stale).unwrap(), 0);
    assert!(line.is_masked());
    assert_eq!(one.write(&count).unwrap(), 8);
    assert_eq!(queue.take().len(), 2, "the level is still high: it fires again");
    assert_eq!(one.write(&count).unwrap(), 0, "now stale");

    line.lower();
    assert_eq!(one.read(&mut count).unwrap(), 8);
    assert_eq!(one.write(&count).unwrap(), 8);
    assert_eq!(one.read(&mut count).unwrap(), 0);
    assert_eq!(
        two.read(&mut count).unwrap(),
        8,
        "the other handle has not acknowledged"
    );
    assert_eq!(queue.take(), []);
    assert!(!line.is_masked());
    assert_eq!(one.read(&mut [0; 4]).err().unwrap().errno(), errno::EINVAL);
}

#[test]
fn timer_posts_one_event_per_write() {
    let clock = Fd::open("/scheme/time/4", O_RDWR, 0).unwrap();
    let queue = Records::new();
    queue.register(clock.raw(), READ, 3).unwrap();
    let mut now = [0; 16];
    assert_eq!(clock.read(&mut now).unwrap(), 16);
    let seconds = i64::from_ne_bytes(now[..8].try_into().unwrap());
    let nanoseconds = i64::from_ne_bytes(now[8..].try_into().unwrap());
    for delay in [60_000_000, 30_000_000] {
        let total = nanoseconds + delay;
        let mut moment = [0; 16];
        moment[..8].copy_from_slice(&(seconds + total / 1_000_000_000).to_ne_bytes());
        moment[8..].copy_from_slice(&(total % 1_000_000_000).to_ne_bytes());
        assert_eq!(clock.write(&moment).unwrap(), 16);
    }
    assert_eq!(queue.take(), []);
    assert_eq!(queue.take_until(2), [(clock.raw(), READ, 3); 2]);
    assert_eq!(
        Fd::open("/scheme/time/9", O_RDONLY, 0).err().unwrap().errno(),
        errno::ENOENT
    );
}

#[test]
fn closed_descriptor_cannot_be_registered() {
    let queue = RawEventQueue::new().unwrap();
    assert_eq!(
        queue.subscribe(54321, 0, EventFlags::READ).err().unwrap().errno(),
        errno::EBADF
    );
}

#[test]
fn signal_ends_the_wait_for_an_event() {
    common::interrupt_on_sigusr1();
    let (sender, receiver) = std::sync::mpsc::channel();
    let waiter = thread::spawn(move || {
        let queue = RawEventQueue::new().unwrap();
        sender.send(common::this_thread()).unwrap();
        queue.next_event().map(|_| ()).unwrap_err().errno()
    });
    let thread = receiver.recv().unwrap();
    let start = std::time::Instant::now();
    while !waiter.is_finished() {
        assert!(start.elapsed() < SOON);
        thread::sleep(Duration::from_millis(5));
        if !waiter.is_finished() {
            common::interrupt(thread);
        }
    }
    assert_eq!(waiter.join().unwrap(), errno::EINTR);
}
