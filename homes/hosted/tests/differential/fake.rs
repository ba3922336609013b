//! The world with our fake, behind a network like QEMU's.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use e1000_hw::chip::Chip;
use e1000_hw::fake::{Arrival, FakeDma, FakeMachine, FakeRegisters};
use e1000_hw::platform::{Clock, Registers};
use e1000_hw::regs::{self, Rctl, Status};

use crate::oddities::Oddities;
use crate::world::{QemuWorld, STEP, World, negotiates};

/// Registers of the PHY: control, status, what both sides offer.
const PHY: [u8; 6] = [0, 1, 4, 5, 9, 10];

/// Counters of frames that found no room: MPC and RNBC.
const MISSED: [u32; 2] = [0x4010, 0x40A0];

/// Most bytes of frames that wait: what QEMU reads from a socket at once (include/net/net.h, `NET_BUFSIZE`), and a bit
/// less.
const WAITING_LIMIT: usize = 60_000;

/// QEMU's network between the cable's other end and the model (net/queue.c, net/stream.c), which keeps frames that the
/// model cannot take; hardware would put them into its packet buffer. How it is emptied differs between the models.
struct BackEnd {
    machine: FakeMachine,
    is_e1000e: bool,
    /// The cable is in.
    link: bool,
    /// Frames that the model was asked to take and could not.
    queue: VecDeque<Vec<u8>>,
    /// Frames behind them, which were not read from the socket.
    socket: VecDeque<Vec<u8>>,
    reading: bool,
    /// The model took nothing the last time, and is not asked before it says that it can (net/net.c,
    /// `receive_disabled`).
    refused: bool,
    /// RCTL was written, and nothing is received for a second (hw/net/e1000.c, `set_rx_control`).
    paused: bool,
}

impl BackEnd {
    /// `e1000_can_receive`, `e1000e_can_receive`.
    fn can_receive(&self) -> bool {
        let get = |offset| self.machine.peek(offset);
        let size = get(regs::RDLEN) / 16;
        let has_buffers = size > 0 && get(regs::RDH) != get(regs::RDT);
        self.is_receiving() && has_buffers && !self.paused && !self.refused
    }

    /// `e1000x_hw_rx_enabled`.
    fn is_receiving(&self) -> bool {
        let up = self.machine.registers().read(regs::STATUS) & Status::LU.bits() != 0;
        up && self.machine.peek(regs::RCTL) & Rctl::EN.bits() != 0
    }

    /// Returns true if the model takes a frame, be it to lose it.
    fn deliver(&mut self, frame: &[u8]) -> bool {
        if !self.link || !self.is_receiving() {
            return true;
        }
        if self.refused || self.paused {
            return false;
        }
        self.refused = self.machine.arrive(frame) == Arrival::NoBuffer && self.is_e1000e;
        !self.refused
    }

    /// A frame was read from the socket.
    fn offer(&mut self, frame: Vec<u8>) {
        if !self.link {
            return;
        }
        if self.can_receive() && self.deliver(&frame) {
            self.flush_queue();
        } else {
            self.queue.push_back(frame);
            self.reading = false;
        }
    }

    fn flush_queue(&mut self) {
        while let Some(frame) = self.queue.pop_front() {
            if !self.deliver(&frame) {
                self.queue.push_front(frame);
                return;
            }
            self.reading = true;
        }
    }

    /// The model says that it can take frames.
    fn flush(&mut self) {
        self.refused = false;
        self.flush_queue();
        self.read();
    }

    /// Reads what waits in the socket.
    fn read(&mut self) {
        while self.reading && !self.socket.is_empty() {
            for frame in std::mem::take(&mut self.socket) {
                self.offer(frame);
            }
        }
    }

    /// The model's timers have run out.
    fn time_passes(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.flush();
        }
        self.read();
    }

    fn wrote(&mut self, offset: u32, value: u32) {
        let has_buffers = self.machine.peek(regs::RDH) != self.machine.peek(regs::RDT);
        match offset {
            regs::RDT if self.is_e1000e || has_buffers => self.flush(),
            regs::RCTL if !self.is_e1000e => self.paused = true,
            regs::RCTL if value & Rctl::EN.bits() != 0 => self.flush(),
            regs::MDIC if negotiates(value) => self.flush(),
            _ => {}
        }
    }
}

