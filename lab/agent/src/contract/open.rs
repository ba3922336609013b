//! Opening: the files that each client may open.

use libredox::flag::{O_RDONLY, O_RDWR};
use syscall::error::{EACCES, EINVAL, ENOENT};

use super::subject::{Broken, Subject, Verdict, answered, ensure, expect_error};
use super::{Outcome, raw};

/// Somebody who is not root.
const USER: u32 = 1000;

pub fn unknown_path(subject: &Subject) -> Verdict {
    let errno = expect_error(
        "open no-such-file",
        subject.open("no-such-file", O_RDONLY).map(drop),
    )?;
    match errno {
        ENOENT => Ok(Outcome::Pass),
        EINVAL => Ok(Outcome::AsStock("EINVAL".to_owned())),
        other => Err(Broken(format!("errno {other} instead of ENOENT"))),
    }
}

pub fn not_root(subject: &Subject) -> Verdict {
    for (file, flags) in [("", O_RDWR), ("mac", O_RDONLY), ("no-such-file", O_RDONLY)] {
        let what = format!("open {file:?} as user {USER}");
        let subject = subject.clone();
        // Waited for here, so that the process is root again even if there is no answer.
        let opened = raw::as_user(USER, || {
            answered(&what, move || subject.open(file, flags).map(drop))
        })
        .map_err(|errno| Broken(format!("cannot be user {USER} and root again: errno {errno}")))?;
        let errno = expect_error(&what, opened?)?;
        ensure(errno == EACCES, || {
            format!("{what}: errno {errno} instead of EACCES")
        })?;
    }
    Ok(Outcome::Pass)
}

pub fn below_a_file(subject: &Subject) -> Verdict {
    for (what, file) in [("data", subject.nonblocking()?), ("mac", subject.mac_file()?)] {
        let opened = file.openat("mac", O_RDONLY, 0).map(drop);
        expect_error(&format!("open mac below {what}"), opened)?;
    }
    Ok(Outcome::Pass)
}

pub fn odd_paths(subject: &Subject) -> Verdict {
    for path in ["mac/x", "..", "../mac", "mac\n", &"x".repeat(4000)] {
        if cfg!(target_os = "redox") && path.starts_with("..") {
            // Its C library resolves that itself.
            continue;
        }
        let opened = subject.open(path, O_RDONLY).map(drop);
        expect_error(&format!("open {:.20?}", path), opened)?;
    }
    Ok(Outcome::Pass)
}

pub fn many_times(subject: &Subject) -> Verdict {
    const AT_ONCE: usize = 100;
    for _ in 0..1000 {
        drop(subject.nonblocking()?);
    }
    let held = (0..AT_ONCE)
        .map(|_| subject.nonblocking())
        .collect::<Result<Vec<_>, _>>()?;
    ensure(held.len() == AT_ONCE, || "not all opened".to_owned())?;
    Ok(Outcome::Pass)
}
