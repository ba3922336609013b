//! The two ends of one ring: indices, wake-ups, entries. Both directions use them.
//!
//! Indices run freely and wrap; an end has private copies of its own and never reads them back. What it reads of the
//! other end's is checked: it moves forward, and not past what there is.

use crate::entry::{Details, Entry};
use crate::error::ProtocolError;
use crate::layout::{ENTRIES, HEAD, ROOM, TAIL, WAKE};
use crate::memory::{Area, AreaError, Entries, Ordering, ReadOnly, ReadWrite, Word, fence};

/// Returns true if an index that moves from `old` to `new` moves past `event`.
fn passes(event: u32, old: u32, new: u32) -> bool {
    // virtio 1.2, 2.7.10, `vring_need_event`.
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// The end that fills entries.
#[derive(Debug)]
pub(crate) struct Producer<'m> {
    tail: Word<'m, ReadWrite>,
    room: Word<'m, ReadWrite>,
    head: Word<'m, ReadOnly>,
    wake: Word<'m, ReadOnly>,
    entries: Entries<'m, ReadWrite>,
    size: u32,
    /// Index of the next entry to be filled.
    next: u32,
    /// The tail, as the other end sees it.
    published: u32,
    /// The other end's head, as last seen.
    seen: u32,
    fault: Option<ProtocolError>,
}

impl<'m> Producer<'m> {
    /// Takes the control area of this end and that of the other one.
    pub fn new(own: &Area<'m, ReadWrite>, other: &Area<'m, ReadOnly>, size: u32) -> Result<Self, AreaError> {
        let producer = Self {
            tail: own.word(TAIL)?,
            room: own.word(ROOM)?,
            head: other.word(HEAD)?,
            wake: other.word(WAKE)?,
            entries: own.entries(ENTRIES, size as usize)?,
            size,
            next: 0,
            published: 0,
            seen: 0,
            fault: None,
        };
        // One before the first head: nobody waits for room.
        producer.room.store(u32::MAX);
        Ok(producer)
    }

    /// Index of the next entry's place in the ring, which is that of its buffer, too.
    pub fn slot(&self) -> usize {
        slot(self.next, self.size)
    }

    /// Number of entries that can be filled; looks at the other end's head only if `wanted` are not known to be free.
    pub fn free(&mut self, wanted: u32) -> Result<u32, ProtocolError> {
        let free = self.size.wrapping_sub(self.next.wrapping_sub(self.seen));
        if free >= wanted {
            return self.fault.map_or(Ok(free), Err);
        }
        self.look()
    }

    /// Looks at the other end's head.
    fn look(&mut self) -> Result<u32, ProtocolError> {
        let head = self.head.load_acquire();
        if head.wrapping_sub(self.seen) > self.published.wrapping_sub(self.seen) {
            self.fault.get_or_insert(ProtocolError::Head(head));
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.seen = head;
        Ok(self.size.wrapping_sub(self.next.wrapping_sub(self.seen)))
    }

    /// Fills the next entry, which the caller has found to be free.
    pub fn put(&mut self, entry: Entry, details: &Details) {
        let slot = self.slot();
        self.entries.store(slot, 0, entry.words());
        if entry.has(Details::FLAGS) {
            self.entries.store(slot, 2, details.words());
        }
        self.next = self.next.wrapping_add(1);
    }

    /// Publishes what was filled; returns true if the other end is to be woken.
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.next);
        if old == new {
            return false;
        }
        self.tail.store_release(new);
        self.published = new;
        fence(Ordering::SeqCst);
        passes(self.wake.load(), old, new)
    }

    /// Asks to be woken when so many entries are free; returns true if they are, so that nobody should sleep.
    pub fn arm(&mut self, wanted: u32) -> Result<bool, ProtocolError> {
        let wanted = wanted.min(self.size);
        // Free entries are size - (next - head): enough when the head has moved past this.
        let event = self
            .next
            .wrapping_add(wanted)
            .wrapping_sub(self.size)
            .wrapping_sub(1);
        self.room.store(event);
        fence(Ordering::SeqCst);
        Ok(self.look()? >= wanted)
    }

    /// Number of entries that the other end has not given back, as far as is known.
    pub fn used(&self) -> u32 {
        self.next.wrapping_sub(self.seen)
    }
}

