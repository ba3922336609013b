//! SIGTERM and SIGINT as an event: the daemon stops the NIC before it ends.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

/// The end of the pipe that the handler writes to.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);

extern "C" fn handler(_signal: libc::c_int) {
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
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    WRITE_END.store(ends[1], Ordering::Relaxed);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let action = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler only does what is async-signal-safe.
        if unsafe { libc::signal(signal, action) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    usize::try_from(ends[0]).map_err(io::Error::other)
}
