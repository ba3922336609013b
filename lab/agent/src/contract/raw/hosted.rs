//! Any request whatever: the shim is the kernel.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDONLY};
use redox_shim::client;
use syscall::schemev2::Opcode;

use super::{Answer, LENGTHS, Request};

/// Opens a file and reads at an offset.
pub fn read_at(path: &str, buffer: &mut [u8], offset: u64) -> Answer {
    let file = Fd::open(path, O_RDONLY | O_CLOEXEC, 0).map_err(|error| error.errno())?;
    client::read_at(file.raw(), buffer, offset)
}

/// The size of a file, as `lseek(SEEK_END)` asks for it.
pub fn size(file: &Fd) -> Answer {
    client::raw_request(file.raw(), Opcode::Fsize as u8, 0, [0; 6], None)
}

/// `fstat` into a buffer of any length.
pub fn fstat(file: &Fd, buffer: &mut [u8]) -> Answer {
    with_buffer(file, Opcode::Fstat as u8, buffer)
}

/// One of the calls of file systems that have no system call of their own.
pub fn std_fs_call(file: &Fd, kind: u8, buffer: &mut [u8]) -> Answer {
    let args = [0, 0, buffer.len() as u64, kind.into(), u64::MAX, 1];
    client::raw_request(file.raw(), Opcode::StdFsCall as u8, 0, args, Some((buffer, 1)))
}

/// A request with a buffer where most have one.
fn with_buffer(file: &Fd, opcode: u8, buffer: &mut [u8]) -> Answer {
    let args = [0, 0, buffer.len() as u64, 0, 0, 0];
    client::raw_request(file.raw(), opcode, 0, args, Some((buffer, 1)))
}

/// All there are and those that there are not, each with buffers of several lengths.
pub fn requests() -> Vec<Request> {
    // Those of ordinary reading and writing; and Cancel, which has no answer, and which only the kernel makes.
    let ordinary = [Opcode::Read as u8, Opcode::Write as u8, Opcode::Cancel as u8];
    let of_opcode = |opcode| {
        LENGTHS.map(|length| {
            Request::new(format!("opcode {opcode}, {length} bytes"), move |file| {
                with_buffer(file, opcode, &mut vec![0; length])
            })
        })
    };
    (0..=u8::MAX)
        .filter(|opcode| !ordinary.contains(opcode))
        .flat_map(of_opcode)
        .collect()
}

/// Those with a path.
pub fn requests_of_path(path: &'static [u8]) -> Vec<Request> {
    [Opcode::OpenAt, Opcode::UnlinkAt, Opcode::Flink, Opcode::Frename]
        .map(|opcode| {
            Request::new(format!("{opcode:?} {path:x?}"), move |file| {
                with_buffer(file, opcode as u8, &mut path.to_vec())
            })
        })
        .into()
}

/// Those with a record, whose length is wrong.
pub fn short_records(length: usize) -> Vec<Request> {
    [Opcode::Fstat, Opcode::Fstatvfs, Opcode::Futimens]
        .map(|opcode| {
            Request::new(format!("{opcode:?} of {length} bytes"), move |file| {
                with_buffer(file, opcode as u8, &mut vec![0; length])
            })
        })
        .into()
}

/// Those about memory of the driver's.
pub fn mappings() -> Vec<Request> {
    [
        Opcode::MmapPrep,
        Opcode::Munmap,
        Opcode::Mremap,
        Opcode::RequestMmap,
    ]
    .map(|opcode| {
        Request::new(format!("{opcode:?}"), move |file| {
            client::raw_request(file.raw(), opcode as u8, 0, [0, 4096, 3, 0, 0, 0], None)
        })
    })
    .into()
}

/// Does something as another user.
///
/// # Errors
///
/// None here.
pub fn as_user<T>(uid: u32, action: impl FnOnce() -> T) -> Result<T, i32> {
    redox_shim::set_identity(uid, uid);
    let result = action();
    redox_shim::set_identity(0, 0);
    Ok(result)
}
