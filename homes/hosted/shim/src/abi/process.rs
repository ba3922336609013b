//! The process: identity, namespaces, clocks, error texts.

use syscall::error::{EFAULT, EINVAL, Error, Result, STR_ERROR};

use super::{bytes_mut, mux, mux_unit, string};
use crate::kernel::time;
use crate::{identity, namespace};

/// The process id.
#[unsafe(no_mangle)]
pub extern "C" fn redox_get_pid_v1() -> usize {
    std::process::id() as usize
}

/// The effective user.
#[unsafe(no_mangle)]
pub extern "C" fn redox_get_euid_v1() -> usize {
    identity::uid()
}

/// The real user.
#[unsafe(no_mangle)]
pub extern "C" fn redox_get_ruid_v1() -> usize {
    identity::uid()
}

/// The effective group.
#[unsafe(no_mangle)]
pub extern "C" fn redox_get_egid_v1() -> usize {
    identity::gid()
}

/// The real group.
#[unsafe(no_mangle)]
pub extern "C" fn redox_get_rgid_v1() -> usize {
    identity::gid()
}

/// The descriptor of the current namespace.
#[unsafe(no_mangle)]
pub extern "C" fn redox_get_ns_v0() -> usize {
    mux(namespace::current_fd())
}

/// The same under its older name.
#[unsafe(no_mangle)]
pub extern "C" fn redox_get_ens_v0() -> usize {
    mux(namespace::current_fd())
}

/// Replaces the current namespace.
#[unsafe(no_mangle)]
pub extern "C" fn redox_setns_v0(fd: usize) -> usize {
    mux(namespace::set(fd))
}

/// Restricts the current namespace, if an argument is 0.
#[unsafe(no_mangle)]
pub extern "C" fn redox_setrens_v1(rns: usize, ens: usize) -> usize {
    if rns == 0 || ens == 0 {
        mux(namespace::restrict())
    } else {
        0
    }
}

/// Registers a scheme.
///
/// # Safety
///
/// `name` points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_register_scheme_to_ns_v0(
    namespace_fd: usize,
    name: *const u8,
    length: usize,
    root: usize,
) -> usize {
    // SAFETY: the caller's promise.
    let name = unsafe { string(name, length) };
    mux_unit(name.and_then(|name| namespace::register(namespace_fd, name, root)))
}

fn clock_gettime(clock: usize, target: *mut libc::timespec) -> Result<()> {
    if target.is_null() {
        return Err(Error::new(EFAULT));
    }
    // libredox takes its clock numbers from libc; Redox's monotonic clock is 4, which is a monotonic one here, too.
    let clock = match clock {
        0 => libc::CLOCK_REALTIME,
        1 | 4 => libc::CLOCK_MONOTONIC,
        _ => return Err(Error::new(EINVAL)),
    };
    let now = time::now(clock)?;
    let value = libc::timespec {
        tv_sec: now.as_secs() as _,
        tv_nsec: now.subsec_nanos().into(),
    };
    // SAFETY: not null; valid for writes by the contract of the only caller.
    unsafe { target.write(value) };
    Ok(())
}

/// `clock_gettime`, clocks in Linux's numbers.
///
/// # Safety
///
/// `target` is null or valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_clock_gettime_v1(clock: usize, target: *mut libc::timespec) -> usize {
    mux_unit(clock_gettime(clock, target))
}

/// The text of an error: copies what fits, returns how much that was, and stores the full length.
///
/// # Safety
///
/// `length` is valid for reads and writes and holds the number of writable bytes at `target`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_strerror_v1(target: *mut u8, length: *mut usize, error: u32) -> usize {
    let Some(text) = STR_ERROR.get(error as usize) else {
        return mux(Err(Error::new(EINVAL)));
    };
    // SAFETY: the caller's promise.
    let room = unsafe { length.read() };
    // SAFETY: the caller's promise.
    let target = match unsafe { bytes_mut(target, room) } {
        Ok(target) => target,
        Err(error) => return mux(Err(error)),
    };
    let count = text.len().min(target.len());
    target[..count].copy_from_slice(&text.as_bytes()[..count]);
    // SAFETY: the caller's promise.
    unsafe { length.write(text.len()) };
    count
}
