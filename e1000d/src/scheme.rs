//! What the scheme `network.*` does: its files and what each operation means.
//!
//! | file | what it is |
//! |---|---|
//! | `` (empty) | frames: one read or write is one Ethernet frame, without FCS |
//! | `mac` | the 6 bytes of the MAC address |
//! | `info`, `link`, `stats` | text ([`crate::files`]) |
//!
//! Errors are the answer to whatever a client does wrong; nothing a client does changes more than its own handle.
//! Blocking is the business of [`crate::server`]: an operation that has to wait answers `EWOULDBLOCK` here, which
//! is not the `EAGAIN` (11) that clients see.

use std::collections::BTreeMap;

use e1000_hw::nic::{Interrupt, Nic};
use e1000_hw::platform::{DmaRegion, Registers};
use e1000_hw::regs::Causes;
use e1000_hw::tx::TransmitError;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EACCES, EAGAIN, EBADF, EINVAL, EISDIR, EMSGSIZE, ENOENT, ENOTDIR, EWOULDBLOCK};
use syscall::flag::{EventFlags, MODE_DIR, MODE_FILE, O_DIRECTORY, O_NONBLOCK};
use syscall::schemev2::NewFdFlags;
use syscall::{Error, Result, Stat};

use crate::files::{Description, File};
use crate::subscriber::{Occasion, Subscriber};

enum Handle {
    /// The root that the namespace holds, and listings of it.
    Root,
    /// Frames.
    Data(Subscriber),
    /// Another file, with what it held when it was opened.
    File(File, Vec<u8>),
}

/// The scheme of one NIC.
pub struct NetworkScheme<R: Registers, D: DmaRegion> {
    name: String,
    nic: Nic<R, D>,
    description: Description,
    handles: BTreeMap<usize, Handle>,
    next_id: usize,
}

impl<R: Registers, D: DmaRegion> NetworkScheme<R, D> {
    /// The scheme `name` (`network.…`) of `nic`.
    pub fn new(name: String, nic: Nic<R, D>, description: Description) -> Self {
        Self {
            name,
            nic,
            description,
            handles: BTreeMap::new(),
            next_id: 1,
        }
    }

    /// The scheme's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The NIC.
    pub fn nic(&mut self) -> &mut Nic<R, D> {
        &mut self.nic
    }

    /// Gives the NIC back.
    pub fn into_nic(self) -> Nic<R, D> {
        self.nic
    }

    /// Whether a read of frames would find one.
    pub fn frames_pending(&mut self) -> bool {
        self.nic.next_frame_len().is_some()
    }

    /// Reads and acknowledges the NIC's interrupt causes. Returns whether they say that the device is gone.
    pub fn interrupt(&mut self, vector: u16) -> bool {
        match self.nic.interrupt(vector) {
            Interrupt::NotOurs => false,
            Interrupt::DeviceGone => true,
            Interrupt::Causes(causes) => {
                if causes.contains(Causes::LSC) {
                    self.look_at_link();
                }
                false
            }
        }
    }

    /// After an interrupt was served: keeps further ones away while frames wait for a busy reader.
    pub fn note_backlog(&mut self) {
        if self.frames_pending() {
            self.nic.frames_left_waiting();
        }
    }

    /// Looks at the link and logs what changed.
    pub fn look_at_link(&mut self) {
        if let Some(link) = self.nic.refresh_link() {
            log::info!("link {link}");
        }
    }

    /// The handles that are to be told that frames are there.
    pub fn tell_readers(&mut self, occasion: Occasion, mut post: impl FnMut(usize, EventFlags)) {
        if !self.frames_pending() {
            return;
        }
        for (&id, handle) in &mut self.handles {
            if let Handle::Data(subscriber) = handle
                && subscriber.tell(occasion)
            {
                post(id, EventFlags::EVENT_READ);
            }
        }
    }

    /// The handles that are to be told that there is room again to transmit.
    pub fn tell_writers(&self, mut post: impl FnMut(usize, EventFlags)) {
        for (&id, handle) in &self.handles {
            if let Handle::Data(subscriber) = handle
                && subscriber.wants_write()
            {
                post(id, EventFlags::EVENT_WRITE);
            }
        }
    }

    /// Whether a reader may have stopped with frames left, so that a check is due after a while.
    pub fn reader_may_have_stopped(&mut self) -> bool {
        let stopped = self.handles.values().any(|handle| match handle {
            Handle::Data(subscriber) => subscriber.may_have_stopped(),
            Handle::Root | Handle::File(..) => false,
        });
        stopped && self.frames_pending()
    }

    /// Whether `id` is a handle for frames.
    pub fn is_data(&self, id: usize) -> bool {
        matches!(self.handles.get(&id), Some(Handle::Data(_)))
    }

    fn insert(&mut self, handle: Handle) -> usize {
        // Ids are 64 bits: at a million opens a second they last for half a million years.
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.handles.insert(id, handle);
        id
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(&id).ok_or(Error::new(EBADF))
    }
}

