//! Every access and every wait of a reset, family by family, against `e1000-hardware-facts.md` (HF) 3.

mod recorder;

use std::time::Duration;

use e1000_hw::chip::{CHIPS, PhyAccess, Quirks, Reset};
use e1000_hw::fake::{FakeMachine, FakeRegion, Faults};
use e1000_hw::nic::{BringUpError, Config, Nic};
use e1000_hw::notes::Notes;
use e1000_hw::platform::Clock as _;
use e1000_hw::regs::{self, Ctrl, Rctl, Tctl};
use e1000_hw::reset;
use recorder::Step::{self, R, Us, W};
use recorder::{Recorder, chip};

const RST: u32 = 1 << 26;
const MASTER_DISABLE: u32 = 1 << 2;
const AUTO_RD: u32 = 1 << 9;

/// Interrupts off, and nothing to stop: a device at rest.
const AT_REST: [Step; 3] = [W(regs::IMC, u32::MAX), R(regs::RCTL), R(regs::TCTL)];
/// HF 3.1 step 3: no more requests as a bus master; none is under way.
const NO_MASTER: [Step; 3] = [R(regs::CTRL), W(regs::CTRL, MASTER_DISABLE), R(regs::STATUS)];
/// HF 3.1 step 5, and a look whether the receiver is really off.
const QUIET: [Step; 3] = [W(regs::IMC, u32::MAX), R(regs::ICR), R(regs::RCTL)];
/// CTRL.RST is clear at once.
const ENDED: Step = R(regs::CTRL);

fn reset_steps(id: u16) -> Vec<Step> {
    let recorder = Recorder::new(chip(id));
    assert_eq!(reset::reset(&recorder, chip(id), &recorder), Ok(Notes::empty()));
    recorder.take()
}

fn sequence(parts: &[&[Step]]) -> Vec<Step> {
    parts.concat()
}

