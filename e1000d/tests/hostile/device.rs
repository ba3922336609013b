//! Registers that lie, and count accesses.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use e1000_hw::fake::{FakeMachine, FakeRegisters};
use e1000_hw::platform::Registers;
use e1000_hw::regs::{self, Ctrl};

use super::TX_RING;
use super::script::Script;

/// Registers that a driver reads to decide something.
const READ: [u32; 16] = [
    regs::STATUS,
    regs::STATUS,
    regs::CTRL,
    regs::ICR,
    regs::ICR,
    regs::PBA,
    regs::CTRL_EXT,
    regs::EECD,
    regs::RCTL,
    regs::TCTL,
    regs::MANC,
    regs::MDIC,
    regs::SWSM,
    regs::EXTCNF_CTRL,
    regs::RDH,
    regs::TDH,
];

/// Value that a register reads as, whatever it holds.
#[derive(Clone, Copy)]
enum Lie {
    Always(u32),
    WithBits(u32),
    WithoutBits(u32),
    /// Another value each time.
    Noise,
}

struct Shared {
    machine: FakeMachine,
    accesses: Cell<usize>,
    budget: Cell<usize>,
    lies: RefCell<Vec<(u32, Lie)>>,
    noise: Cell<u32>,
    /// Registers read as all ones, without lies: writes are lost, so that a lie could report a reset that did not
    /// happen.
    gone: Cell<bool>,
    /// Status words that each descriptor has as soon as the driver gives it back: frames without end.
    forever: Cell<Option<(u32, u32)>>,
    resets: Cell<u32>,
    /// Some answer of the device was a lie.
    lied: Cell<bool>,
    /// Number of receive descriptors.
    ring: u32,
    /// A self-test has the registers for itself: ring registers may hold anything.
    testing: Cell<bool>,
}

/// The registers of a hostile device.
#[derive(Clone)]
pub struct HostileRegisters {
    honest: FakeRegisters,
    shared: Rc<Shared>,
}

impl HostileRegisters {
    pub fn new(machine: &FakeMachine, ring: u32) -> Self {
        let shared = Shared {
            machine: machine.clone(),
            accesses: Cell::new(0),
            budget: Cell::new(usize::MAX),
            lies: RefCell::new(Vec::new()),
            noise: Cell::new(1),
            gone: Cell::new(false),
            forever: Cell::new(None),
            resets: Cell::new(0),
            lied: Cell::new(false),
            ring,
            testing: Cell::new(false),
        };
        Self {
            honest: machine.registers(),
            shared: Rc::new(shared),
        }
    }

    /// Begins a step that may take `budget` accesses.
    pub fn allow(&self, budget: usize) {
        self.shared.machine.take_accesses();
        self.shared.accesses.set(0);
        self.shared.budget.set(budget);
    }

    /// Number of resets so far.
    pub fn resets(&self) -> u32 {
        self.shared.resets.get()
    }

    /// Returns true if a register ever lied.
    pub fn lied(&self) -> bool {
        self.shared.lied.get()
    }

    /// Removes the device, or brings it back.
    pub fn set_gone(&self, gone: bool) {
        self.shared.gone.set(gone);
    }

    /// Marks the begin or the end of a step of a self-test.
    pub fn set_testing(&self, testing: bool) {
        self.shared.testing.set(testing);
    }

    /// Adds a lie, or ends all.
    pub fn lie(&self, script: &mut Script<'_>) {
        let mut lies = self.shared.lies.borrow_mut();
        let kind = script.byte();
        if kind & 0b11 == 0 || lies.len() > 3 {
            return lies.clear();
        }
        self.shared.lied.set(true);
        let offset = match script.byte() {
            n @ 0..0xC0 => READ[usize::from(n) % READ.len()],
            _ => script.below(regs::BAR_LEN / 4) as u32 * 4,
        };
        let lie = match kind >> 2 & 0b11 {
            0 => Lie::Always(script.high()),
            1 => Lie::WithBits(script.word()),
            2 => Lie::WithoutBits(script.word()),
            _ => Lie::Noise,
        };
        self.shared.noise.set(script.word() | 1);
        lies.push((offset, lie));
    }

    /// Fills every descriptor as soon as it is given back, or ends that.
    pub fn receive_forever(&self, words: Option<(u32, u32)>) {
        self.shared.forever.set(words);
    }

    fn count(&self) {
        let accesses = self.shared.accesses.get() + 1;
        self.shared.accesses.set(accesses);
        let budget = self.shared.budget.get();
        assert!(
            accesses <= budget,
            "more than {budget} register accesses in one step"
        );
    }
}

impl Registers for HostileRegisters {
    fn read(&self, offset: u32) -> u32 {
        self.count();
        let mut value = self.honest.read(offset);
        if self.shared.gone.get() {
            return value;
        }
        for (_, lie) in self.shared.lies.borrow().iter().filter(|(of, _)| *of == offset) {
            value = match *lie {
                Lie::Always(all) => all,
                Lie::WithBits(bits) => value | bits,
                Lie::WithoutBits(bits) => value & !bits,
                Lie::Noise => {
                    let noise = self.shared.noise.get();
                    let noise = noise ^ noise << 13;
                    let noise = noise ^ noise >> 17;
                    self.shared.noise.set(noise ^ noise << 5);
                    noise
                }
            };
        }
        value
    }

    fn write(&self, offset: u32, value: u32) {
        self.count();
        let resets = matches!(offset, regs::CTRL | regs::CTRL_DUP) && value & Ctrl::RST.bits() != 0;
        self.shared
            .resets
            .set(self.shared.resets.get() + u32::from(resets));
        let testing = self.shared.testing.get();
        assert!(
            offset != regs::RDT || value < self.shared.ring || testing,
            "RDT {value}"
        );
        assert!(offset != regs::TDT || value < TX_RING, "TDT {value}");
        self.honest.write(offset, value);
        if testing {
            return;
        }
        if let (regs::RDT, Some((low, high))) = (offset, self.shared.forever.get()) {
            (0..self.shared.ring).for_each(|slot| self.shared.machine.poke_rx_descriptor(slot, low, high));
        }
    }
}
