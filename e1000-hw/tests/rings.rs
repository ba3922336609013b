//! The two rings: order, wrap-around, back-pressure, what a frame costs, and a device that writes anything.

use e1000_hw::RingSize;
use e1000_hw::TransmitError;
use e1000_hw::chip::{Chip, find};
use e1000_hw::fake::{Accesses, FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::nic::{Config, Nic};
use e1000_hw::regs::{self, Status};
use proptest::prelude::*;

fn chip() -> &'static Chip {
    find(0x8086, 0x100E).expect("82540EM")
}

fn nic(machine: &FakeMachine, size: u32) -> Nic<FakeRegisters, FakeRegion> {
    let size = RingSize::new(size).expect("a ring size");
    let sizes = Config::with_rings(size, size);
    Nic::bring_up(machine.registers(), chip(), sizes, &mut machine.dma(), machine).expect("bring-up")
}

/// A frame that tells its number.
fn numbered(n: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![n as u8; len];
    frame[..4].copy_from_slice(&n.to_be_bytes());
    // No VLAN tag by accident.
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame
}

#[test]
fn frames_keep_order_and_content_through_many_wraps() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 8);
    let mut out = [0; 2048];
    for n in 0..10_000u32 {
        let frame = numbered(n, 14 + n as usize % 1500);
        assert!(machine.deliver(&frame), "frame {n}");
        assert_eq!(nic.rx().receive(&mut out), Some(frame.len()));
        assert_eq!(out[..frame.len()], frame);
        nic.tx().send(&frame).expect("room");
        nic.tx().post();
        let mut padded = frame;
        padded.resize(padded.len().max(60), 0);
        assert_eq!(machine.take_sent(), [padded]);
    }
    assert_eq!(nic.state().rx_counters().frames, 10_000);
    assert_eq!(nic.state().tx_counters().frames, 10_000);
}

#[test]
fn ring_full_of_received_frames_is_drained_in_order() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 64);
    let mut delivered = 0;
    while machine.deliver(&numbered(delivered, 60)) {
        delivered += 1;
    }
    assert_eq!(delivered, 63, "one slot is never used");
    let mut out = [0; 60];
    for n in 0..63 {
        assert_eq!(nic.rx().receive(&mut out), Some(60));
        assert_eq!(out[..4], (n as u32).to_be_bytes());
    }
    assert_eq!(nic.rx().receive(&mut out), None);
    assert!(
        machine.deliver(&numbered(99, 60)),
        "reception goes on after an overrun"
    );
    assert_eq!(nic.rx().receive(&mut out), Some(60));
}

#[test]
fn short_frames_are_padded_with_zeroes_not_with_older_frames() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 8);
    for _ in 0..8 {
        nic.tx().send(&[0xAA; 1000]).expect("room");
        nic.tx().post();
    }
    machine.take_sent();
    nic.tx().send(&[0x55; 14]).expect("room");
    nic.tx().post();
    let sent = machine.take_sent();
    assert_eq!(sent[0].len(), 60);
    assert_eq!(sent[0][14..], [0; 46]);
}

/// Address and length of each transmit descriptor from `slot` up to the end of a frame.
fn pieces(machine: &FakeMachine, slot: u32) -> Vec<(u32, u32)> {
    let mut pieces = vec![];
    loop {
        let [address, _, low, _] = machine.peek_tx_descriptor((slot + pieces.len() as u32) % 8);
        pieces.push((address, low & 0xFFFF));
        if low >> 24 & 1 != 0 {
            return pieces;
        }
    }
}

#[test]
fn no_piece_of_82544_in_pci_x_mode_ends_in_the_lower_dword_of_a_quadword() {
    let chip = find(0x8086, 0x1008).expect("82544EI");
    let size = RingSize::new(8).expect("a ring size");
    let sizes = Config::with_rings(size, size);
    for pcix in [false, true] {
        let (mut lens, mut apart) = (Vec::from_iter(14..=1514), 0);
        let machine = FakeMachine::new(chip);
        let mode = if pcix { Status::PCIX_MODE.bits() } else { 0 };
        machine.poke(regs::STATUS, machine.peek(regs::STATUS) | mode);
        let mut nic =
            Nic::bring_up(machine.registers(), chip, sizes, &mut machine.dma(), &machine).expect("82544EI");
        let largest = nic.state().max_mtu();
        nic.settings().set_mtu(largest, &machine).expect("a ring for it");
        lens.extend((1515..=largest + 14).step_by(61));
        lens.push(largest + 14);
        for len in lens {
            // The ring is empty; this is where the next frame begins.
            let slot = machine.peek(regs::TDT);
            nic.tx().send(&numbered(7, len)).expect("room");
            nic.tx().post();
            let mut sent = numbered(7, len);
            sent.resize(len.max(60), 0);
            assert_eq!(machine.take_sent(), [sent], "{len}");
            let pieces = pieces(&machine, slot);
            apart += usize::from(pieces.len() > len.div_ceil(1984));
            let bad = |(address, len): &(u32, u32)| *len > 4 && (address + len - 1) & 4 == 0;
            assert!(!pcix || !pieces.iter().any(bad), "{len}: {pieces:x?}");
        }
        assert_eq!(apart > 700, pcix, "{apart}");
    }
}

