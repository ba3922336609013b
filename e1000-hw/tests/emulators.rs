//! Peculiarities of emulators that neither metal nor QEMU has, as fakes made after their sources: VirtualBox's
//! DevE1000.cpp and DevE1000Phy.cpp, bhyve's pci_e82545.c, Bochs' e1000.cc.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FakeMachine, FakeRegion, RecordedMachine, chip};
use e1000_hw::link::Link;
use e1000_hw::nic::{Config, Interrupt, Nic};
use e1000_hw::nvm;
use e1000_hw::platform::{Clock, SHORT_WAIT};
use e1000_hw::regs::{self, Causes, Ctrl, Rctl, Status};

/// Time from a reset of the MAC to the link, and from a cable that is plugged in: the default of LinkUpDelay.
const LINK_DELAY: Duration = Duration::from_secs(5);
/// Time from a reset of the PHY to the link (`E1K_INIT_LINKUP_DELAY_US`).
const PHY_DELAY: Duration = Duration::from_secs(2);

const SLU: u32 = Ctrl::SLU.bits();

/// VirtualBox's link and interrupt line around the registers of the fake.
struct VirtualBox {
    machine: FakeMachine,
    is_82543: bool,
    cable: Cell<bool>,
    /// Time at which the link up timer expires.
    link_at: Cell<Option<Duration>>,
    line: Cell<bool>,
    phy: RefCell<Phy>,
}

/// VirtualBox's PHY (`Phy::hardReset`, `Phy::softReset`), and its side of MDIO.
struct Phy {
    registers: [u16; 32],
    mdio: Mdio,
}

/// `Phy::writeMDIO` and `Phy::readMDIO`.
enum Mdio {
    Idle,
    Start,
    Command(u32, u32),
    ReadTurnaround(u16),
    Read(u16, u32),
    WriteTurnaround(u8, u32),
    Write(u8, u16, u32),
}

impl VirtualBox {
    /// Powered on: the PHY has no link, and the link up timer runs.
    fn new(id: u16, cable: bool) -> (RecordedMachine, Rc<Self>) {
        let recorder = FakeMachine::recorded(chip(id));
        let mut registers = [0; 32];
        let low = if id == 0x1004 { 0x0C50 } else { 0x0C24 };
        registers[..6].copy_from_slice(&[0x1140, 0x7949, 0x0141, low, 0x01E1, 0x01E0]);
        registers[9] = 0x1E00;
        let this = Rc::new(Self {
            machine: recorder.inner.clone(),
            is_82543: id == 0x1004,
            cable: Cell::new(cable),
            link_at: Cell::new(Some(recorder.inner.now() + LINK_DELAY)),
            line: Cell::new(false),
            phy: RefCell::new(Phy {
                registers,
                mdio: Mdio::Idle,
            }),
        });
        this.machine.poke(regs::STATUS, 0x81);
        let model = Rc::clone(&this);
        recorder.on_write(move |offset, value| model.write(offset, value));
        let model = Rc::clone(&this);
        recorder.on_read(move |offset, value| model.read(offset, value));
        (recorder, this)
    }

    fn set(&self, offset: u32, clear: u32, set: u32) {
        self.machine
            .poke(offset, self.machine.peek(offset) & !clear | set);
    }

    /// `e1kRaiseInterrupt`.
    fn raise(&self, causes: Causes) {
        self.set(regs::ICR, 0, causes.bits());
        if self.machine.peek(regs::ICR) & self.machine.peek(regs::IMS) != 0 {
            self.line.set(true);
        }
    }

    /// `e1kR3LinkUpTimer`.
    fn tick(&self) {
        if self.link_at.get().is_none_or(|at| self.machine.now() < at) {
            return;
        }
        self.link_at.set(None);
        if self.cable.get() && (self.is_82543 || self.machine.peek(regs::CTRL) & SLU != 0) {
            self.set(regs::STATUS, 0, Status::LU.bits());
            let mut phy = self.phy.borrow_mut();
            phy.registers[1] |= 0x24;
            phy.registers[17] |= 0xBC08;
            drop(phy);
            self.raise(Causes::LSC);
        }
    }

    /// `e1kR3SetLinkState`.
    fn plug(&self, cable: bool) {
        self.cable.set(cable);
        if cable {
            self.link_at.set(Some(self.machine.now() + LINK_DELAY));
            return;
        }
        self.phy.borrow_mut().registers[1] &= !0x24;
        self.set(regs::STATUS, Status::LU.bits(), 0);
        self.raise(Causes::LSC);
    }

    /// A frame comes in (`e1kHandleRxPacket`).
    fn deliver(&self) {
        assert!(self.machine.deliver(&[0xFF; 60]));
        self.raise(Causes::RXT0);
    }

