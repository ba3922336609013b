//! The file `mac`, and what files say of themselves.

use libredox::Fd;
use libredox::flag::{O_DIRECTORY, O_NONBLOCK, O_RDONLY};
use syscall::dirent::DirentIter;
use syscall::error::{EINVAL, EOPNOTSUPP};
use syscall::flag::{F_GETFL, F_SETFL, MODE_DIR, MODE_FILE, MODE_TYPE};

use super::subject::{Broken, Subject, Verdict, answered, ensure, expect_error, expect_ok, try_read};
use super::{Outcome, raw};

const MAC_LENGTH: usize = 6;

pub fn six_bytes(subject: &Subject) -> Verdict {
    let mut bytes = [0; 64];
    let length = expect_ok("read mac", subject.mac_file()?.read(&mut bytes))?;
    ensure(length == MAC_LENGTH, || format!("{length} bytes"))?;
    ensure(
        bytes[0] & 1 == 0 && bytes[..MAC_LENGTH] != [0; MAC_LENGTH],
        || format!("{:02x?} is no address of a network card", &bytes[..MAC_LENGTH]),
    )?;
    Ok(Outcome::Pass)
}

pub fn kept_offset(subject: &Subject) -> Verdict {
    let file = subject.mac_file()?;
    let mut pieces = Vec::new();
    for (room, expected) in [(4, 4), (1, 1), (4, 1), (4, 0), (4, 0)] {
        let mut piece = vec![0; room];
        let length = expect_ok("read mac", file.read(&mut piece))?;
        ensure(length == expected, || {
            format!("{length} bytes instead of {expected} after {}", pieces.len())
        })?;
        pieces.extend_from_slice(&piece[..length]);
    }
    let mac = subject.mac()?;
    ensure(pieces == mac.as_bytes(), || {
        format!("{pieces:02x?} in pieces, {mac} at once")
    })?;
    Ok(Outcome::Pass)
}

/// Reads at an offset and compares with the bytes that are there.
fn offset(subject: &Subject, offset: u64) -> Verdict {
    let mac = subject.mac()?;
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX).min(MAC_LENGTH);
    let expected = &mac.as_bytes()[skipped..];
    let path = subject.path("mac");
    let (result, bytes) = answered("read", move || {
        let mut bytes = [0; 16];
        (raw::read_at(&path, &mut bytes, offset), bytes)
    })?;
    match result {
        Ok(length) if bytes.get(..length) == Some(expected) => Ok(Outcome::Pass),
        Ok(length) => Err(Broken(format!("{length} bytes instead of {}", expected.len()))),
        Err(errno) => Err(Broken(format!("errno {errno}"))),
    }
}

pub fn offset_0(subject: &Subject) -> Verdict {
    offset(subject, 0)
}

pub fn offset_5(subject: &Subject) -> Verdict {
    offset(subject, 5)
}

pub fn offset_6(subject: &Subject) -> Verdict {
    offset(subject, 6)
}

pub fn offset_7(subject: &Subject) -> Verdict {
    offset(subject, 7)
}

pub fn offset_huge(subject: &Subject) -> Verdict {
    offset(subject, 1 << 63)
}

pub fn write_refused(subject: &Subject) -> Verdict {
    let errno = expect_error("write mac", subject.mac_file()?.write(&[2; MAC_LENGTH]))?;
    ensure(errno == EINVAL, || format!("errno {errno} instead of EINVAL"))?;
    Ok(Outcome::Pass)
}

/// Mode and size of an open file.
fn mode_and_size(file: &Fd) -> Result<(u32, u64), Broken> {
    let stat = expect_ok("fstat", file.stat())?;
    // Field types differ from target to target.
    #[allow(clippy::useless_conversion)]
    let mode = u32::try_from(stat.st_mode).map_err(|_| Broken("mode out of range".to_owned()))?;
    let size = u64::try_from(stat.st_size).map_err(|_| Broken("negative size".to_owned()))?;
    Ok((mode, size))
}

