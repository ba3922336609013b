//! What bring-up writes to the registers that quirks are about, against `e1000-hardware-facts.md` (HF).

mod recorder;

use e1000_hw::chip::{CHIPS, MacType, Media, PhyAccess, Quirks};
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FakeMachine, FakeRegion};
use e1000_hw::flow_control::{self, Pause};
use e1000_hw::link::{self, Link};
use e1000_hw::nic::{Config, Nic};
use e1000_hw::notes::Notes;
use e1000_hw::regs;
use recorder::Step::{R, W};
use recorder::{Recorder, Step, chip};

/// What bring-up of the chip does to these registers, starting from these values.
fn bring_up(id: u16, before: &[(u32, u32)], of: &[u32]) -> Vec<Step> {
    let chip = chip(id);
    let recorder = Recorder::new(chip);
    for &(register, value) in before {
        recorder.machine.poke(register, value);
    }
    let machine = recorder.machine.clone();
    let nic: Nic<&Recorder, FakeRegion> =
        Nic::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &machine).expect(chip.name);
    // Nothing answers the fake's bit-banged MDIO.
    let notes = nic.state().notes().difference(Notes::PHY_SILENT);
    assert_eq!(notes, Notes::empty(), "{}", chip.name);
    assert!(
        notes == nic.state().notes() || chip.limits.phy == PhyAccess::BitBang,
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
            W(_, value) => Some(value),
            _ => None,
        })
}

