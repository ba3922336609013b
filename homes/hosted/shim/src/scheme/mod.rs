//! The daemon's side of a scheme: what the kernel does between clients and the scheme socket.
//!
//! A thread per connection ([`connection`]) turns messages into SQEs, the daemon takes them from the scheme socket
//! ([`socket`]) and answers with CQEs. The state in between is here: requests by tag, descriptions, subscriptions.

mod buffer;
mod connection;
pub mod socket;

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syscall::data::Stat;
use syscall::error::{EBUSY, ECANCELED, EINTR, EIO, ENODEV, ENOSYS, Error, Result};
use syscall::flag::{EventFlags, MODE_DIR};
use syscall::schemev2::{Opcode, Sqe, SqeFlags};

use crate::event::{Subscribers, Subscription};
use crate::object::{Object, fail, from_linux};
use crate::sys::{self, Counter};
use crate::wire::{BUFFER_BACK, RESULT_BACK, Reply, send_reply};
use buffer::Buffer;

/// The description that stands for the root of the scheme.
const ROOT: u64 = 0;

/// One connection of a client.
struct Connection {
    id: u64,
    pid: u64,
    stream: UnixStream,
}

impl Connection {
    fn reply(&self, reply: Reply, payload: &[u8]) {
        send_reply(&self.stream, reply.encode(payload));
    }

    fn refuse(&self, errno: i32) {
        self.reply(
            Reply {
                result: negated(errno),
                ..Reply::default()
            },
            &[],
        );
    }
}

fn negated(errno: i32) -> u64 {
    (errno as u64).wrapping_neg()
}

/// How the answer to a request goes back.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Answer {
    Plain,
    /// The result is the handle id of a new description, which belongs to the connection.
    Description,
    /// The result is a handle id nobody asked a description for: close it.
    Orphan,
    /// The result is a set of events that are ready.
    Events,
}

struct Pending {
    connection: Arc<Connection>,
    key: u64,
    buffer: Option<Buffer>,
    transfer: u8,
    answer: Answer,
    cancelled: bool,
}

struct Description {
    number: u64,
    owner: u64,
    outstanding: usize,
    closing: bool,
}

struct Watcher {
    connection: u64,
    number: u64,
    subscription: Subscription,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Sqe>,
    root: Option<u64>,
    next_tag: u32,
    next_id: u64,
    pending: HashMap<u32, Pending>,
    descriptions: HashMap<u64, Description>,
    watchers: Vec<Watcher>,
    connections: HashMap<u64, Arc<Connection>>,
    listener: Option<UnixListener>,
    closed: bool,
}

/// A scheme, from the creation of its socket to the close of it.
pub struct Scheme {
    state: Mutex<State>,
    /// Not zero while there may be something in the queue; blocking reads wait for it.
    ready: Counter,
    subscribers: Subscribers,
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an SQE: one event on the socket each.
    fn push(&self, state: &mut State, sqe: Sqe) {
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
    fn close(&self) {
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
    fn close_description(&self, state: &mut State, key: u64) {
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
    fn trigger(&self, state: &State, number: u64, flags: usize) {
        for watcher in state.watchers.iter().filter(|watcher| watcher.number == number) {
            watcher.subscription.post(flags);
        }
    }

    /// Answers the request with `tag`; false if there is none.
    fn respond(&self, tag: u32, result: u64, extra: u8) -> bool {
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
    fn cancel(&self, state: &mut State, connection: u64) {
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
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The handle id of a description.
    fn number(&self, key: u64) -> Option<u64> {
        if key == ROOT {
            self.root
        } else {
            self.descriptions.get(&key).map(|description| description.number)
        }
    }
}

/// The root of a scheme before it is registered.
pub struct RootFd {
    scheme: Arc<Scheme>,
    number: u64,
}

impl RootFd {
    /// Opens the scheme for clients at `listener`.
    pub fn listen(&self, listener: UnixListener) -> Result<()> {
        let mut state = self.scheme.state();
        if state.closed {
            return fail(ENODEV);
        }
        if state.listener.is_some() {
            return fail(EBUSY);
        }
        state.root = Some(self.number);
        state.listener = Some(listener.try_clone().map_err(from_linux)?);
        let scheme = Arc::clone(&self.scheme);
        sys::spawn("shim-accept", move || connection::accept(&scheme, &listener)).map_err(from_linux)
    }
}

impl Object for RootFd {
    fn open_at(&self, _path: &str, _flags: usize, _fcntl_flags: usize) -> Result<Arc<dyn Object>> {
        Err(Error::new(ENOSYS))
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat {
            st_mode: MODE_DIR,
            st_nlink: 1,
            ..Stat::default()
        })
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
