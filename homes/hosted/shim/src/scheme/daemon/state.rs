//! The state of a scheme at its daemon: requests by tag, descriptions, registrations for events.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syscall::error::{ECANCELED, EINTR, EIO, Result};
use syscall::flag::EventFlags;
use syscall::schemev2::{Opcode, Sqe, SqeFlags};

use super::buffer::Buffer;
use crate::error::from_linux;
use crate::scheme::wire::{BUFFER_BACK, RESULT_BACK, Reply, send_reply};
use crate::subscription::{Subscribers, Subscription};
use crate::sys::{self, Counter};

/// The description that stands for the root of the scheme.
pub const ROOT: u64 = 0;

/// One connection of a client.
pub struct Connection {
    pub id: u64,
    pub pid: u64,
    pub stream: UnixStream,
}

impl Connection {
    pub fn reply(&self, reply: Reply, payload: &[u8]) {
        send_reply(&self.stream, reply.encode(payload));
    }

    pub fn refuse(&self, errno: i32) {
        self.reply(
            Reply {
                result: negated(errno),
                ..Reply::default()
            },
            &[],
        );
    }
}

pub fn negated(errno: i32) -> u64 {
    (errno as u64).wrapping_neg()
}

/// Meaning of the answer to a request.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Answer {
    Plain,
    /// The result is the handle id of a new description, which belongs to the connection.
    Description,
    /// The result is a handle id nobody asked a description for: close it.
    Orphan,
    /// The result is a set of events that are ready.
    Events,
}

pub struct Pending {
    pub connection: Arc<Connection>,
    pub key: u64,
    pub buffer: Option<Buffer>,
    pub transfer: u8,
    pub answer: Answer,
    pub cancelled: bool,
}

pub struct Description {
    pub number: u64,
    pub owner: u64,
    pub outstanding: usize,
    pub closing: bool,
}

pub struct Watcher {
    pub connection: u64,
    pub number: u64,
    pub subscription: Subscription,
}

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

    /// Marks the description as closed by its client; CloseMsg follows once no request is outstanding.
    pub fn close_description(&self, state: &mut State, key: u64) {
        if let Some(description) = state.descriptions.get_mut(&key) {
            description.closing = true;
            let number = description.number;
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
    pub fn respond(&self, tag: u32, result: u64, extra: u8) -> bool {
        let mut state = self.state();
        let Some(mut pending) = state.pending.remove(&tag) else {
            return false;
        };
        let result = translate_interruption(result, pending.cancelled);
        let is_error = (1..4096).contains(&result.wrapping_neg());
        let mut reply = Reply {
            result,
            extra,
            key: 0,
            length: 0,
        };
        if !is_error {
            match pending.answer {
                Answer::Plain => {}
                Answer::Description => reply.key = self.describe(&mut state, result, pending.connection.id),
                Answer::Orphan => self.push_one_way(&mut state, Opcode::CloseMsg, 0, result, 0),
                Answer::Events => {
                    if let Some(number) = state.number(pending.key) {
                        self.trigger(&state, number, result as usize);
                    }
                    reply.result = 0;
                }
            }
        }
        if let Some(description) = state.descriptions.get_mut(&pending.key) {
            description.outstanding -= 1;
        }
        self.finish_close(&mut state, pending.key);
        drop(state);
        let bytes = pending.buffer.as_mut().map(Buffer::bytes).unwrap_or_default();
        let count = match pending.transfer {
            transfer if is_error || transfer & (RESULT_BACK | BUFFER_BACK) == 0 => 0,
            transfer if transfer & BUFFER_BACK != 0 => bytes.len(),
            _ => bytes.len().min(usize::try_from(result).unwrap_or(usize::MAX)),
        };
        pending.connection.reply(reply, &bytes[..count]);
        true
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
            },
        );
        self.finish_close(state, key);
        key
    }

    /// Tells the daemon that nobody wants the answer to the request of `connection` any more.
    pub fn cancel(&self, state: &mut State, connection: u64) {
        let waiting = |pending: &Pending| pending.connection.id == connection && !pending.cancelled;
        let Some((tag, pending)) = state.pending.iter_mut().find(|(_, pending)| waiting(pending)) else {
            return;
        };
        pending.cancelled = true;
        let (tag, caller) = (*tag, pending.connection.pid);
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
