//! SIGTERM and SIGINT as an event: the daemon stops the NIC before it ends.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::pipe::Pipe;

/// The end of the pipe that the handler writes to.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);
/// A termination signal came.
static TERMINATING: AtomicBool = AtomicBool::new(false);

/// Returns true if the daemon was told to end.
pub fn terminating() -> bool {
    TERMINATING.load(Ordering::Relaxed)
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
    WRITE_END.store(pipe.write_end(), Ordering::Relaxed);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let action = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler only does what is async-signal-safe.
        if unsafe { libc::signal(signal, action) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(pipe.read_end())
}
