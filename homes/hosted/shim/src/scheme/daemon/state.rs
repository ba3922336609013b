//! The state of a scheme at its daemon: requests by tag, descriptions, registrations for events.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syscall::error::{ECANCELED, EFAULT, EINTR, EIO, Result};
use syscall::flag::EventFlags;
use syscall::schemev2::{Opcode, Sqe, SqeFlags};

use super::buffer::Buffer;
use super::request::{Answer, Connection, Mapping, Outcome, Pending};
use crate::error::from_linux;
use crate::kernel::memory;
use crate::scheme::wire::{BUFFER_BACK, RESULT_BACK, Reply, negated};
use crate::subscription::{Subscribers, Subscription};
use crate::sys::{self, Counter};

const PAGE: u64 = 4096;

/// The description that stands for the root of the scheme.
pub const ROOT: u64 = 0;

/// An open file of a client.
pub struct Description {
    pub number: u64,
    pub owner: u64,
    pub outstanding: usize,
    pub closing: bool,
    pub mappings: Vec<Mapping>,
}

/// The interest of a client in the events of a handle.
pub struct Watcher {
    pub connection: u64,
    pub number: u64,
    pub subscription: Subscription,
}

/// The parts of a scheme that change.
#[derive(Default)]
pub struct State {
    pub queue: VecDeque<Sqe>,
    pub root: Option<u64>,
    pub next_tag: u32,
    pub next_id: u64,
    pub pending: HashMap<u32, Pending>,
    pub descriptions: HashMap<u64, Description>,
    pub watchers: Vec<Watcher>,
    pub connections: HashMap<u64, Arc<Connection>>,
    pub listener: Option<UnixListener>,
    pub closed: bool,
}

/// A scheme, from the creation of its socket to the close of it.
pub struct Scheme {
    state: Mutex<State>,
    /// Not zero while there may be something in the queue; blocking reads wait for it.
    pub ready: Counter,
    pub subscribers: Subscribers,
}

