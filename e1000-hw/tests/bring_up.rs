//! Bring-up and stop, for every chip in the table, against the register-level fake.

use std::rc::Rc;
use std::time::Duration;

use e1000_hw::chip::{CHIPS, Chip, Quirks, Reset, find};
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FAKE_MAC, FakeDma, FakeEeprom, FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::flow_control::Pause;
use e1000_hw::interrupt::Routing;
use e1000_hw::link::Link;
use e1000_hw::nic::{BringUpError, Config, Interrupt, Nic};
use e1000_hw::nvm::MacAddressError;
use e1000_hw::platform::{Clock, Registers};
use e1000_hw::regs::{self, Causes, Rctl, Status, Tctl};
use e1000_hw::warnings::Warnings;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

fn chip(id: u16) -> &'static Chip {
    find(0x8086, id).expect("a chip of the table")
}

fn bring_up(machine: &FakeMachine, chip: &'static Chip) -> Result<FakeNic, BringUpError> {
    let mut dma: FakeDma = machine.dma();
    Nic::bring_up(machine.registers(), chip, Config::default(), &mut dma, machine)
}

#[test]
fn every_chip_comes_up_and_passes_frames() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let mut nic = bring_up(&machine, chip).expect(chip.name);
        assert_eq!(nic.state().mac(), MacAddress(FAKE_MAC), "{}", chip.name);
        assert_eq!(
            nic.state().link(),
            Link::Up {
                mbit_s: 1000,
                full_duplex: true,
                pause: Pause::NONE
            }
        );
        let frame: Vec<u8> = (0..100).collect();
        nic.tx().send(&frame).expect("room");
        nic.tx().post();
        assert_eq!(machine.take_sent(), std::slice::from_ref(&frame), "{}", chip.name);
        assert!(machine.deliver(&frame));
        let mut out = [0; 2048];
        assert_eq!(
            nic.rx().receive(&mut out),
            Some(100),
            "{}: FCS is not part of the frame",
            chip.name
        );
        assert_eq!(out[..100], frame);
        nic.stop(&machine);
        assert_eq!(machine.dma_in_use(), 0, "{}", chip.name);
        assert_eq!(machine.peek(regs::RCTL) & Rctl::EN.bits(), 0, "{}", chip.name);
        assert_eq!(machine.peek(regs::TCTL) & Tctl::EN.bits(), 0, "{}", chip.name);
        assert_eq!(machine.peek(regs::IMS), 0, "{}", chip.name);
    }
}

#[test]
fn rctl_is_written_once_on_a_device_at_rest() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let _nic = bring_up(&machine, chip).expect(chip.name);
        let writes = machine.take_accesses().writes;
        let rctl: Vec<u32> = writes
            .iter()
            .filter(|(offset, _)| *offset == regs::RCTL)
            .map(|(_, v)| *v)
            .collect();
        assert_eq!(
            rctl.len(),
            1,
            "{}: QEMU's e1000 stops receiving for a second on each write",
            chip.name
        );
        assert_eq!(
            rctl[0] & (Rctl::UPE | Rctl::MPE | Rctl::SBP | Rctl::LPE).bits(),
            0
        );
        assert_ne!(rctl[0] & Rctl::BAM.bits(), 0);
        // Nothing is enabled before everything else is programmed; the tail comes last.
        assert_eq!(
            writes.last(),
            Some(&(
                regs::RDT,
                Config::default().rx.get().min(chip.limits.max_descriptors) - 1
            ))
        );
    }
}

