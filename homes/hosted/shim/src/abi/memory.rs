//! Mappings, and `SYS_CALL`.

use syscall::error::EOPNOTSUPP;
use syscall::flag::CallFlags;

use super::file::plain;
use super::{bytes, bytes_mut, mux, mux_libc};
use crate::error::fail;
use crate::kernel::memory;
use crate::object::MapRequest;
use crate::{flags, mapping, table};

/// `mmap`.
///
/// # Safety
///
/// As for `mmap(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_mmap_v1(
    address: *mut (),
    length: usize,
    protection: u32,
    map_flags: u32,
    fd: usize,
    offset: u64,
) -> usize {
    if let Some(object) = table::get(fd) {
        return mux(object.map(&MapRequest {
            length,
            offset,
            flags: flags::mapping(protection, map_flags),
        }));
    }
    let fd = match plain(fd) {
        Ok(fd) => fd,
        Err(error) => return mux(Err(error)),
    };
    let (protection, map_flags) = (protection as i32, map_flags as i32);
    // SAFETY: the caller's promise.
    let mapped = unsafe {
        libc::mmap(
            address.cast(),
            length,
            protection,
            map_flags,
            fd,
            offset as libc::off_t,
        )
    };
    if mapped == libc::MAP_FAILED {
        mux_libc(-1)
    } else {
        mapped as usize
    }
}

/// `munmap`.
///
/// # Safety
///
/// As for `munmap(2)`; a block of `/scheme/memory` and memory of a scheme are always unmapped whole.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_munmap_v1(address: *mut (), length: usize) -> usize {
    match memory::unmap(address as usize).or_else(|| mapping::unmap(address as usize)) {
        Some(()) => 0,
        // SAFETY: the caller's promise.
        None => mux_libc(unsafe { libc::munmap(address.cast(), length) } as isize),
    }
}

/// `SYS_CALL`.
///
/// # Safety
///
/// `payload` points to `length` bytes that are readable, and writable if `call_flags` has READ; `metadata` points to
/// `metadata_length` words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_sys_call_v0(
    fd: usize,
    payload: *mut u8,
    length: usize,
    call_flags: usize,
    metadata: *const u64,
    metadata_length: usize,
) -> usize {
    let words: &[u64] = if metadata_length == 0 || metadata.is_null() {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(metadata, metadata_length.min(3)) }
    };
    let call_flags = CallFlags::from_bits_retain(call_flags);
    let object = match table::get(fd) {
        Some(object) => object,
        None => return mux(fail(EOPNOTSUPP)),
    };
    if call_flags.contains(CallFlags::READ) {
        // SAFETY: the caller's promise.
        let payload = unsafe { bytes_mut(payload, length) };
        return mux(payload.and_then(|payload| object.call(payload, call_flags, words)));
    }
    // A payload that is only read may be constant memory: work on a copy.
    // SAFETY: the caller's promise.
    mux(unsafe { bytes(payload, length) }
        .and_then(|payload| object.call(&mut payload.to_vec(), call_flags, words)))
}
