//! The daemon through its scheme, on each of QEMU's NICs: what clients rely on, and what they must not be able to do.

mod common;
#[path = "common/process.rs"]
mod process;

use std::os::unix::thread::JoinHandleExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{MAC, SOON, for_each_model, frame, number, numbered, wait_for};
use e1000_hosted::harness::{Hosted, HostedOptions};
use e1000_hosted::machine::{Netdev, NicModel};
use libredox::flag::{O_NONBLOCK, O_RDWR};
use libredox::{Fd, errno};
use process::{Process, check_contract, play_role};

const DAEMON: &str = env!("CARGO_BIN_EXE_e1000d-hosted");

/// No test: the processes that tests start play their roles here.
#[test]
fn client_process() {
    play_role();
}

fn start(nic: NicModel) -> Hosted {
    start_with(HostedOptions::new(DAEMON, nic))
}

fn start_with(options: HostedOptions) -> Hosted {
    Hosted::start(&options).unwrap_or_else(|error| panic!("{}: {error}", options.nic))
}

fn open(hosted: &Hosted, flags: i32) -> Fd {
    Fd::open(&format!("/scheme/{}", hosted.scheme()), flags, 0).unwrap()
}

/// The next frame, read without blocking.
fn read_frame(data: &Fd) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let length = wait_for("frame", || match data.read(&mut buffer) {
        Ok(length) => Some(length),
        Err(error) if error.errno() == errno::EAGAIN => None,
        Err(error) => panic!("{error}"),
    });
    buffer.truncate(length);
    buffer
}

/// Frames pass in both directions.
fn assert_works(hosted: &Hosted, data: &Fd, seed: u8) {
    hosted.wire().send(&frame(MAC, 100, seed)).unwrap();
    while read_frame(data) != frame(MAC, 100, seed) {}
    assert_eq!(data.write(&frame(MAC, 101, seed)).unwrap(), 101);
    while receive(hosted) != frame(MAC, 101, seed) {}
}

fn receive(hosted: &Hosted) -> Vec<u8> {
    hosted.wire().receive(SOON).unwrap().expect("a frame comes out")
}

/// Takes the frames that came out, until none comes for a while.
fn drain_wire(hosted: &Hosted) {
    while hosted
        .wire()
        .receive(Duration::from_millis(100))
        .unwrap()
        .is_some()
    {}
}

/// Waits until the daemon says that the link is `up` or `down`.
fn wait_for_link(hosted: &Hosted, state: &str) {
    wait_for("change of the link", || {
        let log = hosted.log();
        let (_, last) = log.rsplit_once("link ")?;
        last.starts_with(state).then_some(())
    });
}

fn keeps_the_contract(nic: NicModel) {
    let netdev = Some(Netdev::User(String::new()));
    let hosted = start_with(HostedOptions {
        netdev,
        ..HostedOptions::new(DAEMON, nic)
    });
    check_contract(hosted.scheme_directory(), hosted.scheme(), "");
    hosted.stop().unwrap();
}

#[test]
fn e1000_keeps_the_contract() {
    keeps_the_contract(NicModel::E1000);
}

#[test]
fn e1000_82544gc_keeps_the_contract() {
    keeps_the_contract(NicModel::E100082544gc);
}

#[test]
fn e1000_82545em_keeps_the_contract() {
    keeps_the_contract(NicModel::E100082545em);
}

#[test]
fn e1000e_keeps_the_contract() {
    keeps_the_contract(NicModel::E1000e);
}

extern "C" fn do_nothing(_signal: libc::c_int) {}

/// Makes SIGUSR1 interrupt system calls, and do nothing else.
fn let_sigusr1_interrupt() {
    // SAFETY: struct sigaction consists of integers and a pointer, for which zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = do_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the action is complete, its handler does nothing, the old action is not asked for.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// Sends SIGUSR1 to a thread.
fn interrupt<T>(thread: &thread::JoinHandle<T>) {
    // SAFETY: the thread was not joined, so its id is valid.
    let result = unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1) };
    assert_eq!(result, 0);
}

