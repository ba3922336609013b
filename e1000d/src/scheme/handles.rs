//! The open handles, and the receive mode that all of them together ask for.

use std::collections::{BTreeMap, BTreeSet};

use syscall::error::{EBADF, Error, Result};

use super::open_file::OpenFile;
use super::receive_mode::ReceiveModeRequest;
use super::subscriber::Subscriber;

/// Target of a handle.
pub(super) enum Handle {
    /// The root: the namespace's own handle, or a listing.
    Root,
    /// The file of frames.
    Frames(Subscriber),
    /// Another file.
    File(OpenFile),
}

struct Entry {
    /// The process that opened it.
    owner: usize,
    handle: Handle,
}

/// All open handles, by id.
#[derive(Default)]
pub(super) struct Handles {
    entries: BTreeMap<usize, Entry>,
    last_id: usize,
}

impl Handles {
    /// Adds a handle, and returns its id.
    pub(super) fn insert(&mut self, owner: usize, handle: Handle) -> usize {
        // With 64 bits they do not wrap around in the lifetime of a process.
        self.last_id = self.last_id.wrapping_add(1);
        self.entries.insert(self.last_id, Entry { owner, handle });
        self.last_id
    }

    /// Removes a handle.
    pub(super) fn remove(&mut self, id: usize) -> Option<Handle> {
        self.entries.remove(&id).map(|entry| entry.handle)
    }

    /// Number of open handles.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The handle of that id.
    ///
    /// # Errors
    ///
    /// `EBADF` if there is none.
    pub(super) fn get(&self, id: usize) -> Result<&Handle> {
        let entry = self.entries.get(&id).ok_or(Error::new(EBADF))?;
        Ok(&entry.handle)
    }

    /// The handle of that id, to be changed.
    ///
    /// # Errors
    ///
    /// `EBADF` if there is none.
    pub(super) fn get_mut(&mut self, id: usize) -> Result<&mut Handle> {
        let entry = self.entries.get_mut(&id).ok_or(Error::new(EBADF))?;
        Ok(&mut entry.handle)
    }

    /// The open file of that id.
    ///
    /// # Errors
    ///
    /// `EBADF` if there is none.
    pub(super) fn file_mut(&mut self, id: usize) -> Result<&mut OpenFile> {
        match self.get_mut(id)? {
            Handle::File(open) => Ok(open),
            Handle::Root | Handle::Frames(_) => Err(Error::new(EBADF)),
        }
    }

    /// Returns true if `id` is a handle for frames.
    pub(super) fn is_for_frames(&self, id: usize) -> bool {
        matches!(self.get(id), Ok(Handle::Frames(_)))
    }

    /// The readers of frames.
    pub(super) fn subscribers(&self) -> impl Iterator<Item = &Subscriber> {
        self.entries.values().filter_map(|entry| match &entry.handle {
            Handle::Frames(subscriber) => Some(subscriber),
            Handle::Root | Handle::File(_) => None,
        })
    }

    /// Ids and readers of frames, to be changed.
    pub(super) fn subscribers_mut(&mut self) -> impl Iterator<Item = (usize, &mut Subscriber)> {
        self.entries
            .iter_mut()
            .filter_map(|(id, entry)| match &mut entry.handle {
                Handle::Frames(subscriber) => Some((*id, subscriber)),
                Handle::Root | Handle::File(_) => None,
            })
    }

    /// Ids and open files, to be changed.
    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = (usize, &mut OpenFile)> {
        self.entries
            .iter_mut()
            .filter_map(|(id, entry)| match &mut entry.handle {
                Handle::File(open) => Some((*id, open)),
                Handle::Root | Handle::Frames(_) => None,
            })
    }

    /// The receive mode that all handles together ask for.
    pub(super) fn receive_mode(&self) -> ReceiveModeRequest {
        let mut total = ReceiveModeRequest::default();
        for entry in self.entries.values() {
            if let Handle::File(open) = &entry.handle {
                total.merge(&open.request);
            }
        }
        total
    }

    /// Returns true if there is a handle for frames, and every process that has one asks for VLANs.
    pub(super) fn all_readers_ask_for_vlans(&self) -> bool {
        let readers = self.owners(|handle| matches!(handle, Handle::Frames(_)));
        let asked =
            self.owners(|handle| matches!(handle, Handle::File(open) if !open.request.vlans.is_empty()));
        !readers.is_empty() && readers.is_subset(&asked)
    }

    /// Gives each reader of frames a read budget, unless its process wrote `budget off`.
    pub(super) fn apply_budgets(&mut self) {
        let unlimited = self.owners(|handle| matches!(handle, Handle::File(open) if open.request.no_budget));
        for entry in self.entries.values_mut() {
            if let Handle::Frames(subscriber) = &mut entry.handle {
                subscriber.set_unlimited(unlimited.contains(&entry.owner));
            }
        }
    }

    /// Processes that have a handle for which `is_meant` returns true.
    fn owners(&self, is_meant: impl Fn(&Handle) -> bool) -> BTreeSet<usize> {
        let meant = self.entries.values().filter(|entry| is_meant(&entry.handle));
        meant.map(|entry| entry.owner).collect()
    }
}