#[test]
fn state_left_by_others_is_gone_even_if_reset_does_nothing() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        machine.set_faults(Faults {
            reset_ignored: true,
            ..Faults::default()
        });
        for (register, value) in [
            (regs::RCTL, 0x0400_801E | Rctl::UPE.bits()),
            (regs::TCTL, 0x2),
            (regs::IMS, 0x1F6DC),
            (regs::RDH, 5),
            (regs::RDT, 9),
            (regs::TDH, 3),
            (regs::RDTR, 100),
            (regs::MTA + 4, 0xFFFF),
            (regs::VFTA + 8, 1),
        ] {
            machine.poke(register, value);
        }
        let mut nic = bring_up(&machine, chip).expect(chip.name);
        for (register, value) in [
            (regs::IMS, 0),
            (regs::RDH, 0),
            (regs::TDH, 0),
            (regs::TDT, 0),
            (regs::MTA + 4, 0),
            (regs::VFTA + 8, 0),
        ] {
            assert_eq!(
                machine.peek(register),
                value,
                "{}: register {register:#x}",
                chip.name
            );
        }
        assert_eq!(machine.peek(regs::RCTL) & Rctl::UPE.bits(), 0);
        assert!(machine.deliver(&[0xFF; 60]));
        assert_eq!(nic.rx().receive(&mut [0; 2048]), Some(60));
    }
}

#[test]
fn reset_that_never_ends_is_an_error_within_a_bound() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        machine.set_faults(Faults {
            reset_stuck: true,
            ..Faults::default()
        });
        let start = machine.now();
        assert!(
            matches!(bring_up(&machine, chip), Err(BringUpError::Reset(_))),
            "{}",
            chip.name
        );
        assert!(
            machine.now() - start < Duration::from_millis(250),
            "{}",
            chip.name
        );
        assert_eq!(machine.dma_in_use(), 0);
    }
}

#[test]
fn deep_smart_power_down_of_82573_is_told() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        machine.set_faults(Faults {
            deep_smart_power_down: true,
            ..Faults::default()
        });
        let nic = bring_up(&machine, chip).expect(chip.name);
        let told = nic.state().warnings().contains(Warnings::DEEP_SMART_POWER_DOWN);
        assert_eq!(
            told,
            [0x108B, 0x108C, 0x109A].contains(&chip.device_id),
            "{}",
            chip.name
        );
    }
}

#[test]
fn parts_that_are_known_to_hang_say_so() {
    for chip in CHIPS {
        assert_eq!(chip.hazard().is_some(), chip.device_id == 0x1503, "{}", chip.name);
    }
}

#[test]
fn pci_x_parts_that_may_not_send_from_long_buffers_take_no_jumbo_frames() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        machine.poke(
            regs::STATUS,
            machine.peek(regs::STATUS) | Status::PCIX_MODE.bits(),
        );
        let nic = bring_up(&machine, chip).expect(chip.name);
        if chip.quirks.contains(Quirks::PCIX_TX_2015) {
            assert_eq!(nic.state().max_mtu(), 1500, "{}", chip.name);
        }
        nic.stop(&machine);
        let nic = bring_up(&FakeMachine::new(chip), chip).expect(chip.name);
        assert_eq!(
            nic.state().max_mtu() > 1500,
            chip.limits.max_frame > 1522,
            "{}",
            chip.name
        );
        drop(nic);
    }
}

#[test]
fn device_that_is_gone_is_an_error() {
    let machine = FakeMachine::new(chip(0x100E));
    machine.set_faults(Faults {
        gone: true,
        ..Faults::default()
    });
    assert!(matches!(
        bring_up(&machine, chip(0x100E)),
        Err(BringUpError::DeviceGone)
    ));
}

#[test]
fn mac_address_comes_from_either_eeprom_layout() {
    for (id, eeprom) in [(0x100E, FakeEeprom::Small), (0x10D3, FakeEeprom::Large)] {
        let machine = FakeMachine::new(chip(id));
        machine.poke(regs::RAH, 0);
        machine.set_eeprom(eeprom, [0x1100, 0x3322, 0x5544]);
        let nic = bring_up(&machine, chip(id)).expect("an address in the EEPROM");
        assert_eq!(nic.state().mac().to_string(), "00:11:22:33:44:55");
        assert_eq!(machine.peek(regs::RAL), 0x3322_1100);
        assert_eq!(machine.peek(regs::RAH), 0x8000_5544);
    }
}

