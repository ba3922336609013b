//! Values that bring-up gives to the registers that parts and their errata prescribe.

use std::vec;
use std::vec::Vec;

use crate::chip::{CHIPS, MacType, Media, PhyAccess, Quirks};
use crate::ethernet::MacAddress;
use crate::fake::{FakeMachine, FakeRegion, RecordedMachine, chip};
use crate::nic::{Config, Nic};
use crate::recorder::Access::{self, Read, Write};
use crate::regs;
use crate::warnings::Warnings;

/// Accesses of bring-up to these registers, starting from these values.
fn bring_up(id: u16, before: &[(u32, u32)], of: &[u32]) -> Vec<Access> {
    let chip = chip(id);
    let recorder = FakeMachine::recorded(chip);
    for &(register, value) in before {
        recorder.inner.poke(register, value);
    }
    let machine = recorder.inner.clone();
    let nic: Nic<&RecordedMachine, FakeRegion> =
        Nic::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &machine).expect(chip.name);
    // Nothing answers the fake's bit-banged MDIO.
    let warnings = nic.state().warnings().difference(Warnings::PHY_SILENT);
    assert_eq!(warnings, Warnings::empty(), "{}", chip.name);
    assert!(
        warnings == nic.state().warnings() || chip.limits.phy == PhyAccess::BitBang,
        "{}",
        chip.name
    );
    std::mem::forget(nic);
    recorder.take_of(of)
}

/// The value that bring-up last gives a register.
fn ends(id: u16, register: u32, before: u32) -> Option<u32> {
    bring_up(id, &[(register, before)], &[register])
        .into_iter()
        .rev()
        .find_map(|step| match step {
            Write(_, value) => Some(value),
            _ => None,
        })
}

#[test]
fn arbitration_of_8257x() {
    // Linux e1000e, `e1000_initialize_hw_bits_82571`: TARC0 bits 30:27 are cleared, 26:23 set on 82571 and 82572, 26 on
    // 82574 and 82583; TARC1 of 82571 and 82572: bits 30:29 are cleared, 26:24 and 22 set, 28 is the opposite of
    // TCTL.MULR. `e1000_watchdog_task`: TARC0 bit 21 is set at 1000 Mbit/s, which the fake's link has.
    const BEFORE: u32 = 0x7800_0403;
    for (id, want) in [
        (0x105E, Some(0x07A0_0403)),
        (0x107D, Some(0x07A0_0403)),
        (0x109A, Some(0x0000_0403)),
        (0x10D3, Some(0x0400_0403)),
        (0x150C, Some(0x0400_0403)),
        // Linux e1000e, `e1000_initialize_hw_bits_ich8lan`: 27, 26, 24, 23.
        (0x153A, Some(0x7D80_0403)),
        (0x100E, None),
    ] {
        assert_eq!(ends(id, regs::TARC0, BEFORE), want, "{id:04x}");
    }
    for (id, want) in [
        (0x105E, Some(0x0F40_0403)),
        (0x107D, Some(0x0F40_0403)),
        (0x109A, None),
        (0x10D3, None),
        (0x153A, Some(0x6D00_0403)),
        (0x100E, None),
    ] {
        assert_eq!(
            ends(id, regs::TARC1, BEFORE | 1 << 24),
            want.map(|v| v | 1 << 24),
            "{id:04x}"
        );
    }
}

#[test]
fn descriptor_control_of_both_queues() {
    // WTHRESH 1, GRAN; on PCIe bit 22 and both queues (Linux e1000e, `e1000_initialize_hw_bits_82571`,
    // `e1000_configure_tx`).
    for (id, want) in [
        (
            0x105E,
            vec![
                Write(regs::TXDCTL, 0x0141_0000),
                Write(regs::TXDCTL1, 0x0141_0000),
            ],
        ),
        (
            0x10D3,
            vec![
                Write(regs::TXDCTL, 0x0141_0000),
                Write(regs::TXDCTL1, 0x0141_0000),
            ],
        ),
        (
            0x153A,
            vec![
                Write(regs::TXDCTL, 0x0141_0000),
                Write(regs::TXDCTL1, 0x0141_0000),
            ],
        ),
        (0x100E, vec![Write(regs::TXDCTL, 0x0101_0000)]),
        // 82543GC specification update, erratum 35: with a threshold, descriptors are written back to wrong places.
        (0x1001, vec![Write(regs::TXDCTL, 0)]),
        (0x1004, vec![Write(regs::TXDCTL, 0)]),
        (0x100C, vec![Write(regs::TXDCTL, 0)]),
    ] {
        assert_eq!(
            bring_up(id, &[], &[regs::TXDCTL, regs::TXDCTL1]),
            want,
            "{id:04x}"
        );
    }
}