/// The end that empties entries.
#[derive(Debug)]
pub(crate) struct Consumer<'m> {
    head: Word<'m, ReadWrite>,
    wake: Word<'m, ReadWrite>,
    tail: Word<'m, ReadOnly>,
    room: Word<'m, ReadOnly>,
    entries: Entries<'m, ReadOnly>,
    size: u32,
    /// Index of the next entry to be read.
    next: u32,
    /// Index of the first entry that is not given back; at most `next`.
    done: u32,
    /// The head, as the other end sees it; at most `done`.
    published: u32,
    /// The other end's tail, as last seen.
    seen: u32,
    fault: Option<ProtocolError>,
}

impl<'m> Consumer<'m> {
    /// Takes the control area of this end and that of the other one.
    pub fn new(own: &Area<'m, ReadWrite>, other: &Area<'m, ReadOnly>, size: u32) -> Result<Self, AreaError> {
        Ok(Self {
            head: own.word(HEAD)?,
            wake: own.word(WAKE)?,
            tail: other.word(TAIL)?,
            room: other.word(ROOM)?,
            entries: other.entries(ENTRIES, size as usize)?,
            size,
            next: 0,
            done: 0,
            published: 0,
            seen: 0,
            fault: None,
        })
    }

    /// Number of entries that can be read; looks at the other end's tail only if none are known.
    pub fn available(&mut self) -> Result<u32, ProtocolError> {
        match self.seen.wrapping_sub(self.next) {
            0 => self.look(),
            available => self.fault.map_or(Ok(available), Err),
        }
    }

    /// Returns true if all entries that are known were read.
    pub fn has_read_all(&self) -> bool {
        self.seen == self.next
    }

    /// Looks at the other end's tail.
    fn look(&mut self) -> Result<u32, ProtocolError> {
        let tail = self.tail.load_acquire();
        let available = tail.wrapping_sub(self.next);
        let held = self.next.wrapping_sub(self.published);
        if available > self.size.wrapping_sub(held) || available < self.seen.wrapping_sub(self.next) {
            self.fault.get_or_insert(ProtocolError::Tail(tail));
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.seen = tail;
        Ok(available)
    }

    /// Reads an entry that is available, `ahead` behind the next one. Each is to be read once.
    pub fn entry(&self, ahead: u32) -> Entry {
        let slot = slot(self.next.wrapping_add(ahead), self.size);
        Entry::from_words(self.entries.load(slot, 0))
    }

    /// Reads the details of the next entry.
    pub fn details(&self) -> Details {
        Details::from_words(self.entries.load(slot(self.next, self.size), 2))
    }

    /// Goes past so many entries that were read.
    pub fn advance(&mut self, count: u32) {
        self.next = self.next.wrapping_add(count);
    }

    /// Gives back so many entries that were read, the oldest ones.
    pub fn give_back(&mut self, count: u32) {
        self.done = self.done.wrapping_add(count.min(self.held()));
    }

    /// Number of entries that were read and not given back.
    pub fn held(&self) -> u32 {
        self.next.wrapping_sub(self.done)
    }

    /// Place in the ring of the next entry to be read.
    pub fn next_slot(&self) -> usize {
        slot(self.next, self.size)
    }

    /// Place in the ring of the first entry that was not given back.
    pub fn done_slot(&self) -> usize {
        slot(self.done, self.size)
    }

    /// Number of entries that were given back and not published.
    pub fn unpublished(&self) -> u32 {
        self.done.wrapping_sub(self.published)
    }

    /// Publishes what was given back; returns false if that is nothing.
    pub fn publish(&mut self) -> bool {
        let is_new = self.published != self.done;
        if is_new {
            self.head.store_release(self.done);
            self.published = self.done;
        }
        is_new
    }

    /// Publishes what was given back; returns true if the other end waits for it and is to be woken.
    pub fn publish_and_look(&mut self) -> bool {
        let (old, new) = (self.published, self.done);
        if !self.publish() {
            return false;
        }
        fence(Ordering::SeqCst);
        passes(self.room.load(), old, new)
    }

    /// Returns true if the other end waits for entries that were not given back.
    pub fn room_is_wanted(&self) -> bool {
        self.room.load().wrapping_sub(self.published) < self.size
    }

    /// Asks to be woken by the next entry; returns true if there is one, so that nobody should sleep.
    pub fn arm(&mut self) -> Result<bool, ProtocolError> {
        self.wake.store(self.next);
        fence(Ordering::SeqCst);
        Ok(self.look()? != 0)
    }

    /// Notes a breach of the protocol.
    pub fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        *self.fault.get_or_insert(error)
    }
}

/// Place of an index in a ring whose size is a power of two.
fn slot(index: u32, size: u32) -> usize {
    (index & size.wrapping_sub(1)) as usize
}
