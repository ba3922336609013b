//! Subscriptions: the interest of an event queue in an object.
//!
//! A queue on Redox is a FIFO of records and every post adds one. Here each subscription has a semaphore eventfd
//! for each combination of flags: a post adds one to it, taking an event out of the queue takes one from it.

use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use syscall::error::Result;
use syscall::flag::EventFlags;

use crate::error::from_linux;
use crate::sys::{Counter, MAX_FDS};

/// READ and WRITE.
pub const ALL: usize = EventFlags::EVENT_READ.bits() | EventFlags::EVENT_WRITE.bits();

/// The interest of one queue in one object.
pub struct Subscription {
    mask: usize,
    /// One counter for each value of the flags an event can have: 1, 2 and 3.
    counters: [Option<Counter>; MAX_FDS],
}

impl Subscription {
    /// A subscription to the events in `mask`.
    pub fn new(mask: usize) -> Result<Self> {
        let mask = mask & ALL;
        let mut counters = [const { None }; MAX_FDS];
        for flags in (1..=ALL).filter(|flags| flags & mask == *flags) {
            counters[flags - 1] = Some(Counter::new(true).map_err(from_linux)?);
        }
        Ok(Self { mask, counters })
    }

    /// The same subscription on the other side of a socket.
    pub fn from_fds(mask: usize, fds: Vec<OwnedFd>) -> Option<Self> {
        let mask = mask & ALL;
        let mut fds = fds.into_iter();
        let mut counters = [const { None }; MAX_FDS];
        for flags in (1..=ALL).filter(|flags| flags & mask == *flags) {
            counters[flags - 1] = Some(Counter::from_fd(fds.next()?));
        }
        Some(Self { mask, counters })
    }

    /// The counters in the order in which [`Subscription::from_fds`] takes them.
    pub fn fds(&self) -> Vec<RawFd> {
        self.counters.iter().flatten().map(Counter::as_raw_fd).collect()
    }

    /// The flags asked for.
    pub fn mask(&self) -> usize {
        self.mask
    }

    /// The counters, each with the flags of the events that it counts.
    pub fn counters(&self) -> impl Iterator<Item = (usize, &Counter)> {
        let counters = self.counters.iter().zip(1..);
        counters.filter_map(|(counter, flags)| Some((flags, counter.as_ref()?)))
    }

    /// The counter of the events with exactly these flags.
    pub fn counter(&self, flags: usize) -> Option<&Counter> {
        self.counters.get(flags.checked_sub(1)?)?.as_ref()
    }

    /// Queues one event if it has flags that were asked for.
    pub fn post(&self, flags: usize) {
        if let Some(counter) = self.counter(flags & self.mask) {
            counter.post();
        }
    }
}

/// The subscriptions to an object of this process.
#[derive(Default)]
pub struct Subscribers(Mutex<Vec<Weak<Subscription>>>);

impl Subscribers {
    fn list(&self) -> MutexGuard<'_, Vec<Weak<Subscription>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscription; it leaves by being dropped.
    pub fn add(&self, subscription: &Arc<Subscription>) {
        let mut list = self.list();
        list.retain(|entry| entry.strong_count() > 0);
        list.push(Arc::downgrade(subscription));
    }

    /// Queues one event in every queue that asked for it.
    pub fn post(&self, flags: usize) {
        for subscription in self.list().iter().filter_map(Weak::upgrade) {
            subscription.post(flags);
        }
    }
}

/// A part of a subscription on the side of the object; dropping it ends the subscription silently.
pub trait Registration: Send + Sync {
    /// Ends the subscription. With `notify` the object learns the remaining interest (an Fevent request).
    ///
    /// # Errors
    ///
    /// Those of the object's owner.
    fn end(&self, notify: bool) -> Result<()>;
}