#[test]
fn arbitration_of_8257x() {
    // HF 3.3: "TARC0: clear 30:27; 82571/2 set 26:23; 82574/83 set 26. TARC1 (82571/2): clear 30:29, set 22, 24, 25,
    // 26; bit 28 = NOT TCTL.MULR"; "TARC0 bit 21 set at 1000". The fake's link is 1000.
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
    // HF 3.3: "TXDCTL0: WTHRESH=1, GRAN=1, COUNT_DESC=1; same value into TXDCTL1"; HF 9.3 for 8254x.
    for (id, want) in [
        (
            0x105E,
            vec![W(regs::TXDCTL, 0x0141_0000), W(regs::TXDCTL1, 0x0141_0000)],
        ),
        (
            0x10D3,
            vec![W(regs::TXDCTL, 0x0141_0000), W(regs::TXDCTL1, 0x0141_0000)],
        ),
        (
            0x153A,
            vec![W(regs::TXDCTL, 0x0141_0000), W(regs::TXDCTL1, 0x0141_0000)],
        ),
        (0x100E, vec![W(regs::TXDCTL, 0x0101_0000)]),
        // 82543GC specification update, erratum 35: with a threshold, descriptors are written back to wrong places.
        (0x1001, vec![W(regs::TXDCTL, 0)]),
        (0x1004, vec![W(regs::TXDCTL, 0)]),
        (0x100C, vec![W(regs::TXDCTL, 0)]),
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
    // HF 3.3: "82573/4/83: CTRL_EXT bit 23 = 0, bit 22 = 1"; "82571/2: DMA_DYN_CLK_EN off", and of 82573 (specification
    // update, erratum 15); DRV_LOAD bit 28. HF 13: 82546GB quad RO_DIS (bit 17). Linux: PCH bits 22 and 20.
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
    // HF 3.3: "82574/83: GCR bit 22 = 1, GCR2 bit 0 = 1, GCR.L1_ACT_WITHOUT_L0S_RX"; Linux e1000e gives the last to
    // 82573 too (`e1000_init_hw_82571`).
    let registers = [regs::GCR, regs::GCR2];
    let later = vec![
        R(regs::GCR),
        W(regs::GCR, 1 << 22),
        R(regs::GCR2),
        W(regs::GCR2, 1),
        R(regs::GCR),
        W(regs::GCR, 1 << 27 | 1 << 22),
    ];
    for id in [0x10D3, 0x10F6, 0x150C] {
        assert_eq!(bring_up(id, &[], &registers), later, "{id:04x}");
    }
    assert_eq!(
        bring_up(0x109A, &[], &registers),
        [R(regs::GCR), W(regs::GCR, 1 << 27)]
    );
    for id in [0x105E, 0x153A, 0x100E] {
        assert_eq!(bring_up(id, &[], &registers), [], "{id:04x}");
    }
}

#[test]
fn parsers_that_hang_are_off() {
    // HF 3.3: "<= 82573: RFCTL IPV6_EX_DIS and NEW_IPV6_EXT_DIS"; HF 13: NFS parsing off on all ICH/PCH.
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
    // HF 3.3: "82571: PBA_ECC correction on". Linux e1000e: PBECCSTS bit 16 and CTRL.MEHE from I217 on.
    assert_eq!(
        bring_up(0x105E, &[], &[regs::PBA_ECC]),
        [R(regs::PBA_ECC), W(regs::PBA_ECC, 1)]
    );
    assert_eq!(bring_up(0x107D, &[], &[regs::PBA_ECC]), []);
    assert_eq!(ends(0x153A, regs::PBECCSTS, 0), Some(1 << 16));
    assert_ne!(ends(0x153A, regs::CTRL, 0).unwrap_or(0) & 1 << 19, 0);
    assert_eq!(ends(0x1503, regs::PBECCSTS, 0), None);
}

#[test]
fn reserved_bit_29_of_ctrl_is_cleared() {
    // HF 3.3: "82573/4/83: CTRL bit 29 = 0".
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
        let recorder = Recorder::new(chip);
        let machine = recorder.machine.clone();
        let sizes = Config::default();
        let mut nic: Nic<&Recorder, FakeRegion> =
            Nic::bring_up(&recorder, chip, sizes, &mut machine.dma(), &machine).expect(chip.name);
        nic.settings()
            .set_filter(false, false, [MacAddress([1, 0, 0x5E, 0, 0, 1])]);
        nic.settings().set_vlan_filter(Some([7, 700]));
        let steps = recorder.take();
        let tables = [regs::MTA..regs::MTA + 512, regs::VFTA..regs::VFTA + 512];
        let is_table = |offset: u32| tables.iter().any(|table| table.contains(&offset));
        let flushed = steps
            .windows(2)
            .filter(|pair| matches!(pair[0], W(offset, _) if is_table(offset)))
            .map(|pair| pair[1] == R(regs::STATUS));
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
        // HF 9.3: fiber IPGT 9, else 8.
        let gap = if chip.media == Media::Copper {
            0x0060_2008
        } else {
            0x0060_2009
        };
        let id = chip.device_id;
        assert_eq!(ends(id, regs::TIPG, 0), Some(gap), "{}", chip.name);
        // HF 10.4: 20 000/s is 195; 82547 is never given zero. 82543 and 82544 have no ITR (HF 1.2).
        let early = matches!(chip.mac(), MacType::I82543 | MacType::I82544);
        assert_eq!(ends(id, regs::ITR, 0), (!early).then_some(195), "{}", chip.name);
        assert_eq!(
            ends(id, regs::PBA, 0),
            Some(chip.limits.rx_packet_buffer_kib),
            "{}",
            chip.name
        );
        // HF 8.7: 82573 wants RDTR 0x20.
        let delay = if chip.mac() == MacType::I82573 { 0x20 } else { 0 };
        assert_eq!(ends(id, regs::RDTR, 9), Some(delay), "{}", chip.name);
    }
}

#[test]
fn pause_frames_are_described_except_where_that_is_something_else() {
    // HF 6: FCAL, FCAH, FCT; "double as FEXTNVM on ICH: do not write". FCAL after FCAH: 82544 in PCI-X mode may write
    // FCAH into FCAL, too (erratum 9; NetBSD, `wm_set_filter`).
    let registers = [0x28, 0x2C, 0x30];
    let want = [W(0x2C, 0x0100), W(0x28, 0x00C2_8001), W(0x30, 0x8808)];
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
    // HF 5.3: "TXCW (ANE bit 31, FD 5, PAUSE 8:7)".
    for chip in CHIPS {
        let want = (chip.media != Media::Copper).then_some(1 << 31 | 0b11 << 7 | 1 << 5);
        assert_eq!(ends(chip.device_id, regs::TXCW, 0), want, "{}", chip.name);
    }
}

