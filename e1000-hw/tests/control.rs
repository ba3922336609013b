//! Settings that change while the NIC runs: filter, MTU, VLAN tags; counters and dumps. Against the fake.

use e1000_hw::RingSize;
use e1000_hw::TransmitError;
use e1000_hw::chip::{CHIPS, Chip, MacType, Moderation, find};
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::filter::hash;
use e1000_hw::interrupt::Routing;
use e1000_hw::moderation::Policy;
use e1000_hw::nic::{Config, MtuError, Nic, SendOptions};
use e1000_hw::regs::{self, REGISTERS, Rctl};
use e1000_hw::stats::COUNTERS;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

const SOLICITED: MacAddress = MacAddress([0x33, 0x33, 0xFF, 0x12, 0x34, 0x56]);

fn chip(id: u16) -> &'static Chip {
    find(0x8086, id).expect("a chip of the table")
}

fn bring_up(machine: &FakeMachine, chip: &'static Chip, size: u32) -> FakeNic {
    let size = RingSize::new(size).expect("a ring size");
    let sizes = Config::with_rings(size, size);
    Nic::bring_up(machine.registers(), chip, sizes, &mut machine.dma(), machine).expect(chip.name)
}

/// Offsets and values written since the last time, RCTL and the multicast table only.
fn filter_writes(machine: &FakeMachine) -> Vec<(u32, u32)> {
    let is_filter = |offset: &u32| *offset == regs::RCTL || (regs::MTA..regs::MTA + 512).contains(offset);
    let writes = machine.take_accesses().writes;
    writes
        .into_iter()
        .filter(|(offset, _)| is_filter(offset))
        .collect()
}

fn frame(len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|n| (n * 31) as u8).collect();
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame
}

#[test]
fn groups_are_written_to_the_table_and_rctl_is_left_alone() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let mut nic = bring_up(&machine, chip, 64);
        filter_writes(&machine);
        nic.settings().set_filter(false, false, [SOLICITED]);
        let bit = hash(SOLICITED, 0, chip.limits.mta_registers);
        let register = regs::MTA + bit / 32 * 4;
        let writes = filter_writes(&machine);
        assert!(writes.contains(&(register, 1 << (bit % 32))), "{}", chip.name);
        assert!(writes.iter().all(|(offset, _)| *offset != regs::RCTL));
        assert!(nic.state().filter().accepts(chip, SOLICITED));
        assert!(
            !nic.state()
                .filter()
                .accepts(chip, MacAddress([1, 0, 0x5E, 0, 0, 1]))
        );
        nic.settings().set_filter(false, false, [SOLICITED]);
        assert_eq!(filter_writes(&machine), [], "nothing changed");
        nic.settings().set_filter(false, false, []);
        assert_eq!(machine.peek(register), 0);
    }
}

#[test]
fn rctl_is_written_only_when_its_value_changes() {
    let machine = FakeMachine::new(chip(0x100E));
    let mut nic = bring_up(&machine, chip(0x100E), 64);
    let rctl = machine.peek(regs::RCTL);
    filter_writes(&machine);
    let (all, everything) = (rctl | Rctl::MPE.bits(), rctl | (Rctl::UPE | Rctl::MPE).bits());
    for (promiscuous, all_multicast, written) in [
        (false, false, None),
        (true, false, Some(everything)),
        (true, true, None),
        (false, true, Some(all)),
        (false, true, None),
        (false, false, Some(rctl)),
    ] {
        nic.settings().set_filter(promiscuous, all_multicast, []);
        let writes: Vec<u32> = filter_writes(&machine).iter().map(|(_, value)| *value).collect();
        assert_eq!(writes, Vec::from_iter(written));
    }
}

#[test]
fn filters_mtu_and_interrupts_survive_a_restart() {
    for chip in CHIPS.iter().filter(|chip| chip.limits.max_frame > 4096) {
        let machine = FakeMachine::new(chip);
        let mut nic = bring_up(&machine, chip, 64);
        nic.interrupts().enable();
        nic.interrupts().set_transmit(true);
        nic.settings().set_mtu(4000, &machine).expect("a jumbo MTU");
        nic.settings().set_filter(true, false, [SOLICITED]);
        nic.settings().set_vlan_filter(Some([5]));
        let registers = [regs::RCTL, regs::IMS, regs::PBA, regs::VFTA, regs::CTRL];
        let before = registers.map(|register| machine.peek(register));
        // A reset that clears what it can.
        for register in (0..128).map(|n| regs::MTA + 4 * n).chain([regs::PBA, regs::VFTA]) {
            machine.poke(register, 0);
        }
        nic.recovery().restart(&machine).expect("a reset that ends");
        assert_eq!(
            before,
            registers.map(|register| machine.peek(register)),
            "{}",
            chip.name
        );
        let bit = hash(SOLICITED, 0, chip.limits.mta_registers);
        assert_eq!(
            machine.peek(regs::MTA + bit / 32 * 4),
            1 << (bit % 32),
            "{}",
            chip.name
        );
        assert!(machine.deliver(&frame(4014)));
        assert_eq!(nic.rx().receive(&mut [0; 5000]), Some(4014));
        nic.stop(&machine);
        assert_eq!(machine.dma_in_use(), 0);
    }
}

