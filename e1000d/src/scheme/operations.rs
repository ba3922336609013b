//! Meaning of the operations on the scheme.
//!
//! Everything that a client does wrong is answered with an error. Operations on the file of frames affect no other
//! handle, with one exception: opening it may turn off the VLAN filter ([`super::receive_mode`]).

use e1000_hw::TransmitError;
use e1000_hw::nic::MtuError;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EAGAIN, EBUSY, EINVAL, EIO, EISDIR, EMSGSIZE, ENODEV, ENOENT, ENOTDIR, EWOULDBLOCK,
};
use syscall::flag::{EventFlags, MODE_DIR, MODE_FILE, O_DIRECTORY, O_NONBLOCK};
use syscall::schemev2::NewFdFlags;
use syscall::{Error, Result, Stat};

use super::NetworkScheme;
use super::files::{self, File};
use super::handles::Handle;
use super::open_file::{OpenFile, read_at};
use super::subscriber::Subscriber;
use crate::overload::BudgetUse;

/// Most bytes of one write to a file: more than the longest list of groups has.
const MAX_TEXT: usize = 16 << 10;

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// Brings the bytes of an open file up to date.
    fn refresh(&mut self, id: usize) -> Result<()> {
        let open = self.handles.file_mut(id)?;
        let (file, request) = (open.file, open.request.clone());
        let content = self.content(file, &request);
        self.handles
            .file_mut(id)?
            .refresh(content, self.activity.link_changes);
        Ok(())
    }

    /// Reads an open file. A read at offset 0 gets its current bytes.
    fn read_file(&mut self, id: usize, offset: u64, out: &mut [u8]) -> Result<usize> {
        if self.handles.file_mut(id)?.is_outdated(offset) {
            self.refresh(id)?;
        }
        Ok(self.handles.file_mut(id)?.read(offset, out))
    }

    /// Carries out what was written to `mtu`, `filter` or `selftest`.
    fn write_file(&mut self, id: usize, bytes: &[u8]) -> Result<usize> {
        if self.nic.state().is_gone() {
            return Err(Error::new(ENODEV));
        }
        if self.nic.state().is_testing() {
            return Err(Error::new(EBUSY));
        }
        let open = self.handles.file_mut(id)?;
        open.invalidate();
        if bytes.len() > MAX_TEXT {
            return Err(Error::new(EMSGSIZE));
        }
        // A copy, because the client shares the pages and may change them while the text is parsed.
        let text = bytes.to_vec();
        match open.file {
            File::Mtu => self.set_mtu(&text)?,
            File::SelfTest => self.start_self_test(&text)?,
            _ => {
                open.request = open.request.with(&text)?;
                self.apply_receive_mode();
            }
        }
        Ok(bytes.len())
    }

    fn set_mtu(&mut self, text: &[u8]) -> Result<()> {
        let mtu = files::parse_mtu(text).ok_or(Error::new(EINVAL))?;
        let result = self.nic.settings().set_mtu(mtu, &self.clock);
        self.check_link();
        result.map_err(|error| {
            log::warn!("MTU {mtu}: {error}");
            Error::new(match error {
                MtuError::OutOfRange { .. } => EINVAL,
                MtuError::Reset(_) => EIO,
            })
        })
    }
}