#[test]
fn extended_control_of_each_family() {
    // Linux e1000e, `e1000_initialize_hw_bits_82571`: bits 23 and 22 of 82573, 82574 and 82583, DMA_DYN_CLK_EN (19) of
    // 82571 and 82572, and of 82573 (specification update, erratum 15); `e1000_initialize_hw_bits_ich8lan`: 22 and 20;
    // `e1000e_get_hw_control`: 28. RO_DIS (17): Linux e1000, `e1000_init_hw`, for 82546GB quad; e1000e,
    // `e1000_init_hw_ich8lan`.
    const BEFORE: u32 = 1 << 23 | 1 << 19;
    for (id, want) in [
        (0x105E, Some(1 << 28 | 1 << 23)),
        (0x107D, Some(1 << 28 | 1 << 23)),
        (0x108B, Some(1 << 22)),
        (0x108C, Some(1 << 22)),
        (0x109A, Some(1 << 22)),
        (0x10D3, Some(1 << 28 | 1 << 22 | 1 << 19)),
        (0x150C, Some(1 << 28 | 1 << 22 | 1 << 19)),
        (
            0x153A,
            Some(1 << 28 | 1 << 23 | 1 << 22 | 1 << 20 | 1 << 19 | 1 << 17),
        ),
        (
            0x1503,
            Some(1 << 28 | 1 << 23 | 1 << 22 | 1 << 20 | 1 << 19 | 1 << 17),
        ),
        (0x1099, Some(1 << 23 | 1 << 19 | 1 << 17)),
        (0x10B5, Some(1 << 23 | 1 << 19 | 1 << 17)),
        (0x1079, None),
        (0x100E, None),
    ] {
        assert_eq!(ends(id, regs::CTRL_EXT, BEFORE), want, "{id:04x}");
    }
}

#[test]
fn pcie_control_against_lost_completions() {
    // Linux e1000e, `e1000_initialize_hw_bits_82571`: GCR bit 22 and GCR2 bit 0 of 82574 and 82583;
    // `e1000_init_hw_82571`: L1_ACT_WITHOUT_L0S_RX, on 82573 too.
    let registers = [regs::GCR, regs::GCR2];
    let later = vec![
        Read(regs::GCR),
        Write(regs::GCR, 1 << 22),
        Read(regs::GCR2),
        Write(regs::GCR2, 1),
        Read(regs::GCR),
        Write(regs::GCR, 1 << 27 | 1 << 22),
    ];
    for id in [0x10D3, 0x10F6, 0x150C] {
        assert_eq!(bring_up(id, &[], &registers), later, "{id:04x}");
    }
    assert_eq!(
        bring_up(0x109A, &[], &registers),
        [Read(regs::GCR), Write(regs::GCR, 1 << 27)]
    );
    for id in [0x105E, 0x153A, 0x100E] {
        assert_eq!(bring_up(id, &[], &registers), [], "{id:04x}");
    }
}

#[test]
fn parsers_that_hang_are_off() {
    // Linux e1000e, `e1000_initialize_hw_bits_82571`: IPv6 extension headers on 82571 to 82573;
    // `e1000_initialize_hw_bits_ich8lan`: NFS on PCH.
    for (id, want) in [
        (0x105E, Some(0x0003_0000)),
        (0x109A, Some(0x0003_0000)),
        (0x10D3, Some(0)),
        (0x153A, Some(0x0000_00C0)),
        (0x100E, None),
    ] {
        assert_eq!(ends(id, regs::RFCTL, u32::MAX), want, "{id:04x}");
    }
}

