//! What no client needs and any client can do: each of it is answered, and the adapter works on.

use std::fmt::Debug;
use std::sync::Arc;

use libredox::Fd;
use libredox::data::TimeSpec;
use libredox::flag::{O_DIRECTORY, O_RDONLY};
use syscall::error::ENODEV;
use syscall::flag::CallFlags;

use super::Outcome;
use super::raw::{self, Answer, Request};
use super::subject::{Broken, Subject, Verdict, answered, ensure, expect_error, expect_ok};

/// Does something with a file that has to be answered with an error.
fn refused<T: Debug + Send + 'static>(
    what: &str,
    file: &Arc<Fd>,
    action: impl FnOnce(&Fd) -> libredox::error::Result<T> + Send + 'static,
) -> Result<(), Broken> {
    let file = Arc::clone(file);
    let errno = expect_error(what, answered(what, move || action(&file))?)?;
    ensure(errno != ENODEV, || format!("{what}: the driver is gone"))
}

/// The answer to a request, which must not be that there is no driver any more.
fn answer_to(request: &Request, file: &Arc<Fd>) -> Result<Answer, Broken> {
    let (sent, file) = (request.clone(), Arc::clone(file));
    let answer = answered(&request.name, move || sent.send(&file))?;
    ensure(answer != Err(ENODEV), || {
        format!("{}: the driver is gone", request.name)
    })?;
    Ok(answer)
}

/// Sends requests that have to be answered with an error.
fn all_refused(subject: &Subject, requests: &[Request]) -> Verdict {
    for request in requests {
        for file in files(subject)? {
            let answer = answer_to(request, &file)?;
            ensure(answer.is_err(), || format!("{}: {answer:?}", request.name))?;
        }
    }
    Ok(Outcome::Pass)
}

/// The data file and `mac`.
fn files(subject: &Subject) -> Result<[Arc<Fd>; 2], Broken> {
    Ok([Arc::new(subject.nonblocking()?), Arc::new(subject.mac_file()?)])
}

pub fn attributes(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        refused("ftruncate", &file, |file| {
            libredox::call::ftruncate(file.raw(), 0)
        })?;
        refused("fchmod", &file, |file| file.chmod(0o777))?;
        refused("fchown", &file, |file| file.chown(1, 1))?;
        refused("futimens", &file, |file| {
            let zero = || TimeSpec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            libredox::call::futimens(file.raw(), &[zero(), zero()])
        })?;
        refused("getdents", &file, |file| {
            libredox::call::getdents(file.raw(), &mut [0; 512], 0)
        })?;
        let vfs = Arc::clone(&file);
        // An error or a record: both are fine.
        answered("fstatvfs", move || vfs.statvfs().is_ok())?;
    }
    Ok(Outcome::Pass)
}

pub fn seek(subject: &Subject) -> Verdict {
    let data = subject.nonblocking()?;
    match answered("lseek SEEK_END", move || raw::size(&data))? {
        Err(_) => Ok(Outcome::Pass),
        Ok(size) => Err(Broken(format!("frames have a size: {size}"))),
    }
}

pub fn fcntl(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        for (command, argument) in [(77, 0), (999, 1), (usize::MAX, usize::MAX)] {
            let file = Arc::clone(&file);
            let what = format!("fcntl {command}");
            answered(&what, move || file.fcntl(command, argument).is_ok())?;
        }
    }
    Ok(Outcome::Pass)
}

pub fn dup_with_argument(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        refused("dup \"uring\"", &file, |file| file.dup(b"uring"))?;
        refused("dup of 4000 bytes", &file, |file| file.dup(&[0xFF; 4000]))?;
    }
    Ok(Outcome::Pass)
}

pub fn call(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        refused("call, read", &file, |file| {
            file.call_ro(&mut [0; 64], CallFlags::empty(), &[1, 2, 3])
        })?;
        refused("call, write", &file, |file| {
            file.call_wo(&[0; 64], CallFlags::empty(), &[u64::MAX])
        })?;
        refused("call, both", &file, |file| {
            file.call_rw(&mut [], CallFlags::empty(), &[])
        })?;
    }
    Ok(Outcome::Pass)
}

pub fn opcodes(subject: &Subject) -> Verdict {
    for request in raw::requests() {
        // Anew each time: a request may be one that closes them.
        let root = expect_ok("open the root", subject.open("", O_DIRECTORY | O_RDONLY))?;
        for file in files(subject)?.iter().chain([&Arc::new(root)]) {
            // An error or a value: both are fine.
            answer_to(&request, file).map(drop)?;
        }
    }
    subject.mac()?;
    Ok(Outcome::Pass)
}

pub fn std_fs_calls(subject: &Subject) -> Verdict {
    for kind in 0..=40 {
        for file in files(subject)? {
            for length in [0, 1, 24, 4096] {
                let file = Arc::clone(&file);
                let what = format!("StdFsCall {kind} of {length} bytes");
                let result = answered(&what, move || raw::std_fs_call(&file, kind, &mut vec![0; length]))?;
                // Any other error or a value: both are fine.
                ensure(result != Err(ENODEV), || format!("{what}: the driver is gone"))?;
            }
        }
    }
    Ok(Outcome::Pass)
}

pub fn short_fstat(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        for length in [0, 3, 15] {
            let file = Arc::clone(&file);
            let what = format!("fstat into {length} bytes");
            let result = answered(&what, move || raw::fstat(&file, &mut vec![0; length]))?;
            ensure(matches!(result, Err(errno) if errno != ENODEV), || {
                format!("{what}: {result:?}")
            })?;
        }
    }
    Ok(Outcome::Pass)
}

pub fn short_records(subject: &Subject) -> Verdict {
    all_refused(subject, &raw::short_records(3))
}

pub fn memory_mapping(subject: &Subject) -> Verdict {
    all_refused(subject, &raw::mappings())
}

pub fn path_of_any_bytes(subject: &Subject) -> Verdict {
    let root = Arc::new(expect_ok(
        "open the root",
        subject.open("", O_DIRECTORY | O_RDONLY),
    )?);
    for request in raw::requests_of_path(b"ma\xFF") {
        let answer = answer_to(&request, &root)?;
        ensure(answer.is_err(), || {
            format!("{}: {answer:?} instead of an error", request.name)
        })?;
    }
    Ok(Outcome::Pass)
}

pub fn receive_descriptor(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        refused("recvfd", &file, |file| {
            file.call_ro(&mut [0; size_of::<usize>()], CallFlags::FD, &[])
        })?;
    }
    Ok(Outcome::Pass)
}

pub fn send_descriptor(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        let sent = subject.mac_file()?.into_raw();
        refused("sendfd", &file, move |file| {
            file.call_wo(&sent.to_ne_bytes(), CallFlags::FD, &[])
        })?;
    }
    Ok(Outcome::Pass)
}
