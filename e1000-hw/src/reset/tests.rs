//! Every access and every wait of a reset, family by family, against Linux e1000 (`e1000_reset_hw`) and e1000e
//! (`e1000_reset_hw_82571`, `e1000_reset_hw_ich8lan`).

use core::time::Duration;
use std::vec;
use std::vec::Vec;

use crate::chip::{CHIPS, Quirks, Reset};
use crate::fake::{FakeMachine, Faults, chip};
use crate::recorder::Access::{self, Read, Write};
use crate::regs::{self, Rctl, Tctl};
use crate::reset;
use crate::warnings::Warnings;

const RST: u32 = 1 << 26;
const MASTER_DISABLE: u32 = 1 << 2;
const AUTO_RD: u32 = 1 << 9;

/// Interrupts off, and nothing to stop: a device at rest.
const AT_REST: [Access; 3] = [Write(regs::IMC, u32::MAX), Read(regs::RCTL), Read(regs::TCTL)];
/// No more requests as a bus master; none is under way (Linux e1000e, `e1000e_disable_pcie_master`).
const NO_MASTER: [Access; 3] = [
    Read(regs::CTRL),
    Write(regs::CTRL, MASTER_DISABLE),
    Read(regs::STATUS),
];
/// Interrupts masked and forgotten again, and a look whether the receiver is really off.
const QUIET: [Access; 3] = [Write(regs::IMC, u32::MAX), Read(regs::ICR), Read(regs::RCTL)];
/// CTRL.RST is clear at once.
const ENDED: Access = Read(regs::CTRL);

fn reset_steps(id: u16) -> Vec<Access> {
    let recorder = FakeMachine::recorded(chip(id));
    assert_eq!(
        reset::reset(&recorder, chip(id), &recorder),
        Ok(Warnings::empty())
    );
    recorder.take()
}

fn sequence(parts: &[&[Access]]) -> Vec<Access> {
    parts.concat()
}