#[test]
fn packet_buffers_correct_errors() {
    // Linux e1000e, `e1000_initialize_hw_bits_82571`: PBA_ECC on 82571; `e1000_initialize_hw_bits_ich8lan`: PBECCSTS
    // bit 16 and CTRL.MEHE from I217 on.
    assert_eq!(
        bring_up(0x105E, &[], &[regs::PBA_ECC]),
        [Read(regs::PBA_ECC), Write(regs::PBA_ECC, 1)]
    );
    assert_eq!(bring_up(0x107D, &[], &[regs::PBA_ECC]), []);
    assert_eq!(ends(0x153A, regs::PBECCSTS, 0), Some(1 << 16));
    assert_ne!(ends(0x153A, regs::CTRL, 0).unwrap_or(0) & 1 << 19, 0);
    assert_eq!(ends(0x1503, regs::PBECCSTS, 0), None);
}

#[test]
fn reserved_bit_29_of_ctrl_is_cleared() {
    // Linux e1000e, `e1000_initialize_hw_bits_82571`: on 82573, 82574 and 82583.
    for id in [0x109A, 0x10D3, 0x150C] {
        assert_eq!(
            ends(id, regs::CTRL, 1 << 29).unwrap_or(u32::MAX) & 1 << 29,
            0,
            "{id:04x}"
        );
    }
}

#[test]
fn speed_is_taken_from_the_phy_on_pcie_and_detected_before() {
    // 82574 datasheet, 10.2.2.1: ASDE (bit 5) must be zero.
    for chip in CHIPS.iter().filter(|chip| chip.media == Media::Copper) {
        let ctrl = ends(chip.device_id, regs::CTRL, 1 << 5).unwrap_or(0);
        let detects = !chip.mac().is_pcie() && !chip.quirks.contains(Quirks::NO_SPEED_DETECTION);
        if !chip.quirks.contains(Quirks::NO_SPEED_DETECTION) {
            assert_eq!(ctrl & 1 << 5 != 0, detects, "{}", chip.name);
        }
        assert_ne!(ctrl & 1 << 6, 0, "{}: SLU", chip.name);
    }
}

#[test]
fn table_writes_of_8254x_are_flushed_one_by_one() {
    // Linux e1000, `e1000_init_hw` and `e1000_clear_vfta`: bridges may make a burst of them.
    for chip in CHIPS {
        let recorder = FakeMachine::recorded(chip);
        let machine = recorder.inner.clone();
        let sizes = Config::default();
        let mut nic: Nic<&RecordedMachine, FakeRegion> =
            Nic::bring_up(&recorder, chip, sizes, &mut machine.dma(), &machine).expect(chip.name);
        nic.settings()
            .set_filter(false, false, [MacAddress([1, 0, 0x5E, 0, 0, 1])]);
        nic.settings().set_vlan_filter(Some([7, 700]));
        let steps = recorder.take();
        let tables = [regs::MTA..regs::MTA + 512, regs::VFTA..regs::VFTA + 512];
        let is_table = |offset: u32| tables.iter().any(|table| table.contains(&offset));
        let flushed = steps
            .windows(2)
            .filter(|pair| matches!(pair[0], Write(offset, _) if is_table(offset)))
            .map(|pair| pair[1] == Read(regs::STATUS));
        let conventional = !chip.mac().is_pcie();
        assert!(flushed.clone().count() > 128, "{}", chip.name);
        assert!(
            flushed.into_iter().all(|flushed| flushed == conventional),
            "{}",
            chip.name
        );
        nic.stop(&machine);
    }
}

#[test]
fn beacon_of_i217_and_i218_lasts_8_us() {
    // Linux e1000e, `e1000_check_for_copper_link_ich8lan`: FEXTNVM4 bits 2:0 are 7.
    for chip in CHIPS {
        let beacon = ends(chip.device_id, regs::FEXTNVM4, 0x1003);
        let want = (chip.mac() == MacType::Lpt).then_some(0x1007);
        assert_eq!(beacon, want, "{}", chip.name);
    }
}

