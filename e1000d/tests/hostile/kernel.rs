//! The kernel's side of the scheme socket: tags, buffers, descriptors, and requests without an answer.
//!
//! Tags come from a slab, lowest free first, 0 included; a buffer of no bytes is a dangling pointer; a buffer is gone
//! when the request is answered (the address sanitizer of the fuzz target sees later uses).

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

/// Address of an empty buffer (kernel, src/scheme/user.rs).
const DANGLING: u64 = 1 << 63;
/// Longest time that a write waits.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// Kind of a request, as far as its answer can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Open {
        by_root: bool,
    },
    /// A read of frames.
    Read {
        nonblocking: bool,
    },
    /// A read of `mac`, from this offset.
    ReadMac(u64),
    /// A write of this frame.
    Write(usize),
    /// A request whose answer is a number of bytes in the buffer.
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
    /// Makes a buffer that holds `bytes`, `offset` bytes from an aligned address.
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
    /// Its descriptor.
    pub id: usize,
    pub buffer: Buffer,
    /// Time at which the daemon had read it.
    pub since: Option<Duration>,
    pub cancelled: bool,
}

/// A file that is open.
pub struct Open {
    pub id: usize,
    pub is_data: bool,
    pub is_mac: bool,
    pub is_self_test: bool,
    /// Events that were ever asked for.
    wants: usize,
    /// Frames read since a read last found none.
    frames: u64,
}

impl Open {
    /// Returns true if a read may be refused though a frame waits: at the end of a read budget, or while readers
    /// yield to others ([`e1000d::overload`]).
    fn may_be_refused(&self, yields: bool) -> bool {
        let subscribed = self.wants & EventFlags::EVENT_READ.bits() != 0;
        subscribed && (yields || self.frames >= u64::from(BUDGET))
    }
}

pub struct Inner {
    slots: Vec<Option<Waiting>>,
    pub open: Vec<Open>,
    /// Closed descriptors that the daemon may not know of yet.
    pub closing: Vec<usize>,
    pub wire: Wire,
    /// The daemon is about to end.
    pub stopping: bool,
    /// The daemon knows that the device is gone.
    pub gone: bool,
    /// The device may have looked as if it were gone.
    pub may_be_gone: bool,
    /// Tag of a read that comes first, and for which there is a frame.
    pub has_frame: Option<u32>,
    /// Readers yield to others, and may be refused.
    pub yields: bool,
    /// Number of answers from now on after which one is not taken.
    pub refuse_after: Option<u8>,
    /// The next answer was not taken before.
    refused: bool,
}

/// The kernel. Clones share it.
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

    /// Tags of requests without an answer.
    pub fn tags(&self) -> Vec<u32> {
        let waits = |tag: &u32| self.slots[*tag as usize].is_some();
        (0..self.slots.len() as u32).filter(waits).collect()
    }

    /// Checks that every request was answered.
    pub fn all_was_answered(&self) {
        if let Some(waiting) = self.slots.iter().flatten().next() {
            let Waiting { kind, opcode, id, .. } = waiting;
            panic!("never answered: {kind:?}, opcode {opcode}, descriptor {id}");
        }
    }

    /// The caller of a request gets a signal.
    pub fn cancel(&mut self, tag: u32) {
        if let Some(waiting) = self.slots.get_mut(tag as usize).and_then(Option::as_mut) {
            waiting.cancelled = true;
        }
    }

    /// The file behind a descriptor.
    pub fn file(&self, id: usize) -> Option<&Open> {
        self.open.iter().find(|open| open.id == id)
    }

    /// A client asks for events.
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

    /// The daemon has read all requests: it knows of closed descriptors, and no write waits too long.
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

    /// Decides whether a read that does not wait may find no frame.
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

    /// Takes one answer or event, or returns false.
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