#[test]
fn second_copy_of_the_address_of_82571_stays_in_entry_14() {
    // HF 13: LAA_RESTORE.
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
fn speed_and_duplex_are_programmed_with_the_link() {
    let up = |mbit_s, full_duplex| Link::Up {
        mbit_s,
        full_duplex,
        pause: Pause::NONE,
    };
    let after = |id, link, register, before| {
        let recorder = Recorder::new(chip(id));
        recorder.machine.poke(register, before);
        link::program(&recorder, chip(id), link);
        recorder.machine.peek(register)
    };
    // HF 9.3: COLD 0x3F full duplex; half duplex 0x40, gigabit 0x200.
    for (link, cold) in [
        (up(1000, true), 0x3F),
        (up(100, true), 0x3F),
        (up(100, false), 0x40),
        (up(1000, false), 0x200),
    ] {
        assert_eq!(
            after(0x100E, link, regs::TCTL, 0x1003_F0FA),
            0x1000_00FA | cold << 12
        );
    }
    // HF 3.3: "82571/2: TARC0 bit 21 set at 1000, cleared at 10/100".
    assert_eq!(after(0x105E, up(1000, true), regs::TARC0, 3), 1 << 21 | 3);
    assert_eq!(after(0x107D, up(100, true), regs::TARC0, 1 << 21 | 3), 3);
    assert_eq!(after(0x10D3, up(1000, true), regs::TARC0, 3), 3);
    // HF 9.3: "PCH2 and later: IPGT = 0xFF at 10 half, ... else 0x08".
    assert_eq!(after(0x153A, up(10, false), regs::TIPG, 0x0060_2008), 0x0060_20FF);
    assert_eq!(after(0x153A, up(10, true), regs::TIPG, 0x0060_20FF), 0x0060_2008);
    assert_eq!(after(0x100E, up(10, false), regs::TIPG, 0x0060_2008), 0x0060_2008);
    // While it is down, and when nothing changes, nothing is written.
    let recorder = Recorder::new(chip(0x105E));
    link::program(&recorder, chip(0x105E), Link::Down);
    assert_eq!(recorder.take(), []);
    link::program(&recorder, chip(0x105E), up(1000, true));
    recorder.take();
    link::program(&recorder, chip(0x105E), up(1000, true));
    assert_eq!(recorder.take(), [R(regs::TCTL), R(regs::TARC0)]);
}

#[test]
fn pause_is_programmed_by_direction() {
    // HF 6: FCRTL = low | XONE, FCRTH = high, zero when TX pause is off; CTRL.TFCE 28, RFCE 27.
    let of = |id, rx, tx| {
        let recorder = Recorder::new(chip(id));
        recorder.machine.poke(regs::CTRL, 0x1800_0040);
        flow_control::program(&recorder, chip(id), Pause { rx, tx }, 1522);
        [regs::FCTTV, regs::FCRTL, regs::FCRTH, regs::CTRL].map(|register| recorder.machine.peek(register))
    };
    assert_eq!(of(0x100E, true, true), [0xFFFF, 0x8000_ACC0, 0xACC8, 0x1800_0040]);
    assert_eq!(of(0x100E, true, false), [0, 0, 0, 0x0800_0040]);
    assert_eq!(of(0x100E, false, false), [0, 0, 0, 0x0000_0040]);
    assert_eq!(of(0x10D3, false, true)[0], 0x0680);
    assert_eq!(
        of(0x153A, false, true),
        [0xFFFF, 0x8000_5048, 0x5C20, 0x1000_0040]
    );
}

#[test]
fn no_ring_and_no_buffer_crosses_64_kib() {
    // Linux e1000, `e1000_check_64k_bound`: 82545 and 82546; kept for all. The fake's regions are aligned like the contract says.
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

#[test]
fn nvm_that_answers_each_word_late_is_not_called_silent() {
    let chip = chip(0x10D3);
    let recorder = Recorder::new(chip);
    // Each word comes within its own time, and all of them do not: the machine is busy.
    let mut polls = 0;
    recorder.on_read(move |offset, value| {
        polls += u32::from(offset == regs::EERD);
        if offset == regs::EERD && polls % 1000 != 0 {
            0
        } else {
            value
        }
    });
    let machine = recorder.machine.clone();
    let nic: Nic<&Recorder, FakeRegion> =
        Nic::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &recorder).expect(chip.name);
    assert_eq!(nic.state().notes(), Notes::empty());
    // One that answers nothing is.
    recorder.on_read(|offset, value| if offset == regs::EERD { 0 } else { value });
    std::mem::forget(nic);
    let nic: Nic<&Recorder, FakeRegion> =
        Nic::bring_up(&recorder, chip, Config::default(), &mut machine.dma(), &recorder).expect(chip.name);
    assert_eq!(nic.state().notes(), Notes::NVM_SILENT);
    std::mem::forget(nic);
}
