//! The scheme socket: where a daemon takes requests and puts answers.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use syscall::data::NewFdParams;
use syscall::error::{EAGAIN, EBADFD, EINVAL, ENOSYS, Error, Result};
use syscall::flag::{EventFlags, F_GETFL, F_SETFL, O_FCNTL_MASK, O_NONBLOCK, O_RDWR};
use syscall::schemev2::{Cqe, CqeOpcode, Sqe};

use super::request::Outcome;
use super::root::RootFd;
use super::state::Scheme;
use crate::error::{fail, from_linux};
use crate::object::{Object, Opened};
use crate::scheme::wire::negated;
use crate::subscription::{Registration, Subscription};
use crate::{sys, table};

/// `/scheme/namespace/scheme-creation-cap`.
pub struct CreationCap;

impl Object for CreationCap {
    fn dup(&self, argument: &[u8]) -> Result<Opened> {
        match argument {
            b"create-scheme" => Ok(Arc::new(SchemeSocket {
                scheme: Scheme::new()?,
                flags: AtomicUsize::new(0),
            })
            .into()),
            _ => fail(EINVAL),
        }
    }
}

/// A copy, for the client, of the descriptor that a daemon answers with. The number stays the daemon's: redox-scheme
/// closes it after the answer (`Socket::write_responses`).
///
/// # Errors
///
/// `ENOSYS` if it is one of a scheme's, which cannot leave a process here; `EINVAL` if it is none.
fn copy_of(number: u64) -> Result<OwnedFd> {
    let number = usize::try_from(number).map_err(|_| Error::new(EINVAL))?;
    if table::get(number).is_some() {
        return fail(ENOSYS);
    }
    let fd = RawFd::try_from(number).map_err(|_| Error::new(EINVAL))?;
    let copy = sys::duplicate(fd, 0).map_err(|_| Error::new(EINVAL))?;
    // SAFETY: the copy was made a moment ago, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// The socket of one scheme.
pub struct SchemeSocket {
    scheme: Arc<Scheme>,
    flags: AtomicUsize,
}

impl Drop for SchemeSocket {
    fn drop(&mut self) {
        self.scheme.close();
    }
}

impl SchemeSocket {
    /// Handles one CQE.
    fn complete(&self, cqe: &Cqe) -> Result<()> {
        let answered = match CqeOpcode::try_from_raw(cqe.flags & 7) {
            Some(CqeOpcode::RespondRegular | CqeOpcode::RespondAndNotifyOnDetach) => self
                .scheme
                .respond(cqe.tag, Outcome::Value(cqe.result, cqe.extra_raw[0])),
            Some(CqeOpcode::RespondWithFd) => {
                let outcome = match copy_of(cqe.result) {
                    Ok(descriptor) => Outcome::Descriptor(descriptor),
                    Err(error) => Outcome::Value(negated(error.errno), 0),
                };
                self.scheme.respond(cqe.tag, outcome)
            }
            Some(CqeOpcode::RespondWithMultipleFds) => {
                self.scheme.respond(cqe.tag, Outcome::Value(negated(ENOSYS), 0))
            }
            Some(CqeOpcode::SendFevent) => {
                let state = self.scheme.state();
                self.scheme.trigger(&state, cqe.result, cqe.tag as usize);
                true
            }
            Some(CqeOpcode::ObtainFd) => return fail(ENOSYS),
            None => return fail(EINVAL),
        };
        if answered { Ok(()) } else { fail(EBADFD) }
    }

    /// Moves queued SQEs into `buffer`; 0 if there are none.
    fn drain(&self, buffer: &mut [u8]) -> usize {
        let mut state = self.scheme.state();
        if state.queue.is_empty() {
            self.scheme.ready.take();
            return 0;
        }
        let mut done = 0;
        for chunk in buffer.chunks_exact_mut(size_of::<Sqe>()) {
            let Some(sqe) = state.queue.pop_front() else { break };
            chunk.copy_from_slice(&sqe);
            done += chunk.len();
        }
        done
    }
}

impl Object for SchemeSocket {
    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.len() < size_of::<Sqe>() {
            return fail(EINVAL);
        }
        loop {
            let done = self.drain(buffer);
            if done > 0 {
                return Ok(done);
            }
            if self.flags.load(Ordering::Relaxed) & O_NONBLOCK != 0 {
                return fail(EAGAIN);
            }
            sys::wait_readable(self.scheme.ready.as_raw_fd(), -1).map_err(from_linux)?;
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        let mut done = 0;
        for chunk in bytes.chunks_exact(size_of::<Cqe>()) {
            let mut cqe = Cqe::default();
            cqe.copy_from_slice(chunk);
            match self.complete(&cqe) {
                Ok(()) => done += chunk.len(),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn dup(&self, argument: &[u8]) -> Result<Opened> {
        const NUMBER: usize = std::mem::offset_of!(NewFdParams, number);
        if argument.len() != size_of::<NewFdParams>() {
            return fail(EINVAL);
        }
        let number = argument[NUMBER..].first_chunk().ok_or(Error::new(EINVAL))?;
        let number = usize::from_ne_bytes(*number) as u64;
        Ok(Arc::new(RootFd::new(Arc::clone(&self.scheme), number)).into())
    }

    fn fcntl(&self, command: usize, argument: usize) -> Result<usize> {
        match command {
            F_GETFL => Ok(O_RDWR | self.flags.load(Ordering::Relaxed)),
            F_SETFL => {
                self.flags.store(argument & O_FCNTL_MASK, Ordering::Relaxed);
                Ok(0)
            }
            _ => fail(EINVAL),
        }
    }

    fn subscribe(&self, subscription: &Arc<Subscription>) -> Result<Option<Box<dyn Registration>>> {
        let state = self.scheme.state();
        self.scheme.subscribers.add(subscription);
        if !state.queue.is_empty() {
            subscription.post(EventFlags::EVENT_READ.bits());
        }
        Ok(None)
    }
}
