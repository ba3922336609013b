//! The few Linux calls that the standard library does not offer, each wrapped once.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;

/// Turns the `-1` convention of libc into an error.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// An eventfd, used as a counter that a queue can wait on.
pub struct Counter(File);

impl Counter {
    /// `semaphore`: each [`Counter::take`] takes one of what [`Counter::post`] put in; otherwise it takes all.
    pub fn new(semaphore: bool) -> io::Result<Self> {
        let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | if semaphore { libc::EFD_SEMAPHORE } else { 0 };
        // SAFETY: takes no pointers.
        let fd = check(unsafe { libc::eventfd(0, flags) })?;
        // SAFETY: eventfd just returned this descriptor, nobody else owns it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// The counter behind a descriptor that came from another process.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(File::from(fd))
    }

    /// Adds one. A counter that is full (2^64 - 2 posts nobody took) stays full.
    pub fn post(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Takes from the counter; false if it was zero.
    pub fn take(&self) -> bool {
        matches!((&self.0).read(&mut [0; 8]), Ok(8))
    }

    /// The descriptor, readable while the counter is not zero.
    pub fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
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

/// Most descriptors in one message: one counter per combination of two event flags.
pub const MAX_FDS: usize = 3;

/// Room for the control message that carries [`MAX_FDS`] descriptors, aligned as `cmsghdr` wants it.
type Control = [u64; 8];

fn message<'a>(vector: &'a mut libc::iovec, control: &'a mut Control) -> libc::msghdr {
    // SAFETY: msghdr is a C struct of integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    message
}

/// Sends `bytes`, with `fds` attached to the first of them.
pub fn send_with_fds(stream: &UnixStream, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    let fds = &fds[..fds.len().min(MAX_FDS)];
    if fds.is_empty() {
        return (&mut &*stream).write_all(bytes);
    }
    let mut control: Control = [0; 8];
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut message = message(&mut vector, &mut control);
    let payload = size_of_val(fds);
    // SAFETY: a computation on an integer.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(payload as u32) } as _;
    // SAFETY: msg_control points to `control`, which has room for one header and MAX_FDS descriptors.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: a computation on an integer.
    let length = unsafe { libc::CMSG_LEN(payload as u32) } as _;
    // SAFETY: `header` points into `control`, which is aligned for it and zeroed.
    unsafe {
        *header = libc::cmsghdr {
            cmsg_len: length,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        }
    };
    // SAFETY: the data of a header that lies in `control`.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: `data` has room for MAX_FDS descriptors within `control`; `fds` has no more than that.
    unsafe { std::ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), data, payload) };
    // SAFETY: `message`, the vector, the bytes and the control buffer all live until the call returns.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    (&mut &*stream).write_all(&bytes[sent..])
}

/// Fills `bytes` exactly and appends the descriptors that came along to `fds`.
pub fn receive_with_fds(stream: &UnixStream, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        let mut control: Control = [0; 8];
        let mut vector = libc::iovec {
            iov_base: rest.as_mut_ptr().cast(),
            iov_len: rest.len(),
        };
        let mut message = message(&mut vector, &mut control);
        // SAFETY: `message`, the vector, the rest of `bytes` and the control buffer live until the call returns.
        let got = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(got) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
                continue;
            }
        }
        take_fds(&message, fds);
    }
    Ok(())
}

fn take_fds(message: &libc::msghdr, fds: &mut Vec<OwnedFd>) {
    // SAFETY: recvmsg filled `message`, whose control buffer is still alive.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    if header.is_null() {
        return;
    }
    // SAFETY: not null, so it points to a complete header inside the control buffer.
    let fields = unsafe { *header };
    if fields.cmsg_level != libc::SOL_SOCKET || fields.cmsg_type != libc::SCM_RIGHTS {
        return;
    }
    // SAFETY: the data of a header inside the control buffer.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: a computation on an integer.
    let empty = unsafe { libc::CMSG_LEN(0) } as usize;
    let count = (fields.cmsg_len as usize).saturating_sub(empty) / size_of::<RawFd>();
    for index in 0..count.min(MAX_FDS) {
        // SAFETY: `cmsg_len` says that the message holds `count` descriptors from `data` on.
        let fd = unsafe { data.cast::<RawFd>().wrapping_add(index).read_unaligned() };
        // SAFETY: the kernel made this descriptor for us a moment ago.
        fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
    }
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