impl<R: Registers, D: DmaRegion, C: Clock> SchemeSync for NetworkScheme<R, D, C> {
    fn scheme_root(&mut self) -> Result<usize> {
        Ok(self.handles.insert(0, Handle::Root))
    }

    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        if caller.uid != 0 || !matches!(self.handles.get(dir)?, Handle::Root) {
            return Err(Error::new(EACCES));
        }
        let path = path.trim_matches('/');
        let directory = flags & O_DIRECTORY == O_DIRECTORY;
        let (handle, new) = if path.is_empty() && directory {
            (Handle::Root, NewFdFlags::POSITIONED)
        } else if path.is_empty() {
            (Handle::Frames(Subscriber::default()), NewFdFlags::empty())
        } else {
            let file = File::find(path).ok_or(Error::new(ENOENT))?;
            if directory {
                return Err(Error::new(ENOTDIR));
            }
            let open = OpenFile::new(file, flags, self.activity.link_changes);
            (Handle::File(open), NewFdFlags::POSITIONED)
        };
        let is_file = matches!(handle, Handle::File(_));
        let is_for_frames = matches!(handle, Handle::Frames(_));
        let number = self.handles.insert(caller.pid, handle);
        if is_for_frames {
            // Frames that arrived while there was no reader are dropped.
            if std::mem::take(&mut self.has_lost_all_readers) {
                self.overload.discard_all(&mut self.nic);
            }
            self.apply_receive_mode();
        }
        if is_file {
            self.refresh(number)?;
        }
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
        let subscriber = match self.handles.get_mut(id)? {
            Handle::Frames(subscriber) => subscriber,
            Handle::File(_) => return self.read_file(id, offset, buf),
            Handle::Root => return Err(Error::new(EISDIR)),
        };
        // A result of 0 would mean end of file, and smolnetd would treat it as a frame.
        if buf.is_empty() {
            return Err(Error::new(EINVAL));
        }
        if self.nic.state().is_gone() {
            return Err(Error::new(ENODEV));
        }
        self.reader_may_expect_event = true;
        let nonblocking = fcntl_flags as usize & O_NONBLOCK == O_NONBLOCK;
        let now = || self.clock.now();
        let (has_budget, is_spent) = (subscriber.has_budget(), subscriber.has_spent_budget());
        if nonblocking && has_budget && self.overload.refuses(is_spent, &mut self.nic, now) {
            subscriber.refuse();
            return Err(Error::new(EAGAIN));
        }
        let Some(len) = self.overload.receive(&mut self.nic, buf) else {
            subscriber.find_none();
            self.overload.others.clear();
            return Err(Error::new(if nonblocking { EAGAIN } else { EWOULDBLOCK }));
        };
        let used = subscriber.read_frame();
        if used != BudgetUse::Few && has_budget {
            self.overload
                .note_reading(buf.get(..len).unwrap_or_default(), now);
        }
        if used == BudgetUse::Spent {
            self.overload.cpu.note_budget_spent();
        }
        Ok(len)
    }

    fn write(
        &mut self,
        id: usize,
        buf: &[u8],
        _offset: u64,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<usize> {
        match self.handles.get(id)? {
            Handle::Frames(_) => {}
            Handle::File(open) if open.is_writable() && caller.uid == 0 => return self.write_file(id, buf),
            Handle::Root | Handle::File(_) => return Err(Error::new(EINVAL)),
        }
        if self.nic.state().is_gone() {
            return Err(Error::new(ENODEV));
        }
        match self.nic.tx().send(buf) {
            Ok(()) => {
                self.overload.cpu.note_sent();
                Ok(buf.len())
            }
            Err(TransmitError::TooShort) => Err(Error::new(EINVAL)),
            Err(
                TransmitError::TooLong { .. } | TransmitError::TooManySegments | TransmitError::NoBuffers,
            ) => Err(Error::new(EMSGSIZE)),
            // Also for a non-blocking handle, because smolnetd drops the frame on any error.
            Err(TransmitError::Full) => Err(Error::new(EWOULDBLOCK)),
        }
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _caller: &CallerCtx) -> Result<usize> {
        // The kernel keeps the flags and passes them with each read and write.
        self.handles.get(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _caller: &CallerCtx) -> Result<EventFlags> {
        let frames = self.has_frame();
        let room = self.nic.tx().has_room();
        match self.handles.get_mut(id)? {
            Handle::Frames(subscriber) => {
                self.reader_may_expect_event = true;
                Ok(subscriber.subscribe(flags, frames, room))
            }
            Handle::File(open) => Ok(open.subscribe(flags, self.activity.link_changes)),
            Handle::Root => Ok(EventFlags::empty()),
        }
    }

    fn fpath(&mut self, id: usize, buf: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        let file = match self.handles.get(id)? {
            Handle::Root | Handle::Frames(_) => "",
            Handle::File(open) => open.file.name(),
        };
        let path = format!("/scheme/{}/{file}", self.name);
        Ok(read_at(path.as_bytes(), 0, buf))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _caller: &CallerCtx) -> Result<()> {
        let (mode, size) = match self.handles.get(id)? {
            Handle::Root => (MODE_DIR | 0o500, 0),
            Handle::Frames(_) => (MODE_FILE | 0o700, 0),
            Handle::File(open) => {
                let write = if open.file.is_writable() { 0o200 } else { 0 };
                (MODE_FILE | 0o400 | write, open.len() as u64)
            }
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
        self.handles.get(id).map(|_| ())
    }

    fn getdents<'buf>(
        &mut self,
        id: usize,
        mut buf: DirentBuf<&'buf mut [u8]>,
        opaque_offset: u64,
    ) -> Result<DirentBuf<&'buf mut [u8]>> {
        if !matches!(self.handles.get(id)?, Handle::Root) {
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
                // The next call continues here; only a buffer too small for one entry is an error.
                Err(_) if n > first => break,
                Err(error) => return Err(error),
            }
        }
        Ok(buf)
    }

    fn on_close(&mut self, id: usize) {
        // The receive-mode request of the handle ends with it.
        match self.handles.remove(id) {
            Some(Handle::Frames(_)) => {
                if self.handles.subscribers().next().is_none() {
                    self.has_lost_all_readers = true;
                    self.overload.discard_all(&mut self.nic);
                }
                self.apply_receive_mode();
            }
            Some(Handle::File(open)) if open.file == File::Filter => self.apply_receive_mode(),
            _ => {}
        }
    }
}
