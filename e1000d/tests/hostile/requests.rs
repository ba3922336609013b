//! Requests of clients: usual ones, and anything else that the kernel would pass on.
//!
//! Buffers are memory, as the kernel maps them; everything else in a request is up to the script.

use redox_scheme::Request;
use syscall::flag::{EventFlags, O_DIRECTORY, O_NONBLOCK, O_RDWR, O_WRONLY};
use syscall::schemev2::{Opcode, Sqe, SqeFlags};

use super::kernel::{Buffer, Inner, Kind, Waiting};
use super::script::Script;

/// Register accesses that a request for frames may take: a batch of RDT, TDT, masking, and again while it waits.
const FRAME_COST: usize = 32;
/// The same for anything else: a reset with its waits, or the filter of 82544.
pub const COST: usize = 10_000;

const PATHS: [&str; 14] = [
    "",
    "",
    "",
    "",
    "mac",
    "link",
    "stats",
    "mtu",
    "filter",
    "filter",
    "hang",
    "registers",
    "selftest",
    "selftest",
];
/// Lengths around which something changes.
const LENGTHS: [usize; 16] = [
    0, 1, 13, 14, 15, 59, 60, 61, 1514, 1515, 1518, 1519, 1984, 1985, 3968, 9018,
];
const LINES: [&str; 17] = [
    "promiscuous on",
    "promiscuous off",
    "allmulti on",
    "allmulti off",
    "multicast add 01:00:5e:00:00:fb",
    "multicast del 01:00:5e:00:00:fb",
    "multicast add 33:33:ff:12:34:56\nmulticast add 33:33:00:00:00:01",
    "1500",
    "mtu 9000",
    "mtu 1501",
    "vlan add 5",
    "vlan del 5",
    "vlan add 1\nvlan add 4094",
    "vlan del 1\nvlan del 4094",
    "vlan add 4095",
    "run",
    "run force",
];

/// A request, and the register accesses that serving it may take.
pub struct Asked {
    pub request: Request,
    pub cost: usize,
    /// Its tag, if it reads a frame and has room for a byte.
    pub reads: Option<u32>,
}

/// An entry of the submission queue.
fn entry(opcode: Opcode, args: [u64; 6]) -> Sqe {
    Sqe {
        opcode: opcode as u8,
        args,
        ..Sqe::default()
    }
}

pub(super) fn pass_on(sqe: Sqe, cost: usize) -> Asked {
    let mut request = Request::default();
    // SAFETY: `Request` is `repr(transparent)` around `Sqe` (redox-scheme 0.12.0, lib.rs).
    unsafe { *std::ptr::from_mut(&mut request).cast::<Sqe>() = sqe };
    Asked {
        request,
        cost,
        reads: None,
    }
}

/// The request to close a descriptor.
pub fn close(kernel: &mut Inner, id: usize) -> Asked {
    kernel.close(id);
    pass_on(entry(Opcode::CloseMsg, [id as u64, 0, 0, 0, 0, 0]), COST)
}

/// The request to cancel another.
pub fn cancel(kernel: &mut Inner, tag: u32) -> Asked {
    kernel.cancel(tag);
    let sqe = Sqe {
        tag,
        sqe_flags: SqeFlags::ONEWAY,
        ..entry(Opcode::Cancel, [0; 6])
    };
    pass_on(sqe, FRAME_COST)
}

/// A descriptor that nobody will ever have: the kernel model does not know those yet that are being opened.
pub(super) fn nobodys(n: usize) -> usize {
    usize::MAX - n
}

/// Makes requests.
pub struct Clients<'a, 'b> {
    pub kernel: &'a mut Inner,
    pub script: &'a mut Script<'b>,
}

impl Clients<'_, '_> {
    /// The next request of some client.
    pub fn ask(&mut self) -> Asked {
        match self.script.byte() % 20 {
            0 | 1 => self.open(),
            2..=5 => self.read(),
            6..=9 => self.write(),
            10 | 11 => self.read_file(),
            12 | 13 => self.write_file(),
            14 => self.subscribe(),
            15 => match self.known() {
                // The root stays open, normally.
                id if self.kernel.open.first().is_some_and(|root| root.id == id) => self.any(),
                id => close(self.kernel, id),
            },
            16 => {
                let tags = self.kernel.tags();
                let n = usize::from(self.script.byte());
                cancel(self.kernel, tags.get(n).copied().unwrap_or(n as u32))
            }
            _ => self.any(),
        }
    }

