//! Bytes between private memory and cells of shared memory.

use core::slice;

use crate::memory::{AtomicUsize, CELL, Ordering};

/// Copies bytes that begin `offset` bytes into the cells to `out`; bytes behind the last cell stay as they are.
pub(crate) fn copy_out(cells: &[AtomicUsize], offset: usize, out: &mut [u8]) {
    let mut cells = cells.get(offset / CELL..).unwrap_or_default();
    let mut out = out;
    let skip = offset % CELL;
    if skip != 0
        && let Some((first, rest)) = cells.split_first()
    {
        let bytes = first.load(Ordering::Relaxed).to_ne_bytes();
        let bytes = bytes.get(skip..).unwrap_or_default();
        let (head, tail) = out.split_at_mut(bytes.len().min(out.len()));
        for (to, from) in head.iter_mut().zip(bytes) {
            *to = *from;
        }
        (cells, out) = (rest, tail);
    }
    let (whole, rest) = out.as_chunks_mut::<CELL>();
    let mut cells = cells.iter();
    for (to, cell) in whole.iter_mut().zip(&mut cells) {
        *to = cell.load(Ordering::Relaxed).to_ne_bytes();
    }
    if !rest.is_empty()
        && let Some(cell) = cells.next()
    {
        for (to, from) in rest.iter_mut().zip(cell.load(Ordering::Relaxed).to_ne_bytes()) {
            *to = from;
        }
    }
}

/// Stores bytes into cells, one piece after the other.
pub(crate) struct Writer<'m> {
    cells: slice::Iter<'m, AtomicUsize>,
    /// Bytes of a cell that is not full yet.
    partial: [u8; CELL],
    filled: usize,
}

impl<'m> Writer<'m> {
    pub fn new(cells: &'m [AtomicUsize]) -> Self {
        Self {
            cells: cells.iter(),
            partial: [0; CELL],
            filled: 0,
        }
    }

    /// Stores a piece; what does not fit is left out.
    pub fn write(&mut self, piece: &[u8]) {
        let mut piece = piece;
        if self.filled != 0 {
            let room = self.partial.get_mut(self.filled..).unwrap_or_default();
            let (head, rest) = piece.split_at(room.len().min(piece.len()));
            for (to, from) in room.iter_mut().zip(head) {
                *to = *from;
            }
            self.filled = self.filled.saturating_add(head.len());
            piece = rest;
            if self.filled < CELL {
                return;
            }
            self.store(self.partial);
            self.filled = 0;
        }
        let (whole, rest) = piece.as_chunks::<CELL>();
        for (from, cell) in whole.iter().zip(&mut self.cells) {
            cell.store(usize::from_ne_bytes(*from), Ordering::Relaxed);
        }
        self.partial = [0; CELL];
        for (to, from) in self.partial.iter_mut().zip(rest) {
            *to = *from;
        }
        self.filled = rest.len();
    }

    /// Stores what is left, with zeroes to the end of its cell.
    pub fn finish(mut self) {
        if self.filled != 0 {
            self.store(self.partial);
        }
    }

    fn store(&mut self, bytes: [u8; CELL]) {
        if let Some(cell) = self.cells.next() {
            cell.store(usize::from_ne_bytes(bytes), Ordering::Relaxed);
        }
    }
}

/// Pieces of one frame, to be cut anew.
pub(crate) struct Pieces<'a> {
    current: &'a [u8],
    rest: slice::Iter<'a, &'a [u8]>,
}

impl<'a> Pieces<'a> {
    pub fn new(pieces: &'a [&'a [u8]]) -> Self {
        Self {
            current: &[],
            rest: pieces.iter(),
        }
    }

    /// The next bytes, at most `limit` of them; none at the end.
    pub fn next(&mut self, limit: usize) -> Option<&'a [u8]> {
        while self.current.is_empty() {
            self.current = self.rest.next()?;
        }
        let (piece, rest) = self.current.split_at(limit.min(self.current.len()));
        self.current = rest;
        Some(piece)
    }
}
