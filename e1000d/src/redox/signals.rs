//! SIGTERM and SIGINT as an event: the daemon stops the NIC before it ends.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use libredox::call;

/// The end of the pipe that the handler writes to.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);
/// A termination signal came.
static TERMINATING: AtomicBool = AtomicBool::new(false);

/// Whether the daemon was told to end.
pub fn terminating() -> bool {
    TERMINATING.load(Ordering::Relaxed)
}

/// A pipe that makes one event of something that happened. It is never closed.
#[derive(Clone, Debug)]
pub struct Pipe {
    read: libc::c_int,
    write: libc::c_int,
}

impl Pipe {
    /// Creates a pipe.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new() -> io::Result<Self> {
        let mut ends = [-1; 2];
        // SAFETY: `ends` has room for the two descriptors.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let [read, write] = ends;
        Ok(Self { read, write })
    }

    /// The descriptor that an event queue watches.
    pub fn read_end(&self) -> usize {
        self.read as usize
    }

    /// Makes the read end readable.
    pub fn signal(&self) {
        // A full pipe is readable already.
        let _ = call::write(self.write as usize, b"!");
    }

    /// Makes the read end readable when the returned value is dropped.
    pub fn signal_on_drop(self) -> SignalOnDrop {
        SignalOnDrop(self)
    }
}

/// Signals its pipe when it is dropped.
pub struct SignalOnDrop(Pipe);

impl Drop for SignalOnDrop {
    fn drop(&mut self) {
        self.0.signal();
    }
}

extern "C" fn handler(_signal: libc::c_int) {
    TERMINATING.store(true, Ordering::Relaxed);
    let fd = WRITE_END.load(Ordering::Relaxed);
    // SAFETY: one byte from a static; `write` is async-signal-safe, and a bad descriptor is an error, no more.
    unsafe { libc::write(fd, b"!".as_ptr().cast(), 1) };
}

/// Makes termination signals readable on the descriptor that is returned.
///
/// # Errors
///
/// When the pipe or a handler cannot be set up.
pub fn termination() -> io::Result<usize> {
    let pipe = Pipe::new()?;
    WRITE_END.store(pipe.write, Ordering::Relaxed);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let action = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler only does what is async-signal-safe.
        if unsafe { libc::signal(signal, action) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(pipe.read_end())
}
