//! The kernel's side of the scheme socket: tags, buffers, descriptors, and who waits for what.
//!
//! Tags come from a slab, lowest free first, 0 included; a buffer of no bytes is a dangling pointer; a buffer is gone
//! when the request is answered (the address sanitizer of the fuzz target sees who still uses it then).

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use e1000_hw::fake::FAKE_MAC;
use e1000d::driver::AnswerSink;
use redox_scheme::Response;
use syscall::error::{EAGAIN, EBADF, EBADFD, EINTR, EINVAL, ENODEV, EWOULDBLOCK, Error, Result};
use syscall::flag::EventFlags;
use syscall::schemev2::{Cqe, CqeOpcode};

use super::wire::Wire;
use e1000d::overload::BUDGET;

/// Where the kernel says that an empty buffer is.
const DANGLING: u64 = 1 << 63;
/// Longest time that a write may wait.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// What a request is about, as far as its answer can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Open {
        by_root: bool,
    },
    /// Of frames.
    Read {
        nonblocking: bool,
    },
    /// Of `mac`, from this offset.
    ReadMac(u64),
    /// Of this frame.
    Write(usize),
    /// The answer is a number of bytes in the buffer.
    Bytes,
    Other,
}

/// Memory of a client, as the daemon sees it.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    offset: usize,
}

impl Buffer {
    /// A buffer that holds `bytes`, `offset` bytes from an aligned address.
    pub fn new(bytes: &[u8], offset: usize) -> Self {
        let mut all = Vec::with_capacity(offset + bytes.len());
        all.resize(offset, 0);
        all.extend(bytes);
        Self { bytes: all, offset }
    }

    /// Address and length, as in a request.
    pub fn arguments(&mut self) -> (u64, u64) {
        let len = self.bytes.len() - self.offset;
        if len == 0 {
            return (DANGLING, 0);
        }
        // The daemon writes through it.
        let first = self.bytes.as_mut_ptr().wrapping_add(self.offset);
        (first.expose_provenance() as u64, len as u64)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.offset..]
    }
}

/// A request that was not answered.
pub struct Waiting {
    pub kind: Kind,
    pub opcode: u8,
    /// The descriptor that it is about.
    pub id: usize,
    pub buffer: Buffer,
    /// When the daemon had looked at it for the first time.
    pub since: Option<Duration>,
    pub cancelled: bool,
}

/// A file that is open.
pub struct Open {
    pub id: usize,
    pub is_data: bool,
    pub is_mac: bool,
    pub is_self_test: bool,
    /// Events that were asked for, ever.
    wants: usize,
    /// Frames read since it was last told that there is none.
    frames: u64,
}

impl Open {
    /// Whether it may be told that there is no frame though one waits: it has read a budget of frames since it last was, or
    /// readers yield to others ([`e1000d::overload`]).
    fn may_be_refused(&self, yields: bool) -> bool {
        let subscribed = self.wants & EventFlags::EVENT_READ.bits() != 0;
        subscribed && (yields || self.frames >= u64::from(BUDGET))
    }
}

pub struct Inner {
    slots: Vec<Option<Waiting>>,
    pub open: Vec<Open>,
    /// Closed, which the daemon may not know yet.
    pub closing: Vec<usize>,
    pub wire: Wire,
    /// The daemon was told to end.
    pub stopping: bool,
    /// The daemon has found out that the device is gone.
    pub gone: bool,
    /// The device may have looked as if it were gone.
    pub may_be_gone: bool,
    /// This read comes first, and there is a frame for it.
    pub has_frame: Option<u32>,
    /// Readers yield to others, and may be refused.
    pub yields: bool,
    /// So many answers from now on, one is not taken.
    pub refuse_after: Option<u8>,
    /// The answer that comes next was not taken.
    refused: bool,
}

/// The kernel; clones are the same.
#[derive(Clone)]
pub struct Kernel(Rc<RefCell<Inner>>);