    fn read_phy(&self, number: u8) -> u16 {
        self.phy.borrow().registers[usize::from(number)]
    }

    fn write_phy(&self, number: u8, value: u16) {
        let mut phy = self.phy.borrow_mut();
        match number {
            0 if value & 0x8000 != 0 => {
                phy.registers[0] &= 0x3140;
                phy.registers[1] = 0x7949;
                phy.registers[17] &= 0xE001;
                if self.cable.get() && self.machine.peek(regs::CTRL) & SLU != 0 {
                    self.link_at.set(Some(self.machine.now() + PHY_DELAY));
                }
            }
            0 | 4 | 16 => phy.registers[usize::from(number)] = value,
            _ => {}
        }
    }

    /// `e1kRegWriteCTRL`: each write with MDC high is a clock, whatever it was before.
    fn write_ctrl(&self, value: u32) -> u32 {
        let bit = |bits: Ctrl| value & bits.bits() != 0;
        let rising = value & SLU != 0 && self.machine.peek(regs::CTRL) & SLU == 0;
        if rising && self.cable.get() && self.link_at.get().is_none() {
            self.set(regs::STATUS, 0, Status::LU.bits());
        }
        if !bit(Ctrl::MDC) {
            return value;
        }
        let pin = bit(Ctrl::MDIO);
        let mdio = std::mem::replace(&mut self.phy.borrow_mut().mdio, Mdio::Idle);
        let (next, driven) = if bit(Ctrl::MDIO_OUT) {
            let next = match mdio {
                Mdio::Idle if !pin => Mdio::Start,
                Mdio::Start if pin => Mdio::Command(0, 12),
                Mdio::Start => Mdio::Start,
                Mdio::Command(bits, 1) => {
                    let bits = bits << 1 | u32::from(pin);
                    match (bits >> 10, (bits & 31) as u8) {
                        (0b10, number) => Mdio::ReadTurnaround(self.read_phy(number)),
                        (0b01, number) => Mdio::WriteTurnaround(number, 2),
                        _ => Mdio::Idle,
                    }
                }
                Mdio::Command(bits, left) => Mdio::Command(bits << 1 | u32::from(pin), left - 1),
                Mdio::WriteTurnaround(number, 1) => Mdio::Write(number, 0, 16),
                Mdio::WriteTurnaround(number, left) => Mdio::WriteTurnaround(number, left - 1),
                Mdio::Write(number, bits, 1) => {
                    self.write_phy(number, bits << 1 | u16::from(pin));
                    Mdio::Idle
                }
                Mdio::Write(number, bits, left) => Mdio::Write(number, bits << 1 | u16::from(pin), left - 1),
                _ => Mdio::Idle,
            };
            (next, pin)
        } else {
            match mdio {
                Mdio::ReadTurnaround(value) => (Mdio::Read(value, 16), false),
                Mdio::Read(bits, left) => {
                    let next = if left == 1 {
                        Mdio::Idle
                    } else {
                        Mdio::Read(bits << 1, left - 1)
                    };
                    (next, bits & 0x8000 != 0)
                }
                _ => (Mdio::Idle, false),
            }
        };
        self.phy.borrow_mut().mdio = next;
        value & !Ctrl::MDIO.bits() | if driven { Ctrl::MDIO.bits() } else { 0 }
    }

    fn write(&self, offset: u32, value: u32) -> Option<u32> {
        self.tick();
        match offset {
            // `e1kR3HardReset`; 82543GC has its PHY elsewhere, but keeps it, too.
            regs::CTRL if value & Ctrl::RST.bits() != 0 => {
                self.line.set(false);
                self.set(regs::STATUS, Status::LU.bits(), 0);
                self.link_at.set(Some(self.machine.now() + LINK_DELAY));
                Some(Ctrl::RST.bits())
            }
            regs::CTRL => Some(self.write_ctrl(value)),
            regs::CTRL_EXT | regs::TXCW => None,
            regs::MDIC => {
                assert!(!self.is_82543, "no MDIC");
                let number = (value >> 16 & 31) as u8;
                let answer = if value & regs::MDIC_OP_READ != 0 {
                    self.read_phy(number)
                } else {
                    self.write_phy(number, value as u16);
                    value as u16
                };
                self.machine
                    .poke(regs::MDIC, value & !0xFFFF | u32::from(answer) | regs::MDIC_READY);
                None
            }
            // `e1kRegWriteIMC` lowers the line whatever is pending; `e1kRegWriteIMS` raises it for what is.
            regs::IMC => {
                self.line.set(false);
                Some(value)
            }
            regs::IMS => {
                if self.machine.peek(regs::ICR) & (self.machine.peek(regs::IMS) | value) != 0 {
                    self.line.set(true);
                }
                Some(value)
            }
            regs::ICS => {
                self.raise(Causes::from_bits_retain(value));
                None
            }
            _ => Some(value),
        }
    }