#[test]
fn jumbo_frames_pass_in_both_directions_byte_by_byte() {
    for id in [0x100E, 0x100C, 0x10D3] {
        let machine = FakeMachine::new(chip(id));
        let mut nic = bring_up(&machine, chip(id), 16);
        let max = nic.state().max_mtu();
        nic.settings().set_mtu(max, &machine).expect("the largest");
        let mut out = vec![0; 20_000];
        for len in [
            14,
            60,
            1514,
            1984,
            1985,
            2044,
            2045,
            2047,
            2048,
            2049,
            4096,
            4097,
            9000,
            max + 13,
            max + 14,
        ] {
            let frame = frame(len);
            assert!(machine.deliver(&frame));
            assert_eq!(nic.rx().receive(&mut out), Some(len), "{len} bytes in");
            assert_eq!(out[..len], frame);
            nic.tx().send(&frame).expect("room");
            nic.tx().post();
            let mut padded = frame;
            padded.resize(len.max(60), 0);
            assert_eq!(machine.take_sent(), [padded], "{len} bytes out");
        }
        let limit = max + 14;
        assert_eq!(
            nic.tx().send(&frame(limit + 1)),
            Err(TransmitError::TooLong { limit })
        );
        assert!(machine.deliver(&frame(max + 19)));
        assert!(machine.deliver(&frame(77)));
        assert_eq!(
            nic.rx().receive(&mut out),
            Some(77),
            "longer ones are dropped whole"
        );
        assert_eq!(nic.state().rx_counters().oversized, 1);
        assert_eq!(
            nic.settings().set_mtu(max + 1, &machine),
            Err(MtuError::OutOfRange { max })
        );
        assert_eq!(
            nic.settings().set_mtu(67, &machine),
            Err(MtuError::OutOfRange { max })
        );
    }
}

#[test]
fn small_rings_take_jumbo_frames_for_ever() {
    for size in [8, 16, 32] {
        let machine = FakeMachine::new(chip(0x100E));
        let mut nic = bring_up(&machine, chip(0x100E), size);
        let mtu = nic.state().max_mtu();
        nic.settings().set_mtu(mtu, &machine).expect("the largest");
        let mut out = vec![0; 20_000];
        for n in 0..500 {
            let len = 1 + mtu + 13 - n % 3000;
            assert!(machine.deliver(&frame(len)), "ring of {size}, frame {n} of {len}");
            assert_eq!(nic.rx().receive(&mut out), Some(len));
            nic.tx().send(&frame(len)).expect("the fake sends at once");
            nic.tx().post();
        }
        assert_eq!(machine.take_sent().len(), 500);
    }
}

#[test]
fn gap_in_the_middle_of_a_frame_drops_it_whole() {
    let machine = FakeMachine::new(chip(0x100E));
    let mut nic = bring_up(&machine, chip(0x100E), 64);
    nic.settings().set_mtu(9000, &machine).expect("a jumbo MTU");
    // DD without EOP, too short; then the end.
    machine.poke_rx_descriptor(0, 2048, 0b01);
    machine.poke_rx_descriptor(1, 100, 0b01);
    machine.poke_rx_descriptor(2, 2048, 0b01);
    machine.poke_rx_descriptor(3, 100, 0b11);
    machine.poke_rx_descriptor(4, 80, 0b11);
    assert_eq!(nic.rx().receive(&mut [0; 9100]), Some(80));
    assert_eq!(nic.state().rx_counters().bad_length, 1);
    // An end that never comes is given up at the limit.
    for slot in 5..20 {
        machine.poke_rx_descriptor(slot, 2048, 0b01);
    }
    machine.poke_rx_descriptor(20, 60, 0b11);
    machine.poke_rx_descriptor(21, 81, 0b11);
    assert_eq!(nic.rx().receive(&mut [0; 9100]), Some(81));
    assert_eq!(nic.state().rx_counters().oversized, 1);
}

