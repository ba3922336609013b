//! Writing frames to a ring without room.

use std::thread;
use std::time::{Duration, Instant};

use e1000_hw::fake::Faults;
use libredox::flag::O_NONBLOCK;

use crate::daemon::{Daemon, SOON, open, wait_until};

#[test]
fn writes_to_a_full_ring_wait_for_room_and_keep_their_order() {
    let daemon = Daemon::start();
    daemon.with(|machine, _| {
        machine.set_faults(Faults {
            transmitter_stalled: true,
            ..Faults::default()
        })
    });
    let writer = open(O_NONBLOCK);
    for n in 0..7u8 {
        assert_eq!(writer.write(&[n; 60]).expect("room"), 60);
    }
    let blocked: Vec<_> = (7..10u8)
        .map(|n| {
            let thread =
                thread::spawn(move || open(O_NONBLOCK).write(&[n; 60]).map_err(|error| error.errno()));
            // One after the other.
            wait_until(&daemon, move |driver| {
                driver.pending_writes() == usize::from(n - 6)
            });
            thread
        })
        .collect();
    assert!(
        blocked.iter().all(|thread| !thread.is_finished()),
        "never EAGAIN: smolnetd would drop the frame"
    );
    daemon.with(|machine, driver| {
        machine.resume_transmitter();
        driver.serve_interrupt();
    });
    for thread in blocked {
        assert_eq!(thread.join().expect("no panic"), Ok(60));
    }
    let order: Vec<u8> = daemon
        .with(|machine, _| machine.take_sent())
        .iter()
        .map(|frame| frame[0])
        .collect();
    assert_eq!(order, (0..10).collect::<Vec<u8>>());
}

#[test]
fn stuck_transmitter_costs_a_writer_two_seconds_and_its_frame() {
    let daemon = Daemon::start();
    daemon.with(|machine, _| {
        machine.set_faults(Faults {
            transmitter_stalled: true,
            ..Faults::default()
        })
    });
    let writer = open(0);
    for n in 0..7u8 {
        writer.write(&[n; 60]).expect("room");
    }
    let start = Instant::now();
    let blocked = thread::spawn(|| open(0).write(&[9; 60]).map_err(|error| error.errno()));
    while !blocked.is_finished() {
        // Each batch of requests has pending writes tried again; an empty one does, too.
        daemon.with(|_, driver| driver.serve(&mut Vec::new()));
        thread::sleep(Duration::from_millis(10));
        assert!(start.elapsed() < SOON, "the writer waits for ever");
    }
    assert_eq!(
        blocked.join().expect("no panic"),
        Ok(60),
        "an error would be dropped just so, with a log line each"
    );
    assert_eq!(
        daemon.with(|_, driver| driver.scheme().nic().state().tx_counters().dropped),
        1
    );
}
