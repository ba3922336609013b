//! The machine without the daemon: what QEMU's NICs look like right after firmware.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use e1000_hosted::machine::{Machine, MachineError, MachineOptions, NicModel};
use e1000_hosted::pci::{self, Nic};
use e1000_hosted::pcid;
use e1000_hosted::registers::QtestRegisters;
use e1000_hw::platform::Registers;
use e1000_hw::recorder::{Access, Counts};
use event::{EventFlags, EventQueue};
use libredox::Fd;
use libredox::flag::O_RDWR;
use pcid_config::Channel;
use pcid_config::protocol::Bar;
use redox_shim::irq;

const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0xAB, 0xCD, 0xEF];

const CTRL: u32 = 0x0000;
const STATUS: u32 = 0x0008;
const ICR: u32 = 0x00C0;
const ICS: u32 = 0x00C8;
const IMS: u32 = 0x00D0;
const IMC: u32 = 0x00D8;
const RDBAL: u32 = 0x2800;
const RAL0: u32 = 0x5400;
const RAH0: u32 = 0x5404;

const ICR_LSC: u32 = 1 << 2;

/// Longest wait for something that should happen at once.
const SOON: Duration = Duration::from_secs(15);

/// Machines share the interrupt lines of the shim: one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn start(model: NicModel) -> (Machine, Nic, QtestRegisters) {
    let options = MachineOptions {
        mac: MAC,
        ..MachineOptions::new(model).with_shim_interrupts()
    };
    let machine = Machine::start(options).unwrap_or_else(|error| panic!("{model}: {error}"));
    let nic = pci::configure(machine.qtest(), machine.slot()).unwrap();
    let registers = nic.registers(machine.qtest()).unwrap();
    (machine, nic, registers)
}

fn for_each_model(test: impl Fn(NicModel, &Machine, &Nic, &QtestRegisters)) {
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for model in NicModel::ALL {
        let (machine, nic, registers) = start(model);
        test(model, &machine, &nic, &registers);
    }
}

#[test]
fn power_on_values_are_those_of_the_reference() {
    for_each_model(|model, _, _, registers| {
        let (ctrl, status) = if model == NicModel::E1000e {
            (0x0014_0241, 0x0008_0283)
        } else {
            (0x0014_0240, 0x8008_0783)
        };
        assert_eq!(registers.read(CTRL), ctrl, "{model} CTRL");
        assert_eq!(registers.read(STATUS), status, "{model} STATUS");
    });
}

#[test]
fn receive_address_zero_holds_the_mac() {
    for_each_model(|model, _, _, registers| {
        let [a, b, c, d, e, f] = MAC;
        assert_eq!(registers.read(RAL0), u32::from_le_bytes([a, b, c, d]), "{model}");
        assert_eq!(
            registers.read(RAH0),
            1 << 31 | u32::from_le_bytes([e, f, 0, 0]),
            "{model}"
        );
    });
}

#[test]
fn register_keeps_what_is_written_and_accesses_are_counted() {
    for_each_model(|model, _, _, registers| {
        registers.log().start();
        registers.write(RDBAL, 0x0123_4560);
        assert_eq!(registers.read(RDBAL), 0x0123_4560, "{model}");
        assert_eq!(registers.clone().counts(), Counts { reads: 1, writes: 1 });
        let log = [Access::Write(RDBAL, 0x0123_4560), Access::Read(RDBAL)];
        assert_eq!(registers.log().take(), log);
    });
}

#[test]
fn function_is_described_as_the_models_are() {
    for_each_model(|model, _, nic, _| {
        let function = &nic.function;
        let device = match model {
            NicModel::E1000 => 0x100E,
            NicModel::E100082544gc => 0x100C,
            NicModel::E100082545em => 0x100F,
            NicModel::E1000e => 0x10D3,
        };
        assert_eq!(
            (function.id.vendor, function.id.device),
            (0x8086, device),
            "{model}"
        );
        assert_eq!((function.id.class, function.id.subclass), (2, 0));
        let Bar::Memory32 { address, size } = function.bars[0] else {
            panic!("{model}: {:?}", function.bars)
        };
        assert_eq!((size, address % size), (0x2_0000, 0));
        assert_eq!(function.address.to_string(), "0000:00:05.0");
        assert_eq!(function.legacy_interrupt.unwrap().irq, 10);
        assert_eq!(
            nic.config.read(0x3C) & 0xFF,
            10,
            "{model}: firmware writes the line into the function"
        );
    });
}

