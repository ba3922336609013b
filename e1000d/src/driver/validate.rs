//! Validation of requests, before redox-scheme decodes them.
//!
//! Its decoder (0.12.0, `Op::from_sqe_unchecked`) asserts that some buffers are large enough, assumes that paths are
//! UTF-8, and drops some requests without an answer. So any client with a descriptor could stop the daemon with a raw
//! system call. [`validate`] returns the error for such a request and changes it into one that can be answered.

use std::mem::{align_of, size_of};

use redox_scheme::Request;
use syscall::error::{EINVAL, ENOENT, EOPNOTSUPP};
use syscall::flag::StdFsCallKind;
use syscall::schemev2::{Opcode, Sqe, SqeFlags};
use syscall::{Error, Result, Stat, StatVfs, TimeSpec};

/// A number that no [`Opcode`] has: redox-scheme treats such a request as a call that it cannot decode.
const NO_OPCODE: u8 = u8::MAX;

// `sqe_mut` relies on this.
const _: () = assert!(size_of::<Request>() == size_of::<Sqe>() && align_of::<Request>() == align_of::<Sqe>());

/// Checks a request. A request that is refused decodes afterwards to a call, which can be answered.
///
/// # Errors
///
/// The error to refuse the request with.
pub fn validate(request: &mut Request) -> Result<()> {
    let sqe = sqe_mut(request);
    let Some(errno) = error_of(sqe) else {
        return Ok(());
    };
    sqe.opcode = NO_OPCODE;
    Err(Error::new(errno))
}

fn sqe_mut(request: &mut Request) -> &mut Sqe {
    // SAFETY: `Request` is `repr(transparent)` around `Sqe` (redox-scheme 0.12.0, lib.rs), the kernel's C record,
    // any bits of which are valid; the borrow is passed on.
    unsafe { &mut *std::ptr::from_mut(request).cast::<Sqe>() }
}

fn error_of(sqe: &Sqe) -> Option<i32> {
    let [_, pointer, len, kind, ..] = sqe.args;
    let too_short = |least: usize| (len < least as u64).then_some(EINVAL);
    let misaligned = |align: usize| (!pointer.is_multiple_of(align as u64)).then_some(EINVAL);
    match Opcode::try_from_raw(sqe.opcode)? {
        Opcode::Fstat => too_short(size_of::<Stat>()).or(misaligned(align_of::<Stat>())),
        Opcode::Fstatvfs => too_short(size_of::<StatVfs>()).or(misaligned(align_of::<StatVfs>())),
        Opcode::Futimens => (len > 2 * size_of::<TimeSpec>() as u64)
            .then_some(EINVAL)
            .or(misaligned(align_of::<TimeSpec>())),
        Opcode::StdFsCall => match StdFsCallKind::try_from_raw(kind as u8)? {
            StdFsCallKind::Fstat => misaligned(align_of::<Stat>()),
            StdFsCallKind::Fstatvfs => misaligned(align_of::<StatVfs>()),
            StdFsCallKind::Futimens => misaligned(align_of::<TimeSpec>()),
            StdFsCallKind::Frenameat | StdFsCallKind::Flinkat | StdFsCallKind::Unlinkat => Some(EOPNOTSUPP),
            _ => None,
        },
        Opcode::OpenAt => (!is_utf8(pointer, len)).then_some(EINVAL),
        // Nothing here can be removed, linked or renamed, whatever the path.
        Opcode::UnlinkAt => Some(ENOENT),
        Opcode::Flink | Opcode::Frename => Some(EOPNOTSUPP),
        // redox-scheme drops the tags of these, without which they cannot be answered.
        Opcode::Msync | Opcode::RequestMmap if !sqe.sqe_flags.contains(SqeFlags::ONEWAY) => Some(EOPNOTSUPP),
        // The kernel sends these with tag 0, not marked as one-way, and expects no answer. Any other tag is a caller's.
        Opcode::CloseMsg | Opcode::Detach if !sqe.sqe_flags.contains(SqeFlags::ONEWAY) && sqe.tag != 0 => {
            Some(EOPNOTSUPP)
        }
        _ => None,
    }
}

