//! Requests that no client needs and any client can make: each is answered, and the adapter works on.

use std::fmt::Debug;
use std::sync::{Arc, mpsc};
use std::thread;

use libredox::Fd;
use libredox::data::TimeSpec;
use libredox::flag::{O_DIRECTORY, O_RDONLY};
use syscall::error::ENODEV;
use syscall::flag::CallFlags;

use netstack_client::bounded;

use super::Outcome;
use super::raw::{self, Answer, Request};
use super::subject::{Broken, SOON, Subject, Verdict, answered, ensure, expect_error, expect_ok};

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

/// Opens files and sends them a request, one request after the other, and gives what each is called and its answer to
/// `judge`.
///
/// The files are opened anew each time, for a request may be one that closes them. One thread sends all: a system of
/// June 2026 keeps a descriptor of each thread that has ended, and with some hundred of them it was seen to hang later.
fn send_all(
    open: impl Fn() -> Result<Vec<Fd>, Broken> + Send + 'static,
    requests: Vec<Request>,
    judge: impl Fn(&str, Answer) -> Result<(), Broken>,
) -> Verdict {
    let (sender, answers) = mpsc::channel();
    let names: Vec<String> = requests.iter().map(|request| request.name.clone()).collect();
    thread::spawn(move || {
        for request in requests {
            let answers = open().map(|files| files.iter().map(|file| request.send(file)).collect::<Vec<_>>());
            // Fails if the check is over.
            if sender.send(answers).is_err() {
                return;
            }
        }
    });
    for name in names {
        let answers = bounded::receive(&answers, SOON)
            .ok_or_else(|| Broken(format!("{name}: no answer within {SOON:?}")))?;
        for answer in answers? {
            ensure(answer != Err(ENODEV), || format!("{name}: the driver is gone"))?;
            judge(&name, answer)?;
        }
    }
    Ok(Outcome::Pass)
}

/// For requests that have to be answered with an error.
fn is_refused(name: &str, answer: Answer) -> Result<(), Broken> {
    ensure(answer.is_err(), || {
        format!("{name}: {answer:?} instead of an error")
    })
}

/// For requests that have to be answered, with an error or a value.
fn is_answered(_: &str, _: Answer) -> Result<(), Broken> {
    Ok(())
}

/// The data file and `mac`.
fn open_files(subject: &Subject) -> Result<Vec<Fd>, Broken> {
    Ok(vec![subject.nonblocking()?, subject.mac_file()?])
}

fn open_root(subject: &Subject) -> Result<Fd, Broken> {
    expect_ok("open the root", subject.open("", O_DIRECTORY | O_RDONLY))
}

/// The data file and `mac`, for several threads.
fn files(subject: &Subject) -> Result<Vec<Arc<Fd>>, Broken> {
    Ok(open_files(subject)?.into_iter().map(Arc::new).collect())
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
    let opened = subject.clone();
    let open = move || {
        let mut files = open_files(&opened)?;
        files.push(open_root(&opened)?);
        Ok(files)
    };
    send_all(open, raw::requests(), is_answered)?;
    subject.mac()?;
    Ok(Outcome::Pass)
}

pub fn std_fs_calls(subject: &Subject) -> Verdict {
    let opened = subject.clone();
    send_all(move || open_files(&opened), raw::std_fs_calls(), is_answered)
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
    let opened = subject.clone();
    send_all(move || open_files(&opened), raw::short_records(3), is_refused)
}

pub fn memory_mapping(subject: &Subject) -> Verdict {
    let opened = subject.clone();
    send_all(move || open_files(&opened), raw::mappings(), is_refused)
}

pub fn path_of_any_bytes(subject: &Subject) -> Verdict {
    let opened = subject.clone();
    send_all(
        move || Ok(vec![open_root(&opened)?]),
        raw::requests_of_path(b"ma\xFF"),
        is_refused,
    )
}

pub fn receive_descriptor(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        refused("recvfd", &file, |file| {
            // All ones stand for a descriptor that is to be chosen; the C library of July 2026 wants them.
            file.call_ro(&mut [0xFF; size_of::<usize>()], CallFlags::FD, &[])
        })?;
    }
    Ok(Outcome::Pass)
}

pub fn send_descriptor(subject: &Subject) -> Verdict {
    for file in files(subject)? {
        let sent = subject.mac_file()?.into_raw();
        refused("sendfd", &file, move |file| {
            let result = file.call_wo(&sent.to_ne_bytes(), CallFlags::FD, &[]);
            // The C library of July 2026 frees its entry only if the descriptor was taken; June's kernel has closed it.
            let _ = libredox::call::close(sent);
            result
        })?;
    }
    Ok(Outcome::Pass)
}
