//! Requests of a client, answered by a daemon that uses redox-scheme.

mod common;

use std::thread;
use std::time::Duration;

use common::{Daemon, child_role, run_child, spawn_child};
use libredox::flag::{O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR};
use libredox::{Fd, errno};
use redox_scheme::{RequestKind, Response, SignalBehavior, Socket};
use redox_shim::client;
use syscall::flag as redox;
use syscall::schemev2::Opcode;

fn code<T>(result: libredox::error::Result<T>) -> i32 {
    result.err().map_or(0, |error| error.errno())
}

#[test]
fn frame_written_is_read_back() {
    let daemon = Daemon::start("back");
    let file = daemon.open("", O_RDWR | O_NONBLOCK).unwrap();
    assert_eq!(file.write(b"frame").unwrap(), 5);
    let mut buffer = [0xAA; 16];
    assert_eq!(file.read(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..6], b"frame\xAA");
    assert_eq!(code(file.read(&mut buffer)), errno::EAGAIN);
    assert_eq!(file.write(&[]).unwrap(), 0);
    assert_eq!(file.read(&mut []).unwrap(), 0);
}

#[test]
fn large_buffers_travel_whole() {
    let daemon = Daemon::start("large");
    let file = daemon.open("", O_RDWR).unwrap();
    let data: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
    assert_eq!(file.write(&data).unwrap(), data.len());
    let mut buffer = vec![0; data.len()];
    assert_eq!(file.read(&mut buffer).unwrap(), data.len());
    assert!(buffer == data);
}

#[test]
fn buffers_keep_their_offset_in_the_page() {
    let daemon = Daemon::start("offset");
    let file = daemon.open("", O_RDWR | O_NONBLOCK).unwrap();
    let mut buffer = vec![0; 8192];
    for start in [0, 1, 63, 4000] {
        let _ = file.read(&mut buffer[start..start + 100]);
        let seen = *daemon.seen().addresses.last().unwrap();
        assert_eq!(seen & 0xFFF, buffer[start..].as_ptr() as usize & 0xFFF);
    }
}

#[test]
fn flags_arrive_in_redox_values() {
    let daemon = Daemon::start("flags");
    let file = daemon.open("", O_RDWR | O_NONBLOCK | O_CLOEXEC).unwrap();
    let expected = (redox::O_RDWR | redox::O_NONBLOCK, redox::O_NONBLOCK as u32);
    assert_eq!(daemon.seen().open_flags[0], expected);
    let caller = daemon.seen().callers[0];
    assert_eq!(caller, (std::process::id() as usize, 0, 0));
    assert_eq!(
        file.fcntl(libc::F_GETFL as usize, 0).unwrap() as i32,
        O_RDWR | O_NONBLOCK
    );
    file.fcntl(libc::F_SETFL as usize, 0).unwrap();
    assert_eq!(file.fcntl(libc::F_GETFL as usize, 0).unwrap() as i32, O_RDWR);
    file.write(b"x").unwrap();
    file.read(&mut [0; 4]).unwrap();
    assert_eq!(
        *daemon.seen().transfer_flags.last().unwrap() as usize,
        redox::O_RDWR
    );
}

#[test]
fn fcntl_asks_the_scheme_first() {
    let daemon = Daemon::start("fcntl");
    let file = daemon.open("/mac", O_RDONLY).unwrap();
    assert_eq!(code(file.fcntl(libc::F_GETFL as usize, 0)), errno::EOPNOTSUPP);
    assert_eq!(code(file.fcntl(libc::F_SETFD as usize, O_CLOEXEC as usize)), 0);
}

#[test]
fn parked_read_is_answered_later() {
    let daemon = Daemon::start("parked");
    let file = daemon.open("", O_RDWR).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut buffer = [0; 8];
            file.read(&mut buffer).map(|count| buffer[..count].to_vec())
        });
        daemon.wait_until("a parked read", |seen| seen.parked == 1);
        file.write(b"late").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), b"late");
    });
}

#[test]
fn signal_cancels_a_blocked_read() {
    let daemon = Daemon::start("cancel");
    common::interrupt_on_sigusr1();
    let file = daemon.open("", O_RDWR).unwrap();
    thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let file = &file;
        let reader = scope.spawn(move || {
            sender.send(common::this_thread()).unwrap();
            file.read(&mut [0; 8])
        });
        let thread = receiver.recv().unwrap();
        daemon.wait_until("a parked read", |seen| seen.parked == 1);
        thread::sleep(Duration::from_millis(20));
        common::interrupt(thread);
        assert_eq!(code(reader.join().unwrap()), errno::EINTR);
    });
    assert_eq!(daemon.seen().cancelled, 1);
    // The connection is as good as before.
    file.write(b"on").unwrap();
    assert_eq!(file.read(&mut [0; 8]).unwrap(), 2);
}

