//! The few Linux calls that the standard library does not offer, each wrapped once.

mod counter;
mod message;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;

pub use counter::Counter;
pub use message::{MAX_FDS, receive_some, receive_with_fds, send_with_fds};

/// Turns the `-1` convention of libc into an error.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Waits until `fd` is readable or `timeout_ms` passed (negative: no limit). Reports a signal as `Interrupted`.
pub fn wait_readable(fd: RawFd, timeout_ms: i32) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: `poll` is one valid pollfd for the duration of the call.
    Ok(check(unsafe { libc::poll(&raw mut poll, 1, timeout_ms) })? > 0)
}

/// Duplicates `fd` to the lowest free number from `minimum` on.
pub fn duplicate(fd: RawFd, minimum: i32) -> io::Result<RawFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer.
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, minimum) })
}

/// Opens the file behind a descriptor anew, with other `flags`: its access mode is then that of the flags, and stays
/// so.
pub fn reopen(fd: BorrowedFd<'_>, flags: i32) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}\0", fd.as_raw_fd());
    // SAFETY: `path` is a terminated string that outlives the call.
    let fd = check(unsafe { libc::open(path.as_ptr().cast(), flags | libc::O_CLOEXEC) })?;
    // SAFETY: open just returned this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes a descriptor number.
pub fn close(fd: RawFd) -> io::Result<()> {
    // SAFETY: takes no pointers; that `fd` is the caller's to close is the caller's contract, as with close(2).
    check(unsafe { libc::close(fd) }).map(|_| ())
}

/// Sends what fits without blocking.
pub fn send_nonblocking(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of `bytes`, which outlives the call.
    let sent = unsafe { libc::send(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Makes a blocked `accept` or `read` on a socket return.
pub fn shutdown(fd: RawFd) {
    // SAFETY: takes no pointers.
    let _ = unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

/// The process at the other end of a Unix socket.
pub fn peer_pid(stream: &UnixStream) -> u64 {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let fd = stream.as_raw_fd();
    // SAFETY: the value and the length are valid for writes, and the length is that of the value.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if result < 0 { 0 } else { peer.pid as u64 }
}

/// Starts a thread that takes no signals: they belong to the program's own threads, whose blocking calls they have to
/// interrupt.
///
/// # Errors
///
/// When the system has no thread to give.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `all` is valid for writes.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: sigfillset filled `all`; `before` is valid for writes.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let spawned = thread::Builder::new().name(name.into()).spawn(body);
    // SAFETY: the call above filled `before`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    spawned.map(|_| ())
}