#[test]
fn frame_lengths_are_checked() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 8);
    assert_eq!(nic.tx().send(&[]), Err(TransmitError::TooShort));
    assert_eq!(nic.tx().send(&[0; 13]), Err(TransmitError::TooShort));
    assert_eq!(nic.tx().send(&[0; 14]), Ok(()));
    assert_eq!(nic.tx().send(&[0; 1514]), Ok(()));
    assert_eq!(
        nic.tx().send(&[0; 1515]),
        Err(TransmitError::TooLong { limit: 1514 })
    );
    let mut tagged = numbered(1, 1518);
    tagged[12..14].copy_from_slice(&[0x81, 0x00]);
    assert_eq!(nic.tx().send(&tagged), Ok(()));
    tagged.push(0);
    assert_eq!(
        nic.tx().send(&tagged),
        Err(TransmitError::TooLong { limit: 1518 })
    );
    assert_eq!(
        nic.tx().send(&[0; 20_000]),
        Err(TransmitError::TooLong { limit: 1514 })
    );
    assert_eq!(nic.state().tx_counters().frames, 3);
}

#[test]
fn transmit_says_full_and_recovers() {
    let machine = FakeMachine::new(chip());
    machine.set_faults(Faults {
        transmitter_stalled: true,
        ..Faults::default()
    });
    let mut nic = nic(&machine, 8);
    for n in 0..7 {
        nic.tx().send(&numbered(n, 60)).expect("one slot is never used");
    }
    assert_eq!(nic.tx().send(&numbered(7, 60)), Err(TransmitError::Full));
    nic.tx().post();
    assert_eq!(nic.tx().send(&numbered(7, 60)), Err(TransmitError::Full));
    machine.resume_transmitter();
    nic.tx().send(&numbered(7, 60)).expect("room again");
    nic.tx().post();
    let order: Vec<u8> = machine.take_sent().iter().map(|frame| frame[3]).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn burst_larger_than_the_ring_posts_itself() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 8);
    for n in 0..100 {
        nic.tx().send(&numbered(n, 60)).expect("the fake sends at once");
    }
    nic.tx().post();
    assert_eq!(machine.take_sent().len(), 100);
}

#[test]
fn frames_longer_than_a_buffer_are_dropped_whole() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 64);
    let mut out = [0; 2048];
    for len in [2049, 4096, 4097, 9014, 16384] {
        assert!(machine.deliver(&vec![1; len]));
        assert!(machine.deliver(&numbered(7, 100)));
        assert_eq!(nic.rx().receive(&mut out), Some(100), "after {len}");
        assert_eq!(nic.rx().receive(&mut out), None);
    }
    assert_eq!(nic.state().rx_counters().oversized, 5);
}

#[test]
fn bad_frames_are_dropped_and_counted_by_kind() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 64);
    let mut slot = 0;
    let mut put = |len: u32, high: u32| {
        machine.poke_rx_descriptor(slot, len, high);
        slot += 1;
    };
    for error in [1, 2, 4, 16, 128] {
        put(60, error << 8 | 0b11);
    }
    put(13, 0b11);
    put(0, 0b11);
    put(2049, 0b11);
    put(0xFFFF, 0b11);
    // TCPE and IPE only say that a checksum is not good.
    put(60, (0x20 | 0x40) << 8 | 0b11);
    assert_eq!(nic.rx().receive(&mut [0; 2048]), Some(60));
    assert_eq!(nic.rx().receive(&mut [0; 2048]), None);
    let counters = nic.state().rx_counters();
    assert_eq!((counters.errors, counters.bad_length, counters.frames), (5, 4, 1));
}

#[test]
fn a_device_that_is_always_done_cannot_keep_the_caller() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 64);
    for slot in 0..64 {
        machine.poke_rx_descriptor(slot, 60, 0b01); // never EOP
    }
    assert_eq!(nic.rx().receive(&mut [0; 2048]), None);
    assert!(machine.take_accesses().writes.len() < 2000);
}

fn data_path(accesses: &Accesses) -> (usize, usize) {
    (accesses.reads.len(), accesses.writes.len())
}