#[test]
fn blocking_socket_waits_for_a_request() {
    common::directory();
    let socket = Socket::create().unwrap();
    let root = socket.create_this_scheme_fd(0, 1, 0, 0).unwrap();
    libredox::call::register_scheme_to_ns(libredox::call::getns().unwrap(), "blocking", root).unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| Fd::open("/scheme/blocking/x", O_RDWR, 0));
        let request = socket.next_request(SignalBehavior::Restart).unwrap().unwrap();
        let RequestKind::Call(call) = request.kind() else {
            panic!("an open is a call")
        };
        let response = Response::err(errno::ENOENT, call);
        assert!(socket.write_response(response, SignalBehavior::Restart).unwrap());
        assert_eq!(code(client.join().unwrap()), errno::ENOENT);
    });
}

#[test]
fn client_killed_while_parked_is_cancelled_and_closed() {
    let daemon = Daemon::start("killed");
    let mut child = spawn_child("park");
    daemon.wait_until("a parked read", |seen| seen.parked == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    daemon.wait_until("cancel and close", |seen| {
        seen.cancelled == 1 && seen.closed.len() == 1
    });
}

#[test]
fn another_process_is_a_client_like_any_other() {
    let daemon = Daemon::start("other");
    run_child("client");
    daemon.wait_until("the close of its file", |seen| seen.closed.len() == 1);
    let (pid, ..) = daemon.seen().callers[0];
    assert_ne!(pid, std::process::id() as usize);
    assert_eq!(
        daemon.seen().callers.last().unwrap().1,
        1000,
        "the child's second open is not root's"
    );
}

#[test]
fn close_comes_once_after_the_last_descriptor_and_before_the_next_request() {
    let daemon = Daemon::start("close");
    let file = daemon.open("", O_RDWR).unwrap();
    let copy = Fd::new(file.dup(&[]).unwrap());
    drop(file);
    copy.write(b"still open").unwrap();
    assert!(daemon.seen().closed.is_empty());
    drop(copy);
    let _next = daemon.open("", O_RDWR).unwrap();
    assert_eq!(daemon.seen().closed.len(), 1);
}

#[test]
fn dup_with_an_argument_makes_a_new_handle() {
    let daemon = Daemon::start("dup");
    let file = daemon.open("", O_RDWR).unwrap();
    assert_eq!(code(file.dup(b"nonsense")), errno::EINVAL);
    let other = Fd::new(file.dup(b"again").unwrap());
    drop(file);
    other.write(b"x").unwrap();
    drop(other);
    daemon.wait_until("two closes", |seen| seen.closed.len() == 2);
}

#[test]
fn positioned_file_keeps_its_offset() {
    let daemon = Daemon::start("positioned");
    let mac = daemon.open("/mac", O_RDONLY).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(mac.read(&mut buffer).unwrap(), 4);
    assert_eq!(buffer, [1, 2, 3, 4]);
    assert_eq!(mac.read(&mut buffer).unwrap(), 2);
    assert_eq!(mac.read(&mut buffer).unwrap(), 0);
    client::seek(mac.raw(), 5).unwrap();
    assert_eq!(mac.read(&mut buffer).unwrap(), 1);
    assert_eq!(client::read_at(mac.raw(), &mut buffer, 1), Ok(4));
    assert_eq!(buffer, [2, 3, 4, 5]);
    assert_eq!(client::read_at(mac.raw(), &mut buffer, 1 << 63), Ok(0));
    assert_eq!(mac.read(&mut buffer).unwrap(), 0);
    let data = daemon.open("", O_RDWR).unwrap();
    assert_eq!(client::seek(data.raw(), 0), Err(errno::ESPIPE));
}

#[test]
fn stat_path_sync_and_call_reach_the_scheme() {
    let daemon = Daemon::start("calls");
    let file = daemon.open("", O_RDWR).unwrap();
    let stat = file.stat().unwrap();
    assert_eq!((stat.st_size, stat.st_mode), (6, libc::S_IFREG | 0o400));
    let mut path = [0; 64];
    let length = file.fpath(&mut path).unwrap();
    assert_eq!(&path[..length], b"/scheme/test/");
    assert_eq!(file.fpath(&mut path[..4]).unwrap(), 4);
    file.fsync().unwrap();
    let mut payload = *b"abc";
    assert_eq!(
        file.call_rw(&mut payload, syscall::CallFlags::empty(), &[7, 8])
            .unwrap(),
        7
    );
    assert_eq!(&payload, b"cba");
}

#[test]
fn directory_is_listed() {
    let daemon = Daemon::start("list");
    let root = daemon.open("", O_RDONLY | O_DIRECTORY).unwrap().into_raw();
    let mut buffer = [0; 256];
    let length = libredox::call::getdents(root, &mut buffer, 0).unwrap();
    let names = common::entries(&buffer[..length]);
    assert_eq!(names, [("mac".to_string(), 1), ("stats".to_string(), 2)]);
    assert_eq!(libredox::call::getdents(root, &mut buffer, 2).unwrap(), 0);
    let mac = libredox::call::openat(root, "mac", O_RDONLY, 0).unwrap();
    libredox::call::close(mac).unwrap();
    libredox::call::close(root).unwrap();
}

#[test]
fn unknown_opcodes_and_odd_requests_are_answered() {
    let daemon = Daemon::start("odd");
    let file = daemon.open("", O_RDWR | O_NONBLOCK).unwrap();
    assert_eq!(
        client::raw_request(file.raw(), 99, 0, [0; 6], None),
        Err(errno::EOPNOTSUPP)
    );
    assert_eq!(
        client::raw_request(file.raw(), Opcode::Sendfd as u8, 0, [0; 6], None),
        Err(errno::EOPNOTSUPP)
    );
    let mut short = [0; 3];
    let stat = [0, 0, 3, 4, 0, 0];
    let result = client::raw_request(
        file.raw(),
        Opcode::StdFsCall as u8,
        0,
        stat,
        Some((&mut short, 1)),
    );
    assert_eq!(result, Err(errno::EINVAL));
    assert_eq!(client::raw_request(12345, 99, 0, [0; 6], None), Err(errno::EBADF));
}

#[test]
fn dead_daemon_is_no_device() {
    let daemon = Daemon::start("dead");
    let file = daemon.open("", O_RDWR).unwrap();
    drop(daemon);
    assert_eq!(code(file.write(b"x")), errno::ENODEV);
    assert_eq!(code(Fd::open("/scheme/dead", O_RDWR, 0)), errno::ENODEV);
    redox_shim::unlink_scheme("dead").unwrap();
    assert!(redox_shim::unlink_scheme("dead").is_err());
    assert_eq!(code(Fd::open("/scheme/dead", O_RDWR, 0)), errno::ENODEV);
}

#[test]
fn request_in_flight_when_the_daemon_ends_fails() {
    let daemon = Daemon::start("flight");
    let file = daemon.open("", O_RDWR).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| file.read(&mut [0; 8]));
        daemon.wait_until("a parked read", |seen| seen.parked == 1);
        drop(daemon);
        assert_eq!(code(reader.join().unwrap()), errno::ENODEV);
    });
}

#[test]
fn two_clients_at_once_are_served_from_batches() {
    let daemon = Daemon::start("both");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let file = daemon.open("", O_RDWR).unwrap();
                for _ in 0..200 {
                    assert_eq!(file.write(&[7; 60]).unwrap(), 60);
                    assert_eq!(file.read(&mut [0; 100]).unwrap(), 60);
                }
            });
        }
    });
    let seen = daemon.seen();
    assert!(seen.batches > 0);
}

/// Not a test of its own: what the children of the tests above do.
#[test]
fn child() {
    match child_role().as_deref() {
        Some("park") => {
            let file = Fd::open("/scheme/killed", O_RDWR, 0).unwrap();
            let _ = file.read(&mut [0; 8]);
            unreachable!("nobody answers");
        }
        Some("client") => {
            let file = Fd::open("/scheme/other", O_RDWR, 0).unwrap();
            assert_eq!(file.write(b"hello").unwrap(), 5);
            assert_eq!(file.read(&mut [0; 8]).unwrap(), 5);
            redox_shim::set_identity(1000, 1000);
            assert_eq!(code(Fd::open("/scheme/other", O_RDWR, 0)), errno::EACCES);
        }
        _ => {}
    }
}