#[test]
fn no_usable_mac_address_is_an_error() {
    let machine = FakeMachine::new(chip(0x100E));
    machine.poke(regs::RAH, 0);
    machine.set_eeprom(FakeEeprom::None, [0; 3]);
    let start = machine.now();
    let error = bring_up(&machine, chip(0x100E)).err();
    assert!(matches!(
        error,
        Some(BringUpError::MacAddress(MacAddressError::NvmSilent(_)))
    ));
    assert!(machine.now() - start < Duration::from_millis(250));
    // A group address in RAL/RAH and in the EEPROM.
    machine.poke(regs::RAL, 0x0000_0001);
    machine.poke(regs::RAH, regs::RAH_AV);
    machine.set_eeprom(FakeEeprom::Small, [0xFFFF; 3]);
    let error = bring_up(&machine, chip(0x100E)).err();
    assert_eq!(
        error,
        Some(BringUpError::MacAddress(MacAddressError::Invalid(MacAddress(
            [0xFF; 6]
        ))))
    );
}

#[test]
fn buffers_are_found_in_fragmented_memory() {
    let machine = FakeMachine::new(chip(0x100E));
    machine.set_largest_block(64 << 10);
    let mut nic = bring_up(&machine, chip(0x100E)).expect("16 blocks of 64 KiB each way");
    for n in 0..600u32 {
        assert!(machine.deliver(&[n as u8 | 1; 64]));
        let mut out = [0; 64];
        assert_eq!(nic.rx().receive(&mut out), Some(64));
        assert_eq!(out, [n as u8 | 1; 64]);
    }
    drop(nic);
    machine.set_largest_block(32 << 10);
    assert!(matches!(
        bring_up(&machine, chip(0x100E)),
        Err(BringUpError::Memory(_))
    ));
}

#[test]
fn dropping_stops_the_device_but_keeps_its_memory() {
    let machine = FakeMachine::new(chip(0x100E));
    let nic = bring_up(&machine, chip(0x100E)).expect("bring-up");
    let used = machine.dma_in_use();
    assert!(used <= 4 << 20, "{used} bytes of DMA memory");
    drop(nic);
    assert_eq!(machine.peek(regs::RCTL), 0);
    assert_eq!(machine.dma_in_use(), used, "DMA in flight may still end");
}

/// Registers of which one can tell whether somebody still has them.
struct Counted(
    FakeRegisters,
    #[expect(dead_code, reason = "it is counted")] Rc<()>,
);

impl Registers for Counted {
    fn read(&self, offset: u32) -> u32 {
        self.0.read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        self.0.write(offset, value);
    }
}

#[test]
fn stopping_gives_the_registers_back_and_then_leaves_the_device_alone() {
    let count = Rc::new(());
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let registers = Counted(machine.registers(), count.clone());
        let nic =
            Nic::bring_up(registers, chip, Config::default(), &mut machine.dma(), &machine).expect(chip.name);
        machine.take_accesses();
        nic.stop(&machine);
        assert_eq!(Rc::strong_count(&count), 1, "{}", chip.name);
        let stops = machine.take_accesses().writes;
        let stops = stops.iter().filter(|(offset, _)| *offset == regs::TCTL);
        assert!(stops.count() <= 1, "{}: stopped twice", chip.name);
    }
}

#[test]
fn receiver_of_82574_is_only_stopped_by_reset() {
    let chip = chip(0x10D3);
    assert!(chip.quirks.contains(Quirks::NO_RX_DISABLE) && chip.limits.reset == Reset::PciePhyFromNvm);
    let machine = FakeMachine::new(chip);
    let nic = bring_up(&machine, chip).expect("bring-up");
    machine.take_accesses();
    nic.stop(&machine);
    let writes = machine.take_accesses().writes;
    assert!(
        !writes
            .iter()
            .any(|&(offset, value)| offset == regs::RCTL && value & Rctl::EN.bits() == 0)
    );
    assert_eq!(machine.peek(regs::RCTL), 0);
    assert_eq!(machine.dma_in_use(), 0);
}

