//! Requests of clients beyond those of libredox, for tests of a scheme.

use std::sync::Arc;

use syscall::error::{EBADF, EINVAL, EOPNOTSUPP};
use syscall::schemev2::SqeFlags;

use crate::object::downcast;
use crate::scheme::client::ClientFile;
use crate::table;

fn client_file(fd: usize) -> Result<Arc<ClientFile>, i32> {
    table::get(fd).and_then(downcast).ok_or(EBADF)
}

/// `pread`: reads at `offset` without moving the kept offset.
///
/// # Errors
///
/// The error number the scheme answered with; `EBADF` if `fd` is not an open file of a scheme.
pub fn read_at(fd: usize, buffer: &mut [u8], offset: u64) -> Result<usize, i32> {
    client_file(fd)?
        .read_from(buffer, offset)
        .map_err(|error| error.errno)
}

/// `lseek(fd, offset, SEEK_SET)`.
///
/// # Errors
///
/// `ESPIPE` if the scheme did not open the file as POSITIONED, `EBADF` if `fd` is not an open file of a scheme.
pub fn seek(fd: usize, offset: u64) -> Result<(), i32> {
    client_file(fd)?.seek(offset).map_err(|error| error.errno)
}

/// Sends any request on the handle of `fd`, even one that libredox would never send, and returns its result.
///
/// `args[0]` is replaced by the handle's id. `buffer` travels both ways; its address goes into the argument named
/// beside it, its length is the caller's to put into `args`.
///
/// # Errors
///
/// The error number the daemon answered with; `EBADF` if `fd` is not an open file of a scheme; `EINVAL` if there is
/// no such argument; `EOPNOTSUPP` for a one-way request, which has no answer to wait for.
pub fn raw_request(
    fd: usize,
    opcode: u8,
    sqe_flags: u8,
    args: [u64; 6],
    buffer: Option<(&mut [u8], usize)>,
) -> Result<usize, i32> {
    if SqeFlags::from_bits_retain(sqe_flags).contains(SqeFlags::ONEWAY) {
        return Err(EOPNOTSUPP);
    }
    let buffer = match buffer {
        Some((buffer, index @ 1..6)) => Some((buffer, index as u8)),
        Some(_) => return Err(EINVAL),
        None => None,
    };
    client_file(fd)?
        .raw_request(opcode, sqe_flags, args, buffer)
        .map_err(|error| error.errno)
}
