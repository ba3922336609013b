//! A machine in virtual time: the driver, in one thread, the fake NIC, and clients.
//!
//! A request takes the time that its client defines; the driver itself takes none. The kernel's timer ticks every 4 ms.

mod client;
mod stack;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use e1000_hw::chip::find;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::nic::{Config, Nic};
use e1000_hw::platform::Clock;
use e1000_hw::regs;
use e1000d::driver::{AnswerSink, Driver, Next};
use e1000d::scheme::NetworkScheme;
use e1000d::scheme::files::Description;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{Request, Response};
use syscall::error::EAGAIN;
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDWR};
use syscall::schemev2::{Cqe, CqeOpcode, Opcode, Sqe};

pub use client::Reader;
pub use stack::Stack;

const TICK: Duration = Duration::from_millis(4);

/// Answers and events of the driver.
#[derive(Default)]
struct Output {
    /// Results by tag.
    answers: BTreeMap<u32, Result<usize, i32>>,
    /// Events that nobody took yet, by handle.
    events: BTreeMap<usize, u32>,
}

#[derive(Clone, Default)]
struct Kernel(Rc<RefCell<Output>>);

impl AnswerSink for Kernel {
    fn write(&mut self, out: &mut VecDeque<Response>) -> syscall::Result<()> {
        let mut output = self.0.borrow_mut();
        for response in out.drain(..) {
            // SAFETY: `Response` is `repr(transparent)` around `Cqe` (redox-scheme 0.12.0, lib.rs).
            let cqe = unsafe { *std::ptr::from_ref(&response).cast::<Cqe>() };
            if cqe.flags == CqeOpcode::SendFevent as u8 {
                *output.events.entry(cqe.result as usize).or_default() += 1;
            } else {
                let result = syscall::Error::demux(cqe.result as usize);
                output
                    .answers
                    .insert(cqe.tag, result.map_err(|error| error.errno));
            }
        }
        Ok(())
    }
}

/// Time that is moved by hand.
#[derive(Clone, Default)]
struct VirtualClock(Rc<std::cell::Cell<Duration>>);

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        self.0.get()
    }

    fn sleep(&self, duration: Duration) {
        self.0.set(self.0.get() + duration);
    }
}

/// The machine.
pub struct Machine {
    fake: FakeMachine,
    clock: VirtualClock,
    kernel: Kernel,
    driver: Driver<FakeRegisters, FakeRegion, VirtualClock, Kernel>,
    root: usize,
    tag: u32,
    /// Time at which the driver's timer goes off.
    timer: Option<Duration>,
    /// Frames that found no room.
    lost: u64,
    /// Memory of pending requests.
    pending: Vec<Vec<u8>>,
}

impl Machine {
    /// Makes one with rings of the usual size, and nothing open.
    pub fn new() -> Self {
        let chip = find(0x8086, 0x100E).expect("82540EM");
        let fake = FakeMachine::new(chip);
        let mut nic = Nic::bring_up(fake.registers(), chip, Config::default(), &mut fake.dma(), &fake)
            .expect("bring-up");
        nic.interrupts().enable();
        let (clock, kernel) = (VirtualClock::default(), Kernel::default());
        let description = Description::default();
        let mut scheme = NetworkScheme::new("network.model".to_owned(), nic, description, clock.clone());
        let root = scheme.scheme_root().expect("a root");
        let driver = Driver::new(kernel.clone(), scheme);
        Self {
            fake,
            clock,
            kernel,
            driver,
            root,
            tag: 0,
            timer: None,
            lost: 0,
            pending: Vec::new(),
        }
    }

    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    pub fn peek(&self, register: u32) -> u32 {
        self.fake.peek(register)
    }

    /// Stops sending.
    pub fn stall_transmitter(&mut self) {
        self.fake.set_faults(Faults {
            transmitter_stalled: true,
            ..Faults::default()
        });
    }

    /// Lets time pass.
    pub fn advance_to(&mut self, time: Duration) {
        while let Some(due) = self.timer.filter(|due| *due <= time) {
            self.clock.0.set(due.max(self.now()));
            self.timer = None;
            self.driver.tick();
            self.arm();
        }
        self.clock.0.set(time.max(self.now()));
    }

    /// Ends a step of the driver: arms its timer, which goes off with a tick of the kernel.
    fn arm(&mut self) {
        if let Some(delay) = self.driver.next_tick() {
            let ticks = (self.now() + delay).as_nanos().div_ceil(TICK.as_nanos());
            let due = TICK * ticks as u32;
            self.timer = Some(self.timer.map_or(due, |armed| armed.min(due)));
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.advance_to(self.now() + time);
    }

    /// A frame arrives and raises an interrupt. Returns true if there was room.
    pub fn deliver_frame(&mut self, frame: &[u8]) -> bool {
        let received = self.fake.deliver(frame);
        self.lost += u64::from(!received);
        if self.fake.peek(regs::ICR) & self.fake.peek(regs::IMS) != 0 {
            self.driver.scheme().acknowledge_interrupt(0);
            self.driver.serve_interrupt();
            self.arm();
        }
        received
    }

    pub fn deliver(&mut self, len: usize) -> bool {
        self.deliver_frame(&vec![0; len])
    }

    /// Number of frames that found no room.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub fn dropped_by_driver(&mut self) -> u64 {
        self.driver.scheme().nic().state().rx_counters().dropped
    }

