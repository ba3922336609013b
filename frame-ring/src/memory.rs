//! An area of shared memory, seen as atomics.
//!
//! The other end is another process, which may write at any time whatever it likes. So there is never a `&[u8]` or
//! `&mut [u8]` to shared memory, only `&[AtomicU32]` and `&[AtomicUsize]`: a value that changes between two loads is
//! then data like any other. Nothing here uses a read-modify-write operation, and every load is relaxed, followed by a
//! fence where an acquire is needed: that is what Rust guarantees to work on memory that is mapped for reading only
//! (`core::sync::atomic`, "Atomic accesses to read-only memory").

use core::error::Error;
use core::fmt;
use core::marker::PhantomData;
#[cfg(not(loom))]
use core::ptr::NonNull;

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use crate::layout::ENTRY_WORDS;

/// Bytes of a word.
const WORD: usize = size_of::<u32>();
/// Bytes that are copied with one load or store.
pub(crate) const CELL: usize = size_of::<usize>();

/// Reason why memory cannot be an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaError {
    /// Its address or its length is no multiple of 8.
    Misaligned,
    /// It is shorter than the layout says.
    TooShort,
}

impl fmt::Display for AreaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Misaligned => "address or length of the area is no multiple of 8",
            Self::TooShort => "the area is shorter than the layout says",
        })
    }
}

impl Error for AreaError {}

/// Access of an end that only reads an area.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly;

/// Access of an end that reads and writes an area.
#[derive(Clone, Copy, Debug)]
pub struct ReadWrite;

/// An area of memory that the other end has mapped, too.
///
/// Words, of control areas, and cells, of buffers, are two views of the same bytes; an area is used through one.
#[derive(Clone, Copy, Debug)]
pub struct Area<'m, A> {
    words: &'m [AtomicU32],
    cells: &'m [AtomicUsize],
    access: PhantomData<A>,
}

#[cfg(not(loom))]
impl<'m, A> Area<'m, A> {
    /// Takes `len` bytes of shared memory from `base` on.
    ///
    /// # Errors
    ///
    /// When `base` or `len` is no multiple of 8.
    ///
    /// # Safety
    ///
    /// For all of `'m`, these bytes are mapped, for reading, and with [`ReadWrite`] for writing, too; and nothing in
    /// this process accesses them but values of this type (more than one may), or atomics of the same sizes. Other
    /// processes and devices may access them in any way and at any time.
    pub unsafe fn new(base: NonNull<u8>, len: usize) -> Result<Self, AreaError> {
        if !base.addr().get().is_multiple_of(8) || !len.is_multiple_of(8) {
            return Err(AreaError::Misaligned);
        }
        let (words, cells) = (base.cast().as_ptr(), base.cast().as_ptr());
        // SAFETY: the caller promises that the bytes are mapped for 'm; they are aligned, any bytes are a valid atomic,
        // and inside this process all accesses are atomic. An access of another process is one of a thread outside this
        // program, which atomics allow at any time; on memory mapped for reading only, loads are relaxed and no larger
        // than a pointer, which Rust guarantees to work. `ReadOnly` has no method that stores.
        let (words, cells) = unsafe {
            (
                core::slice::from_raw_parts(words, len / WORD),
                core::slice::from_raw_parts(cells, len / CELL),
            )
        };
        let access = PhantomData;
        Ok(Self { words, cells, access })
    }
}

impl<'m, A> Area<'m, A> {
    /// A control area inside of one process, for tests.
    pub fn of_words(words: &'m [AtomicU32]) -> Self {
        let (cells, access) = (&[][..], PhantomData);
        Self { words, cells, access }
    }

    /// An area of buffers inside of one process, for tests.
    pub fn of_cells(cells: &'m [AtomicUsize]) -> Self {
        let (words, access) = (&[][..], PhantomData);
        Self { words, cells, access }
    }

