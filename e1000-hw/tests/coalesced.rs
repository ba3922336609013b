//! A hypervisor that collects writes of registers, as KVM does for QEMU (coalesced MMIO): they reach the device with
//! the next access that is not collected, and never if there is none.

use std::cell::RefCell;
use std::rc::Rc;

use e1000_hw::RingSize;
use e1000_hw::chip::find;
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters};
use e1000_hw::nic::{Config, Interrupt, Nic};
use e1000_hw::platform::Registers;
use e1000_hw::regs;

/// Writes that are not collected (QEMU, hw/net/e1000.c, `e1000_mmio_setup`, `excluded_regs`).
const EXCLUDED: [u32; 7] = [
    regs::MDIC,
    regs::ICR,
    regs::ICS,
    regs::IMS,
    regs::IMC,
    regs::TCTL,
    regs::TDT,
];
/// Writes that the kernel's ring has room for; the next one is handed over with all before it.
const RING: usize = 170;

#[derive(Clone)]
struct Collecting {
    device: FakeRegisters,
    collected: Rc<RefCell<Vec<(u32, u32)>>>,
}

impl Collecting {
    fn flush(&self) {
        for (offset, value) in self.collected.borrow_mut().drain(..) {
            self.device.write(offset, value);
        }
    }
}

impl Registers for Collecting {
    fn read(&self, offset: u32) -> u32 {
        self.flush();
        self.device.read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        if EXCLUDED.contains(&offset) || self.collected.borrow().len() == RING {
            self.flush();
            self.device.write(offset, value);
        } else {
            self.collected.borrow_mut().push((offset, value));
        }
    }
}

fn bring_up(size: u32) -> (FakeMachine, Nic<Collecting, FakeRegion>) {
    let chip = find(0x8086, 0x100E).expect("82540EM");
    let machine = FakeMachine::new(chip);
    let registers = Collecting {
        device: machine.registers(),
        collected: Rc::default(),
    };
    let size = RingSize::new(size).expect("a ring size");
    let sizes = Config::with_rings(size, size);
    let nic = Nic::bring_up(registers, chip, sizes, &mut machine.dma(), &machine).expect("bring-up");
    (machine, nic)
}

/// Frames that arrive until there is no room. A full ring raises one interrupt.
fn fill(machine: &FakeMachine) -> u32 {
    (0..).take_while(|_| machine.deliver(&[0; 60])).count() as u32
}

fn read_all(nic: &mut Nic<Collecting, FakeRegion>) -> u32 {
    let frames = (0..)
        .take_while(|_| nic.rx().receive(&mut [0; 64]).is_some())
        .count();
    assert!(!nic.rx().complete());
    frames as u32
}

#[test]
fn receiver_that_empties_full_rings_and_never_sends_goes_on() {
    for size in [8, 64, 256, 512] {
        let (machine, mut nic) = bring_up(size);
        nic.interrupts().enable();
        for round in 0..20 {
            let frames = fill(&machine);
            assert!(frames >= size / 2, "{frames} buffers of {size} in round {round}");
            assert!(matches!(nic.interrupts().acknowledge(0), Interrupt::Causes(_)));
            assert_eq!(read_all(&mut nic), frames);
        }
    }
}

#[test]
fn owner_that_polls_and_flushes_goes_on() {
    let (machine, mut nic) = bring_up(64);
    for _ in 0..20 {
        nic.rx().flush();
        let frames = fill(&machine);
        assert!(frames >= 32, "{frames} buffers");
        assert_eq!(read_all(&mut nic), frames);
    }
    nic.rx().flush();
    machine.take_accesses();
    nic.rx().flush();
    assert!(
        machine.take_accesses().writes.is_empty(),
        "there is nothing to say"
    );
}

#[test]
fn filter_counts_at_once() {
    let (machine, mut nic) = bring_up(64);
    nic.interrupts().enable();
    let group = MacAddress([0x01, 0, 0x5E, 0, 0, 0xFB]);
    machine.take_accesses();
    nic.settings().set_filter(true, false, [group]);
    let written = |offset: u32| {
        let accesses = machine.take_accesses();
        accesses.writes.iter().any(|(register, _)| *register == offset)
    };
    assert!(written(regs::RCTL), "UPE");
    nic.settings().set_filter(false, false, []);
    assert!(written(regs::RCTL));
    nic.settings().set_vlan_filter(Some([5]));
    assert!(written(regs::RCTL), "VFE");
}

#[test]
fn frames_of_an_ordinary_receiver_cost_nothing_more() {
    let (machine, mut nic) = bring_up(256);
    nic.interrupts().enable();
    machine.take_accesses();
    for _ in 0..64 {
        for _ in 0..32 {
            assert!(machine.deliver(&[0; 60]));
        }
        nic.interrupts().acknowledge(0);
        assert_eq!(read_all(&mut nic), 32);
    }
    let writes = machine.take_accesses().writes;
    assert!(
        writes.iter().all(|(register, _)| *register == regs::RDT),
        "{writes:?}"
    );
    // Those of the last frames may be collected still.
    assert!(
        (64 * 32 / 16 - 2..=64 * 32 / 16).contains(&writes.len()),
        "{}",
        writes.len()
    );
}