    /// Opens a file as its users do.
    pub fn open_for_use(&mut self, path: &str) -> Asked {
        let root = self.kernel.open.first().map_or(0, |root| root.id as u64);
        let sqe = entry(Opcode::OpenAt, [root, 0, 0, O_RDWR as u64, 0, 0]);
        let kind = Kind::Open { by_root: true };
        self.wait(sqe, kind, Buffer::new(path.as_bytes(), 0), COST)
    }

    /// A descriptor that is open.
    pub(super) fn known(&mut self) -> usize {
        let n = usize::from(self.script.byte());
        let open = &self.kernel.open;
        if open.is_empty() {
            n
        } else {
            open[n % open.len()].id
        }
    }

    /// A descriptor of the kind that is wanted, rarely another.
    fn one(&mut self, is_data: bool) -> usize {
        let n = usize::from(self.script.byte());
        let wanted = |open: &&super::kernel::Open| open.is_data == is_data;
        let count = self.kernel.open.iter().filter(wanted).count();
        if n % 32 == 31 || count == 0 {
            return self.known();
        }
        let mut wanted = self.kernel.open.iter().filter(wanted);
        wanted.nth(n % count).map_or(nobodys(n), |open| open.id)
    }

    pub(super) fn len(&mut self) -> usize {
        match self.script.byte() {
            n @ 0..64 => LENGTHS[usize::from(n) % LENGTHS.len()],
            64..72 => self.script.below(20_000),
            n => usize::from(n),
        }
    }

    /// The last argument of calls that have no other use for it: root, mostly.
    fn owner(&mut self) -> u64 {
        match self.script.byte() {
            n @ 0..8 => u64::from(n) * 1000,
            8..12 => u64::from(self.script.word()) << 32,
            _ => 0,
        }
    }

    pub(super) fn wait(&mut self, sqe: Sqe, kind: Kind, mut buffer: Buffer, cost: usize) -> Asked {
        let (pointer, len) = buffer.arguments();
        let mut sqe = sqe;
        (sqe.args[1], sqe.args[2]) = (pointer, len);
        self.wait_without(sqe, kind, buffer, cost)
    }

    pub(super) fn wait_without(&mut self, mut sqe: Sqe, kind: Kind, buffer: Buffer, cost: usize) -> Asked {
        sqe.caller = u64::from(self.script.byte() % 4);
        let reads = kind == Kind::Read { nonblocking: true } && sqe.args[2] > 0;
        sqe.tag = self.kernel.wait(Waiting {
            kind,
            opcode: sqe.opcode,
            id: sqe.args[0] as usize,
            buffer,
            since: None,
            cancelled: false,
        });
        Asked {
            reads: reads.then_some(sqe.tag),
            ..pass_on(sqe, cost)
        }
    }

    pub(super) fn open(&mut self) -> Asked {
        let directory = match self.kernel.open.first() {
            Some(root) if self.script.byte() < 0xF0 => root.id,
            _ => self.known(),
        };
        let flags = match self.script.byte() % 8 {
            0..4 => O_RDWR,
            4 => 0,
            5 => O_WRONLY,
            6 => O_RDWR | O_DIRECTORY,
            _ => self.script.word() as usize,
        };
        let path: Vec<u8> = match self.script.byte() {
            n @ 0..0xE0 => PATHS[usize::from(n) % PATHS.len()].into(),
            n => (0..n % 8).map(|_| self.script.byte()).collect(),
        };
        let owner = self.owner();
        let sqe = entry(Opcode::OpenAt, [directory as u64, 0, 0, flags as u64, 0, owner]);
        let by_root = owner as u32 == 0;
        self.wait(sqe, Kind::Open { by_root }, Buffer::new(&path, 0), COST)
    }

    /// A read of a frame.
    pub fn read(&mut self) -> Asked {
        let id = self.one(true);
        let nonblocking = self.script.byte() & 0b11 != 0;
        let flags = if nonblocking { O_NONBLOCK } else { 0 };
        // Mostly room for any frame.
        let len = match self.script.byte() {
            n @ 0..3 => n.into(),
            3..48 => self.len(),
            48..128 => 1514,
            _ => 17_000,
        };
        let kind = match self.kernel.file(id) {
            Some(open) if open.is_data => Kind::Read { nonblocking },
            _ => Kind::Other,
        };
        let sqe = entry(Opcode::Read, [id as u64, 0, 0, u64::MAX, flags as u64, 0]);
        self.wait(sqe, kind, Buffer::new(&vec![0xEE; len], 0), FRAME_COST)
    }

