//! Readers under load: the real driver and scheme over the fake NIC, in virtual time.
//!
//! Each model has a reader that keeps up, or would, and shows that no rule of overload costs it anything.

mod model;

use std::time::Duration;

use model::{Machine, Reader, Stack};

const MS: Duration = Duration::from_millis(1);

const fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// A frame comes every 20 us. The reader takes `read` for each read, and is late once by `late`. Returns the number of
/// frames that found no room, and the time after the delay at which the reader had caught up.
fn delayed_reader(read: Duration, late: Duration) -> (u64, Duration) {
    let mut machine = Machine::new();
    let mut reader = Reader::new(&mut machine, read);
    let mut waiting = Duration::MAX;
    for number in 0..50_000_u64 {
        machine.advance_to(us(20) * number as u32);
        machine.deliver(60);
        if number == 1000 {
            reader.is_late(machine.now() + late);
        }
        reader.run(&mut machine, us(20) * (number + 1) as u32);
        if number > 1000
            && waiting == Duration::MAX
            && !machine.has_backlog()
            && machine.now() > us(20) * 1000 + late
        {
            waiting = machine.now().saturating_sub(us(20) * 1000);
        }
    }
    let end = machine.now() + 100 * MS;
    reader.run(&mut machine, end);
    assert_eq!(machine.dropped_by_driver(), 0);
    assert_eq!(reader.frames() + machine.lost(), 50_000, "all others were read");
    (machine.lost(), waiting)
}

#[test]
fn reader_that_is_late_once_recovers_and_loses_nothing_that_the_ring_can_hold() {
    for (read, late) in [
        (16, 2 * MS),
        (10, 6 * MS),
        (16, 9 * MS),
        (18, 2 * MS),
        (5, 10 * MS),
    ] {
        let (lost, waiting) = delayed_reader(us(read), late);
        assert_eq!(lost, 0, "a read takes {read} us, late by {late:?}");
        assert!(
            waiting <= 100 * MS,
            "a read takes {read} us, late by {late:?}: {waiting:?}"
        );
    }
}

#[test]
fn reader_that_is_later_than_the_ring_is_long_loses_no_more_than_that() {
    let (lost, waiting) = delayed_reader(us(10), 20 * MS);
    assert!(lost <= 1000 - 511 + 16, "{lost}");
    assert!(waiting <= 100 * MS, "{waiting:?}");
}

/// Measures megabits a second of that many connections with windows of 64 KiB, through a stack that reads up to 128
/// frames or until there is none, processes them, acknowledges them and serves the programs that read.
fn connections(count: usize, budget: bool) -> f64 {
    let mut machine = Machine::new();
    let mut stack = Stack::new(&mut machine, count, us(10));
    if !budget {
        stack.has_no_budget(&mut machine);
    }
    stack.run(&mut machine, Duration::from_secs(1));
    assert_eq!(machine.dropped_by_driver(), 0);
    stack.bytes() as f64 * 8.0 / 1e6
}

#[test]
fn connections_are_as_fast_as_without_any_rule() {
    for count in [1, 2, 4, 8, 16, 32, 64] {
        let (with, without) = (connections(count, true), connections(count, false));
        assert!(
            with >= 0.95 * without,
            "{count}: {with:.0} instead of {without:.0} Mbit/s"
        );
    }
}

#[test]
fn sender_that_never_lets_up_loses_nothing_to_the_driver() {
    let mut machine = Machine::new();
    let mut reader = Reader::new(&mut machine, us(20));
    for number in 0..30_000 {
        // The ring is filled up all the time, as by a sender that the NIC holds back.
        while machine.deliver(60) {}
        reader.run(&mut machine, us(20) * number);
    }
    assert_eq!(machine.dropped_by_driver(), 0);
    let refused = reader.refusals() as f64 / reader.frames() as f64;
    assert!(refused < 0.04, "one in {:.0} reads", 1.0 / refused);
    assert!(reader.frames() > 28_000, "{}", reader.frames());
}

#[test]
fn frame_for_each_event_does_not_wait_for_a_tick() {
    let mut machine = Machine::new();
    let mut reader = Reader::new(&mut machine, us(10));
    reader.reads_one_frame_for_each_event();
    for _ in 0..250 {
        machine.deliver(60);
    }
    reader.run(&mut machine, 40 * MS);
    assert_eq!(reader.frames(), 250);
}

#[test]
fn programs_are_served_while_a_flood_fills_the_ring() {
    let mut machine = Machine::new();
    let mut stack = Stack::new(&mut machine, 1, us(10));
    let served = stack.run_in_flood(&mut machine, Duration::from_secs(1));
    // Without a yield to others, one request is served for each budget of frames.
    assert!(served > 5000, "{served} requests of a program");
    assert!(machine.dropped_by_driver() > 0, "the flood's own");
    let (sent, read) = stack.pings();
    assert!(read * 10 >= sent * 9, "{read} of {sent} pings");
}

#[test]
fn last_pending_write_that_is_cancelled_leaves_no_interrupt_and_notifies_writers() {
    use e1000_hw::regs::{self, Causes};
    let mut machine = Machine::new();
    machine.stall_transmitter();
    let id = machine.open();
    machine.subscribe(id, syscall::EventFlags::EVENT_WRITE);
    let mut pending = None;
    while pending.is_none() {
        pending = machine.write(id, &[9; 60]);
    }
    let wants_room = |machine: &Machine| machine.peek(regs::IMS) & Causes::TXDW.bits() != 0;
    assert!(wants_room(&machine));
    machine.take_events(id);
    machine.cancel(pending.unwrap());
    assert!(!wants_room(&machine), "for a write that does not wait any more");
    assert_eq!(machine.take_events(id), 1, "EVENT_WRITE");
}
