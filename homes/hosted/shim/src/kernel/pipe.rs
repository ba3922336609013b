//! `/scheme/pipe`: pipes, which are Linux's own.
//!
//! Opening it gives the end to read from; a dup of that with the argument "write" gives the other end.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

use syscall::error::{EINVAL, Result};

use crate::error::{fail, from_linux};
use crate::{flags, sys};

/// A new pipe: its end to read from.
pub fn open(open_flags: usize) -> Result<OwnedFd> {
    let mut ends = [-1; 2];
    let status = flags::to_linux(open_flags) & libc::O_NONBLOCK;
    // SAFETY: `ends` has room for two descriptors.
    sys::check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | status) }).map_err(from_linux)?;
    // SAFETY: pipe2 just returned these descriptors, nobody else owns them.
    let [reader, writer] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    // It is opened anew when it is asked for.
    drop(writer);
    Ok(reader)
}

/// The other end of the pipe that `reader` reads from, blocking, as a dup with `argument` gives it.
pub fn dup(reader: BorrowedFd<'_>, argument: &[u8]) -> Result<OwnedFd> {
    let file = fs::metadata(format!("/proc/self/fd/{}", reader.as_raw_fd())).map_err(from_linux)?;
    if argument != b"write" || !file.file_type().is_fifo() {
        return fail(EINVAL);
    }
    sys::reopen(reader, libc::O_WRONLY).map_err(from_linux)
}
