//! Messages with descriptors on Unix sockets.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

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
    let mut rest = bytes;
    while !rest.is_empty() {
        match receive_some(stream, rest, fds) {
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Receives at least one byte and appends the descriptors that came along to `fds`.
pub fn receive_some(stream: &UnixStream, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut control: Control = [0; 8];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut message = message(&mut vector, &mut control);
    // SAFETY: `message`, the vector, `bytes` and the control buffer live until the call returns.
    let got = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    match usize::try_from(got) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            take_fds(&message, fds);
            Ok(count)
        }
        Err(_) => Err(io::Error::last_os_error()),
    }
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