#[test]
fn vlan_tags_are_stripped_and_inserted_when_asked_for() {
    let machine = FakeMachine::new(chip(0x100E));
    let mut nic = bring_up(&machine, chip(0x100E), 64);
    machine.poke_rx_descriptor(0, 60, 0x2005_0000 | 0b1011);
    assert_eq!(
        (nic.rx().receive(&mut [0; 60]), nic.rx().tag()),
        (Some(60), None),
        "off"
    );
    nic.settings().set_vlan_offload(true);
    machine.poke_rx_descriptor(1, 60, 0x2005_0000 | 0b1011);
    machine.poke_rx_descriptor(2, 60, 0b11);
    assert_eq!(
        (nic.rx().receive(&mut [0; 60]), nic.rx().tag()),
        (Some(60), Some(0x2005))
    );
    assert_eq!((nic.rx().receive(&mut [0; 60]), nic.rx().tag()), (Some(60), None));
    nic.tx()
        .send_with(
            &frame(60),
            SendOptions {
                tag: Some(0x2005),
                offload: None,
            },
        )
        .expect("room");
    nic.tx().post();
    assert_eq!(machine.take_sent()[0][12..18], [0x81, 0, 0x20, 0x05, 0x88, 0xB5]);
    nic.settings().set_vlan_filter(Some([1, 5, 4095, 9999]));
    assert_ne!(machine.peek(regs::RCTL) & Rctl::VFE.bits(), 0);
    let table = [0, 127].map(|n| machine.peek(regs::VFTA + 4 * n));
    assert_eq!(table, [0b10_0011, 1 << 31]);
    nic.settings().set_vlan_filter(None::<[u16; 0]>);
    assert_eq!(machine.peek(regs::RCTL) & Rctl::VFE.bits(), 0);
    // Only what changes is written, over the pause too.
    machine.take_accesses();
    nic.settings().set_vlan_filter(Some([1, 5, 4095, 37]));
    nic.settings().set_vlan_filter(Some([37, 5, 4095, 1]));
    let writes = machine.take_accesses().writes;
    assert_eq!(
        writes,
        [
            (regs::VFTA + 4, 1 << 5),
            (regs::RCTL, machine.peek(regs::RCTL)),
            (regs::IMS, 0),
        ]
    );
}

#[test]
fn hardware_counters_add_up_in_64_bits_and_start_at_zero() {
    let machine = FakeMachine::new(chip(0x10D3));
    for counter in &COUNTERS {
        machine.poke(counter.offset, 99);
    }
    let mut nic = bring_up(&machine, chip(0x10D3), 64);
    for round in 1..=3u64 {
        for counter in &COUNTERS {
            machine.poke(counter.offset, u32::MAX);
        }
        machine.poke(COUNTERS[0].offset, 7);
        nic.diagnostics().collect_statistics();
        let sums: Vec<(&str, u64)> = nic.state().statistics().values().collect();
        assert_eq!(sums[0], (COUNTERS[0].name, 7 * round));
        assert!(
            sums[1..]
                .iter()
                .all(|(_, sum)| *sum == round * u64::from(u32::MAX))
        );
    }
    machine.set_faults(Faults {
        gone: true,
        ..Faults::default()
    });
    nic.diagnostics().collect_statistics();
    assert_eq!(
        nic.state().statistics().values().next(),
        Some((COUNTERS[0].name, 21))
    );
}

#[test]
fn dump_reads_nothing_that_reading_changes() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let mut nic = bring_up(&machine, chip, 8);
        machine.take_accesses();
        let mut names = vec![];
        nic.diagnostics().dump_registers(|name, _| names.push(name));
        nic.diagnostics().snapshot(core::time::Duration::ZERO);
        let accesses = machine.take_accesses();
        assert!(accesses.writes.is_empty() && names.len() > 25);
        for offset in accesses.reads {
            let mut at = REGISTERS.iter().filter(|register| register.offset == offset);
            assert!(
                at.all(|register| register.access.is_harmless_to_read()),
                "{offset:#x}"
            );
        }
    }
}

#[test]
fn interval_between_interrupts_is_written_where_the_part_has_it_and_only_when_it_changes() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let mut nic = bring_up(&machine, chip, 64);
        let routing = Routing::for_vectors(chip, 5);
        let register = if routing.is_some() { regs::EITR } else { regs::ITR };
        nic.interrupts().route(routing.unwrap_or(Routing::Single));
        machine.take_accesses();
        nic.interrupts().set_moderation(Policy::Adaptive);
        let mut interrupt = |frames: usize, len: usize| {
            for _ in 0..frames {
                assert!(machine.deliver(&frame(len)));
                nic.rx().receive(&mut [0; 2048]);
            }
            machine.take_accesses();
            nic.interrupts().moderate();
            let accesses = machine.take_accesses();
            assert!(accesses.reads.is_empty(), "{}", chip.name);
            accesses.writes
        };
        let has_it = chip.limits.moderation != Moderation::Delays;
        let written = |interval| Vec::from_iter(has_it.then_some((register, interval)));
        assert_eq!(interrupt(1, 98), written(55), "{}", chip.name);
        assert_eq!(interrupt(1, 98), []);
        assert_eq!(interrupt(20, 1514), []);
        assert_eq!(interrupt(20, 1514), written(976), "{}", chip.name);
        assert_eq!(interrupt(20, 1514), []);
        // Whatever a reset does to it, and 82547 takes no zero.
        machine.poke(register, 0);
        nic.recovery().restart(&machine).expect("a reset that ends");
        assert_eq!(
            machine.peek(register),
            if has_it { 976 } else { 0 },
            "{}",
            chip.name
        );
        nic.interrupts().set_moderation(Policy::Fixed(0));
        let shortest = if matches!(chip.mac(), MacType::I82547 | MacType::I82547R2) {
            53
        } else {
            0
        };
        assert_eq!(machine.peek(register), shortest, "{}", chip.name);
    }
}
