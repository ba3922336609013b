//! Files: open, read, write and the rest of what one does with a descriptor.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;

use syscall::error::{EBADF, EINVAL, Error, Result};

use super::{bytes, bytes_mut, mux, mux_libc, mux_unit, string};
use crate::error::{fail, from_linux};
use crate::kernel::pipe;
use crate::object::{Object, Opened};
use crate::{flags, namespace, sys, table};

/// A plain descriptor: not in the table.
pub(super) fn plain(fd: usize) -> Result<RawFd> {
    RawFd::try_from(fd).map_err(|_| Error::new(EBADF))
}

/// `open`.
///
/// # Safety
///
/// `path` points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_open_v1(path: *const u8, length: usize, open_flags: u32, mode: u16) -> usize {
    // SAFETY: the caller's promise.
    let path = unsafe { string(path, length) };
    let open_flags = flags::to_redox(open_flags as i32);
    mux(path.and_then(|path| table::insert_opened(namespace::open(path, open_flags, mode)?)))
}

/// `openat` on a descriptor of a scheme.
///
/// # Safety
///
/// `path` points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_openat_v1(
    fd: usize,
    path: *const u8,
    length: usize,
    open_flags: u32,
    fcntl_flags: u32,
) -> usize {
    // SAFETY: the caller's promise.
    let path = unsafe { string(path, length) };
    mux(path.and_then(|path| {
        let directory = table::get(fd).ok_or(Error::new(EBADF))?;
        let open_flags = flags::to_redox(open_flags as i32);
        let fcntl_flags =
            flags::status_to_redox(fcntl_flags as i32) | open_flags & syscall::flag::O_FCNTL_MASK;
        table::insert_opened(directory.open_at(path, open_flags, fcntl_flags)?)
    }))
}

fn dup(fd: usize, argument: &[u8]) -> Result<usize> {
    match (table::get(fd), argument) {
        (Some(object), []) => table::insert(object),
        (Some(object), argument) => table::insert_opened(object.dup(argument)?),
        (None, []) => sys::duplicate(plain(fd)?, 0)
            .map(|fd| fd as usize)
            .map_err(from_linux),
        (None, argument) => {
            // SAFETY: the number is a descriptor of the caller's for the duration of this call, by the contract of dup.
            let pipe = unsafe { BorrowedFd::borrow_raw(plain(fd)?) };
            table::insert_opened(Opened::Descriptor(pipe::dup(pipe, argument)?))
        }
    }
}

/// `dup` with an argument for the scheme.
///
/// # Safety
///
/// `argument` points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_dup_v1(fd: usize, argument: *const u8, length: usize) -> usize {
    // SAFETY: the caller's promise.
    mux(unsafe { bytes(argument, length) }.and_then(|argument| dup(fd, argument)))
}

fn dup2(old: usize, new: usize) -> Result<usize> {
    if old == new {
        return Ok(new);
    }
    match table::get(old) {
        Some(object) => table::insert_at(object, new),
        None => {
            // SAFETY: takes no pointers.
            sys::check(unsafe { libc::dup3(plain(old)?, plain(new)?, libc::O_CLOEXEC) })
                .map_err(from_linux)?;
            table::forget(new);
            Ok(new)
        }
    }
}

/// `dup2` as libredox 0.1 has it; the argument must be empty.
#[unsafe(no_mangle)]
pub extern "C" fn redox_dup2_v1(old: usize, new: usize, _argument: *const u8, length: usize) -> usize {
    mux(if length == 0 { dup2(old, new) } else { fail(EINVAL) })
}

/// `dup2`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_dup2_v2(old: usize, new: usize) -> usize {
    mux(dup2(old, new))
}

/// `read`.
///
/// # Safety
///
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_read_v1(fd: usize, buffer: *mut u8, length: usize) -> usize {
    match table::get(fd) {
        // SAFETY: the caller's promise.
        Some(object) => mux(unsafe { bytes_mut(buffer, length) }.and_then(|buffer| object.read(buffer))),
        // SAFETY: the caller's promise.
        None => mux(plain(fd).map(|fd| mux_libc(unsafe { libc::read(fd, buffer.cast(), length) }))),
    }
}

/// `write`.
///
/// # Safety
///
/// `data` points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_write_v1(fd: usize, data: *const u8, length: usize) -> usize {
    match table::get(fd) {
        // SAFETY: the caller's promise.
        Some(object) => mux(unsafe { bytes(data, length) }.and_then(|data| object.write(data))),
        // SAFETY: the caller's promise.
        None => mux(plain(fd).map(|fd| mux_libc(unsafe { libc::write(fd, data.cast(), length) }))),
    }
}

/// `close`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_close_v1(fd: usize) -> usize {
    mux_unit(match table::remove(fd) {
        Some(object) => {
            drop(object);
            Ok(())
        }
        None => plain(fd).and_then(|fd| sys::close(fd).map_err(from_linux)),
    })
}

/// `F_SETFD` takes Linux's `FD_CLOEXEC`; redox-scheme passes `O_CLOEXEC`, which is the same bit on Redox.
fn set_descriptor_flags(fd: usize, argument: usize) -> Result<usize> {
    let close = argument as i32 & (libc::FD_CLOEXEC | libc::O_CLOEXEC) != 0;
    let flags = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: takes an integer.
    sys::check(unsafe { libc::fcntl(plain(fd)?, libc::F_SETFD, flags) })
        .map(|_| 0)
        .map_err(from_linux)
}

fn object_fcntl(object: Arc<dyn Object>, fd: usize, command: i32, argument: usize) -> Result<usize> {
    match command {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => table::insert_from(object, argument),
        libc::F_GETFD => Ok(libc::FD_CLOEXEC as usize),
        libc::F_SETFD => set_descriptor_flags(fd, argument | libc::FD_CLOEXEC as usize),
        libc::F_GETFL => object
            .fcntl(syscall::flag::F_GETFL, 0)
            .map(|flags| flags::to_linux(flags) as usize),
        libc::F_SETFL => object
            .fcntl(syscall::flag::F_SETFL, flags::status_to_redox(argument as i32))
            .map(|_| 0),
        _ => object.fcntl(command as usize, argument),
    }
}

/// `fcntl`, commands and flags in Linux's values.
#[unsafe(no_mangle)]
pub extern "C" fn redox_fcntl_v0(fd: usize, command: usize, argument: usize) -> usize {
    let number = command as i32;
    mux(match table::get(fd) {
        Some(object) => object_fcntl(object, fd, number, argument),
        None if number == libc::F_SETFD => set_descriptor_flags(fd, argument),
        None => plain(fd).and_then(|fd| {
            // SAFETY: takes integers; the commands that take a pointer are not part of libredox.
            let result = unsafe { libc::fcntl(fd, number, argument) };
            sys::check(result).map(|value| value as usize).map_err(from_linux)
        }),
    })
}