    /// The word at byte `offset`.
    pub(crate) fn word(&self, offset: usize) -> Result<Word<'m, A>, AreaError> {
        let word = self.words.get(offset / WORD).ok_or(AreaError::TooShort)?;
        Ok(Word(word, self.access))
    }

    /// `count` entries from byte `offset` on.
    pub(crate) fn entries(&self, offset: usize, count: usize) -> Result<Entries<'m, A>, AreaError> {
        let words = self.words.get(offset / WORD..).ok_or(AreaError::TooShort)?;
        let (entries, _) = words
            .as_chunks()
            .0
            .split_at_checked(count)
            .ok_or(AreaError::TooShort)?;
        Ok(Entries(entries, self.access))
    }

    /// `count` buffers of `len` bytes each.
    pub(crate) fn buffers(&self, count: usize, len: usize) -> Result<Buffers<'m, A>, AreaError> {
        let per_buffer = len / CELL;
        let needed = per_buffer.checked_mul(count).ok_or(AreaError::TooShort)?;
        let cells = self.cells.get(..needed).ok_or(AreaError::TooShort)?;
        Ok(Buffers {
            cells,
            per_buffer,
            access: self.access,
        })
    }
}

impl<'m> Area<'m, ReadWrite> {
    /// The same area, for reading only.
    pub fn read_only(self) -> Area<'m, ReadOnly> {
        Area {
            words: self.words,
            cells: self.cells,
            access: PhantomData,
        }
    }

    /// Zeroes the area.
    pub fn clear(&self) {
        for cell in self.cells {
            cell.store(0, Ordering::Relaxed);
        }
        if self.cells.is_empty() {
            for word in self.words {
                word.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// A word of a control area.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'m, A>(&'m AtomicU32, PhantomData<A>);

impl<A> Word<'_, A> {
    pub fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Loads the word; what the other end did before it stored that value is seen by what follows.
    pub fn load_acquire(&self) -> u32 {
        let value = self.load();
        fence(Ordering::Acquire);
        value
    }
}

impl Word<'_, ReadWrite> {
    pub fn store(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Stores the word; whoever sees that value sees what was done before.
    pub fn store_release(&self, value: u32) {
        self.0.store(value, Ordering::Release);
    }
}

/// The entries of a ring; their number is a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'m, A>(&'m [[AtomicU32; ENTRY_WORDS]], PhantomData<A>);

impl<A> Entries<'_, A> {
    /// Loads `N` words of the entry with that index, from word `first` on; zeroes if there is no such word.
    pub fn load<const N: usize>(&self, index: usize, first: usize) -> [u32; N] {
        let words = self.0.get(index).and_then(|entry| entry.get(first..));
        let mut loaded = [0; N];
        for (to, from) in loaded.iter_mut().zip(words.unwrap_or_default()) {
            *to = from.load(Ordering::Relaxed);
        }
        loaded
    }
}

impl Entries<'_, ReadWrite> {
    /// Stores words of the entry with that index, from word `first` on.
    pub fn store<const N: usize>(&self, index: usize, first: usize, values: [u32; N]) {
        let words = self.0.get(index).and_then(|entry| entry.get(first..));
        for (to, from) in words.unwrap_or_default().iter().zip(values) {
            to.store(from, Ordering::Relaxed);
        }
    }
}

/// The buffers of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers<'m, A> {
    cells: &'m [AtomicUsize],
    per_buffer: usize,
    access: PhantomData<A>,
}

impl<'m, A> Buffers<'m, A> {
    fn cells(&self, buffer: usize) -> Option<&'m [AtomicUsize]> {
        let start = buffer.checked_mul(self.per_buffer)?;
        self.cells.get(start..start.checked_add(self.per_buffer)?)
    }

    /// The cells of a buffer, to load from; none if there is no such buffer.
    pub fn source(&self, buffer: usize) -> &'m [AtomicUsize] {
        self.cells(buffer).unwrap_or_default()
    }
}

impl<'m> Buffers<'m, ReadWrite> {
    /// The cells of a buffer, to store to; none if there is no such buffer.
    pub fn target(&self, buffer: usize) -> &'m [AtomicUsize] {
        self.cells(buffer).unwrap_or_default()
    }
}