#[test]
fn data_path_reads_no_register_and_writes_one_per_batch() {
    let machine = FakeMachine::new(chip());
    let mut nic = nic(&machine, 512);
    machine.take_accesses();
    for n in 0..32 {
        nic.tx().send(&numbered(n, 60)).expect("room");
    }
    nic.tx().post();
    nic.tx().post();
    let accesses = machine.take_accesses();
    assert_eq!(data_path(&accesses), (0, 1), "32 frames: one write of TDT");
    assert_eq!(accesses.writes[0].0, regs::TDT);

    for n in 0..256 {
        assert!(machine.deliver(&numbered(n, 60)));
    }
    machine.take_accesses();
    for _ in 0..256 {
        assert_eq!(nic.rx().receive(&mut [0; 2048]), Some(60));
    }
    assert_eq!(nic.rx().receive(&mut [0; 2048]), None);
    let accesses = machine.take_accesses();
    assert_eq!(accesses.reads.len(), 0);
    assert!(accesses.writes.iter().all(|(offset, _)| *offset == regs::RDT));
    assert!(
        accesses.writes.len() <= 256 / 8,
        "{} writes of RDT for 256 frames",
        accesses.writes.len()
    );
}

/// An event between two calls of the driver.
#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    PokeRx { slot: u32, low: u32, high: u32 },
    PokeTx { slot: u32, low: u32, high: u32 },
    Receive(usize),
    Transmit(usize),
    Post,
    Link(bool),
}

fn step(size: u32) -> impl Strategy<Value = Step> {
    // Bits that matter are set more often than chance would.
    let high = prop_oneof![any::<u32>(), 0u32..4, Just(3), Just(1), Just(u32::MAX)];
    let low = prop_oneof![any::<u32>(), 0u32..4096];
    prop_oneof![
        (1usize..5000).prop_map(Step::Deliver),
        (0..size, low.clone(), high.clone()).prop_map(|(slot, low, high)| Step::PokeRx { slot, low, high }),
        (0..size, low, high).prop_map(|(slot, low, high)| Step::PokeTx { slot, low, high }),
        (0usize..2100).prop_map(Step::Receive),
        (0usize..1600).prop_map(Step::Transmit),
        Just(Step::Post),
        any::<bool>().prop_map(Step::Link),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The fake panics on DMA outside what the driver allocated, so this also shows that no descriptor ever
    /// points elsewhere.
    #[test]
    fn device_that_writes_anything_at_any_time_does_no_harm(
        steps in prop::collection::vec(step(16), 1..400),
    ) {
        let machine = FakeMachine::new(chip());
        let mut nic = nic(&machine, 16);
        for step in steps {
            match step {
                Step::Deliver(len) => { machine.deliver(&vec![0x42; len]); }
                Step::PokeRx { slot, low, high } => machine.poke_rx_descriptor(slot, low, high),
                Step::PokeTx { slot, low, high } => {
                    // What the device reads back as its own command is its own problem.
                    machine.set_faults(Faults { transmitter_stalled: true, ..Faults::default() });
                    machine.poke_tx_descriptor(slot, low, high);
                }
                Step::Receive(len) => {
                    let mut out = vec![0; len];
                    if let Some(copied) = nic.rx().receive(&mut out) {
                        prop_assert!(copied <= len && copied <= 2048);
                    }
                }
                Step::Transmit(len) => {
                    let result = nic.tx().send(&vec![0x17; len]);
                    prop_assert_eq!(result == Err(TransmitError::TooShort), len < 14);
                    let too_long = matches!(result, Err(TransmitError::TooLong { .. }));
                    prop_assert_eq!(too_long, len > 1514);
                }
                Step::Post => nic.tx().post(),
                Step::Link(up) => {
                    machine.set_link(up);
                    nic.link().refresh(&machine);
                }
            }
            let tail = machine.peek(regs::RDT);
            prop_assert!(tail < 16);
            prop_assert!(machine.peek(regs::TDT) < 16);
        }
        // However it was treated, it stops cleanly and leaks nothing.
        nic.stop(&machine);
        prop_assert_eq!(machine.dma_in_use(), 0);
    }

    #[test]
    fn no_frame_is_lost_doubled_or_changed(
        bursts in prop::collection::vec((1u32..40, 0u32..40), 1..60),
        size in prop::sample::select(vec![8u32, 16, 32, 64]),
    ) {
        let machine = FakeMachine::new(chip());
        let mut nic = nic(&machine, size);
        let (mut next_in, mut next_out) = (0u32, 0u32);
        for (arrive, read) in bursts {
            for _ in 0..arrive {
                if machine.deliver(&numbered(next_in, 64)) {
                    next_in += 1;
                }
            }
            for _ in 0..read {
                let mut out = [0; 2048];
                let Some(len) = nic.rx().receive(&mut out) else { break };
                prop_assert_eq!(&out[..len], &numbered(next_out, 64)[..]);
                next_out += 1;
            }
        }
        while nic.rx().receive(&mut [0; 2048]).is_some() {
            next_out += 1;
        }
        prop_assert_eq!(next_in, next_out);
    }
}