#[test]
fn gap_moderation_and_packet_buffer_are_those_of_the_part() {
    for chip in CHIPS {
        // 8254x manual, 13.4.34: IPGT is 8 for copper, 9 for fiber (Linux e1000, `e1000_configure_tx`).
        let gap = if chip.media == Media::Copper {
            0x0060_2008
        } else {
            0x0060_2009
        };
        let id = chip.device_id;
        assert_eq!(ends(id, regs::TIPG, 0), Some(gap), "{}", chip.name);
        // 20 000 interrupts a second are 195 times 256 ns. 82543 and 82544 have no ITR (8254x manual, 13.4.18).
        let early = matches!(chip.mac(), MacType::I82543 | MacType::I82544);
        assert_eq!(ends(id, regs::ITR, 0), (!early).then_some(195), "{}", chip.name);
        assert_eq!(
            ends(id, regs::PBA, 0),
            Some(chip.limits.rx_packet_buffer_kib),
            "{}",
            chip.name
        );
        // FreeBSD em, `em_initialize_receive_unit`.
        let delay = if chip.mac() == MacType::I82573 { 0x20 } else { 0 };
        assert_eq!(ends(id, regs::RDTR, 9), Some(delay), "{}", chip.name);
    }
}

#[test]
fn pause_frames_are_described_except_where_that_is_something_else() {
    // 8254x manual, 13.4.8 to 13.4.10. On PCH the offsets are those of FEXTNVM and others (Linux e1000e, `regs.h`).
    // FCAL after FCAH: 82544 in PCI-X mode may write FCAH into FCAL, too (erratum 9; NetBSD, `wm_set_filter`).
    let registers = [0x28, 0x2C, 0x30];
    let want = [Write(0x2C, 0x0100), Write(0x28, 0x00C2_8001), Write(0x30, 0x8808)];
    for chip in CHIPS {
        let steps = bring_up(chip.device_id, &[], &registers);
        if chip.mac().is_pch() {
            assert_eq!(steps, [], "{}", chip.name);
        } else {
            assert_eq!(steps, want, "{}", chip.name);
        }
    }
}

#[test]
fn fiber_negotiates_in_the_mac() {
    // 8254x manual, 13.4.13: TXCW has ANE in bit 31, full duplex in 5, PAUSE in 8:7.
    for chip in CHIPS {
        let want = (chip.media != Media::Copper).then_some(1 << 31 | 0b11 << 7 | 1 << 5);
        assert_eq!(ends(chip.device_id, regs::TXCW, 0), want, "{}", chip.name);
    }
}

#[test]
fn second_copy_of_the_address_of_82571_stays_in_entry_14() {
    // Linux e1000e, `e1000_set_laa_state_82571`.
    let (low, high) = (0x5400 + 8 * 14, 0x5404 + 8 * 14);
    for (id, valid) in [(0x105E, true), (0x107D, false), (0x10D3, false)] {
        assert_eq!(
            ends(id, high, 7),
            Some(if valid { 0x8000_5634 } else { 0 }),
            "{id:04x}"
        );
        assert_eq!(
            ends(id, low, 7),
            Some(if valid { 0x1200_5452 } else { 0 }),
            "{id:04x}"
        );
    }
}

#[test]
fn no_ring_and_no_buffer_crosses_64_kib() {
    // Linux e1000, `e1000_check_64k_bound`: 82545 and 82546; kept for all. The fake's regions are aligned like the
    // contract says.
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let nic = Nic::<_, FakeRegion>::bring_up(
            machine.registers(),
            chip,
            Config::default(),
            &mut machine.dma(),
            &machine,
        );
        std::mem::forget(nic.expect("bring-up"));
        for (base, len) in [(regs::RDBAL, regs::RDLEN), (regs::TDBAL, regs::TDLEN)] {
            let (base, len) = (machine.peek(base), machine.peek(len));
            assert_eq!(base >> 16, (base + len - 1) >> 16, "{}", chip.name);
        }
        let ring = u64::from(machine.peek(regs::RDBAL));
        assert_eq!(ring % 4096, 0);
    }
}
