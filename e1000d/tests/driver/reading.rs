//! Reading frames: budgets, notifications, order.

use std::thread;
use std::time::Duration;

use libredox::Fd;
use libredox::flag::{O_NONBLOCK, O_RDWR};

use crate::daemon::{Daemon, NAME, SOON, events, open, text, wait_until};

#[test]
fn reader_that_finds_none_beside_a_pending_read_is_notified_of_the_next_frame() {
    let daemon = Daemon::start();
    let reader = open(O_NONBLOCK);
    let events = events(&reader);
    daemon.deliver(1);
    assert_eq!(events.recv_timeout(SOON), Ok(1));
    assert_eq!(reader.read(&mut [0; 64]).expect("the frame"), 60);

    let pending = thread::spawn(|| open(0).read(&mut [0; 64]).map_err(|error| error.errno()));
    wait_until(&daemon, |driver| driver.pending_reads() == 1);
    let none = reader.read(&mut [0; 64]).map_err(|error| error.errno());
    assert_eq!(none, Err(libredox::errno::EAGAIN));
    daemon.deliver(2);
    assert_eq!(
        pending.join().expect("no panic"),
        Ok(60),
        "who waited longer gets it"
    );
    daemon.deliver(3);
    assert_eq!(events.recv_timeout(SOON), Ok(1));
    let mut frame = [0; 64];
    assert_eq!(reader.read(&mut frame).expect("the frame"), 60);
    assert_eq!(frame[0], 3);
}

/// Reads, as slowly as an emulated machine, until a read finds nothing. Returns the first byte of each frame.
fn read_all(reader: &Fd) -> Vec<u8> {
    let mut frames = vec![];
    let mut buffer = [0; 2048];
    loop {
        thread::sleep(Duration::from_micros(60));
        match reader.read(&mut buffer).map_err(|error| error.errno()) {
            Ok(60) => frames.push(buffer[0]),
            Ok(other) => panic!("a frame of {other} bytes"),
            Err(libredox::errno::EAGAIN) => return frames,
            Err(other) => panic!("error {other}"),
        }
    }
}

#[test]
fn client_of_an_event_queue_reads_in_budgets_and_loses_nothing() {
    const FRAMES: u8 = 250;
    let daemon = Daemon::with_rings(256);
    let reader = open(O_NONBLOCK);
    let events = events(&reader);
    for number in 0..FRAMES {
        daemon.with(move |machine, _| assert!(machine.deliver(&[number; 60])));
    }
    daemon.with(|_, driver| driver.serve_interrupt());

    let mut frames = vec![];
    for budget in [32, 32, 32, 32, 32, 32, 32, 26] {
        assert_eq!(
            events.recv_timeout(SOON),
            Ok(1),
            "notified with the end of the last budget"
        );
        let read = read_all(&reader);
        assert_eq!(read.len(), budget);
        frames.extend(read);
    }
    assert_eq!(frames, (0..FRAMES).collect::<Vec<_>>());
    assert!(events.try_recv().is_err());
}

#[test]
fn process_that_only_reads_has_no_budget() {
    let daemon = Daemon::with_rings(256);
    let reader = open(O_NONBLOCK);
    let _events = events(&reader);
    let fill = || daemon.with(|machine, _| assert!((0..200).all(|number| machine.deliver(&[number; 60]))));
    let filter = Fd::open(&format!("/scheme/{NAME}/filter"), O_RDWR, 0).expect("open");
    assert_eq!(filter.write(b"budget off").expect("taken"), 10);
    assert!(text("filter").contains("budget 1\n"), "another handle's own");
    fill();
    assert_eq!(read_all(&reader).len(), 200);
    drop(filter);
    fill();
    assert_eq!(read_all(&reader).len(), 32, "it ended with the handle");
}

#[test]
fn blocking_reader_is_not_held_up() {
    let daemon = Daemon::with_rings(256);
    daemon.with(|machine, driver| {
        assert!((0..250).all(|number| machine.deliver(&[number; 60])));
        driver.serve_interrupt();
    });
    let reader = open(0);
    for number in 0..250 {
        let mut frame = [0; 2048];
        assert_eq!(reader.read(&mut frame).expect("a frame"), 60);
        assert_eq!(frame[0], number);
    }
}

/// The first byte of the next frame, if there is one.
fn next_frame(reader: &Fd) -> Option<u8> {
    let mut frame = [0; 64];
    match reader.read(&mut frame) {
        Ok(length) => {
            assert_eq!(length, 60);
            Some(frame[0])
        }
        Err(error) => {
            assert_eq!(error.errno(), libredox::errno::EAGAIN);
            None
        }
    }
}

#[test]
fn frames_that_came_for_others_are_not_read() {
    let daemon = Daemon::start();
    let first = open(O_NONBLOCK);
    // While it was there, and another one, who goes on.
    let second = open(O_NONBLOCK);
    daemon.deliver(2);
    drop(first);
    wait_until(&daemon, |driver| driver.scheme().open_handles() == 2);
    assert_eq!(next_frame(&second), Some(2));
    // The last one goes and leaves a ring full: buffers are given back in fours.
    for _ in 0..6 {
        daemon.deliver(3);
    }
    assert!(!daemon.with(|machine, _| machine.deliver(&[3; 60])));
    drop(second);
    wait_until(&daemon, |driver| driver.scheme().open_handles() == 1);
    // There is room again; but what comes now is old when somebody comes.
    daemon.deliver(4);
    let third = open(O_NONBLOCK);
    assert_eq!(next_frame(&third), None);
    daemon.deliver(5);
    assert_eq!(next_frame(&third), Some(5));
    let dropped = daemon.with(|_, driver| driver.scheme().nic().state().rx_counters().dropped);
    assert_eq!(dropped, 6 + 1);
}
