//! Requests that Redox's system calls let a client make. File names are those of the kernel of June 2026 (56947e1a).

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr;

use libredox::Fd;
use libredox::call::MmapArgs;
use libredox::error::Error;
use libredox::flag::{
    MAP_PRIVATE, MAP_SHARED, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, PROT_READ, PROT_WRITE,
};
use syscall::error::EIO;
use syscall::flag::{CallFlags, SEEK_END, StdFsCallKind};

use super::{Answer, LENGTHS, Request};

fn errno(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(EIO)
}

/// Of a function of libredox.
fn of_libredox(result: libredox::error::Result<usize>) -> Answer {
    result.map_err(Error::errno)
}

/// Of a system call.
fn of_kernel(result: syscall::Result<usize>) -> Answer {
    result.map_err(|error| error.errno)
}

/// Opens a file and reads at an offset.
pub fn read_at(path: &str, buffer: &mut [u8], offset: u64) -> Answer {
    let file = File::open(path).map_err(errno)?;
    file.read_at(buffer, offset).map_err(errno)
}

/// The size of a file, as `lseek(SEEK_END)` asks for it.
pub fn size(file: &Fd) -> Answer {
    of_kernel(syscall::lseek(file.raw(), 0, SEEK_END))
}

/// `fstat` into a buffer of any length.
#[allow(unsafe_code)]
pub fn fstat(file: &Fd, buffer: &mut [u8]) -> Answer {
    // SAFETY: the kernel writes to at most as many bytes as the third argument says, which are the buffer's.
    of_kernel(unsafe {
        syscall::syscall3(
            syscall::SYS_FSTAT,
            file.raw(),
            buffer.as_mut_ptr() as usize,
            buffer.len(),
        )
    })
}

/// One of the calls of file systems that have no system call of their own.
pub fn std_fs_call(file: &Fd, kind: u8, buffer: &mut [u8]) -> Answer {
    of_libredox(file.call_rw(buffer, CallFlags::STD_FS, &[kind.into(), u64::MAX, 1]))
}

/// Opens a file below an open one, and closes it again.
fn open(file: &Fd, path: &[u8], flags: i32) -> Answer {
    let opened = libredox::call::openat(file.raw(), path, flags | O_CLOEXEC, 0);
    of_libredox(opened.map(|opened| Fd::new(opened).raw()))
}

/// A system call that takes a handle, a path and a number, with a path of any bytes: the functions for them want text.
#[allow(unsafe_code)]
fn with_path(number: usize, file: &Fd, path: &[u8], flags: usize) -> Answer {
    // SAFETY: the callers' numbers are those of calls that read the bytes of the path, as many as the third argument
    // says, and write to none.
    of_kernel(unsafe { syscall::syscall4(number, file.raw(), path.as_ptr() as usize, path.len(), flags) })
}

fn unlink(file: &Fd, path: &[u8]) -> Answer {
    with_path(syscall::SYS_UNLINKAT, file, path, 0)
}

fn link(file: &Fd, path: &[u8]) -> Answer {
    with_path(syscall::SYS_FLINK, file, path, 0)
}

fn rename(file: &Fd, path: &[u8]) -> Answer {
    with_path(syscall::SYS_FRENAME, file, path, 0)
}

/// Asks for events although there is no queue for them.
#[allow(unsafe_code)]
fn events(file: &Fd, flags: usize) -> Answer {
    // SAFETY: no argument is an address.
    of_kernel(unsafe { syscall::syscall3(syscall::SYS_FEVENT, file.raw(), flags, 0) })
}

/// Maps memory of a file, and removes it again.
#[allow(unsafe_code)]
fn map(file: &Fd, length: usize, prot: u32, flags: u32, offset: u64) -> Answer {
    let args = MmapArgs {
        addr: ptr::null_mut(),
        length,
        prot,
        flags,
        fd: file.raw(),
        offset,
    };
    // SAFETY: the kernel chooses where, so that nothing is replaced that is in use.
    let address = unsafe { libredox::call::mmap(args) }.map_err(Error::errno)?;
    let pages = length.next_multiple_of(syscall::PAGE_SIZE);
    // SAFETY: these pages have just been mapped, and nobody has been told of them.
    unsafe { libredox::call::munmap(address, pages) }.map_err(Error::errno)?;
    Ok(address as usize)
}