impl Kernel {
    pub fn new(root: usize) -> Self {
        let root = Open {
            id: root,
            is_data: false,
            is_mac: false,
            is_self_test: false,
            wants: 0,
            frames: 0,
        };
        Self(Rc::new(RefCell::new(Inner {
            slots: Vec::new(),
            open: vec![root],
            closing: Vec::new(),
            wire: Wire::new(),
            stopping: false,
            gone: false,
            may_be_gone: false,
            has_frame: None,
            yields: false,
            refuse_after: None,
            refused: false,
        })))
    }

    pub fn inner(&self) -> RefMut<'_, Inner> {
        self.0.borrow_mut()
    }
}

impl Inner {
    /// Keeps a request and gives it a tag.
    pub fn wait(&mut self, waiting: Waiting) -> u32 {
        let free = self.slots.iter().position(Option::is_none);
        let tag = free.unwrap_or(self.slots.len());
        if free.is_none() {
            self.slots.push(None);
        }
        self.slots[tag] = Some(waiting);
        tag as u32
    }

    /// Tags that wait for an answer.
    pub fn tags(&self) -> Vec<u32> {
        let waits = |tag: &u32| self.slots[*tag as usize].is_some();
        (0..self.slots.len() as u32).filter(waits).collect()
    }

    /// Nobody waits.
    pub fn all_was_answered(&self) {
        if let Some(waiting) = self.slots.iter().flatten().next() {
            let Waiting { kind, opcode, id, .. } = waiting;
            panic!("never answered: {kind:?}, opcode {opcode}, descriptor {id}");
        }
    }

    /// A signal for whoever waits with this tag.
    pub fn cancel(&mut self, tag: u32) {
        if let Some(waiting) = self.slots.get_mut(tag as usize).and_then(Option::as_mut) {
            waiting.cancelled = true;
        }
    }

    /// The file behind a descriptor.
    pub fn file(&self, id: usize) -> Option<&Open> {
        self.open.iter().find(|open| open.id == id)
    }