#[test]
fn early_parts_reload_their_eeprom_after_10_us() {
    // HF 3.2: "82542/3/4: 10 us, then CTRL_EXT.EE_RST, flush, 2 ms".
    let want = sequence(&[
        &AT_REST,
        &[R(regs::CTRL), W(regs::CTRL, RST), Us(10)],
        &[
            R(regs::CTRL_EXT),
            W(regs::CTRL_EXT, 1 << 13),
            R(regs::STATUS),
            Us(2000),
            ENDED,
        ],
        &QUIET,
    ]);
    for id in [0x1001, 0x1004, 0x1008, 0x100C] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn common_8254x_wait_5_ms() {
    // HF 3.2: "others 5 ms (EEPROM reload)".
    let want = sequence(&[
        &AT_REST,
        &[R(regs::CTRL), W(regs::CTRL, RST), Us(5000), ENDED],
        &QUIET,
    ]);
    for id in [0x100E, 0x100F, 0x1010] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn revision_3_is_reset_through_the_shadow_of_ctrl() {
    // HF 3.2: "82545r3, 82546r3: write to CTRL_DUP (0x0004)".
    let want = sequence(&[
        &AT_REST,
        &[R(regs::CTRL), W(0x0004, RST), Us(5000), ENDED],
        &QUIET,
    ]);
    for id in [0x1026, 0x1028, 0x1079, 0x1099] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn phy_of_82541_and_82547_is_reset_before_the_mac() {
    // HF 3.2: "CTRL with PHY_RST first, then 5 ms, then RST", "20 ms". Linux e1000, `e1000_reset_hw`: the first
    // revision only.
    let phy = [R(regs::CTRL), W(regs::CTRL, 1 << 31), R(regs::STATUS), Us(5000)];
    let mac = [R(regs::CTRL), W(regs::CTRL, RST), Us(20_000), ENDED];
    for id in [0x1013, 0x1014, 0x1018, 0x1019, 0x101A] {
        assert_eq!(
            reset_steps(id),
            sequence(&[&AT_REST, &phy, &mac, &QUIET]),
            "{id:04x}"
        );
    }
    for id in [0x1075, 0x1076, 0x1078, 0x107C] {
        assert_eq!(reset_steps(id), sequence(&[&AT_REST, &mac, &QUIET]), "{id:04x}");
    }
}

#[test]
fn pcie_parts_of_the_first_generation_give_the_eeprom_back() {
    // HF 3.3: master disable, RST, AUTO_RD, "82571/2: clear EECD.REQ|GNT".
    let want = sequence(&[
        &AT_REST,
        &NO_MASTER,
        &[
            R(regs::CTRL),
            W(regs::CTRL, RST | MASTER_DISABLE),
            Us(1000),
            ENDED,
        ],
        &[R(regs::EECD), R(regs::EECD), W(regs::EECD, AUTO_RD)],
        &QUIET,
    ]);
    for id in [0x105E, 0x10D9, 0x107D, 0x107F] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn later_pcie_parts_own_mdio_and_wait_for_the_phy() {
    // HF 3.3: "MDIO ownership (82573/4/83); CTRL.RST; release; ... poll EECD.AUTO_RD ... sleep 25 ms".
    let claim = [
        R(regs::EXTCNF_CTRL),
        W(regs::EXTCNF_CTRL, 1 << 5),
        R(regs::EXTCNF_CTRL),
    ];
    let release = [R(regs::EXTCNF_CTRL), W(regs::EXTCNF_CTRL, 0)];
    let want = sequence(&[
        &AT_REST,
        &NO_MASTER,
        // Is the NVM flash?
        &[R(regs::EECD)],
        &claim,
        &[R(regs::CTRL), W(regs::CTRL, RST | MASTER_DISABLE), Us(1000)],
        &release,
        &[ENDED, R(regs::EECD), Us(25_000)],
        &QUIET,
    ]);
    for id in [0x108B, 0x109A, 0x10D3, 0x10F6, 0x150C] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn flash_nvm_is_loaded_again() {
    // HF 3.3: "if NVM is flash: 10-20 us, CTRL_EXT.EE_RST".
    for (id, flash) in [(0x10D3, true), (0x109A, true), (0x105E, false)] {
        let recorder = Recorder::new(chip(id));
        recorder.machine.poke(regs::EECD, AUTO_RD | 0b11 << 15);
        assert!(reset::reset(&recorder, chip(id), &recorder).is_ok());
        let loads = recorder.take_of(&[regs::CTRL_EXT]);
        let want = if flash {
            vec![R(regs::CTRL_EXT), W(regs::CTRL_EXT, 1 << 13)]
        } else {
            vec![]
        };
        assert_eq!(loads, want, "{id:04x}");
    }
}

#[test]
fn pch_is_not_touched_for_20_ms_after_reset() {
    // HF 3.4: SWFLAG, RST, "Do not read any register right after ... Sleep 20 ms", KABGTXD |= 0x50000.
    let want = sequence(&[
        &AT_REST,
        &NO_MASTER,
        &[R(regs::EXTCNF_CTRL)],
        &[
            R(regs::EXTCNF_CTRL),
            W(regs::EXTCNF_CTRL, 1 << 5),
            R(regs::EXTCNF_CTRL),
        ],
        &[R(regs::CTRL), W(regs::CTRL, RST | MASTER_DISABLE), Us(20_000)],
        &[R(regs::EXTCNF_CTRL), W(regs::EXTCNF_CTRL, 0), ENDED],
        &[R(regs::KABGTXD), W(regs::KABGTXD, 0x0005_0000)],
        &QUIET,
    ]);
    for id in [0x1503, 0x153A, 0x15A3] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn running_device_gets_10_ms_to_end_its_dma() {
    // HF 3.1 step 2.
    for chip in CHIPS {
        let recorder = Recorder::new(chip);
        recorder.machine.poke(regs::RCTL, Rctl::EN.bits());
        recorder.machine.poke(regs::TCTL, Tctl::EN.bits());
        reset::quiesce(&recorder, chip, &recorder);
        let steps = recorder.take();
        let mut want = vec![W(regs::IMC, u32::MAX), R(regs::RCTL), R(regs::TCTL)];
        if !chip.quirks.contains(Quirks::NO_RX_DISABLE) {
            want.push(W(regs::RCTL, 0));
        }
        want.extend([W(regs::TCTL, Tctl::PSP.bits()), R(regs::STATUS), Us(10_000)]);
        assert_eq!(steps[..want.len()], want, "{}", chip.name);
    }
}

#[test]
fn memory_is_kept_from_a_bus_master_that_does_not_end() {
    for chip in CHIPS {
        for (stuck, what) in [
            (1 << 19, "STATUS.GIO_MASTER_ENABLE"),
            (u32::MAX, "a device that is gone"),
        ] {
            let recorder = Recorder::new(chip);
            let machine = recorder.machine.clone();
            let mut nic: Nic<&Recorder, FakeRegion> =
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
fn stop_without_a_nic_pushes_its_writes_out_and_waits() {
    // What a panic hook does. No step of the memory's release follows, so the device must be known to have stopped.
    for (id, want) in [
        (
            0x100E,
            vec![
                W(regs::IMC, u32::MAX),
                W(regs::TCTL, Tctl::PSP.bits()),
                W(regs::RCTL, 0),
                R(regs::STATUS),
                Us(10_000),
            ],
        ),
        (
            0x153A,
            vec![
                W(regs::IMC, u32::MAX),
                W(regs::TCTL, Tctl::PSP.bits()),
                W(regs::RCTL, 0),
                R(regs::STATUS),
                Us(10_000),
                R(regs::CTRL),
                W(regs::CTRL, MASTER_DISABLE),
                R(regs::STATUS),
            ],
        ),
        (
            0x10D3,
            vec![
                W(regs::IMC, u32::MAX),
                W(regs::TCTL, Tctl::PSP.bits()),
                R(regs::STATUS),
                Us(10_000),
                R(regs::CTRL),
                W(regs::CTRL, MASTER_DISABLE),
                R(regs::STATUS),
                W(regs::IMC, u32::MAX),
                W(regs::TCTL, Tctl::PSP.bits()),
                R(regs::CTRL),
                W(regs::CTRL, RST | MASTER_DISABLE),
                Us(1000),
                R(regs::RCTL),
            ],
        ),
    ] {
        let recorder = Recorder::new(chip(id));
        assert!(reset::stop_now(&recorder, chip(id), &recorder));
        assert_eq!(recorder.take(), want, "{id:04x}");
    }
    for chip in CHIPS {
        let recorder = Recorder::new(chip);
        recorder.on_read(|_, _| u32::MAX);
        let time = recorder.time(|| {
            let ended = reset::stop_now(&recorder, chip, &recorder);
            assert_eq!(ended, !chip.mac().is_pcie(), "{}", chip.name);
        });
        assert!(time < Duration::from_millis(110), "{}: {time:?}", chip.name);
        // Also a receiver that a reset leaves on, as in QEMU 7.2.
        let recorder = Recorder::new(chip);
        recorder.machine.set_faults(Faults {
            reset_ignored: true,
            ..Faults::default()
        });
        recorder.machine.poke(regs::RCTL, Rctl::EN.bits());
        reset::stop_now(&recorder, chip, &recorder);
        assert_eq!(recorder.machine.peek(regs::RCTL), 0, "{}", chip.name);
    }
}

#[test]
fn nothing_that_never_happens_is_waited_for_without_end() {
    for chip in CHIPS {
        // Bus mastering that does not end, semaphores that are never given up: noted, and gone on.
        let recorder = Recorder::new(chip);
        recorder.on_read(|offset, value| match offset {
            regs::STATUS => value | 1 << 19,
            regs::EXTCNF_CTRL if value & 1 << 5 != 0 => value & !(1 << 5),
            _ => value,
        });
        let mut result = None;
        let time = recorder.time(|| result = Some(reset::reset(&recorder, chip, &recorder)));
        assert!(time < Duration::from_millis(400), "{}: {time:?}", chip.name);
        let notes = result.expect("called").expect("goes on");
        let pcie = chip.limits.reset == Reset::Pcie;
        let later = chip.mac().is_pcie();
        assert_eq!(notes.contains(Notes::BUS_MASTER_BUSY), later, "{}", chip.name);
        assert_eq!(
            notes.contains(Notes::SEMAPHORE_BUSY),
            later && !pcie,
            "{}",
            chip.name
        );
    }
}

#[test]
fn nvm_that_is_not_reported_as_loaded_is_a_note_unless_the_address_is_missing_too() {
    for id in [0x105E, 0x109A, 0x10D3, 0x150C] {
        let up = |address: bool| {
            let recorder = Recorder::new(chip(id));
            let machine = recorder.machine.clone();
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
            nic.map(|nic| nic.state().notes())
        };
        // VirtualBox's 82583V: `e1kR3HardReset` sets EECD to EE_PRES alone.
        assert_eq!(up(true), Ok(Notes::NVM_NOT_LOADED), "{id:04x}");
        assert!(matches!(up(false), Err(BringUpError::MacAddress(_))), "{id:04x}");
    }
}

#[test]
fn firmware_learns_of_start_and_stop() {
    // HF 3.3: "DRV_LOAD: CTRL_EXT bit 28 (82571/2/4/83, ICH) or SWSM bit 3 (82573)".
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
            let recorder = Recorder::new(chip);
            // Without a link the PHY is looked at too.
            recorder.machine.set_link(false);
            let mut reads = 0;
            recorder.on_read(move |_, value| {
                reads += 1;
                if reads > left { u32::MAX } else { value }
            });
            let machine = recorder.machine.clone();
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