#[test]
fn interrupt_cause_becomes_an_event_of_the_line_until_acknowledged() {
    for_each_model(|model, _, nic, registers| {
        let number = nic.function.legacy_interrupt.unwrap().irq;
        let line = irq::line(number);
        let handle = Fd::open(&format!("/scheme/irq/{number}"), O_RDWR, 0).unwrap();
        let queue = EventQueue::<usize>::new().unwrap();
        queue.subscribe(handle.raw(), 1, EventFlags::READ).unwrap();
        let before = line.count();
        registers.write(IMS, ICR_LSC);
        registers.write(ICS, ICR_LSC);
        assert_eq!(queue.next_event().unwrap().user_data, 1, "{model}");
        assert_eq!(line.count(), before + 1, "{model}");
        assert!(line.is_masked());

        assert_ne!(registers.read(ICR) & ICR_LSC, 0, "{model}");
        registers.write(ICR, u32::MAX);
        registers.write(IMC, u32::MAX);
        acknowledge(&handle);
        assert!(
            !line.is_masked(),
            "{model}: the pin is low, so the line stays quiet"
        );
        assert_eq!(line.count(), before + 1, "{model}");
    });
}

fn acknowledge(handle: &Fd) {
    let mut count = [0; 8];
    assert_eq!(handle.read(&mut count).unwrap(), 8);
    assert_eq!(handle.write(&count).unwrap(), 8);
}

#[test]
fn slot_decides_the_interrupt_line() {
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for (slot, expected) in [(2, 10), (3, 11), (4, 11), (5, 10), (10, 10), (31, 11)] {
        let options = MachineOptions {
            slot,
            ..MachineOptions::new(NicModel::E1000).with_shim_interrupts()
        };
        let machine = Machine::start(options).unwrap();
        let nic = pci::configure(machine.qtest(), slot).unwrap();
        let registers = nic.registers(machine.qtest()).unwrap();
        assert_eq!(nic.function.legacy_interrupt.unwrap().irq, expected);
        let handle = Fd::open(&format!("/scheme/irq/{expected}"), O_RDWR, 0).unwrap();
        let before = irq::line(expected).count();
        registers.write(IMS, ICR_LSC);
        registers.write(ICS, ICR_LSC);
        assert_eq!(irq::line(expected).count(), before + 1, "slot {slot}");
        registers.read(ICR);
        acknowledge(&handle);
    }
}

#[test]
fn cable_can_be_pulled_and_plugged() {
    for_each_model(|model, machine, _, registers| {
        const STATUS_LU: u32 = 1 << 1;
        let wait_for = |link: u32| {
            let start = Instant::now();
            while registers.read(STATUS) & STATUS_LU != link {
                assert!(start.elapsed() < SOON, "{model}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        machine.set_link(false).unwrap();
        wait_for(0);
        machine.set_link(true).unwrap();
        wait_for(STATUS_LU);
    });
}

#[test]
fn pcid_stand_in_speaks_the_protocol() {
    for_each_model(|model, _, nic, _| {
        let channel =
            Channel::from_raw(std::os::fd::IntoRawFd::into_raw_fd(pcid::serve(nic, || {}).unwrap()) as usize);
        assert_eq!(channel.config().unwrap(), nic.function, "{model}");
        assert_eq!(channel.read_config(0).unwrap(), nic.config.read(0));
        let command = channel.read_config(4).unwrap();
        assert_eq!(command & 7, 7, "memory, I/O and bus mastering are on");
        channel.write_config(4, command & 0xFFFF & !4).unwrap();
        assert_eq!(nic.config.read(4) & 7, 3);
        channel.write_config(4, command & 0xFFFF).unwrap();
    });
}

#[test]
fn machine_that_cannot_start_says_why() {
    let options = MachineOptions {
        netdev: e1000_hosted::machine::Netdev::User("nonsense=1".into()),
        ..MachineOptions::new(NicModel::E1000)
    };
    match Machine::start(options) {
        Err(error @ (MachineError::Qemu(_) | MachineError::Unusable { .. })) => {
            assert!(error.to_string().contains("nonsense"), "{error}")
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("QEMU takes nonsense"),
    }
}

#[test]
fn nic_of_a_dead_machine_reads_as_ones() {
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (machine, _, registers) = start(NicModel::E1000);
    drop(machine);
    assert_eq!(registers.read(STATUS), u32::MAX);
    registers.write(CTRL, 0);
}
