//! Attributes of files: status, path, entries, and the calls that relibc makes as `StdFsCall`.

use syscall::data::Stat;
use syscall::error::{EBADF, Error};
use syscall::flag::StdFsCallKind;

use super::file::plain;
use super::{bytes, bytes_mut, mux, mux_libc, mux_unit};
use crate::error::from_linux;
use crate::table;

fn std_call(fd: usize, kind: StdFsCallKind, payload: &mut [u8], first: u64, second: u64) -> usize {
    let object = table::get(fd).ok_or(Error::new(EBADF));
    mux(object.and_then(|object| object.std_fs_call(kind, payload, first, second)))
}

/// `fchmod`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_fchmod_v1(fd: usize, mode: u16) -> usize {
    std_call(fd, StdFsCallKind::Fchmod, &mut [], mode.into(), 0)
}

/// `fchown`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_fchown_v1(fd: usize, uid: u32, gid: u32) -> usize {
    std_call(
        fd,
        StdFsCallKind::Fchown,
        &mut [],
        u64::from(uid) | u64::from(gid) << 32,
        0,
    )
}

/// `getdents`: entries after the one with the id `opaque`.
///
/// # Safety
///
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_getdents_v0(fd: usize, buffer: *mut u8, length: usize, opaque: u64) -> usize {
    // SAFETY: the caller's promise.
    let buffer = unsafe { bytes_mut(buffer, length) };
    mux(buffer.and_then(|buffer| table::get(fd).ok_or(Error::new(EBADF))?.entries(buffer, opaque)))
}

fn linux_stat(stat: &Stat) -> libc::stat {
    // SAFETY: struct stat consists of integers, for which zero is a value.
    let mut result: libc::stat = unsafe { std::mem::zeroed() };
    result.st_dev = stat.st_dev;
    result.st_ino = stat.st_ino;
    result.st_mode = stat.st_mode.into();
    result.st_nlink = stat.st_nlink.into();
    result.st_uid = stat.st_uid;
    result.st_gid = stat.st_gid;
    result.st_size = stat.st_size as _;
    result.st_blksize = stat.st_blksize as _;
    result.st_blocks = stat.st_blocks as _;
    result.st_mtime = stat.st_mtime as _;
    result.st_mtime_nsec = stat.st_mtime_nsec.into();
    result.st_atime = stat.st_atime as _;
    result.st_atime_nsec = stat.st_atime_nsec.into();
    result.st_ctime = stat.st_ctime as _;
    result.st_ctime_nsec = stat.st_ctime_nsec.into();
    result
}

/// `fstat`.
///
/// # Safety
///
/// `target` is valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_fstat_v1(fd: usize, target: *mut libc::stat) -> usize {
    match table::get(fd) {
        Some(object) => mux_unit(object.stat().map(|stat| {
            // SAFETY: the caller's promise.
            unsafe { target.write(linux_stat(&stat)) };
        })),
        // SAFETY: the caller's promise.
        None => mux(plain(fd).map(|fd| mux_libc(unsafe { libc::fstat(fd, target) } as isize))),
    }
}

/// `fstatvfs`.
///
/// # Safety
///
/// `target` is valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_fstatvfs_v1(fd: usize, target: *mut libc::statvfs) -> usize {
    match table::get(fd) {
        Some(object) => mux_unit(object.stat_vfs().map(|stat| {
            // SAFETY: struct statvfs consists of integers, for which zero is a value.
            let mut result: libc::statvfs = unsafe { std::mem::zeroed() };
            result.f_bsize = stat.f_bsize.into();
            result.f_blocks = stat.f_blocks;
            result.f_bfree = stat.f_bfree;
            result.f_bavail = stat.f_bavail;
            // SAFETY: the caller's promise.
            unsafe { target.write(result) };
        })),
        // SAFETY: the caller's promise.
        None => mux(plain(fd).map(|fd| mux_libc(unsafe { libc::fstatvfs(fd, target) } as isize))),
    }
}

/// `fsync`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_fsync_v1(fd: usize) -> usize {
    if table::get(fd).is_some() {
        return std_call(fd, StdFsCallKind::Fsync, &mut [], 0, 0);
    }
    // SAFETY: takes no pointers.
    mux(plain(fd).map(|fd| mux_libc(unsafe { libc::fsync(fd) } as isize)))
}

/// `fdatasync`, which is `fsync` on Redox.
#[unsafe(no_mangle)]
pub extern "C" fn redox_fdatasync_v1(fd: usize) -> usize {
    redox_fsync_v1(fd)
}

/// `ftruncate`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_ftruncate_v0(fd: usize, length: usize) -> usize {
    if table::get(fd).is_some() {
        return std_call(fd, StdFsCallKind::Ftruncate, &mut [], length as u64, 0);
    }
    // SAFETY: takes no pointers.
    mux(plain(fd).map(|fd| mux_libc(unsafe { libc::ftruncate(fd, length as libc::off_t) } as isize)))
}

/// `futimens`.
///
/// # Safety
///
/// `times` points to two readable timespecs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_futimens_v1(fd: usize, times: *const libc::timespec) -> usize {
    if table::get(fd).is_none() {
        // SAFETY: the caller's promise.
        return mux(plain(fd).map(|fd| mux_libc(unsafe { libc::futimens(fd, times) } as isize)));
    }
    // SAFETY: the caller's promise; both layouts are 16 bytes with the nanoseconds in the low half of a word.
    match unsafe { bytes(times.cast(), 2 * size_of::<libc::timespec>()) } {
        Ok(times) => std_call(fd, StdFsCallKind::Futimens, &mut times.to_vec(), 0, 0),
        Err(error) => mux(Err(error)),
    }
}

/// `fpath`.
///
/// # Safety
///
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_fpath_v1(fd: usize, buffer: *mut u8, length: usize) -> usize {
    // SAFETY: the caller's promise.
    let buffer = match unsafe { bytes_mut(buffer, length) } {
        Ok(buffer) => buffer,
        Err(error) => return mux(Err(error)),
    };
    mux(match table::get(fd) {
        Some(object) => object.copy_path(buffer),
        None => std::fs::read_link(format!("/proc/self/fd/{fd}"))
            .map_err(from_linux)
            .map(|path| {
                let path = path.into_os_string().into_encoded_bytes();
                let length = path.len().min(buffer.len());
                buffer[..length].copy_from_slice(&path[..length]);
                length
            }),
    })
}