#[test]
fn multicast_table_of_82544_is_written_from_high_to_low() {
    let chip = chip(0x100C);
    let machine = FakeMachine::new(chip);
    let _nic = bring_up(&machine, chip).expect("bring-up");
    let table: Vec<u32> = machine
        .take_accesses()
        .writes
        .iter()
        .map(|(offset, _)| *offset)
        .filter(|offset| (regs::MTA..regs::MTA + 512).contains(offset))
        .collect();
    assert_eq!(table.len(), 128);
    assert!(table.is_sorted_by(|a, b| a > b));
}

#[test]
fn interrupts_are_acknowledged_with_one_read() {
    let machine = FakeMachine::new(chip(0x100E));
    let mut nic = bring_up(&machine, chip(0x100E)).expect("bring-up");
    nic.interrupts().enable();
    let wanted = Causes::RXT0 | Causes::RXO | Causes::RXDMT0 | Causes::LSC;
    assert_eq!(machine.peek(regs::IMS), wanted.bits());
    machine.take_accesses();
    assert_eq!(nic.interrupts().acknowledge(0), Interrupt::NotOurs);
    assert!(machine.deliver(&[0; 60]));
    assert_eq!(nic.interrupts().acknowledge(0), Interrupt::Causes(Causes::RXT0));
    machine.set_link(false);
    assert_eq!(nic.interrupts().acknowledge(0), Interrupt::Causes(Causes::LSC));
    assert_eq!(machine.take_accesses().reads, [regs::ICR; 3]);
    machine.set_faults(Faults {
        gone: true,
        ..Faults::default()
    });
    assert_eq!(nic.interrupts().acknowledge(0), Interrupt::DeviceGone);
}

#[test]
fn link_changes_are_seen_and_frames_wait_for_the_link() {
    let machine = FakeMachine::new(chip(0x100E));
    machine.set_link(false);
    let mut nic = bring_up(&machine, chip(0x100E)).expect("bring-up does not wait for the link");
    assert_eq!(nic.state().link(), Link::Down);
    assert_eq!(nic.link().refresh(&machine), None);
    for n in 0..3u8 {
        nic.tx().send(&[n; 60]).expect("room");
        nic.tx().post();
    }
    assert_eq!(nic.state().pending_frames(), 3);
    assert!(machine.take_sent().is_empty());
    machine.set_link(true);
    assert_eq!(
        nic.link().refresh(&machine),
        Some(Link::Up {
            mbit_s: 1000,
            full_duplex: true,
            pause: Pause::NONE
        })
    );
    assert_eq!(machine.take_sent(), [[0u8; 60], [1; 60], [2; 60]]);
    // While it is down, no more than a ring full is kept, and the oldest are.
    machine.set_link(false);
    assert_eq!(nic.link().refresh(&machine), Some(Link::Down));
    for n in 0..600u32 {
        nic.tx()
            .send(&[n as u8; 60])
            .expect("taken, or taken and dropped");
        nic.tx().post();
    }
    assert_eq!(nic.state().pending_frames(), 511);
    assert_eq!(nic.state().tx_counters().dropped, 89);
    assert_eq!(nic.tx().drop_pending(), 511);
    machine.set_link(true);
    nic.link().refresh(&machine);
    assert!(machine.take_sent().is_empty());
    nic.tx().send(&[9; 60]).expect("room");
    nic.tx().post();
    assert_eq!(machine.take_sent(), [[9u8; 60]]);
}

