//! Stop, and bring-up of a device that does not do its part: memory is kept, waits end. Against the fake.

use std::time::Duration;

use e1000_hw::chip::{CHIPS, PhyAccess};
use e1000_hw::fake::{FakeMachine, FakeRegion, Faults, RecordedMachine, chip};
use e1000_hw::nic::{BringUpError, Config, Nic};
use e1000_hw::platform::Clock as _;
use e1000_hw::regs::{self, Ctrl, Rctl, Tctl};
use e1000_hw::warnings::Warnings;

#[test]
fn memory_is_kept_from_a_bus_master_that_does_not_end() {
    for chip in CHIPS {
        for (stuck, what) in [
            (1 << 19, "STATUS.GIO_MASTER_ENABLE"),
            (u32::MAX, "a device that is gone"),
        ] {
            let recorder = FakeMachine::recorded(chip);
            let machine = recorder.inner.clone();
            let mut nic: Nic<&RecordedMachine, FakeRegion> =
                Nic::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &machine)
                    .expect(chip.name);
            let used = machine.dma_in_use();
            recorder.on_read(move |offset, value| {
                if offset == regs::STATUS {
                    value | stuck
                } else {
                    value
                }
            });
            let start = machine.now();
            let dma_ended = nic.halt(&machine);
            let tells = chip.mac().is_pcie() || stuck == u32::MAX;
            assert_eq!(dma_ended, !tells, "{}: {what}", chip.name);
            assert!(
                machine.now() - start < Duration::from_millis(500),
                "{}",
                chip.name
            );
            assert_eq!(machine.dma_in_use(), used, "{}: {what}", chip.name);
            drop(nic);
            let left = if tells { used } else { 0 };
            assert_eq!(machine.dma_in_use(), left, "{}: {what}", chip.name);
        }
    }
}

#[test]
fn memory_is_kept_if_the_last_reset_did_not_end() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let mut nic = Nic::bring_up(
            machine.registers(),
            chip,
            Config::default(),
            &mut machine.dma(),
            &machine,
        )
        .expect(chip.name);
        let stuck = Faults {
            reset_stuck: true,
            ..Faults::default()
        };
        machine.set_faults(stuck);
        assert!(nic.recovery().restart(&machine).is_err(), "{}", chip.name);
        let dma_ended = nic.halt(&machine);
        assert!(!dma_ended, "{}", chip.name);
        drop(nic);
        assert_ne!(machine.dma_in_use(), 0, "{}", chip.name);
    }
}

#[test]
fn device_stops_before_its_memory_is_freed() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let mut nic: Nic<_, FakeRegion> = Nic::bring_up(
            machine.registers(),
            chip,
            Config::default(),
            &mut machine.dma(),
            &machine,
        )
        .expect(chip.name);
        assert!(nic.halt(&machine), "{}", chip.name);
        assert_ne!(machine.dma_in_use(), 0, "{}", chip.name);
        assert_eq!(machine.peek(regs::RCTL) & Rctl::EN.bits(), 0, "{}", chip.name);
        assert_eq!(machine.peek(regs::TCTL) & Tctl::EN.bits(), 0, "{}", chip.name);
        drop(nic);
        assert_eq!(machine.dma_in_use(), 0, "{}", chip.name);
    }
}

#[test]
fn nvm_that_is_not_reported_as_loaded_is_a_note_unless_the_address_is_missing_too() {
    for id in [0x105E, 0x109A, 0x10D3, 0x150C] {
        let up = |address: bool| {
            let recorder = FakeMachine::recorded(chip(id));
            let machine = recorder.inner.clone();
            machine.poke(regs::EECD, 0);
            if !address {
                machine.poke(regs::RAH, 0);
                recorder.on_read(|offset, value| if offset == regs::EERD { 0 } else { value });
            }
            let start = machine.now();
            let nic = Nic::bring_up(
                recorder,
                chip(id),
                Config::default(),
                &mut machine.dma(),
                &machine,
            );
            assert!(machine.now() - start < Duration::from_millis(200));
            nic.map(|nic| nic.state().warnings())
        };
        // VirtualBox's 82583V: `e1kR3HardReset` sets EECD to EE_PRES alone.
        assert_eq!(up(true), Ok(Warnings::NVM_NOT_LOADED), "{id:04x}");
        assert!(matches!(up(false), Err(BringUpError::MacAddress(_))), "{id:04x}");
    }
}

#[test]
fn firmware_learns_of_start_and_stop() {
    // Linux e1000e, `e1000e_get_hw_control`: CTRL_EXT bit 28, or SWSM bit 3 on 82573.
    for (id, register, bit) in [
        (0x105E, regs::CTRL_EXT, 1 << 28),
        (0x107D, regs::CTRL_EXT, 1 << 28),
        (0x109A, regs::SWSM, 1 << 3),
        (0x10D3, regs::CTRL_EXT, 1 << 28),
        (0x153A, regs::CTRL_EXT, 1 << 28),
    ] {
        let machine = FakeMachine::new(chip(id));
        let nic = Nic::bring_up(
            machine.registers(),
            chip(id),
            Config::default(),
            &mut machine.dma(),
            &machine,
        );
        let nic = nic.expect("bring-up");
        assert_ne!(machine.peek(register) & bit, 0, "{id:04x}");
        nic.stop(&machine);
        assert_eq!(machine.peek(register) & bit, 0, "{id:04x}");
    }
}

#[test]
fn phy_is_never_reset_where_that_breaks_it() {
    for chip in CHIPS.iter().filter(|chip| chip.limits.phy == PhyAccess::Firmware) {
        let machine = FakeMachine::new(chip);
        let nic = Nic::bring_up(
            machine.registers(),
            chip,
            Config::default(),
            &mut machine.dma(),
            &machine,
        );
        nic.expect("bring-up").stop(&machine);
        let writes = machine.take_accesses().writes;
        assert!(
            writes
                .iter()
                .all(|(offset, value)| { *offset != regs::CTRL || value & Ctrl::PHY_RST.bits() == 0 })
        );
        assert!(writes.iter().all(|(offset, _)| *offset != regs::MDIC));
    }
}

#[test]
fn device_that_goes_away_during_bring_up_ends_it_within_a_second() {
    for chip in CHIPS {
        for left in [1, 4, 8, 16, 32, 64, 128] {
            let recorder = FakeMachine::recorded(chip);
            // Without a link the PHY is looked at too.
            recorder.inner.set_link(false);
            let mut reads = 0;
            recorder.on_read(move |_, value| {
                reads += 1;
                if reads > left { u32::MAX } else { value }
            });
            let machine = recorder.inner.clone();
            let time = recorder.time(|| {
                let rings = Config::default();
                let _ = Nic::bring_up(&recorder, chip, rings, &mut machine.dma(), &recorder);
            });
            assert!(
                time < Duration::from_secs(1),
                "{} after {left}: {time:?}",
                chip.name
            );
        }
    }
}