/// Sends copies of a file's descriptor to the file's driver, as many as fill `length` bytes.
fn send_copies(file: &Fd, length: usize) -> Answer {
    let mut copies = Vec::new();
    for _ in 0..length / size_of::<usize>() {
        copies.push(Fd::new(file.dup(&[]).map_err(Error::errno)?));
    }
    let numbers: Vec<u8> = copies.iter().flat_map(|copy| copy.raw().to_ne_bytes()).collect();
    // Cloned, so that these are closed here, whatever the answer.
    of_libredox(file.call_wo(&numbers, CallFlags::FD | CallFlags::FD_CLONE, METADATA))
}

/// A path below the root of a scheme; `flink` and `frename` take the part behind the scheme, whichever it is
/// (syscall/fs.rs).
fn absolute_path(length: usize) -> Vec<u8> {
    let mut path = b"/scheme/network/".to_vec();
    path.resize(path.len() + length, b'x');
    path
}

/// With the length of what goes along with it.
type Call = fn(&Fd, usize) -> Answer;

/// With the path.
type PathCall = fn(&Fd, &[u8]) -> Answer;

const METADATA: &[u64] = &[u64::MAX; 3];

/// One or more for each request that scheme/user.rs passes on, but for these:
///
/// * Read and Write, which are tried elsewhere; Cancel, which needs a signal; StdFsCall, which has a check of its own.
/// * CloseMsg and Detach: every file that is closed again makes them, as far as there are any.
/// * Munmap: only for memory that was mapped. RequestMmap: `fmap` does not make it ("mapping_is_lazy = false").
/// * Call of two handles at once gets further only in later kernels, which redox_syscall's function is for.
///
/// Nothing there passes on any other opcode. Those calls that never get as far, because of a length that the kernel
/// refuses for instance, are answered by the kernel, which is good as well.
const CALLS: &[(&str, Call)] = &[
    ("openat", |file, length| {
        open(file, &vec![b'x'; length], O_RDWR | O_CREAT)
    }),
    ("openat, directory", |file, length| {
        open(file, &vec![b'/'; length], O_RDONLY | O_DIRECTORY)
    }),
    ("unlinkat", |file, length| unlink(file, &vec![b'x'; length])),
    ("flink", |file, length| link(file, &absolute_path(length))),
    ("frename", |file, length| rename(file, &absolute_path(length))),
    ("dup", |file, length| {
        let copy = file.dup(&vec![0; length]);
        of_libredox(copy.map(|copy| Fd::new(copy).raw()))
    }),
    ("lseek", |file, length| {
        of_kernel(syscall::lseek(file.raw(), length as isize, SEEK_END))
    }),
    ("fchown", |file, length| {
        of_kernel(syscall::fchown(file.raw(), length as u32, u32::MAX))
    }),
    ("fcntl", |file, length| {
        of_kernel(syscall::fcntl(file.raw(), 1000 + length, usize::MAX))
    }),
    ("fevent", |file, length| events(file, usize::MAX - length)),
    ("fpath", |file, length| {
        of_kernel(syscall::fpath(file.raw(), &mut vec![0; length]))
    }),
    ("fstat", |file, length| fstat(file, &mut vec![0; length])),
    ("fsync", |file, _| of_kernel(syscall::fsync(file.raw()))),
    ("mmap", |file, length| {
        map(file, length, PROT_READ | PROT_WRITE, MAP_SHARED, 0)
    }),
    ("call", |file, length| {
        of_libredox(file.call_rw(&mut vec![0; length], CallFlags::empty(), METADATA))
    }),
    ("call, read", |file, length| {
        of_libredox(file.call_ro(&mut vec![0; length], CallFlags::empty(), METADATA))
    }),
    ("call, write", |file, length| {
        of_libredox(file.call_wo(&vec![0; length], CallFlags::empty(), METADATA))
    }),
    ("call, consume", |file, length| {
        // The call takes this one out of the table, whatever it answers.
        let copy = file.dup(&[]).map_err(Error::errno)?;
        of_libredox(libredox::call::call_rw(
            copy,
            &mut vec![0; length],
            CallFlags::CONSUME,
            METADATA,
        ))
    }),
    ("call, two handles", |file, length| {
        let handles: &[usize] = &[file.raw(); 2];
        let answer = syscall::call_rw(handles, &mut vec![0; length], CallFlags::empty(), METADATA);
        of_kernel(answer)
    }),
    // All ones stand for a descriptor that is to be chosen; the C library of July 2026 wants them.
    ("recvfd", |file, length| {
        of_libredox(file.call_ro(&mut vec![0xFF; length], CallFlags::FD, METADATA))
    }),
    ("recvfd, upper", |file, length| {
        let flags = CallFlags::FD | CallFlags::FD_UPPER | CallFlags::FD_CLOEXEC;
        of_libredox(file.call_ro(&mut vec![0xFF; length], flags, METADATA))
    }),
    ("sendfd", send_copies),
];