#[test]
fn early_parts_reload_their_eeprom_after_10_us() {
    // `e1000_reset_hw`: 10 us, CTRL_EXT.EE_RST, a flush, 2 ms.
    let want = sequence(&[
        &AT_REST,
        &[Read(regs::CTRL), Write(regs::CTRL, RST), Access::us(10)],
        &[
            Read(regs::CTRL_EXT),
            Write(regs::CTRL_EXT, 1 << 13),
            Read(regs::STATUS),
            Access::us(2000),
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
    // `e1000_get_auto_rd_done`: 5 ms.
    let want = sequence(&[
        &AT_REST,
        &[Read(regs::CTRL), Write(regs::CTRL, RST), Access::us(5000), ENDED],
        &QUIET,
    ]);
    for id in [0x100E, 0x100F, 0x1010] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn revision_3_is_reset_through_the_shadow_of_ctrl() {
    // `e1000_reset_hw`: CTRL_DUP.
    let want = sequence(&[
        &AT_REST,
        &[Read(regs::CTRL), Write(0x0004, RST), Access::us(5000), ENDED],
        &QUIET,
    ]);
    for id in [0x1026, 0x1028, 0x1079, 0x1099] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn phy_of_82541_and_82547_is_reset_before_the_mac() {
    // `e1000_reset_hw`: PHY_RST and 5 ms on the first revision, then RST and 20 ms.
    let phy = [
        Read(regs::CTRL),
        Write(regs::CTRL, 1 << 31),
        Read(regs::STATUS),
        Access::us(5000),
    ];
    let mac = [
        Read(regs::CTRL),
        Write(regs::CTRL, RST),
        Access::us(20_000),
        ENDED,
    ];
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
    // `e1000_reset_hw_82571`: no bus mastering, RST, AUTO_RD, and EECD.REQ and GNT cleared.
    let want = sequence(&[
        &AT_REST,
        &NO_MASTER,
        &[
            Read(regs::CTRL),
            Write(regs::CTRL, RST | MASTER_DISABLE),
            Access::us(1000),
            ENDED,
        ],
        &[Read(regs::EECD), Read(regs::EECD), Write(regs::EECD, AUTO_RD)],
        &QUIET,
    ]);
    for id in [0x105E, 0x10D9, 0x107D, 0x107F] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn later_pcie_parts_own_mdio_and_wait_for_the_phy() {
    // `e1000_reset_hw_82571`: MDIO ownership, RST, release, AUTO_RD, 25 ms.
    let guard = [
        Read(regs::EXTCNF_CTRL),
        Write(regs::EXTCNF_CTRL, 1 << 5),
        Read(regs::EXTCNF_CTRL),
    ];
    let release = [Read(regs::EXTCNF_CTRL), Write(regs::EXTCNF_CTRL, 0)];
    let want = sequence(&[
        &AT_REST,
        &NO_MASTER,
        // Is the NVM flash?
        &[Read(regs::EECD)],
        &guard,
        &[
            Read(regs::CTRL),
            Write(regs::CTRL, RST | MASTER_DISABLE),
            Access::us(1000),
        ],
        &release,
        &[ENDED, Read(regs::EECD), Access::us(25_000)],
        &QUIET,
    ]);
    for id in [0x108B, 0x109A, 0x10D3, 0x10F6, 0x150C] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn flash_nvm_is_loaded_again() {
    // `e1000_reset_hw_82571`, `e1000_nvm_flash_hw`.
    for (id, flash) in [(0x10D3, true), (0x109A, true), (0x105E, false)] {
        let recorder = FakeMachine::recorded(chip(id));
        recorder.inner.poke(regs::EECD, AUTO_RD | 0b11 << 15);
        assert!(reset::reset(&recorder, chip(id), &recorder).is_ok());
        let loads = recorder.take_of(&[regs::CTRL_EXT]);
        let want = if flash {
            vec![Read(regs::CTRL_EXT), Write(regs::CTRL_EXT, 1 << 13)]
        } else {
            vec![]
        };
        assert_eq!(loads, want, "{id:04x}");
    }
}

#[test]
fn pch_is_not_touched_for_20_ms_after_reset() {
    // `e1000_reset_hw_ich8lan`: SWFLAG, RST, no flush, 20 ms, KABGTXD.
    let want = sequence(&[
        &AT_REST,
        &NO_MASTER,
        &[Read(regs::EXTCNF_CTRL)],
        &[
            Read(regs::EXTCNF_CTRL),
            Write(regs::EXTCNF_CTRL, 1 << 5),
            Read(regs::EXTCNF_CTRL),
        ],
        &[
            Read(regs::CTRL),
            Write(regs::CTRL, RST | MASTER_DISABLE),
            Access::us(20_000),
        ],
        &[Read(regs::EXTCNF_CTRL), Write(regs::EXTCNF_CTRL, 0), ENDED],
        &[Read(regs::KABGTXD), Write(regs::KABGTXD, 0x0005_0000)],
        &QUIET,
    ]);
    for id in [0x1503, 0x153A, 0x15A3] {
        assert_eq!(reset_steps(id), want, "{id:04x}");
    }
}

#[test]
fn running_device_gets_10_ms_to_end_its_dma() {
    // `e1000_reset_hw`: 10 ms.
    for chip in CHIPS {
        let recorder = FakeMachine::recorded(chip);
        recorder.inner.poke(regs::RCTL, Rctl::EN.bits());
        recorder.inner.poke(regs::TCTL, Tctl::EN.bits());
        reset::quiesce(&recorder, chip, &recorder);
        let steps = recorder.take();
        let mut want = vec![Write(regs::IMC, u32::MAX), Read(regs::RCTL), Read(regs::TCTL)];
        if !chip.quirks.contains(Quirks::NO_RX_DISABLE) {
            want.push(Write(regs::RCTL, 0));
        }
        want.extend([
            Write(regs::TCTL, Tctl::PSP.bits()),
            Read(regs::STATUS),
            Access::us(10_000),
        ]);
        assert_eq!(steps[..want.len()], want, "{}", chip.name);
    }
}

#[test]
fn stop_without_a_nic_pushes_its_writes_out_and_waits() {
    // What a panic hook does. No step of the memory's release follows, so the device must be known to have stopped.
    for (id, want) in [
        (
            0x100E,
            vec![
                Write(regs::IMC, u32::MAX),
                Write(regs::TCTL, Tctl::PSP.bits()),
                Write(regs::RCTL, 0),
                Read(regs::STATUS),
                Access::us(10_000),
            ],
        ),
        (
            0x153A,
            vec![
                Write(regs::IMC, u32::MAX),
                Write(regs::TCTL, Tctl::PSP.bits()),
                Write(regs::RCTL, 0),
                Read(regs::STATUS),
                Access::us(10_000),
                Read(regs::CTRL),
                Write(regs::CTRL, MASTER_DISABLE),
                Read(regs::STATUS),
            ],
        ),
        (
            0x10D3,
            vec![
                Write(regs::IMC, u32::MAX),
                Write(regs::TCTL, Tctl::PSP.bits()),
                Read(regs::STATUS),
                Access::us(10_000),
                Read(regs::CTRL),
                Write(regs::CTRL, MASTER_DISABLE),
                Read(regs::STATUS),
                Write(regs::IMC, u32::MAX),
                Write(regs::TCTL, Tctl::PSP.bits()),
                Read(regs::CTRL),
                Write(regs::CTRL, RST | MASTER_DISABLE),
                Access::us(1000),
                Read(regs::RCTL),
            ],
        ),
    ] {
        let recorder = FakeMachine::recorded(chip(id));
        assert!(reset::stop_now(&recorder, chip(id), &recorder));
        assert_eq!(recorder.take(), want, "{id:04x}");
    }
    for chip in CHIPS {
        let recorder = FakeMachine::recorded(chip);
        recorder.on_read(|_, _| u32::MAX);
        let time = recorder.time(|| {
            let ended = reset::stop_now(&recorder, chip, &recorder);
            assert_eq!(ended, !chip.mac().is_pcie(), "{}", chip.name);
        });
        assert!(time < Duration::from_millis(110), "{}: {time:?}", chip.name);
        // Also a receiver that a reset leaves on, as in QEMU 7.2.
        let recorder = FakeMachine::recorded(chip);
        recorder.inner.set_faults(Faults {
            reset_ignored: true,
            ..Faults::default()
        });
        recorder.inner.poke(regs::RCTL, Rctl::EN.bits());
        reset::stop_now(&recorder, chip, &recorder);
        assert_eq!(recorder.inner.peek(regs::RCTL), 0, "{}", chip.name);
    }
}

#[test]
fn nothing_that_never_happens_is_waited_for_without_end() {
    for chip in CHIPS {
        // Bus mastering that does not end, semaphores that are never given up: noted, and gone on.
        let recorder = FakeMachine::recorded(chip);
        recorder.on_read(|offset, value| match offset {
            regs::STATUS => value | 1 << 19,
            regs::EXTCNF_CTRL if value & 1 << 5 != 0 => value & !(1 << 5),
            _ => value,
        });
        let mut result = None;
        let time = recorder.time(|| result = Some(reset::reset(&recorder, chip, &recorder)));
        assert!(time < Duration::from_millis(400), "{}: {time:?}", chip.name);
        let warnings = result.expect("called").expect("goes on");
        let pcie = chip.limits.reset == Reset::Pcie;
        let later = chip.mac().is_pcie();
        assert_eq!(
            warnings.contains(Warnings::BUS_MASTER_BUSY),
            later,
            "{}",
            chip.name
        );
        assert_eq!(
            warnings.contains(Warnings::SEMAPHORE_BUSY),
            later && !pcie,
            "{}",
            chip.name
        );
    }
}