/// Copies `bytes` from `offset` on; nothing from the end on, whatever the offset.
fn read_at(bytes: &[u8], offset: u64, out: &mut [u8]) -> usize {
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

impl<R: Registers, D: DmaRegion> SchemeSync for NetworkScheme<R, D> {
    fn scheme_root(&mut self) -> Result<usize> {
        Ok(self.insert(Handle::Root))
    }

    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        if caller.uid != 0 || !matches!(self.handle(dir)?, Handle::Root) {
            return Err(Error::new(EACCES));
        }
        let path = path.trim_matches('/');
        let directory = flags & O_DIRECTORY == O_DIRECTORY;
        let (handle, new) = if path.is_empty() && directory {
            (Handle::Root, NewFdFlags::POSITIONED)
        } else if path.is_empty() {
            (Handle::Data(Subscriber::default()), NewFdFlags::empty())
        } else {
            let file = File::find(path).ok_or(Error::new(ENOENT))?;
            if directory {
                return Err(Error::new(ENOTDIR));
            }
            let content = file.content(&self.nic, &self.description);
            (Handle::File(file, content), NewFdFlags::POSITIONED)
        };
        let number = self.insert(handle);
        Ok(OpenResult::ThisScheme { number, flags: new })
    }

    fn read(
        &mut self,
        id: usize,
        buf: &mut [u8],
        offset: u64,
        fcntl_flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let subscriber = match self.handles.get_mut(&id).ok_or(Error::new(EBADF))? {
            Handle::Data(subscriber) => subscriber,
            Handle::File(_, content) => return Ok(read_at(content, offset, buf)),
            Handle::Root => return Err(Error::new(EISDIR)),
        };
        // 0 would mean the end of the file, and smolnetd would take it for a frame.
        if buf.is_empty() {
            return Err(Error::new(EINVAL));
        }
        match self.nic.receive(buf) {
            Some(len) => {
                subscriber.read_frame();
                Ok(len)
            }
            None => {
                subscriber.found_none();
                let nonblocking = fcntl_flags as usize & O_NONBLOCK == O_NONBLOCK;
                Err(Error::new(if nonblocking { EAGAIN } else { EWOULDBLOCK }))
            }
        }
    }

    fn write(
        &mut self,
        id: usize,
        buf: &[u8],
        _offset: u64,
        _fcntl_flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        match self.handle(id)? {
            Handle::Data(_) => {}
            Handle::Root | Handle::File(..) => return Err(Error::new(EINVAL)),
        }
        match self.nic.transmit(buf) {
            Ok(()) => Ok(buf.len()),
            Err(TransmitError::TooShort) => Err(Error::new(EINVAL)),
            Err(TransmitError::TooLong { .. }) => Err(Error::new(EMSGSIZE)),
            // Non-blocking or not: smolnetd drops a frame for good on any error.
            Err(TransmitError::Full) => Err(Error::new(EWOULDBLOCK)),
        }
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _caller: &CallerCtx) -> Result<usize> {
        // The kernel keeps the flags and passes them with each read and write.
        self.handle(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _caller: &CallerCtx) -> Result<EventFlags> {
        let frames = self.nic.next_frame_len().is_some();
        let room = self.nic.has_room();
        match self.handles.get_mut(&id).ok_or(Error::new(EBADF))? {
            Handle::Data(subscriber) => Ok(subscriber.subscribe(flags, frames, room)),
            Handle::Root | Handle::File(..) => Ok(EventFlags::empty()),
        }
    }

    fn fpath(&mut self, id: usize, buf: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        let file = match self.handle(id)? {
            Handle::Root | Handle::Data(_) => "",
            Handle::File(file, _) => file.name(),
        };
        let path = format!("/scheme/{}/{file}", self.name);
        Ok(read_at(path.as_bytes(), 0, buf))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _caller: &CallerCtx) -> Result<()> {
        let (mode, size) = match self.handle(id)? {
            Handle::Root => (MODE_DIR | 0o500, 0),
            Handle::Data(_) => (MODE_FILE | 0o700, 0),
            Handle::File(_, content) => (MODE_FILE | 0o400, content.len() as u64),
        };
        *stat = Stat {
            st_mode: mode,
            st_size: size,
            st_nlink: 1,
            ..Stat::default()
        };
        Ok(())
    }

    fn fsync(&mut self, id: usize, _caller: &CallerCtx) -> Result<()> {
        self.handle(id).map(|_| ())
    }

    fn getdents<'buf>(
        &mut self,
        id: usize,
        mut buf: DirentBuf<&'buf mut [u8]>,
        opaque_offset: u64,
    ) -> Result<DirentBuf<&'buf mut [u8]>> {
        if !matches!(self.handle(id)?, Handle::Root) {
            return Err(Error::new(ENOTDIR));
        }
        let first = usize::try_from(opaque_offset).unwrap_or(usize::MAX);
        for (n, file) in File::ALL.into_iter().enumerate().skip(first) {
            let next = n as u64 + 1;
            let entry = DirEntry {
                inode: next,
                next_opaque_id: next,
                name: file.name(),
                kind: DirentKind::Regular,
            };
            match buf.entry(entry) {
                Ok(()) => {}
                // The rest comes with the next call; only a buffer too small for one entry is an error.
                Err(_) if n > first => break,
                Err(error) => return Err(error),
            }
        }
        Ok(buf)
    }

    fn on_close(&mut self, id: usize) {
        self.handles.remove(&id);
    }
}