    /// A read of a frame, by this client, that does not wait and has room for any frame.
    pub fn poll(&mut self, id: usize) -> Asked {
        let kind = match self.kernel.file(id) {
            Some(open) if open.is_data => Kind::Read { nonblocking: true },
            _ => Kind::Bytes,
        };
        let sqe = entry(Opcode::Read, [id as u64, 0, 0, u64::MAX, O_NONBLOCK as u64, 0]);
        self.wait(sqe, kind, Buffer::new(&[0xEE; 17_000], 0), FRAME_COST)
    }

    /// A client asks for events of frames. Returns its descriptor, too.
    pub fn watch_frames(&mut self) -> (usize, Asked) {
        let id = self.one(true);
        let flags = EventFlags::EVENT_READ.bits() as u64;
        self.kernel.subscribe(id, flags);
        let sqe = entry(Opcode::Fevent, [id as u64, flags, 0, 0, 0, 0]);
        (
            id,
            self.wait_without(sqe, Kind::Other, Buffer::default(), FRAME_COST),
        )
    }

    /// A client starts a self-test, whoever reads frames.
    pub fn start_self_test(&mut self, id: usize) -> Asked {
        let sqe = entry(Opcode::Write, [id as u64, 0, 0, 0, 0, 0]);
        self.wait(sqe, Kind::Bytes, Buffer::new(b"run force", 0), COST)
    }

    /// A write of a frame.
    pub fn write(&mut self) -> Asked {
        let id = self.one(true);
        let len = self.len();
        let ethertype = [0x0800, 0x0806, 0x8100, 0x88A8][usize::from(self.script.byte() % 4)];
        let (number, bytes) = self.kernel.wire.write(len, ethertype);
        let kind = match self.kernel.file(id) {
            Some(open) if open.is_data => Kind::Write(number),
            _ => Kind::Other,
        };
        let sqe = entry(Opcode::Write, [id as u64, 0, 0, u64::MAX, 0, 0]);
        self.wait(sqe, kind, Buffer::new(&bytes, 0), FRAME_COST)
    }

    fn read_file(&mut self) -> Asked {
        let id = self.one(false);
        let offset = match self.script.byte() {
            0 => u64::MAX,
            1 => u64::from(self.script.word()) << 32,
            n @ 2..64 => n.into(),
            _ => 0,
        };
        let kind = match self.kernel.file(id) {
            Some(open) if open.is_mac => Kind::ReadMac(offset),
            Some(open) if open.is_data => Kind::Read { nonblocking: true },
            _ => Kind::Bytes,
        };
        let len = self.len();
        let sqe = entry(Opcode::Read, [id as u64, 0, 0, offset, O_NONBLOCK as u64, 0]);
        self.wait(sqe, kind, Buffer::new(&vec![0; len], 0), COST)
    }

    fn write_file(&mut self) -> Asked {
        let id = self.one(false);
        let mut bytes: Vec<u8> = match self.script.byte() {
            n @ 0..0xE0 => LINES[usize::from(n) % LINES.len()].into(),
            _ => format!("{}", self.script.below(18_000)).into(),
        };
        if self.script.byte() > 0xF0 && !bytes.is_empty() {
            let n = self.script.below(bytes.len());
            bytes[n] = self.script.byte();
        }
        // Text is not written to a handle for frames: it would be sent, and the wire would not know the frame.
        let sqe = match self.kernel.file(id) {
            Some(open) if open.is_data => return self.read(),
            _ => entry(Opcode::Write, [id as u64, 0, 0, 0, 0, self.owner()]),
        };
        self.wait(sqe, Kind::Bytes, Buffer::new(&bytes, 0), COST)
    }

    pub(super) fn subscribe(&mut self) -> Asked {
        let id = self.known();
        let flags = match self.script.byte() {
            0 => u64::from(self.script.word()),
            n => (n & 0b11).into(),
        };
        self.kernel.subscribe(id, flags);
        let sqe = entry(Opcode::Fevent, [id as u64, flags, 0, 0, 0, 0]);
        self.wait_without(sqe, Kind::Other, Buffer::default(), FRAME_COST)
    }
}
