//! The daemon under load, and with a client that does not keep up.

mod common;
#[path = "common/hosted.rs"]
mod hosted;

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{SOON, WINDOW, for_each_model, number, numbered, wait_for};
use e1000_hosted::harness::Hosted;
use e1000_hosted::machine::NicModel;
use hosted::{passes_both_ways, start};
use netstack_client::{Adapter, FrameIo, Mode, Readiness, Wait, Woken};

fn adapter(hosted: &Hosted, mode: Mode) -> Adapter {
    Adapter::open(&hosted.scheme().parse().unwrap(), mode).unwrap()
}

fn receive(hosted: &Hosted) -> Vec<u8> {
    hosted.wire().receive(SOON).unwrap().expect("a frame comes out")
}

/// Numbered frames in both directions at once; the reader waits as `mode` says.
fn carries_10_000_frames_each_way(nic: NicModel, mode: Mode) {
    const FRAMES: u64 = 10_000;
    let hosted = start(nic);
    let (in_done, out_done) = (AtomicU64::new(0), AtomicU64::new(0));
    let await_window = |sent: u64, done: &AtomicU64| {
        wait_for("progress", || {
            (sent - done.load(Ordering::Acquire) < WINDOW).then_some(())
        });
    };
    let (writer, mut reader) = (adapter(&hosted, Mode::NonBlocking), adapter(&hosted, mode));
    let mut readiness = (mode == Mode::NonBlocking).then(|| Readiness::new(&reader).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut frames = numbered(1, 1514);
            for sent in 0..FRAMES {
                await_window(sent, &in_done);
                hosted.wire().send(frames.next_frame()).unwrap();
            }
        });
        scope.spawn(|| {
            let mut frames = numbered(2, 120);
            for sent in 0..FRAMES {
                await_window(sent, &out_done);
                writer.write_frame(frames.next_frame()).unwrap();
            }
        });
        scope.spawn(|| {
            for expected in 0..FRAMES {
                assert_eq!(number(&receive(&hosted), 2), Some(expected));
                out_done.store(expected + 1, Ordering::Release);
            }
        });
        let mut buffer = [0; 2048];
        for expected in 0..FRAMES {
            let length = loop {
                match FrameIo::read_frame(&mut reader, &mut buffer).unwrap() {
                    Some(length) => break length,
                    None => {
                        let readiness = readiness
                            .as_mut()
                            .expect("only a non-blocking read finds nothing");
                        assert_eq!(
                            readiness.wait(Some(SOON)).unwrap(),
                            Woken::Frames,
                            "frame {expected}"
                        );
                    }
                }
            };
            assert_eq!(number(&buffer[..length], 1), Some(expected));
            in_done.store(expected + 1, Ordering::Release);
        }
    });
    drop((writer, reader, readiness));
    let report = hosted.stop().unwrap();
    assert_eq!((report.rx_frames, report.tx_frames), (FRAMES, FRAMES));
}

#[test]
fn e1000_carries_10_000_frames_each_way_for_a_blocking_reader() {
    carries_10_000_frames_each_way(NicModel::E1000, Mode::Blocking);
}

#[test]
fn e1000e_carries_10_000_frames_each_way_for_a_reader_with_events() {
    carries_10_000_frames_each_way(NicModel::E1000e, Mode::NonBlocking);
}

/// Resident memory of a process in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn client_that_stops_reading_costs_no_memory_and_gets_one_event() {
    for_each_model(|nic| {
        const FLOOD: u64 = 10_000;
        let hosted = start(nic);
        let data = hosted::data(&hosted);
        let lazy = adapter(&hosted, Mode::NonBlocking);
        let mut readiness = Readiness::new(&lazy).unwrap();
        passes_both_ways(&hosted, &data, 0);
        while readiness.wait(Some(Duration::from_millis(50))).unwrap() == Woken::Frames {}
        while lazy.read_frame(&mut [0; 2048]).unwrap().is_some() {}

        let before = resident_kib(hosted.pid());
        let mut frames = numbered(1, 1514);
        for _ in 0..FLOOD {
            hosted.wire().send(frames.next_frame()).unwrap();
        }
        let mut events = 0;
        while readiness.wait(Some(Duration::from_millis(200))).unwrap() == Woken::Frames {
            events += 1;
            assert!(events < 10, "nothing is read, and events come");
        }
        assert_eq!(events, 1, "one edge, one event");
        let grown = resident_kib(hosted.pid()).saturating_sub(before);
        assert!(grown < 8 << 10, "grew by {grown} KiB");

        // What the ring holds is there; what came when it was full may be lost, but nothing is out of order.
        let (mut last, mut count) = (None, 0);
        let mut buffer = [0; 2048];
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(300) {
            let Some(length) = lazy.read_frame(&mut buffer).unwrap() else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            quiet = Instant::now();
            let number = number(&buffer[..length], 1).expect("frames of the flood");
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
            count += 1;
        }
        println!("{nic}: {count} of {FLOOD} frames waited");
        assert!(count >= 100, "{count} frames");
        for seed in 0..100 {
            passes_both_ways(&hosted, &data, seed);
        }
        hosted.stop().unwrap();
    });
}