#[test]
fn signal_ends_a_parked_read_with_eintr() {
    let_sigusr1_interrupt();
    let hosted = start(NicModel::E1000);
    let other = open(&hosted, O_RDWR | O_NONBLOCK);
    for round in 0..20 {
        let data = open(&hosted, O_RDWR);
        let thread = thread::spawn(move || data.read(&mut [0; 2048]).map_err(|error| error.errno()));
        thread::sleep(Duration::from_millis(20));
        wait_for("end of the read", || {
            interrupt(&thread);
            thread::sleep(Duration::from_millis(1));
            thread.is_finished().then_some(())
        });
        assert_eq!(thread.join().unwrap(), Err(errno::EINTR), "round {round}");
        // The reader that was interrupted takes no frame.
        assert_works(&hosted, &other, round);
    }
    hosted.stop().unwrap();
}

#[test]
fn no_frame_is_lost_to_a_signal_that_comes_with_it() {
    const FRAMES: u64 = 500;
    let_sigusr1_interrupt();
    let hosted = start(NicModel::E1000e);
    let data = open(&hosted, O_RDWR);
    let (sender, seen) = mpsc::channel();
    let thread = thread::spawn(move || {
        let (mut buffer, mut interrupted, mut next) = ([0; 2048], 0, 0);
        while next < FRAMES {
            match data.read(&mut buffer) {
                Ok(length) => {
                    assert_eq!(number(&buffer[..length], 1), Some(next));
                    next += 1;
                    sender.send(()).unwrap();
                }
                Err(error) if error.errno() == errno::EINTR => interrupted += 1,
                Err(error) => panic!("{error}"),
            }
        }
        interrupted
    });
    let mut frames = numbered(1, 100);
    for sequence in 0..FRAMES {
        hosted.wire().send(frames.next_frame()).unwrap();
        thread::sleep(Duration::from_micros(sequence % 16 * 40));
        if sequence + 1 < FRAMES {
            interrupt(&thread);
        }
        seen.recv_timeout(SOON).expect("the frame is read");
    }
    let interrupted = thread.join().unwrap();
    println!("{interrupted} of {FRAMES} signals came before the frame");
    hosted.stop().unwrap();
}

#[test]
fn readers_killed_while_parked_take_no_frame_with_them() {
    let hosted = start(NicModel::E1000);
    let data = open(&hosted, O_RDWR | O_NONBLOCK);
    let name = hosted.scheme().parse().unwrap();
    let mut readers: Vec<_> = (0..4)
        .map(|_| {
            let mut command = process::reader(&name);
            command.env("REDOX_SHIM_DIR", hosted.scheme_directory());
            Process::start(command.stdout(Stdio::piped()))
        })
        .collect();
    for reader in &mut readers {
        let mut output = reader.output();
        assert!(output.any(|line| line.ends_with(lab_agent::contract::READING)));
    }
    thread::sleep(Duration::from_millis(200));
    for reader in &mut readers {
        reader.0.kill().unwrap();
    }
    drop(readers);
    // The daemon learns of it by their connections; give it the time.
    thread::sleep(Duration::from_millis(200));
    for seed in 0..20 {
        hosted.wire().send(&frame(MAC, 100, seed)).unwrap();
        assert_eq!(read_frame(&data), frame(MAC, 100, seed));
    }
    hosted.stop().unwrap();
}

#[test]
fn without_a_link_it_is_ready_in_bounded_time_and_keeps_frames_for_it() {
    for_each_model(|nic| {
        let hosted = start_with(HostedOptions {
            link_down: true,
            // 5 seconds are the daemon's; the rest is for the start of QEMU beside other tests.
            ready_limit: Duration::from_secs(5 + 10),
            ..HostedOptions::new(DAEMON, nic)
        });
        let data = open(&hosted, O_RDWR | O_NONBLOCK);
        assert_eq!(data.read(&mut [0; 2048]).unwrap_err().errno(), errno::EAGAIN);
        for seed in 0..5 {
            assert_eq!(data.write(&frame(MAC, 42, seed)).unwrap(), 42);
        }
        assert_eq!(hosted.wire().receive(Duration::from_millis(300)).unwrap(), None);
        hosted.set_link(true).unwrap();
        for seed in 0..5 {
            let mut expected = frame(MAC, 42, seed);
            expected.resize(60, 0);
            assert_eq!(receive(&hosted), expected);
        }
        assert_works(&hosted, &data, 9);
        hosted.stop().unwrap();
    });
}