pub fn stat(subject: &Subject) -> Verdict {
    let file = u32::from(MODE_FILE);
    for (name, open, expected) in [
        ("data", subject.nonblocking()?, (file | 0o700, 0)),
        ("mac", subject.mac_file()?, (file | 0o400, MAC_LENGTH as u64)),
    ] {
        let found = mode_and_size(&open)?;
        ensure(found == expected, || {
            format!("{name}: mode {:o}, size {}", found.0, found.1)
        })?;
    }
    Ok(Outcome::Pass)
}

pub fn path(subject: &Subject) -> Verdict {
    for (file, expected) in [
        (subject.nonblocking()?, subject.path("") + "/"),
        (subject.mac_file()?, subject.path("mac")),
    ] {
        let mut bytes = [0; 512];
        let length = expect_ok("fpath", file.fpath(&mut bytes))?;
        let found = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
        ensure(found == expected, || format!("{found:?} instead of {expected:?}"))?;
    }
    Ok(Outcome::Pass)
}

pub fn listing(subject: &Subject) -> Verdict {
    let root = match subject.open("", O_DIRECTORY | O_RDONLY) {
        Ok(root) => root,
        Err(error) => return Ok(Outcome::AsStock(format!("{error}"))),
    };
    let mut bytes = [0; 4096];
    let length = match libredox::call::getdents(root.raw(), &mut bytes, 0) {
        Ok(length) => length,
        Err(error) => return Ok(Outcome::AsStock(format!("{error}"))),
    };
    let mut names = Vec::new();
    for entry in DirentIter::new(bytes.get(..length).unwrap_or_default()) {
        let (_, name) = entry.map_err(|_| Broken("the listing is malformed".to_owned()))?;
        // Records are padded with NULs to their alignment.
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        names.push(String::from_utf8_lossy(name).into_owned());
    }
    ensure(names.iter().any(|name| name == "mac"), || {
        format!("mac is not among {names:?}")
    })?;
    let (mode, _) = mode_and_size(&root)?;
    ensure(mode & u32::from(MODE_TYPE) == u32::from(MODE_DIR), || {
        format!("mode {mode:o} is no directory's")
    })?;
    Ok(Outcome::Pass)
}

pub fn sync(subject: &Subject) -> Verdict {
    expect_ok("fsync", subject.nonblocking()?.fsync())?;
    Ok(Outcome::Pass)
}

/// Stock drivers do not know fcntl at all, and the kernel asks them first.
fn fcntl(file: &Fd, command: usize, argument: usize) -> Result<Result<usize, Outcome>, Broken> {
    match file.fcntl(command, argument) {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.errno() == EOPNOTSUPP => Ok(Err(Outcome::AsStock("EOPNOTSUPP".to_owned()))),
        Err(error) => Err(Broken(format!("fcntl {command}: {error}"))),
    }
}

pub fn get_flags(subject: &Subject) -> Verdict {
    for (file, nonblocking) in [(subject.nonblocking()?, true), (subject.blocking()?, false)] {
        let flags = match fcntl(&file, F_GETFL, 0)? {
            Ok(flags) => flags,
            Err(outcome) => return Ok(outcome),
        };
        let found = flags & O_NONBLOCK as usize == O_NONBLOCK as usize;
        ensure(found == nonblocking, || format!("flags {flags:#x}"))?;
    }
    Ok(Outcome::Pass)
}

pub fn set_flags(subject: &Subject) -> Verdict {
    let file = subject.blocking()?;
    if let Err(outcome) = fcntl(&file, F_SETFL, O_NONBLOCK as usize)? {
        return Ok(outcome);
    }
    // A frame may be there; at the end there is none.
    answered("read after F_SETFL O_NONBLOCK", move || {
        let mut buffer = [0; 2048];
        while try_read(&file, &mut buffer)?.is_some() {}
        Ok(Outcome::Pass)
    })?
}