/// Registers of the fake, of which the back end learns as of QEMU's.
pub struct WatchedRegisters {
    registers: FakeRegisters,
    back_end: Rc<RefCell<BackEnd>>,
}

impl Registers for WatchedRegisters {
    fn read(&self, offset: u32) -> u32 {
        self.registers.read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        self.registers.write(offset, value);
        self.back_end.borrow_mut().wrote(offset, value);
    }
}

/// Time of the fake, in which something happens as in QEMU's.
pub struct WatchedClock {
    machine: FakeMachine,
    back_end: Rc<RefCell<BackEnd>>,
}

impl Clock for WatchedClock {
    fn now(&self) -> Duration {
        self.machine.now()
    }

    fn sleep(&self, duration: Duration) {
        self.machine.sleep(duration);
        self.back_end.borrow_mut().time_passes();
    }
}

/// Our fake.
pub struct FakeWorld {
    machine: FakeMachine,
    chip: &'static Chip,
    clock: WatchedClock,
    back_end: Rc<RefCell<BackEnd>>,
}

impl FakeWorld {
    /// A NIC like that one, with a PHY as the scripts before left it: neither reset nor bring-up touch one with a link.
    pub fn like(qemu: &QemuWorld, oddities: Oddities) -> Self {
        let chip = qemu.chip();
        let machine = FakeMachine::new(chip);
        machine.set_oddities(oddities.model);
        machine.set_negotiation(Duration::ZERO);
        for number in PHY {
            machine.poke_phy(number, qemu.phy(number));
        }
        if oddities.model.missed_stay {
            for (counter, value) in MISSED.into_iter().zip(qemu.peek(&MISSED)) {
                machine.poke(counter, value);
            }
        }
        let back_end = Rc::new(RefCell::new(BackEnd {
            machine: machine.clone(),
            is_e1000e: chip.mac().is_pcie(),
            link: true,
            queue: VecDeque::new(),
            socket: VecDeque::new(),
            reading: true,
            refused: false,
            paused: false,
        }));
        Self {
            clock: WatchedClock {
                machine: machine.clone(),
                back_end: Rc::clone(&back_end),
            },
            machine,
            chip,
            back_end,
        }
    }

    /// Returns true if frames wait.
    pub fn keeps_frames(&self) -> bool {
        let back_end = self.back_end.borrow();
        !back_end.queue.is_empty() || !back_end.socket.is_empty()
    }
}

impl World for FakeWorld {
    type Registers = WatchedRegisters;
    type Dma = FakeDma;
    type Clock = WatchedClock;

    fn chip(&self) -> &'static Chip {
        self.chip
    }

    fn registers(&self) -> WatchedRegisters {
        WatchedRegisters {
            registers: self.machine.registers(),
            back_end: Rc::clone(&self.back_end),
        }
    }

    fn peek(&self, offsets: &[u32]) -> Vec<u32> {
        let registers = self.machine.registers();
        offsets.iter().map(|offset| registers.read(*offset)).collect()
    }

    fn dma(&self) -> FakeDma {
        self.machine.dma()
    }

    fn clock(&self) -> &WatchedClock {
        &self.clock
    }

    fn set_link(&mut self, up: bool) {
        let mut back_end = self.back_end.borrow_mut();
        if back_end.link != up {
            back_end.link = up;
            self.machine.set_link(up);
            if up {
                back_end.flush();
            }
        }
    }

    fn send(&mut self, frame: &[u8]) -> bool {
        let mut back_end = self.back_end.borrow_mut();
        let waiting = back_end.queue.iter().chain(&back_end.socket);
        if waiting.map(|frame| frame.len() + 4).sum::<usize>() + frame.len() + 4 > WAITING_LIMIT {
            return false;
        }
        back_end.socket.push_back(frame.to_vec());
        back_end.read();
        true
    }

    fn settle(&mut self) {
        self.clock.sleep(STEP);
    }

    fn take_sent(&mut self) -> Vec<Vec<u8>> {
        self.machine.take_sent()
    }

    fn line(&self) -> bool {
        self.machine.interrupt_line()
    }
}