    fn read(&self, offset: u32, value: u32) -> u32 {
        self.tick();
        match offset {
            // The fake lets CTRL.SLU gate the link of its own PHY.
            regs::STATUS => self.machine.peek(regs::STATUS),
            regs::ICR if value != 0 => {
                self.line.set(false);
                value
            }
            _ => value,
        }
    }

    /// Lets time pass, for at most 10 s, until the line is raised.
    fn wait_line(&self) -> Duration {
        let start = self.machine.now();
        while !self.line.get() {
            assert!(
                self.machine.now() - start < Duration::from_secs(10),
                "no interrupt"
            );
            self.machine.sleep(Duration::from_millis(10));
            self.tick();
        }
        self.machine.now() - start
    }
}

fn bring_up(recorder: &RecordedMachine) -> Nic<&RecordedMachine, FakeRegion> {
    let chip = recorder.inner.chip();
    let sizes = Config::default();
    let machine = recorder.inner.clone();
    Nic::bring_up(recorder, chip, sizes, &mut machine.dma(), recorder).expect("bring-up")
}

/// Waits for the interrupt that tells of a link; how long that took, and the link.
fn wait_for_link(model: &VirtualBox, nic: &mut Nic<&RecordedMachine, FakeRegion>) -> (Duration, Link) {
    let time = model.wait_line();
    assert!(
        matches!(nic.interrupts().acknowledge(0), Interrupt::Causes(causes) if causes.contains(Causes::LSC))
    );
    nic.link().refresh(&model.machine);
    (time, nic.state().link())
}

#[test]
fn link_of_virtualbox_is_there_two_seconds_after_bring_up_not_five() {
    for id in [0x100E, 0x100F, 0x1004] {
        let (recorder, model) = VirtualBox::new(id, true);
        for round in ["first", "second"] {
            let mut nic = bring_up(&recorder);
            nic.interrupts().enable();
            assert_eq!(nic.state().link(), Link::Down, "{id:04x}");
            nic.tx().send(&[7; 60]).expect("room");
            nic.tx().post();
            let (time, link) = wait_for_link(&model, &mut nic);
            assert!(time < Duration::from_millis(2100), "{id:04x}, {round}: {time:?}");
            let full = matches!(
                link,
                Link::Up {
                    mbit_s: 1000,
                    full_duplex: true,
                    ..
                }
            );
            assert!(full, "{id:04x}: {link}");
            assert_eq!(model.machine.take_sent(), [[7; 60]], "it waited for the link");
            nic.stop(&model.machine);
        }
    }
}

/// A clock that is only exact where it has to be: a longer wait ends with one of the scheduler's ticks.
struct Ticks<'a>(&'a RecordedMachine);

impl Clock for Ticks<'_> {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) {
        let tick = Duration::from_micros(4060);
        if duration <= SHORT_WAIT {
            self.0.sleep(duration);
        } else {
            self.0
                .sleep(tick * (duration.as_micros().div_ceil(tick.as_micros()) as u32 + 1));
        }
    }
}

#[test]
fn bring_up_of_82543_takes_less_than_a_second_where_sleeping_takes_ticks() {
    let (recorder, _model) = VirtualBox::new(0x1004, true);
    // No address in RAL and RAH: the EEPROM is read by hand, too, and holds none.
    recorder.inner.poke(regs::EECD, 0x100);
    let time = recorder.time(|| {
        let machine = recorder.inner.clone();
        let sizes = Config::default();
        let nic = Nic::bring_up(
            &recorder,
            recorder.inner.chip(),
            sizes,
            &mut machine.dma(),
            &Ticks(&recorder),
        );
        assert!(nic.is_ok());
        machine.poke(regs::RAH, 0);
        let _ = nvm::mac_address(&recorder, recorder.inner.chip(), &Ticks(&recorder));
    });
    assert!(time < Duration::from_secs(1), "{time:?}");
    assert!(
        time > Duration::from_millis(20),
        "{time:?}: PHY and EEPROM were accessed by hand"
    );
}