impl Scheme {
    /// A scheme without root, name or requests.
    pub fn new() -> Result<Arc<Self>> {
        let ready = Counter::new(false).map_err(from_linux)?;
        Ok(Arc::new(Self {
            state: Mutex::default(),
            ready,
            subscribers: Subscribers::default(),
        }))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an SQE: one event on the socket each.
    pub fn push(&self, state: &mut State, sqe: Sqe) {
        state.queue.push_back(sqe);
        self.ready.post();
        self.subscribers.post(EventFlags::EVENT_READ.bits());
    }

    fn push_one_way(&self, state: &mut State, opcode: Opcode, tag: u32, id: u64, caller: u64) {
        let mut sqe = Sqe {
            opcode: opcode as u8,
            sqe_flags: SqeFlags::ONEWAY,
            tag,
            caller,
            ..Sqe::default()
        };
        sqe.args[0] = id;
        self.push(state, sqe);
    }

    /// Ends the scheme: its socket is closed, or its daemon is about to go.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if let Some(listener) = state.listener.take() {
            sys::shutdown(listener.as_raw_fd());
        }
        for connection in state.connections.values() {
            sys::shutdown(connection.stream.as_raw_fd());
        }
        state.pending.clear();
    }

    /// Marks the description as closed by its client. Munmap follows for what the client had mapped, and CloseMsg once
    /// no request is outstanding: the order in which the kernel ends a client.
    pub fn close_description(&self, state: &mut State, key: u64, caller: u64) {
        let Some(description) = state.descriptions.get_mut(&key) else {
            return;
        };
        description.closing = true;
        let number = description.number;
        for mapping in std::mem::take(&mut description.mappings) {
            let request = Pending {
                connection: None,
                key,
                buffer: None,
                transfer: 0,
                answer: Answer::Plain,
                cancelled: false,
            };
            let sqe = Sqe {
                opcode: Opcode::Munmap as u8,
                args: [number, mapping.length, 0, mapping.offset, 0, 0],
                caller,
                ..Sqe::default()
            };
            self.push_request(state, request, sqe);
        }
        // Closing a description unregisters its events, unless another one has the same handle id.
        if !state
            .descriptions
            .values()
            .any(|other| other.number == number && !other.closing)
        {
            state.watchers.retain(|watcher| watcher.number != number);
        }
        self.finish_close(state, key);
    }

    /// Queues a request that has an answer.
    pub fn push_request(&self, state: &mut State, request: Pending, sqe: Sqe) {
        state.next_tag = state.next_tag.wrapping_add(1);
        let tag = state.next_tag;
        if let Some(description) = state.descriptions.get_mut(&request.key) {
            description.outstanding += 1;
        }
        state.pending.insert(tag, request);
        self.push(state, Sqe { tag, ..sqe });
    }

    fn finish_close(&self, state: &mut State, key: u64) {
        let done = |description: &Description| description.closing && description.outstanding == 0;
        if state.descriptions.get(&key).is_some_and(done)
            && let Some(description) = state.descriptions.remove(&key)
        {
            self.push_one_way(state, Opcode::CloseMsg, 0, description.number, 0);
        }
    }

    /// Queues one event in every queue that is registered for the handle and asked for one of `flags`.
    pub fn trigger(&self, state: &State, number: u64, flags: usize) {
        for watcher in state.watchers.iter().filter(|watcher| watcher.number == number) {
            watcher.subscription.post(flags);
        }
    }

    /// Answers the request with `tag`; false if there is none.
    pub fn respond(&self, tag: u32, outcome: Outcome) -> bool {
        let mut state = self.state();
        let Some(mut pending) = state.pending.remove(&tag) else {
            return false;
        };
        let (reply, descriptor) = match outcome {
            Outcome::Value(result, extra) => {
                let result = translate_interruption(result, pending.cancelled);
                self.reply(&mut state, &pending, result, extra)
            }
            Outcome::Descriptor(descriptor) => match pending.answer {
                Answer::Description | Answer::Orphan => (Reply::default(), Some(descriptor)),
                // The kernel's word for an answer that does not fit the request.
                _ => (Reply::error(EIO), None),
            },
        };
        if let Some(description) = state.descriptions.get_mut(&pending.key) {
            description.outstanding -= 1;
        }
        self.finish_close(&mut state, pending.key);
        drop(state);
        let Some(connection) = &pending.connection else {
            return true;
        };
        if let Some(descriptor) = descriptor {
            connection.reply_with(reply, descriptor.as_fd());
            return true;
        }
        let bytes = pending.buffer.as_mut().map(Buffer::bytes).unwrap_or_default();
        let count = match pending.transfer {
            transfer if reply.is_error() || transfer & (RESULT_BACK | BUFFER_BACK) == 0 => 0,
            transfer if transfer & BUFFER_BACK != 0 => bytes.len(),
            _ => bytes
                .len()
                .min(usize::try_from(reply.result).unwrap_or(usize::MAX)),
        };
        connection.reply(reply, bytes.get(..count).unwrap_or_default());
        true
    }

    /// The client's reply to a request with this result, and the descriptor that comes along.
    fn reply(
        &self,
        state: &mut State,
        pending: &Pending,
        result: u64,
        extra: u8,
    ) -> (Reply, Option<OwnedFd>) {
        let mut reply = Reply {
            result,
            extra,
            ..Reply::default()
        };
        if reply.is_error() {
            return (reply, None);
        }
        match pending.answer {
            Answer::Plain => {}
            Answer::Description => {
                let owner = pending.connection.as_ref().map_or(0, |connection| connection.id);
                reply.key = self.describe(state, result, owner);
            }
            Answer::Orphan => self.push_one_way(state, Opcode::CloseMsg, 0, result, 0),
            Answer::Events => {
                if let Some(number) = state.number(pending.key) {
                    self.trigger(state, number, result as usize);
                }
                reply.result = 0;
            }
            Answer::Memory(mapping) => {
                let length = mapping.length.next_multiple_of(PAGE);
                let address = usize::try_from(result)
                    .ok()
                    .filter(|address| address.is_multiple_of(PAGE as usize));
                let shared = address.and_then(|address| memory::share(address, length, mapping.writable));
                let (Some((file, offset)), Some(description)) =
                    (shared, state.descriptions.get_mut(&pending.key))
                else {
                    return (Reply::error(EFAULT), None);
                };
                if !description.closing {
                    description.mappings.push(mapping);
                }
                reply.result = offset;
                return (reply, Some(file));
            }
        }
        (reply, None)
    }

    /// A new description for the handle `number`; closed again at once if its client is gone by now.
    fn describe(&self, state: &mut State, number: u64, owner: u64) -> u64 {
        let key = state.id();
        let closing = !state.connections.contains_key(&owner);
        state.descriptions.insert(
            key,
            Description {
                number,
                owner,
                outstanding: 0,
                closing,
                mappings: Vec::new(),
            },
        );
        self.finish_close(state, key);
        key
    }

    /// Asks the daemon to give up the request of `connection`.
    pub fn cancel(&self, state: &mut State, connection: u64) {
        let of_this = |pending: &Pending| {
            let connection = pending.connection.as_ref().filter(|from| from.id == connection)?;
            (!pending.cancelled).then_some(connection.pid)
        };
        let mut requests = state.pending.iter_mut();
        let Some((tag, pending, caller)) =
            requests.find_map(|(tag, pending)| of_this(pending).map(|pid| (*tag, pending, pid)))
        else {
            return;
        };
        pending.cancelled = true;
        self.push_one_way(state, Opcode::Cancel, tag, 0, caller);
    }
}

/// The kernel's rule for answers to interrupted requests: EINTR is only for those.
fn translate_interruption(result: u64, cancelled: bool) -> u64 {
    let (interrupted, canceled) = (negated(EINTR), negated(ECANCELED));
    if cancelled && result == canceled {
        interrupted
    } else if !cancelled && result == interrupted {
        negated(EIO)
    } else {
        result
    }
}

impl State {
    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The handle id of a description.
    pub fn number(&self, key: u64) -> Option<u64> {
        if key == ROOT {
            self.root
        } else {
            self.descriptions.get(&key).map(|description| description.number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interruption_needs_a_cancel() {
        assert_eq!(translate_interruption(negated(EINTR), false), negated(EIO));
        assert_eq!(translate_interruption(negated(EINTR), true), negated(EINTR));
        assert_eq!(translate_interruption(negated(ECANCELED), true), negated(EINTR));
        assert_eq!(
            translate_interruption(negated(ECANCELED), false),
            negated(ECANCELED)
        );
        assert_eq!(translate_interruption(42, true), 42);
    }
}
