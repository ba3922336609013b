//! An open file other than the file of frames.

use syscall::EventFlags;
use syscall::flag::{O_ACCMODE, O_RDONLY};

use super::files::File;
use super::receive_mode::ReceiveModeRequest;

/// One handle of a [`File`], with the state that its owner has seen.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub file: File,
    /// For `filter`: the receive mode that this handle asks for.
    pub request: ReceiveModeRequest,
    /// Bytes of the file as of the last read at offset 0, so that a reader in small steps gets no mixture.
    content: Vec<u8>,
    /// `content` was not read yet.
    fresh: bool,
    writable: bool,
    wants_read: bool,
    /// Number of link changes up to the bytes that the owner last read.
    seen: u64,
    /// Number of link changes that the owner was notified of.
    notified: u64,
}

impl OpenFile {
    /// A handle opened with `flags`; `link_changes` is the number of link changes so far.
    pub fn new(file: File, flags: usize, link_changes: u64) -> Self {
        Self {
            file,
            request: ReceiveModeRequest::default(),
            content: Vec::new(),
            fresh: false,
            writable: file.is_writable() && flags & O_ACCMODE & !O_RDONLY != 0,
            wants_read: false,
            seen: link_changes,
            notified: link_changes,
        }
    }

    /// Returns true if the file can be written and was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Length of the file as last read.
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// Returns true if a read at `offset` needs the current bytes of the file.
    pub fn is_outdated(&self, offset: u64) -> bool {
        offset == 0 && !self.fresh
    }

    /// Sets the current bytes of the file; `link_changes` is the number of link changes so far.
    pub fn refresh(&mut self, content: Vec<u8>, link_changes: u64) {
        self.content = content;
        self.fresh = true;
        self.seen = link_changes;
    }

    /// Marks the bytes as outdated, before a change of the file.
    pub fn invalidate(&mut self) {
        self.fresh = false;
    }

    /// Copies bytes from `offset` on, as last read. Returns their number.
    pub fn read(&mut self, offset: u64, out: &mut [u8]) -> usize {
        self.fresh = false;
        read_at(&self.content, offset, out)
    }

    /// Sets the events that the owner's event queues ask for. Returns those that are due at once.
    pub fn subscribe(&mut self, flags: EventFlags, link_changes: u64) -> EventFlags {
        self.wants_read = flags.contains(EventFlags::EVENT_READ);
        self.notified = self.seen;
        if self.notify(link_changes) {
            EventFlags::EVENT_READ
        } else {
            EventFlags::empty()
        }
    }

    /// Returns true if an event has to be posted: the link changed since the owner last read the file and was last
    /// notified.
    pub fn notify(&mut self, link_changes: u64) -> bool {
        let changed = self.file == File::Link && self.wants_read && self.seen != link_changes;
        let post = changed && self.notified != link_changes;
        if post {
            self.notified = link_changes;
            // Bytes from the opening of the file are outdated now.
            self.fresh = false;
        }
        post
    }
}

/// Copies `bytes` from `offset` on; nothing if `offset` is at the end or beyond.
pub(super) fn read_at(bytes: &[u8], offset: u64, out: &mut [u8]) -> usize {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..))
        .unwrap_or_default();
    let len = rest.len().min(out.len());
    let (Some(out), Some(rest)) = (out.get_mut(..len), rest.get(..len)) else {
        return 0;
    };
    out.copy_from_slice(rest);
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_is_notified_once_of_each_change_of_the_link() {
        let mut link = OpenFile::new(File::Link, O_RDONLY, 3);
        assert!(!link.notify(4), "nobody asked");
        assert_eq!(link.subscribe(EventFlags::EVENT_READ, 4), EventFlags::EVENT_READ);
        assert!(!link.notify(4));
        assert!(link.notify(5));
        link.refresh(vec![], 5);
        assert!(!link.notify(5));
        assert_eq!(link.subscribe(EventFlags::EVENT_READ, 5), EventFlags::empty());
        assert!(link.notify(6));
        let mut stats = OpenFile::new(File::Stats, O_RDONLY, 0);
        assert_eq!(stats.subscribe(EventFlags::EVENT_READ, 1), EventFlags::empty());
        assert!(!stats.notify(2));
    }

    #[test]
    fn only_some_files_are_writable_and_only_if_opened_so() {
        use syscall::flag::{O_RDWR, O_WRONLY};
        for (file, flags, writable) in [
            (File::Filter, O_RDWR, true),
            (File::Mtu, O_WRONLY, true),
            (File::Mtu, O_RDONLY, false),
            (File::Mtu, 0, false),
            (File::Stats, O_RDWR, false),
        ] {
            assert_eq!(OpenFile::new(file, flags, 0).is_writable(), writable, "{file:?}");
        }
    }
}
