//! `/scheme/event` and the `redox_event_queue_*` calls: event queues over epoll.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syscall::data::Event;
use syscall::error::{EAGAIN, EBADF, EINVAL, Error, Result};
use syscall::flag::{EventFlags, F_GETFL, F_SETFL, O_NONBLOCK, O_RDWR};

use crate::error::{fail, from_linux};
use crate::object::Object;
use crate::subscription::{ALL, Registration, Subscription};
use crate::{sys, table};

/// The origin of an epoll event.
struct Source {
    number: usize,
    user_data: usize,
    /// The subscription and the flags of the counter; `None` for a plain descriptor.
    counter: Option<(Arc<Subscription>, usize)>,
}

struct Entry {
    tokens: Vec<u64>,
    plain: Option<RawFd>,
    registration: Option<Box<dyn Registration>>,
}

#[derive(Default)]
struct State {
    next_token: u64,
    sources: HashMap<u64, Source>,
    /// By descriptor number and user data: the kernel's key of a registration has both.
    entries: HashMap<(usize, usize), Entry>,
    flags: usize,
}

/// An event queue.
pub struct EventQueue {
    epoll: OwnedFd,
    state: Mutex<State>,
}

impl EventQueue {
    /// An empty queue.
    pub fn new(flags: usize) -> Result<Self> {
        // SAFETY: takes no pointers.
        let fd = sys::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map_err(from_linux)?;
        // SAFETY: epoll_create1 just returned this descriptor, nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            epoll,
            state: Mutex::new(State {
                flags: flags & O_NONBLOCK,
                ..State::default()
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, operation: i32, fd: RawFd, interest: u32, token: u64) -> Result<()> {
        let mut event = libc::epoll_event {
            events: interest,
            u64: token,
        };
        // SAFETY: `event` is valid for the duration of the call.
        sys::check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) })
            .map(|_| ())
            .map_err(from_linux)
    }

    /// Registers, changes or (no flags) removes the interest in `number`, as a write to the queue does.
    pub fn register(&self, number: usize, flags: usize, user_data: usize) -> Result<()> {
        let flags = flags & ALL;
        let object = table::get(number);
        let previous = self.state().entries.remove(&(number, user_data));
        if let Some(previous) = previous {
            self.forget(&previous);
            if let Some(registration) = &previous.registration {
                registration.end(flags == 0)?;
            }
        }
        if flags == 0 {
            return Ok(());
        }
        match object {
            Some(object) => self.register_object(&*object, number, flags, user_data),
            None => self.register_plain(number, flags, user_data),
        }
    }

    fn forget(&self, entry: &Entry) {
        let mut state = self.state();
        for token in &entry.tokens {
            if let Some(Source {
                counter: Some((subscription, flags)),
                ..
            }) = state.sources.remove(token)
                && let Some(counter) = subscription.counter(flags)
            {
                let _ = self.control(libc::EPOLL_CTL_DEL, counter.as_raw_fd(), 0, 0);
            }
        }
        if let Some(fd) = entry.plain {
            let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
        }
    }

    fn register_object(
        &self,
        object: &dyn Object,
        number: usize,
        mask: usize,
        user_data: usize,
    ) -> Result<()> {
        let subscription = Arc::new(Subscription::new(mask)?);
        let mut entry = Entry {
            tokens: Vec::new(),
            plain: None,
            registration: None,
        };
        {
            let mut state = self.state();
            for (flags, counter) in subscription.counters() {
                let token = state.add(Source {
                    number,
                    user_data,
                    counter: Some((Arc::clone(&subscription), flags)),
                });
                entry.tokens.push(token);
                self.control(
                    libc::EPOLL_CTL_ADD,
                    counter.as_raw_fd(),
                    libc::EPOLLIN as u32,
                    token,
                )?;
            }
        }
        match object.subscribe(&subscription) {
            Ok(registration) => entry.registration = registration,
            Err(error) => {
                self.forget(&entry);
                return Err(error);
            }
        }
        self.state().entries.insert((number, user_data), entry);
        Ok(())
    }

    /// A plain descriptor is edge triggered: pipes and sockets of Redox post an event when data arrives, too.
    fn register_plain(&self, number: usize, flags: usize, user_data: usize) -> Result<()> {
        let fd = RawFd::try_from(number).map_err(|_| Error::new(EBADF))?;
        let mut interest = libc::EPOLLET as u32;
        if flags & EventFlags::EVENT_READ.bits() != 0 {
            interest |= libc::EPOLLIN as u32;
        }
        if flags & EventFlags::EVENT_WRITE.bits() != 0 {
            interest |= libc::EPOLLOUT as u32;
        }
        let mut state = self.state();
        let token = state.add(Source {
            number,
            user_data,
            counter: None,
        });
        if let Err(error) = self.control(libc::EPOLL_CTL_ADD, fd, interest, token) {
            state.sources.remove(&token);
            return Err(error);
        }
        let entry = Entry {
            tokens: vec![token],
            plain: Some(fd),
            registration: None,
        };
        state.entries.insert((number, user_data), entry);
        Ok(())
    }

    /// Takes the next events, at least one, at most as many as fit. Blocks (unless the queue is nonblocking);
    /// a signal ends that with EINTR.
    pub fn take(&self, events: &mut [Event]) -> Result<usize> {
        if events.is_empty() {
            return Ok(0);
        }
        let timeout = if self.state().flags & O_NONBLOCK != 0 {
            0
        } else {
            -1
        };
        let mut done = 0;
        loop {
            let ready = self.wait(events.len() - done, if done == 0 { timeout } else { 0 })?;
            if ready.is_empty() && (done > 0 || timeout == 0) {
                return if done > 0 { Ok(done) } else { fail(EAGAIN) };
            }
            let state = self.state();
            for libc::epoll_event {
                events: readiness,
                u64: token,
            } in ready
            {
                let (Some(source), Some(slot)) = (state.sources.get(&token), events.get_mut(done)) else {
                    continue;
                };
                if let Some(flags) = source.take(readiness) {
                    *slot = Event {
                        id: source.number,
                        flags: EventFlags::from_bits_retain(flags),
                        data: source.user_data,
                    };
                    done += 1;
                }
            }
            if done == events.len() {
                return Ok(done);
            }
        }
    }

    fn wait(&self, limit: usize, timeout_ms: i32) -> Result<Vec<libc::epoll_event>> {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let limit = limit.clamp(1, ready.len()) as i32;
        // SAFETY: `ready` has room for `limit` events and lives until the call returns.
        let result =
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), ready.as_mut_ptr(), limit, timeout_ms) };
        let count = sys::check(result).map_err(from_linux)?;
        Ok(ready[..count as usize].to_vec())
    }
}