/// All that a client can make happen in a driver, each with buffers of several lengths.
pub fn requests() -> Vec<Request> {
    let of_call = |&(name, call): &(&str, Call)| {
        LENGTHS.map(|length| Request::new(format!("{name}, {length} bytes"), move |file| call(file, length)))
    };
    CALLS.iter().flat_map(of_call).collect()
}

/// Those with a path. One that is not UTF-8 gets no further than `copy_path_to_buf` in syscall/fs.rs: EINVAL.
pub fn requests_of_path(path: &'static [u8]) -> Vec<Request> {
    let calls: [(&str, PathCall); 4] = [
        ("openat", |file, path| open(file, path, O_RDONLY)),
        ("unlinkat", unlink),
        ("flink", link),
        ("frename", rename),
    ];
    calls
        .map(|(name, call)| Request::new(format!("{name} {path:x?}"), move |file| call(file, path)))
        .into()
}

/// Those with a record, whose length is wrong: the kernel passes it on as it is. They have no system calls of their own
/// any more, except fstat, which has a check of its own.
pub fn short_records(length: usize) -> Vec<Request> {
    [
        StdFsCallKind::Fstat,
        StdFsCallKind::Fstatvfs,
        StdFsCallKind::Futimens,
    ]
    .map(|kind| {
        Request::new(format!("StdFsCall {kind:?} of {length} bytes"), move |file| {
            std_fs_call(file, kind as u8, &mut vec![0; length])
        })
    })
    .into()
}

/// Those about memory of the driver's: of all there are in schemes, a client can only make MmapPrep happen without
/// having any ([`CALLS`]).
pub fn mappings() -> Vec<Request> {
    let ways = [
        ("private", PROT_READ, MAP_PRIVATE),
        ("shared", PROT_READ, MAP_SHARED),
        ("shared, writable", PROT_READ | PROT_WRITE, MAP_SHARED),
    ];
    let places = [(1, 0), (4096, 0), (4096, 4096), (1 << 20, 0)];
    let all = ways.iter().flat_map(|&(way, prot, flags)| {
        places.map(|(length, offset)| {
            Request::new(format!("mmap, {way}, {length} bytes at {offset}"), move |file| {
                map(file, length, prot, flags, offset)
            })
        })
    });
    all.collect()
}

#[allow(unsafe_code)]
// SAFETY: this is how the C library, which the standard library links, declares it. It takes any number.
unsafe extern "C" {
    /// Changes the effective user of the whole process.
    safe fn seteuid(uid: u32) -> c_int;
}

fn become_user(uid: u32) -> Result<(), i32> {
    match seteuid(uid) {
        0 => Ok(()),
        _ => Err(errno(io::Error::last_os_error())),
    }
}

/// Does something as another user.
///
/// What schemes see is the effective user. Who was root stays so behind it, and may be root again (`on_setresugid` in
/// bootstrap/src/procmgr.rs).
///
/// # Errors
///
/// When the user could not be changed, or not back.
pub fn as_user<T>(uid: u32, action: impl FnOnce() -> T) -> Result<T, i32> {
    become_user(uid)?;
    let result = action();
    become_user(0)?;
    Ok(result)
}