    /// Somebody asks for events.
    pub fn subscribe(&mut self, id: usize, flags: u64) {
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.wants |= flags as usize;
        }
    }

    /// The last reference to a descriptor is gone.
    pub fn close(&mut self, id: usize) {
        self.open.retain(|open| open.id != id);
        self.closing.push(id);
    }

    /// The daemon has read all requests: it knows what is closed, and nobody waits longer to write than he has to.
    pub fn all_was_served(&mut self, now: Duration) {
        self.closing.clear();
        for waiting in self.slots.iter_mut().flatten() {
            assert_ne!(waiting.kind, Kind::Read { nonblocking: true }, "waits");
            let moves_frames = matches!(waiting.kind, Kind::Read { .. } | Kind::Write(_));
            assert!(!moves_frames || !self.gone, "waits for a device that is gone");
            let age = now.saturating_sub(*waiting.since.get_or_insert(now));
            assert!(
                !matches!(waiting.kind, Kind::Write(_)) || age < WRITE_LIMIT,
                "a write waits for {age:?}"
            );
        }
    }

    fn event(&self, id: usize, flags: usize) {
        if self.closing.contains(&id) {
            return;
        }
        let open = self
            .file(id)
            .unwrap_or_else(|| panic!("event for {id}, which is closed"));
        assert!(
            flags != 0 && flags & !open.wants == 0,
            "events that nobody asked for"
        );
    }

    fn answer(&mut self, tag: u32, result: Result<usize>, extra: u8) {
        let slot = self.slots.get_mut(tag as usize);
        let waiting = slot
            .and_then(Option::take)
            .unwrap_or_else(|| panic!("an answer for {tag}, which does not wait: {result:?}"));
        let Waiting { kind, id, buffer, .. } = &waiting;
        let bytes = buffer.bytes();
        if let Err(error) = result {
            assert_ne!(error.errno, EWOULDBLOCK, "for the daemon's own use");
            let interrupted = waiting.cancelled || self.stopping;
            assert!(error.errno != EINTR || interrupted, "EINTR without a signal");
        }
        match (*kind, result) {
            (Kind::Open { .. }, result) if std::str::from_utf8(bytes).is_err() => {
                assert_eq!(result, Err(Error::new(EINVAL)), "a path that is not UTF-8");
            }
            (Kind::Open { by_root }, Ok(id)) => {
                assert!(by_root, "opened by somebody else");
                self.opened(id, extra, bytes);
            }
            (Kind::Read { .. }, Ok(len)) => {
                assert!(!self.gone, "a frame from a device that is gone");
                self.wire.read(&bytes[..len], bytes.len());
                if let Some(open) = self.open.iter_mut().find(|open| open.id == *id) {
                    open.frames += 1;
                }
            }
            (Kind::Read { nonblocking }, Err(Error { errno })) => {
                let allowed = match errno {
                    EAGAIN => nonblocking && !self.gone && self.may_find_none(tag, *id),
                    ENODEV => self.may_be_gone && !(nonblocking && bytes.is_empty()),
                    EINVAL => bytes.is_empty(),
                    EBADF => self.file(*id).is_none(),
                    _ => errno == EINTR,
                };
                assert!(allowed, "{kind:?} of {} bytes: {errno}", bytes.len());
            }
            (Kind::ReadMac(offset), Ok(len)) => {
                let mac = FAKE_MAC.get(offset.min(6) as usize..).unwrap_or_default();
                assert_eq!(bytes[..len], mac[..mac.len().min(bytes.len())]);
            }
            (Kind::Write(number), result) => {
                self.wire.answered(number, result.is_ok());
                match result {
                    Ok(len) => {
                        assert!(!self.gone, "taken for a device that is gone");
                        assert_eq!(len, bytes.len(), "a part of a frame");
                    }
                    Err(error) => assert!(error.errno != ENODEV || self.may_be_gone, "ENODEV"),
                }
            }
            (Kind::Bytes, Ok(len)) => assert!(len <= bytes.len()),
            _ => {}
        }
    }

    /// A read that does not wait is told that there is no frame.
    fn may_find_none(&mut self, tag: u32, id: usize) -> bool {
        let has_frame = self.has_frame.take() == Some(tag);
        let Some(open) = self.open.iter_mut().find(|open| open.id == id) else {
            return true;
        };
        let may_be_refused = open.may_be_refused(self.yields);
        open.frames = 0;
        !has_frame || may_be_refused
    }

    fn opened(&mut self, id: usize, extra: u8, path: &[u8]) {
        assert!(self.file(id).is_none(), "{id} is open already");
        self.open.push(Open {
            id,
            is_data: extra == 0,
            is_mac: path == b"mac",
            is_self_test: path == b"selftest",
            wants: 0,
            frames: 0,
        });
    }

    /// Takes one answer or event. Returns whether it does.
    fn take(&mut self, cqe: &Cqe) -> bool {
        let number = cqe.result as usize;
        match CqeOpcode::try_from_raw(cqe.flags) {
            Some(CqeOpcode::SendFevent) => self.event(number, cqe.tag as usize),
            Some(CqeOpcode::RespondRegular) => {
                let slot = self.slots.get(cqe.tag as usize).and_then(Option::as_ref);
                let opens = slot.is_some_and(|waiting| matches!(waiting.kind, Kind::Open { .. }));
                self.answer(cqe.tag, Error::demux(number), cqe.extra_raw[0]);
                if let Some(left) = self.refuse_after
                    && !opens
                {
                    self.refuse_after = left.checked_sub(1);
                    return left != 0;
                }
            }
            other => panic!("{other:?}"),
        }
        true
    }
}

impl AnswerSink for Kernel {
    fn write(&mut self, out: &mut VecDeque<Response>) -> Result<()> {
        let before = out.len();
        while let Some(response) = out.front() {
            // SAFETY: `Response` is `repr(transparent)` around `Cqe` (redox-scheme 0.12.0, lib.rs).
            let cqe = unsafe { *std::ptr::from_ref(response).cast::<Cqe>() };
            let mut inner = self.inner();
            if !std::mem::take(&mut inner.refused) && inner.take(&cqe) {
                out.pop_front();
                continue;
            }
            // As the kernel: an error only if nothing was taken before. The same answer comes again otherwise.
            inner.refused = out.len() < before;
            return if inner.refused {
                Ok(())
            } else {
                Err(Error::new(EBADFD))
            };
        }
        Ok(())
    }
}