impl State {
    fn add(&mut self, source: Source) -> u64 {
        self.next_token += 1;
        self.sources.insert(self.next_token, source);
        self.next_token
    }
}

impl Source {
    /// The flags of one event taken from this source; `None` if another thread was faster.
    fn take(&self, ready: u32) -> Option<usize> {
        let Some((subscription, flags)) = &self.counter else {
            let mut flags = 0;
            if ready & (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0 {
                flags |= EventFlags::EVENT_READ.bits();
            }
            if ready & libc::EPOLLOUT as u32 != 0 {
                flags |= EventFlags::EVENT_WRITE.bits();
            }
            return Some(flags);
        };
        subscription.counter(*flags)?.take().then_some(*flags)
    }
}

impl Object for EventQueue {
    fn path(&self) -> Result<String> {
        Ok("/scheme/event/".into())
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let records = buffer.len() / size_of::<Event>();
        if records == 0 {
            return fail(EINVAL);
        }
        let mut events = vec![Event::default(); records];
        let count = self.take(&mut events)?;
        for (event, bytes) in events[..count]
            .iter()
            .zip(buffer.chunks_exact_mut(size_of::<Event>()))
        {
            bytes.copy_from_slice(event);
        }
        Ok(count * size_of::<Event>())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        let records = bytes.chunks_exact(size_of::<Event>());
        if records.len() == 0 {
            return fail(EINVAL);
        }
        let length = records.len() * size_of::<Event>();
        for record in records {
            let mut event = Event::default();
            event.copy_from_slice(record);
            self.register(event.id, event.flags.bits(), event.data)?;
        }
        Ok(length)
    }

    fn fcntl(&self, command: usize, argument: usize) -> Result<usize> {
        match command {
            F_GETFL => Ok(O_RDWR | self.state().flags),
            F_SETFL => {
                self.state().flags = argument & O_NONBLOCK;
                Ok(0)
            }
            _ => fail(EINVAL),
        }
    }
}