#[test]
fn writes_without_a_link_are_answered_though_the_ring_is_full() {
    let hosted = start(NicModel::E1000e);
    let data = open(&hosted, O_RDWR | O_NONBLOCK);
    assert_works(&hosted, &data, 0);
    hosted.set_link(false).unwrap();
    wait_for_link(&hosted, "down");
    let mut frames = numbered(1, 60);
    for _ in 0..2000 {
        assert_eq!(data.write(frames.next_frame()).unwrap(), 60);
    }
    hosted.set_link(true).unwrap();
    // The first ones were kept, as many as the ring holds; the others were dropped.
    for sequence in 0..100 {
        assert_eq!(number(&receive(&hosted), 1), Some(sequence));
    }
    drain_wire(&hosted);
    assert_works(&hosted, &data, 1);
    hosted.stop().unwrap();
}

#[test]
fn link_that_flaps_under_load_leaves_no_request_unanswered() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = open(&hosted, O_RDWR | O_NONBLOCK);
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let data = open(&hosted, O_RDWR);
                let mut frames = numbered(1, 200);
                while !end.load(Ordering::Relaxed) {
                    assert_eq!(data.write(frames.next_frame()).unwrap(), 200);
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let wire = scope.spawn(|| {
                let mut last = None;
                while !end.load(Ordering::Relaxed) {
                    let Some(frame) = hosted.wire().receive(Duration::from_millis(10)).unwrap() else {
                        continue;
                    };
                    let number = number(&frame, 1).expect("frames of the writer");
                    assert!(last < Some(number), "{number} after {last:?}");
                    last = Some(number);
                }
                last
            });
            for round in 0..8 {
                thread::sleep(Duration::from_millis(30 + 10 * round));
                hosted.set_link(round % 2 == 1).unwrap();
            }
            wait_for_link(&hosted, "up");
            thread::sleep(Duration::from_millis(100));
            end.store(true, Ordering::Relaxed);
            writer.join().unwrap();
            assert!(wire.join().unwrap().is_some());
        });
        drain_wire(&hosted);
        assert_works(&hosted, &data, 1);
        hosted.stop().unwrap();
    });
}

#[test]
fn sigterm_answers_parked_reads_and_ends_the_daemon_well() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let parked: Vec<_> = (0..3)
            .map(|_| {
                let data = open(&hosted, O_RDWR);
                thread::spawn(move || data.read(&mut [0; 2048]).map_err(|error| error.errno()))
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        let (name, log) = (hosted.scheme().to_string(), hosted.log());
        hosted.stop().unwrap_or_else(|error| panic!("{error}\n{log}"));
        for thread in parked {
            let errno = thread.join().unwrap().expect_err("there was no frame");
            // The daemon answers EINTR. No signal of the client's asked for it, so the client gets EIO from the shim,
            // as from the kernel (`UserInner::respond` in its src/scheme/user.rs).
            assert_eq!(errno, errno::EIO);
        }
        assert!(Fd::open(&format!("/scheme/{name}"), O_RDWR, 0).is_err());
    });
}

/// A daemon whose scheme has always the same name.
fn start_in_slot_5(schemes: &Path, nic: NicModel) -> (Process, String) {
    let mut command = Command::new(DAEMON);
    command.args([
        "--nic",
        nic.name(),
        "--netdev",
        "user",
        "--slot",
        "5",
        "--scheme-dir",
    ]);
    command.arg(schemes).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut daemon = Process::start(&mut command);
    let mut output = daemon.output();
    let name = output.find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
    (daemon, name.expect("the daemon becomes ready"))
}

#[test]
fn daemon_started_after_a_killed_one_takes_its_name_over() {
    let schemes = tempfile::tempdir().unwrap();
    for nic in [NicModel::E1000, NicModel::E1000e, NicModel::E1000] {
        let (daemon, name) = start_in_slot_5(schemes.path(), nic);
        assert_eq!(name, "network.pci-0000-00-05.0_e1000");
        check_contract(schemes.path(), &name, "mac read sharing.parked");
        // SIGKILL: the name stays behind.
        drop(daemon);
    }
}
