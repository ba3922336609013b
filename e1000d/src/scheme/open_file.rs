//! An open file other than that for frames.

use syscall::EventFlags;
use syscall::flag::{O_ACCMODE, O_RDONLY};

use crate::scheme::files::File;
use crate::scheme::receive_mode::Demand;

/// One handle of a [`File`]: what it holds, and what its owner knows and wants.
#[derive(Debug)]
pub struct OpenFile {
    /// Which file.
    pub file: File,
    /// Its bytes as of the last time that it was read from the beginning, so that a reader in small steps does not get
    /// a mixture.
    pub content: Vec<u8>,
    /// `content` was not read yet.
    pub fresh: bool,
    /// For `filter`: what this handle asks for.
    pub demand: Demand,
    writable: bool,
    wants_read: bool,
    /// Changes of the link that the owner has read of, and that it was told of.
    read: u64,
    told: u64,
}

impl OpenFile {
    /// A handle opened with `flags`, after so many changes of the link.
    pub fn new(file: File, flags: usize, link_changes: u64) -> Self {
        Self {
            file,
            content: Vec::new(),
            fresh: false,
            demand: Demand::default(),
            writable: file.is_writable() && flags & O_ACCMODE & !O_RDONLY != 0,
            wants_read: false,
            read: link_changes,
            told: link_changes,
        }
    }

    /// Whether it takes what is written to it.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The bytes are now `content`, after so many changes of the link.
    pub fn refresh(&mut self, content: Vec<u8>, link_changes: u64) {
        self.content = content;
        self.fresh = true;
        self.read = link_changes;
    }

    /// The owner's event queues now want `flags`. Returns those that are true at once.
    pub fn subscribe(&mut self, flags: EventFlags, link_changes: u64) -> EventFlags {
        self.wants_read = flags.contains(EventFlags::EVENT_READ);
        self.told = self.read;
        if self.tell(link_changes) {
            EventFlags::EVENT_READ
        } else {
            EventFlags::empty()
        }
    }

    /// Whether to post an event: the link changed since the owner last read of it or was last told.
    pub fn tell(&mut self, link_changes: u64) -> bool {
        let news = self.file == File::Link && self.wants_read && self.read != link_changes;
        let post = news && self.told != link_changes;
        if post {
            self.told = link_changes;
            // What was read at the opening is old news now.
            self.fresh = false;
        }
        post
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_the_link_is_told_once() {
        let mut link = OpenFile::new(File::Link, O_RDONLY, 3);
        assert!(!link.tell(4), "nobody asked");
        assert_eq!(link.subscribe(EventFlags::EVENT_READ, 4), EventFlags::EVENT_READ);
        assert!(!link.tell(4));
        assert!(link.tell(5));
        link.refresh(vec![], 5);
        assert!(!link.tell(5));
        assert_eq!(link.subscribe(EventFlags::EVENT_READ, 5), EventFlags::empty());
        assert!(link.tell(6));
        let mut stats = OpenFile::new(File::Stats, O_RDONLY, 0);
        assert_eq!(stats.subscribe(EventFlags::EVENT_READ, 1), EventFlags::empty());
        assert!(!stats.tell(2));
    }

    #[test]
    fn only_some_files_take_anything_and_only_if_opened_so() {
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