    /// Returns true if frames wait to be read.
    pub fn has_backlog(&mut self) -> bool {
        self.driver.scheme().nic().rx().has_filled(1)
    }

    pub fn has_room(&mut self) -> bool {
        let nic = self.driver.scheme().nic();
        let size = nic.state().config().rx.get();
        !nic.rx().has_filled(size - 1)
    }

    fn serve(&mut self, sqe: Sqe) -> Option<Result<usize, i32>> {
        self.tag += 1;
        let tag = if sqe.opcode == Opcode::Cancel as u8 {
            sqe.tag
        } else {
            self.tag
        };
        let mut request = Request::default();
        // SAFETY: `Request` is `repr(transparent)` around `Sqe` (redox-scheme 0.12.0, lib.rs).
        unsafe { *std::ptr::from_mut(&mut request).cast::<Sqe>() = Sqe { tag, ..sqe } };
        self.driver.serve(&mut vec![request]);
        self.arm();
        self.kernel.0.borrow_mut().answers.remove(&tag)
    }

    fn call(&mut self, opcode: Opcode, args: [u64; 6]) -> Option<Result<usize, i32>> {
        self.serve(Sqe {
            opcode: opcode as u8,
            args,
            ..Sqe::default()
        })
    }

    fn open_file(&mut self, path: &str) -> usize {
        let address = path.as_ptr().expose_provenance() as u64;
        let args = [self.root as u64, address, path.len() as u64, O_RDWR as u64, 0, 0];
        self.call(Opcode::OpenAt, args)
            .expect("answered")
            .expect("opened")
    }

    /// Opens the file of frames.
    pub fn open(&mut self) -> usize {
        self.open_file("")
    }

    /// Subscribes to events.
    pub fn subscribe(&mut self, id: usize, flags: EventFlags) {
        let args = [id as u64, flags.bits() as u64, 0, 0, 0, 0];
        let now = self
            .call(Opcode::Fevent, args)
            .expect("answered")
            .expect("subscribed");
        if now != 0 {
            *self.kernel.0.borrow_mut().events.entry(id).or_default() += 1;
        }
    }

    /// Takes the read budget from the process.
    pub fn has_no_budget(&mut self) {
        let filter = self.open_file("filter");
        self.write(filter, b"budget off");
    }

    /// Events posted to a handle since the last time.
    pub fn take_events(&mut self, id: usize) -> u32 {
        self.kernel.0.borrow_mut().events.remove(&id).unwrap_or(0)
    }

    /// Takes one event of a handle.
    pub fn take_event(&mut self, id: usize) -> bool {
        let mut output = self.kernel.0.borrow_mut();
        let left = output.events.get_mut(&id).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    /// Reads a frame without waiting. `None` if the read finds none.
    pub fn read(&mut self, id: usize, frame: &mut [u8]) -> Option<usize> {
        let address = frame.as_mut_ptr().expose_provenance() as u64;
        let args = [
            id as u64,
            address,
            frame.len() as u64,
            u64::MAX,
            O_NONBLOCK as u64,
            0,
        ];
        match self.call(Opcode::Read, args).expect("answered") {
            Ok(len) => Some(len),
            Err(EAGAIN) => None,
            Err(errno) => panic!("a read: {errno}"),
        }
    }

    /// Lets the thread that serves requests poll, as in a yield to others. There are no requests.
    pub fn poll_requests(&mut self) {
        while self.driver.note_idle_poll() == Next::YieldAndPoll {}
        self.arm();
    }

    /// Writes. Returns the tag of a write that waits.
    pub fn write(&mut self, id: usize, bytes: &[u8]) -> Option<u32> {
        let bytes = bytes.to_vec();
        let address = bytes.as_ptr().expose_provenance() as u64;
        let args = [id as u64, address, bytes.len() as u64, u64::MAX, 0, 0];
        match self.call(Opcode::Write, args) {
            Some(result) => {
                assert_eq!(result, Ok(bytes.len()));
                None
            }
            None => {
                self.pending.push(bytes);
                Some(self.tag)
            }
        }
    }

    /// The caller of a pending request gets a signal.
    pub fn cancel(&mut self, tag: u32) {
        let sqe = Sqe {
            opcode: Opcode::Cancel as u8,
            sqe_flags: syscall::schemev2::SqeFlags::ONEWAY,
            tag,
            ..Sqe::default()
        };
        assert_eq!(self.serve(sqe), Some(Err(syscall::error::EINTR)));
    }
}
