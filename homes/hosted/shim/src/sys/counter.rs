//! Counters that a queue can wait on.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// An eventfd, used as a counter that a queue can wait on.
pub struct Counter(File);

impl Counter {
    /// `semaphore`: each [`Counter::take`] takes one of what [`Counter::post`] put in; otherwise it takes all.
    pub fn new(semaphore: bool) -> io::Result<Self> {
        let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | if semaphore { libc::EFD_SEMAPHORE } else { 0 };
        // SAFETY: takes no pointers.
        let fd = check(unsafe { libc::eventfd(0, flags) })?;
        // SAFETY: eventfd just returned this descriptor, nobody else owns it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// The counter behind a descriptor that came from another process.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(File::from(fd))
    }

    /// Adds one. A counter that is full (2^64 - 2 posts nobody took) stays full.
    pub fn post(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Takes from the counter; false if it was zero.
    pub fn take(&self) -> bool {
        matches!((&self.0).read(&mut [0; 8]), Ok(8))
    }

    /// The descriptor, readable while the counter is not zero.
    pub fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