#[test]
fn interrupts_are_held_off_while_frames_wait() {
    let machine = FakeMachine::new(chip(0x100E));
    let mut nic = bring_up(&machine, chip(0x100E)).expect("bring-up");
    nic.interrupts().enable();
    let unmasked = machine.peek(regs::IMS);
    for _ in 0..4 {
        assert!(machine.deliver(&[0; 60]));
    }
    machine.take_accesses();
    nic.interrupts().acknowledge(0);
    nic.rx().hold_off_interrupts();
    assert_eq!(machine.peek(regs::IMS), unmasked, "the reader was only just told");
    nic.rx().receive(&mut [0; 60]);
    nic.interrupts().acknowledge(0);
    nic.rx().hold_off_interrupts();
    assert_eq!(machine.peek(regs::IMS), (Causes::RXO | Causes::LSC).bits());
    nic.interrupts().acknowledge(0);
    nic.rx().hold_off_interrupts();
    let accesses = machine.take_accesses();
    assert_eq!(
        (accesses.reads.len(), accesses.writes.len()),
        (3, 1),
        "at most two accesses an interrupt"
    );
    while nic.rx().receive(&mut [0; 60]).is_some() {}
    assert_eq!(
        machine.take_accesses().writes,
        [],
        "looking at the ring changes nothing"
    );
    // A frame that arrives between the look at the ring and the unmasking is found.
    assert!(machine.deliver(&[0; 60]));
    assert!(nic.rx().complete());
    assert_eq!(machine.peek(regs::IMS), unmasked, "the ring was empty");
    assert_eq!(machine.take_accesses().writes.len(), 1);
    assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60));
    assert!(!nic.rx().complete());
    assert_eq!(machine.take_accesses().writes, []);
}

#[test]
fn msi_x_routes_causes_to_vectors() {
    let chip = chip(0x10D3);
    let machine = FakeMachine::new(chip);
    let mut nic = bring_up(&machine, chip).expect("bring-up");
    for (vectors, ivar, eiac) in [(1, 0x0008_0808, 0), (5, 0x000A_0908, 0x0050_0000)] {
        let routing = Routing::for_vectors(chip, vectors).expect("MSI-X");
        nic.interrupts().route(routing);
        nic.interrupts().enable();
        assert_eq!(machine.peek(regs::IVAR), ivar);
        assert_eq!(machine.peek(regs::EIAC), eiac);
        assert_eq!(
            machine.peek(regs::CTRL_EXT) & 0x8900_0000,
            0x8100_0000,
            "PBA_CLR and EIAME, not IAME"
        );
        assert_eq!(machine.peek(regs::IMS), 0x0110_0044, "RXQ0, OTHER, RXO, LSC");
    }
    // The vector for received frames needs no register at all.
    machine.take_accesses();
    assert_eq!(nic.interrupts().acknowledge(0), Interrupt::Causes(Causes::RXQ0));
    assert_eq!(machine.take_accesses(), Default::default());
    // The others read ICR and write it back: a read need not clear it.
    machine.set_link(false);
    let link = Causes::LSC | Causes::INT_ASSERTED;
    assert_eq!(nic.interrupts().acknowledge(2), Interrupt::Causes(link));
    assert_eq!(machine.take_accesses().writes, [(regs::ICR, link.bits())]);
}

#[test]
fn vectors_that_mask_themselves_are_unmasked_once_the_ring_is_empty() {
    let machine = FakeMachine::new(chip(0x10D3));
    let mut nic = bring_up(&machine, chip(0x10D3)).expect("bring-up");
    nic.interrupts().route(Routing::ThreeVectors);
    nic.interrupts().enable();
    let unmasked = |causes: Causes| (regs::IMS, causes.bits());
    let mut out = [0; 2048];
    for round in 0..3 {
        assert!(machine.deliver(&[round; 60]));
        machine.take_accesses();
        assert_eq!(nic.interrupts().acknowledge(0), Interrupt::Causes(Causes::RXQ0));
        assert_eq!(nic.rx().receive(&mut out), Some(60));
        assert_eq!(machine.take_accesses().writes, [], "the reader may go on");
        assert_eq!(nic.rx().receive(&mut out), None);
        assert!(!nic.rx().complete());
        assert_eq!(machine.take_accesses().writes, [unmasked(Causes::RXQ0)]);
        assert!(!nic.rx().complete());
        assert_eq!(machine.take_accesses().writes, [], "once is enough");
    }
    assert_eq!(nic.interrupts().acknowledge(1), Interrupt::Causes(Causes::TXQ0));
    assert_eq!(machine.take_accesses().writes, [], "nobody waits for room");
    nic.interrupts().set_transmit(true);
    machine.take_accesses();
    nic.interrupts().acknowledge(1);
    assert_eq!(machine.take_accesses().writes, [unmasked(Causes::TXQ0)]);
}
