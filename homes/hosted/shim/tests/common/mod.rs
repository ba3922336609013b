//! A small scheme served the way the daemon serves its own, and the processes that are its clients.

// Each test binary uses a part of this.
#![allow(dead_code)]

mod scheme;
mod server;

use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use libredox::Fd;
use redox_shim as _;
use tempfile::TempDir;

use scheme::Seen;
use server::{Order, serve};

/// Longest wait for something that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

pub struct Daemon {
    pub name: String,
    seen: Arc<Mutex<Seen>>,
    orders: mpsc::Sender<Order>,
    wake: std::fs::File,
    thread: Option<thread::JoinHandle<()>>,
}

/// The directory of schemes of this test process.
pub fn directory() -> &'static std::path::Path {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        if child_role().is_none() {
            redox_shim::set_directory(directory.path());
        }
        directory
    });
    directory.path()
}

impl Daemon {
    /// Serves a scheme of that name from a thread; it is registered when this returns.
    pub fn start(name: &str) -> Self {
        directory();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (orders, inbox) = mpsc::channel();
        let (wake_read, wake) = pipe();
        let (ready, registered) = mpsc::channel();
        let thread = {
            let (name, seen) = (name.to_string(), Arc::clone(&seen));
            thread::spawn(move || serve(&name, seen, &inbox, wake_read, &ready))
        };
        registered.recv_timeout(SOON).expect("the daemon registers");
        Self {
            name: name.into(),
            seen,
            orders,
            wake,
            thread: Some(thread),
        }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Posts an event from the daemon.
    pub fn post(&self, id: usize, flags: usize) {
        self.order(Order::Post(id, flags));
    }

    fn order(&self, order: Order) {
        use std::io::Write;
        let _ = self.orders.send(order);
        let _ = (&self.wake).write_all(&[0]);
    }

    pub fn open(&self, path: &str, flags: i32) -> libredox::error::Result<Fd> {
        Fd::open(&format!("/scheme/{}{path}", self.name), flags, 0)
    }

    /// Waits until the daemon saw what `condition` wants.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let start = Instant::now();
        while !condition(&self.seen()) {
            assert!(start.elapsed() < SOON, "never happened: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !thread::panicking() {
                result.expect("the daemon does not panic");
            }
        }
    }
}

pub fn pipe() -> (std::fs::File, std::fs::File) {
    let (reader, writer) = std::io::pipe().unwrap();
    (
        std::os::fd::OwnedFd::from(reader).into(),
        std::os::fd::OwnedFd::from(writer).into(),
    )
}

/// Name and opaque id of every entry. (`DirentIter` leaves the padding behind a name in it.)
pub fn entries(records: &[u8]) -> Vec<(String, u64)> {
    let entry = |entry: Result<(&syscall::dirent::DirentHeader, &[u8]), _>| {
        let (header, name) = entry.expect("records are whole");
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        (String::from_utf8(name.to_vec()).unwrap(), header.next_opaque_id)
    };
    syscall::dirent::DirentIter::new(records).map(entry).collect()
}

/// The role this process was started for by [`spawn_child`].
pub fn child_role() -> Option<String> {
    std::env::var("SHIM_TEST_CHILD").ok()
}

/// Starts this test program again to run only the test `child`, which looks at [`child_role`].
pub fn spawn_child(role: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]);
    command
        .env("SHIM_TEST_CHILD", role)
        .env("REDOX_SHIM_DIR", directory());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs a child to its end, which must be a success.
pub fn run_child(role: &str) {
    let mut child = spawn_child(role);
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "child {role}: {status}");
            return;
        }
        if start.elapsed() > SOON {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("child {role} hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

extern "C" fn ignore(_signal: i32) {}

/// Makes SIGUSR1 interrupt system calls and do nothing else.
pub fn interrupt_on_sigusr1() {
    // SAFETY: sigaction consists of integers and pointers, for which zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ignore as extern "C" fn(i32) as usize;
    // SAFETY: `action` is a valid action with a handler that does nothing.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// The calling thread, for [`interrupt`].
pub fn this_thread() -> libc::pthread_t {
    // SAFETY: takes nothing.
    unsafe { libc::pthread_self() }
}

/// Sends SIGUSR1 to a thread that is not joined yet.
pub fn interrupt(thread: libc::pthread_t) {
    // SAFETY: the thread exists, by the contract of this function.
    assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR1) }, 0);
}