#[test]
fn cable_of_virtualbox_that_is_plugged_in_later_is_noticed_by_an_interrupt() {
    for id in [0x100E, 0x1004] {
        let (recorder, model) = VirtualBox::new(id, false);
        let mut nic = bring_up(&recorder);
        nic.interrupts().enable();
        model.machine.sleep(Duration::from_secs(20));
        nic.interrupts().acknowledge(0);
        nic.link().refresh(&model.machine);
        assert_eq!(nic.state().link(), Link::Down);
        assert!(!nic.state().needs_watching(), "nobody looks in the meantime");
        for round in 0..2 {
            nic.tx().send(&[round; 60]).expect("room");
            nic.tx().post();
            model.plug(true);
            let (time, link) = wait_for_link(&model, &mut nic);
            assert!(link.is_up() && time >= Duration::from_millis(4900));
            assert_eq!(model.machine.take_sent(), [[round; 60]]);
            model.plug(false);
            assert_eq!(wait_for_link(&model, &mut nic).1, Link::Down);
        }
    }
}

#[test]
fn frame_that_came_before_sent_ones_are_masked_still_raises_the_line_of_virtualbox() {
    let (recorder, model) = VirtualBox::new(0x100E, true);
    let mut nic = bring_up(&recorder);
    nic.interrupts().enable();
    wait_for_link(&model, &mut nic);
    nic.interrupts().set_transmit(true);
    model.deliver();
    assert!(model.line.get());
    nic.interrupts().set_transmit(false);
    assert!(model.line.get(), "the frame is still pending");
    assert!(
        matches!(nic.interrupts().acknowledge(0), Interrupt::Causes(causes) if causes.contains(Causes::RXT0))
    );
    assert!(!model.line.get());
}

#[test]
fn nothing_is_unmasked_by_masking_sent_frames() {
    let recorder = FakeMachine::recorded(chip(0x100E));
    let mut nic = bring_up(&recorder);
    let ims = || recorder.inner.peek(regs::IMS);
    nic.interrupts().set_transmit(true);
    nic.interrupts().set_transmit(false);
    assert_eq!(ims(), 0, "interrupts were not asked for");
    nic.interrupts().enable();
    let wanted = ims();
    nic.interrupts().set_transmit(true);
    nic.interrupts().set_transmit(false);
    assert_eq!(ims(), wanted);
    // Held off while frames wait.
    assert!(recorder.inner.deliver(&[0xFF; 60]) && recorder.inner.deliver(&[0xFF; 60]));
    nic.rx().hold_off_interrupts();
    nic.rx().hold_off_interrupts();
    let held = ims();
    assert_eq!(held & Causes::RXT0.bits(), 0);
    nic.interrupts().set_transmit(true);
    nic.interrupts().set_transmit(false);
    assert_eq!(ims(), held);
    nic.interrupts().disable();
    nic.interrupts().set_transmit(false);
    assert_eq!(ims(), 0);
}

/// Bochs: registers 32 to 127 of MTA and VFTA are not there.
fn bochs() -> RecordedMachine {
    let recorder = FakeMachine::recorded(chip(0x100E));
    let missing = |offset| {
        (regs::MTA + 128..regs::MTA + 512).contains(&offset)
            || (regs::VFTA + 128..regs::VFTA + 512).contains(&offset)
    };
    recorder.on_write(move |offset, value| (!missing(offset)).then_some(value));
    recorder
}

#[test]
fn groups_that_bochs_has_no_bits_for_pass_with_all_groups() {
    let recorder = bochs();
    let mut nic = bring_up(&recorder);
    let rctl = || Rctl::from_bits_retain(recorder.inner.peek(regs::RCTL));
    // Bits 47:36 of the address: 0x010 is in register 0, 0x800 in register 64.
    let (low, high) = (
        MacAddress([1, 0, 0x5E, 0, 0, 1]),
        MacAddress([0x33, 0x33, 0, 0, 0, 0x80]),
    );
    nic.settings().set_filter(false, false, [low]);
    assert!(!rctl().contains(Rctl::MPE), "the table does");
    nic.settings().set_filter(false, false, [low, high]);
    assert!(rctl().contains(Rctl::MPE));
    nic.recovery().restart(&recorder).expect("a reset");
    assert!(rctl().contains(Rctl::MPE));
    nic.settings().set_filter(false, false, [low]);
    assert!(!rctl().contains(Rctl::MPE));
}

#[test]
fn vlans_that_bochs_has_no_bits_for_pass_without_a_filter() {
    let recorder = bochs();
    let mut nic = bring_up(&recorder);
    let rctl = || Rctl::from_bits_retain(recorder.inner.peek(regs::RCTL));
    nic.settings().set_vlan_filter(Some([1, 1023]));
    assert!(rctl().contains(Rctl::VFE), "the table does");
    nic.settings().set_vlan_filter(Some([1, 1024]));
    assert!(!rctl().contains(Rctl::VFE));
    nic.settings().set_vlan_filter(Some([1]));
    assert!(rctl().contains(Rctl::VFE));
}