fn is_utf8(pointer: u64, len: u64) -> bool {
    if len == 0 {
        return true;
    }
    // SAFETY: the kernel has mapped the caller's path, `len` bytes at `pointer`, into this process until the
    // request is answered; it changes no more.
    let path = unsafe { std::slice::from_raw_parts(pointer as usize as *const u8, len as usize) };
    std::str::from_utf8(path).is_ok()
}

#[cfg(test)]
mod tests {
    use redox_scheme::RequestKind;

    use super::*;

    fn request(opcode: u8, args: [u64; 6]) -> Request {
        let mut request = Request::default();
        *sqe_mut(&mut request) = Sqe {
            opcode,
            tag: 7,
            args,
            ..Sqe::default()
        };
        request
    }

    fn verdict(opcode: u8, args: [u64; 6]) -> Option<i32> {
        let mut request = request(opcode, args);
        let verdict = validate(&mut request).err().map(|error| error.errno);
        if verdict.is_some() {
            let RequestKind::Call(call) = request.kind() else {
                panic!("cannot be answered")
            };
            assert!(call.op().is_err(), "must not be decoded");
        }
        verdict
    }

    #[test]
    fn short_or_misaligned_buffers_are_refused() {
        let fits = size_of::<Stat>() as u64;
        assert_eq!(verdict(Opcode::Fstat as u8, [1, 0x1000, fits, 0, 0, 0]), None);
        assert_eq!(
            verdict(Opcode::Fstat as u8, [1, 0x1000, fits - 1, 0, 0, 0]),
            Some(EINVAL)
        );
        assert_eq!(
            verdict(Opcode::Fstat as u8, [1, 0x1000, 0, 0, 0, 0]),
            Some(EINVAL)
        );
        assert_eq!(
            verdict(Opcode::Fstat as u8, [1, 0x1001, fits, 0, 0, 0]),
            Some(EINVAL)
        );
        assert_eq!(
            verdict(Opcode::Fstatvfs as u8, [1, 0x1000, 3, 0, 0, 0]),
            Some(EINVAL)
        );
        assert_eq!(
            verdict(Opcode::Futimens as u8, [1, 0x1000, 4096, 0, 0, 0]),
            Some(EINVAL)
        );
        let fstat = StdFsCallKind::Fstat as u64;
        assert_eq!(
            verdict(Opcode::StdFsCall as u8, [1, 0x1001, fits, fstat, 0, 0]),
            Some(EINVAL)
        );
    }

    #[test]
    fn paths_must_be_utf8() {
        let bytes = [b'm', 0xFF];
        let pointer = bytes.as_ptr().addr() as u64;
        assert_eq!(
            verdict(Opcode::OpenAt as u8, [1, pointer, 2, 0, 0, 0]),
            Some(EINVAL)
        );
        assert_eq!(verdict(Opcode::OpenAt as u8, [1, pointer, 1, 0, 0, 0]), None);
    }

    #[test]
    fn requests_without_an_answer_in_redox_scheme_get_one() {
        for opcode in [Opcode::Msync, Opcode::RequestMmap, Opcode::Flink, Opcode::Frename] {
            assert_eq!(verdict(opcode as u8, [1, 0x1000, 4, 0, 0, 0]), Some(EOPNOTSUPP));
        }
    }

    #[test]
    fn tag_0_is_a_tag_but_for_what_has_none() {
        let with_tag_0 = |opcode: Opcode| {
            let mut request = request(opcode as u8, [1, 0x1000, 4, 0, 0, 0]);
            sqe_mut(&mut request).tag = 0;
            validate(&mut request).err().map(|error| error.errno)
        };
        for opcode in [Opcode::Msync, Opcode::RequestMmap] {
            assert_eq!(with_tag_0(opcode), Some(EOPNOTSUPP));
        }
        for opcode in [Opcode::CloseMsg, Opcode::Detach] {
            assert_eq!(with_tag_0(opcode), None);
        }
    }

    #[test]
    fn every_other_opcode_is_left_alone() {
        for opcode in [
            Opcode::Read,
            Opcode::Write,
            Opcode::Cancel,
            Opcode::Dup,
            Opcode::Fcntl,
            Opcode::Getdents,
        ] {
            assert_eq!(verdict(opcode as u8, [1, 0x1001, 4, 0, 0, 0]), None);
        }
        assert_eq!(verdict(200, [0; 6]), None);
    }
}
