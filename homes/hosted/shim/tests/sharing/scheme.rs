//! A scheme that shares memory, and the ends of pipes, with its clients.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;

use libredox::Fd;
use libredox::call::{MmapArgs, mmap};
use libredox::flag::{MAP_PRIVATE, O_CLOEXEC, O_NONBLOCK, PROT_READ, PROT_WRITE};
use redox_scheme::scheme::{SchemeSync, register_sync_scheme};
use redox_scheme::wrappers::ReadinessBased;
use redox_scheme::{CallerCtx, OpenResult, Socket};
use syscall::error::{EACCES, EBADF, EINVAL, ENOENT, Error, Result};
use syscall::flag::{MapFlags, MunmapFlags};
use syscall::schemev2::NewFdFlags;

/// Bytes of the memory; the second half is for reading only.
pub const SIZE: usize = 8 * 4096;
/// First offset that clients may not write to.
pub const READ_ONLY: usize = SIZE / 2;
/// An offset at which the daemon names an address where it has no memory.
pub const FOREIGN: usize = 1 << 30;

const ROOT: usize = 1;

/// Something that a client did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// It unmapped this offset and length.
    Unmapped(usize, usize),
    /// It closed its description.
    Closed,
}

/// The daemon as its test sees it.
#[derive(Clone, Default)]
pub struct Shared {
    events: Arc<Mutex<Vec<Event>>>,
    /// Ends of pipes that the daemon has kept: it reads from doorbells, and lives as long as it can write to others.
    kept: Arc<Mutex<Vec<Fd>>>,
    /// Address of the memory.
    base: usize,
}

impl Shared {
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Takes the end of the last pipe.
    pub fn kept(&self) -> Fd {
        self.kept.lock().unwrap().pop().expect("a pipe was made")
    }

    /// The memory, at the daemon.
    pub fn memory(&self) -> super::Memory {
        super::Memory(self.base as *mut u8)
    }
}

/// Serves the scheme `name` from a thread of this process.
pub fn start(name: &str) -> Shared {
    let (sender, receiver) = mpsc::channel();
    let name = name.to_owned();
    thread::spawn(move || serve(&name, &sender));
    receiver.recv_timeout(super::SOON).expect("the daemon registers")
}

/// Serves the scheme `name` until the process ends.
pub fn serve(name: &str, ready: &mpsc::Sender<Shared>) {
    let shared = Shared {
        base: allocate(),
        ..Shared::default()
    };
    let socket = Socket::create().unwrap();
    let mut scheme = Scheme {
        shared: shared.clone(),
        last: ROOT,
    };
    register_sync_scheme(&socket, name, &mut scheme).unwrap();
    ready.send(shared).unwrap();
    let scheme = RefCell::new(scheme);
    let mut requests = ReadinessBased::new(&socket, 16);
    while requests.read_requests().unwrap() {
        requests.process_requests(|| scheme.borrow_mut());
        requests.write_responses().unwrap();
    }
}

/// Memory as drivers get theirs.
fn allocate() -> usize {
    static ARENA: OnceLock<()> = OnceLock::new();
    ARENA.get_or_init(|| {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 << 20).unwrap();
        redox_shim::memory::set_arena(file, 0, 4096, 4 << 20);
    });
    let memory = Fd::open("/scheme/memory/zeroed@wb?phys_contiguous", O_CLOEXEC, 0).unwrap();
    let args = MmapArgs {
        addr: std::ptr::null_mut(),
        length: SIZE,
        prot: PROT_READ | PROT_WRITE,
        flags: MAP_PRIVATE,
        fd: memory.raw(),
        offset: 0,
    };
    // SAFETY: a new mapping at an address of the system's choice.
    unsafe { mmap(args) }.unwrap() as usize
}

struct Scheme {
    shared: Shared,
    last: usize,
}

impl Scheme {
    fn saw(&self, event: Event) {
        self.shared.events.lock().unwrap().push(event);
    }
}

impl SchemeSync for Scheme {
    fn scheme_root(&mut self) -> Result<usize> {
        Ok(ROOT)
    }

    fn openat(&mut self, _: usize, path: &str, _: usize, _: u32, _: &CallerCtx) -> Result<OpenResult> {
        if path != "memory" {
            return Err(Error::new(ENOENT));
        }
        self.last += 1;
        Ok(OpenResult::ThisScheme {
            number: self.last,
            flags: NewFdFlags::empty(),
        })
    }

    fn dup(&mut self, _: usize, argument: &[u8], _: &CallerCtx) -> Result<OpenResult> {
        let reader = Fd::open("/scheme/pipe", O_CLOEXEC | O_NONBLOCK, 0).unwrap();
        let writer = Fd::new(reader.dup(b"write").unwrap());
        let (given, kept) = match argument {
            b"doorbell" => (writer, reader),
            b"alive" => (reader, writer),
            // A descriptor that cannot leave the process.
            b"memory" => (Fd::open("/scheme/memory/zeroed", O_CLOEXEC, 0).unwrap(), reader),
            _ => return Err(Error::new(EINVAL)),
        };
        self.shared.kept.lock().unwrap().push(kept);
        Ok(OpenResult::OtherScheme { fd: given.into_raw() })
    }

    fn mmap_prep(
        &mut self,
        id: usize,
        offset: u64,
        length: usize,
        flags: MapFlags,
        _: &CallerCtx,
    ) -> Result<usize> {
        let offset = offset as usize;
        if id == ROOT {
            return Err(Error::new(EBADF));
        }
        if offset == FOREIGN {
            return Ok(0x1000);
        }
        if !flags.contains(MapFlags::MAP_SHARED) || offset + length > SIZE {
            return Err(Error::new(EINVAL));
        }
        if flags.contains(MapFlags::PROT_WRITE) && offset + length > READ_ONLY {
            return Err(Error::new(EACCES));
        }
        Ok(self.shared.base + offset)
    }

    fn munmap(&mut self, _: usize, offset: u64, length: usize, _: MunmapFlags, _: &CallerCtx) -> Result<()> {
        self.saw(Event::Unmapped(offset as usize, length));
        Ok(())
    }

    fn on_close(&mut self, _: usize) {
        self.saw(Event::Closed);
    }
}
