//! Requests that no usual client makes: any opcode with any arguments.

use syscall::schemev2::{Opcode, Sqe, SqeFlags};
use syscall::{Stat, StatVfs, TimeSpec};

use super::kernel::{Buffer, Kind};
use super::requests::{Asked, COST, Clients, cancel, close, nobodys, pass_on};

impl Clients<'_, '_> {
    /// Any request.
    pub(super) fn any(&mut self) -> Asked {
        let id = match self.script.byte() {
            0 => nobodys(self.script.word() as usize),
            1 => usize::MAX,
            2 => 0,
            _ => self.known(),
        };
        let opcode = match self.script.byte() {
            n @ 0..0xF0 => n % 36,
            n => n,
        };
        let mut sqe = Sqe {
            opcode,
            sqe_flags: SqeFlags::from_bits_retain(self.script.byte()).difference(SqeFlags::ONEWAY),
            args: [id as u64, 0, 0, 0, 0, 0],
            ..Sqe::default()
        };
        for argument in &mut sqe.args[3..] {
            *argument = match self.script.byte() {
                n @ 0..0xE0 => u64::from(n % 32),
                _ => u64::from(self.script.word()) << (self.script.byte() % 33),
            };
        }
        let in_memory = match Opcode::try_from_raw(opcode) {
            // Requests that change the kernel model are made in one place.
            Some(Opcode::CloseMsg) => return close(self.kernel, id),
            Some(Opcode::Cancel) => return cancel(self.kernel, id as u32),
            Some(Opcode::Detach) => return pass_on(sqe, 0),
            Some(Opcode::Fevent) => return self.subscribe(),
            Some(Opcode::OpenAt) => return self.open(),
            Some(Opcode::Read) if self.kernel.file(id).is_some_and(|open| open.is_data) => {
                return self.read();
            }
            Some(Opcode::Write) if self.kernel.file(id).is_some_and(|open| open.is_data) => {
                return self.write();
            }
            Some(
                Opcode::Dup
                | Opcode::Read
                | Opcode::Write
                | Opcode::Fpath
                | Opcode::Fstat
                | Opcode::Fstatvfs
                | Opcode::Futimens
                | Opcode::UnlinkAt
                | Opcode::Flink
                | Opcode::Frename
                | Opcode::Getdents
                | Opcode::Call
                | Opcode::StdFsCall,
            ) => true,
            _ => false,
        };
        if !in_memory {
            for argument in &mut sqe.args[1..3] {
                *argument = u64::from(self.script.word()) << (self.script.byte() % 33);
            }
            return self.wait_without(sqe, Kind::Other, Buffer::default(), COST);
        }
        let len = match self.script.byte() {
            n @ 0..0x80 => usize::from(n),
            0x80..0xA0 => size_of::<Stat>(),
            0xA0..0xB0 => size_of::<StatVfs>(),
            0xB0..0xC0 => 2 * size_of::<TimeSpec>(),
            _ => self.len(),
        };
        let offset = match self.script.byte() {
            n @ 0..32 => n.into(),
            _ => 0,
        };
        let mut bytes = vec![self.script.byte(); len];
        for _ in 0..len.min(4) {
            let n = self.script.below(len);
            bytes[n] = self.script.byte();
        }
        let kind = match Opcode::try_from_raw(opcode) {
            Some(Opcode::Read | Opcode::Fpath | Opcode::Getdents) => Kind::Bytes,
            _ => Kind::Other,
        };
        self.wait(sqe, kind, Buffer::new(&bytes, offset), COST)
    }
}
