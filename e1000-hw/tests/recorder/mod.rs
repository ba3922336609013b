//! The fake NIC with everything written down: each register access and each wait, in order.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod mdio;

use std::cell::RefCell;
use std::time::Duration;

use e1000_hw::chip::{Chip, find};
use e1000_hw::fake::{FakeMachine, FakeRegisters};
use e1000_hw::platform::{Clock, Registers};

/// The chip with this id.
pub fn chip(id: u16) -> &'static Chip {
    find(0x8086, id).expect("a chip of the table")
}

/// One thing that the core did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read this register.
    R(u32),
    /// Wrote this register with this value.
    W(u32, u32),
    /// Waited so many microseconds.
    Us(u128),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::R(offset) => write!(f, "R({offset:04x})"),
            Self::W(offset, value) => write!(f, "W({offset:04x}, {value:08x})"),
            Self::Us(time) => write!(f, "Us({time})"),
        }
    }
}

type OnRead = Box<dyn FnMut(u32, u32) -> u32>;
type OnWrite = Box<dyn FnMut(u32, u32) -> Option<u32>>;

/// A NIC and a clock, recorded.
pub struct Recorder {
    pub machine: FakeMachine,
    chip: &'static Chip,
    registers: FakeRegisters,
    steps: RefCell<Vec<Step>>,
    on_read: RefCell<OnRead>,
    on_write: RefCell<OnWrite>,
}

impl Recorder {
    pub fn new(chip: &'static Chip) -> Self {
        let machine = FakeMachine::new(chip);
        Self {
            registers: machine.registers(),
            machine,
            chip,
            steps: RefCell::default(),
            on_read: RefCell::new(Box::new(|_, value| value)),
            on_write: RefCell::new(Box::new(|_, value| Some(value))),
        }
    }

    /// The chip that it is.
    pub fn chip(&self) -> &'static Chip {
        self.chip
    }

    /// Changes what a read gives: offset and value so far.
    pub fn on_read(&self, change: impl FnMut(u32, u32) -> u32 + 'static) {
        *self.on_read.borrow_mut() = Box::new(change);
    }

    /// Changes what a write does: offset and value; `None` loses it.
    pub fn on_write(&self, change: impl FnMut(u32, u32) -> Option<u32> + 'static) {
        *self.on_write.borrow_mut() = Box::new(change);
    }

    /// What was done since the last time.
    pub fn take(&self) -> Vec<Step> {
        std::mem::take(&mut self.steps.borrow_mut())
    }

    /// What was done since the last time to these registers.
    pub fn take_of(&self, offsets: &[u32]) -> Vec<Step> {
        let of = |step: &Step| match step {
            Step::R(offset) | Step::W(offset, _) => offsets.contains(offset),
            Step::Us(_) => false,
        };
        self.take().into_iter().filter(of).collect()
    }

    /// How long `work` took.
    pub fn time(&self, work: impl FnOnce()) -> Duration {
        let start = self.machine.now();
        work();
        self.machine.now() - start
    }
}

impl Registers for Recorder {
    fn read(&self, offset: u32) -> u32 {
        self.steps.borrow_mut().push(Step::R(offset));
        let value = self.registers.read(offset);
        (self.on_read.borrow_mut())(offset, value)
    }

    fn write(&self, offset: u32, value: u32) {
        self.steps.borrow_mut().push(Step::W(offset, value));
        if let Some(value) = (self.on_write.borrow_mut())(offset, value) {
            self.registers.write(offset, value);
        }
    }
}

impl Clock for Recorder {
    fn now(&self) -> Duration {
        self.machine.now()
    }

    fn sleep(&self, duration: Duration) {
        self.steps.borrow_mut().push(Step::Us(duration.as_micros()));
        self.machine.sleep(duration);
    }
}
