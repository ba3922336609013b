//! Names: listing, registration, and the remains after `setrens`.

mod common;

use common::{Daemon, child_role, directory, run_child, spawn_child};
use libredox::flag::{O_DIRECTORY, O_RDONLY, O_RDWR};
use libredox::{Fd, call, errno};
use redox_scheme::Socket;

fn code<T>(result: libredox::error::Result<T>) -> i32 {
    result.err().map_or(0, |error| error.errno())
}

fn listing() -> Vec<String> {
    let root = call::open("/scheme", O_RDONLY | O_DIRECTORY, 0).unwrap();
    let (mut names, mut opaque, mut buffer) = (Vec::new(), 0, [0; 100]);
    loop {
        let length = call::getdents(root, &mut buffer, opaque).unwrap();
        if length == 0 {
            break;
        }
        for (name, next) in common::entries(&buffer[..length]) {
            opaque = next;
            names.push(name);
        }
    }
    call::close(root).unwrap();
    names
}

#[test]
fn schemes_are_listed_beside_the_kernels() {
    let _daemon = Daemon::start("network.listed");
    let names = listing();
    assert!(names.iter().any(|name| name == "network.listed"));
    assert!(names.iter().any(|name| name == "irq"));
}

#[test]
fn name_is_taken_until_unlinked_even_if_the_daemon_is_dead() {
    let daemon = Daemon::start("taken");
    assert_eq!(register("taken"), Err(errno::EEXIST));
    drop(daemon);
    assert_eq!(register("taken"), Err(errno::EEXIST));
    redox_shim::unlink_scheme("taken").unwrap();
    assert_eq!(register("taken"), Ok(()));
}

#[test]
fn registered_root_descriptor_is_gone() {
    // In a process of its own: here another test might have got the number by now.
    run_child("root-descriptor");
}

fn register(name: &str) -> Result<(), i32> {
    directory();
    let socket = Socket::create().unwrap();
    let root = socket.create_this_scheme_fd(0, 1, 0, 0).unwrap();
    let result = call::register_scheme_to_ns(call::getns().unwrap(), name, root);
    result.map_err(|error| error.errno())
}

#[test]
fn unknown_scheme_is_no_device() {
    directory();
    assert_eq!(code(Fd::open("/scheme/nothing", O_RDWR, 0)), errno::ENODEV);
    assert_eq!(code(Fd::open("/scheme/..", O_RDWR, 0)), errno::ENODEV);
}

#[test]
fn answering_a_request_that_nobody_made_is_refused() {
    directory();
    let cap = call::open("/scheme/namespace/scheme-creation-cap", O_RDONLY, 0).unwrap();
    let socket = call::dup(cap, b"create-scheme").unwrap();
    assert_eq!(code(call::write(socket, &[0; 16])), errno::EBADFD);
    let mut two = [0; 32];
    two[0] = 2; // an event for nobody is fine
    assert_eq!(call::write(socket, &two).unwrap(), 16);
    call::fcntl(socket, libc::F_SETFL as usize, libc::O_NONBLOCK as usize).unwrap();
    assert_eq!(code(call::read(socket, &mut [0; 64])), errno::EAGAIN);
    call::close(socket).unwrap();
    call::close(cap).unwrap();
}

#[test]
fn restricted_process_sees_memory_and_pipe_only() {
    run_child("restricted");
}

#[test]
fn scheme_registered_in_a_restricted_namespace_is_seen_by_nobody_else() {
    let mut child = spawn_child("wrong-order");
    let start = std::time::Instant::now();
    while !directory().join("wrong-order-done").exists() {
        assert!(start.elapsed() < common::SOON);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(code(Fd::open("/scheme/wrong", O_RDWR, 0)), errno::ENODEV);
    // Registered through a duplicate of the old namespace, it is there (and waits for an answer nobody gives).
    assert!(listing().iter().any(|name| name == "right"));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Not a test of its own: the children of the tests above.
#[test]
fn child() {
    match child_role().as_deref() {
        Some("root-descriptor") => {
            let socket = Socket::create().unwrap();
            let root = socket.create_this_scheme_fd(0, 1, 0, 0).unwrap();
            call::register_scheme_to_ns(call::getns().unwrap(), "root-descriptor", root).unwrap();
            assert_eq!(code(call::close(root)), errno::EBADF);
        }
        Some("restricted") => {
            let old = call::getns().unwrap();
            let irq = Fd::open("/scheme/irq/5", O_RDWR, 0).unwrap();
            call::setrens(0, 0).unwrap();
            assert_eq!(listing(), ["memory", "pipe"]);
            assert_eq!(code(Fd::open("/scheme/irq/5", O_RDWR, 0)), errno::ENODEV);
            assert_eq!(code(Fd::open("/scheme/event", O_RDWR, 0)), errno::ENODEV);
            assert_eq!(code(Fd::open("/dev/null", O_RDWR, 0)), errno::ENODEV);
            Fd::open("/scheme/memory/scheme-root", O_RDONLY, 0).unwrap();
            assert_eq!(irq.read(&mut [0; 8]).unwrap(), 0, "open descriptors keep working");
            assert_eq!(
                code(call::dup(old, [])),
                errno::EBADF,
                "the old namespace's descriptor is closed"
            );
            let reader = Fd::open("/scheme/pipe", O_RDONLY, 0).unwrap();
            let writer = Fd::new(reader.dup(b"write").unwrap());
            writer.write(b"through").unwrap();
            assert_eq!(reader.read(&mut [0; 16]).unwrap(), 7);
        }
        Some("wrong-order") => {
            let wrong = Socket::create().unwrap();
            let right = Socket::create().unwrap();
            let wrong_root = wrong.create_this_scheme_fd(0, 1, 0, 0).unwrap();
            let right_root = right.create_this_scheme_fd(0, 1, 0, 0).unwrap();
            let old = call::dup(call::getns().unwrap(), []).unwrap();
            call::setrens(0, 0).unwrap();
            call::register_scheme_to_ns(old, "right", right_root).unwrap();
            call::close(old).unwrap();
            call::register_scheme_to_ns(call::getns().unwrap(), "wrong", wrong_root).unwrap();
            assert_eq!(listing(), ["memory", "pipe", "wrong"]);
            let directory = std::env::var_os("REDOX_SHIM_DIR").unwrap();
            std::fs::write(std::path::Path::new(&directory).join("wrong-order-done"), "").unwrap();
            std::thread::sleep(common::SOON);
        }
        _ => {}
    }
}
