//! Buffers of the owner's, by bus address: which frames go in and out of them, what comes back and when, what it costs.

#[path = "hostile/owner.rs"]
mod owner;

use e1000_hw::chip::{Chip, find};
use e1000_hw::fake::{FakeMachine, Faults};
use e1000_hw::nic::{Config, Nic, SelfTest, SendOptions};
use e1000_hw::offload::{Headers, Offload, OffloadError, Offloads, Segmentation};
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Status};
use e1000_hw::{BufferStatus, ProvideError, RingSize, Segment, TransmitError};
use owner::{FakeNic, Owner};
use proptest::prelude::*;

const NOTHING: SendOptions<'static> = SendOptions {
    tag: None,
    offload: None,
};

fn chip(id: u16) -> &'static Chip {
    find(0x8086, id).expect("a chip of the table")
}

/// A NIC with rings of `size` and no buffers, and an owner of as many.
fn start(id: u16, size: u32) -> (FakeMachine, FakeNic, Owner) {
    let machine = FakeMachine::new(chip(id));
    let ring = RingSize::new(size).expect("a ring size");
    let config = Config {
        copy_rx: false,
        copy_tx: false,
        ..Config::with_rings(ring, ring)
    };
    let nic = Nic::bring_up(
        machine.registers(),
        chip(id),
        config,
        &mut machine.dma(),
        &machine,
    );
    let owner = Owner::new(&machine, size as usize, 16384);
    (machine, nic.expect("bring-up"), owner)
}

fn stall(machine: &FakeMachine, stalled: bool) {
    if !stalled {
        return machine.resume_transmitter();
    }
    machine.set_faults(Faults {
        transmitter_stalled: true,
        ..Faults::default()
    });
}

/// A frame that tells its number.
fn numbered(n: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![n as u8; len];
    frame[..4].copy_from_slice(&n.to_be_bytes());
    // No VLAN tag by accident.
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame
}

fn sent(owner: &mut Owner, nic: &mut FakeNic, frame: &[u8], pieces: &[usize]) {
    let result = owner.send(nic, frame, pieces, NOTHING);
    result.expect("a free buffer").expect("room");
}

#[test]
fn frames_come_in_and_go_out_in_order_through_many_wraps() {
    for id in [0x100E, 0x100C, 0x10D3] {
        let (machine, mut nic, mut owner) = start(id, 16);
        assert_eq!(owner.provide(&mut nic), 16, "one for each descriptor");
        nic.rx().publish();
        for n in 0..1000 {
            let frame = numbered(n, 60 + n as usize % 1400);
            assert!(machine.deliver(&frame), "{id:04x} frame {n}");
            let (buffer, received) = owner.receive(&mut nic).expect("a buffer");
            assert_eq!(received.as_ref(), Some(&frame), "{id:04x} {buffer:?}");
            assert_eq!(owner.provide(&mut nic), 1);
            sent(&mut owner, &mut nic, &frame, &[]);
            nic.tx().post();
            assert_eq!(machine.take_sent(), [frame], "{id:04x}");
            assert_eq!(owner.reclaim(&mut nic), (1, 0));
        }
        assert_eq!(owner.receive(&mut nic).map(|(buffer, _)| buffer), None);
        let state = nic.state();
        assert_eq!(
            (state.rx_counters().frames, state.tx_counters().frames),
            (1000, 1000)
        );
    }
}

#[test]
fn frame_of_several_buffers_ends_in_the_last_one() {
    // 82544 cannot strip the FCS: here its last buffer has nothing else.
    for (id, len, last) in [(0x100E, 5000, 904), (0x100C, 5000, 908), (0x100C, 4096, 4)] {
        let (machine, mut nic, mut owner) = start(id, 16);
        nic.settings().set_mtu(9000, &machine).expect("in range");
        owner.provide(&mut nic);
        nic.rx().publish();
        let frame = numbered(1, len);
        assert!(machine.deliver(&frame));
        for _ in 0..2 {
            let (buffer, none) = owner.receive(&mut nic).expect("a buffer");
            assert_eq!((buffer.len, buffer.status), (2048, BufferStatus::More));
            assert_eq!(none, None);
        }
        let (buffer, received) = owner.receive(&mut nic).expect("a buffer");
        assert_eq!((buffer.len, received), (last, Some(frame)), "{id:04x} {len}");
    }
}

#[test]
fn bad_frames_come_back_as_such_with_all_that_belongs_to_them() {
    let (machine, mut nic, mut owner) = start(0x100E, 16);
    owner.provide(&mut nic);
    nic.rx().publish();
    // CE; a frame that does not end in time; a length that no buffer has; a good one.
    for (slot, (len, high)) in [(60, 0x0103), (2048, 0b01), (60, 0b11), (0xFFFF, 0b11), (60, 0b11)]
        .into_iter()
        .enumerate()
    {
        machine.poke_rx_descriptor(slot as u32, len, high);
    }
    let mut next = || owner.receive(&mut nic).expect("a buffer").0;
    for _ in 0..3 {
        assert_eq!(next().status, BufferStatus::Bad);
    }
    let too_long = next();
    assert_eq!((too_long.len, too_long.status), (2048, BufferStatus::Bad));
    assert!(matches!(next().status, BufferStatus::End { frame_len: 60, .. }));
    let counters = nic.state().rx_counters();
    assert_eq!(
        (counters.errors, counters.oversized, counters.bad_length),
        (1, 1, 1)
    );
}

#[test]
fn reset_gives_all_buffers_back_and_takes_none_before_they_are_taken() {
    let (machine, mut nic, mut owner) = start(0x100E, 16);
    owner.provide(&mut nic);
    nic.rx().publish();
    assert!(machine.deliver(&numbered(1, 60)));
    stall(&machine, true);
    sent(&mut owner, &mut nic, &numbered(1, 60), &[]);
    nic.tx().post();
    sent(&mut owner, &mut nic, &numbered(2, 60), &[]);
    nic.recovery().restart(&machine).expect("a reset that ends");
    // SAFETY: refused.
    assert_eq!(unsafe { nic.rx().provide(0x1000_0000) }, Err(ProvideError::Full));
    let again = owner.send(&mut nic, &numbered(3, 60), &[], NOTHING);
    assert_eq!(again, Some(Err(TransmitError::Full.into())));
    for _ in 0..16 {
        let (buffer, frame) = owner.receive(&mut nic).expect("a buffer");
        assert_eq!((buffer.status, frame), (BufferStatus::Unused, None));
    }
    assert!(owner.receive(&mut nic).is_none());
    assert_eq!(owner.reclaim(&mut nic), (0, 2));
    assert_eq!(nic.state().tx_counters().dropped, 2);
    assert_eq!(owner.out(), (0, 0));
    assert!(!machine.deliver(&numbered(2, 60)), "no buffer");
    assert_eq!(owner.provide(&mut nic), 16);
    nic.rx().publish();
    assert!(machine.deliver(&numbered(3, 60)));
    assert_eq!(
        owner.receive(&mut nic).and_then(|(_, frame)| frame),
        Some(numbered(3, 60))
    );
    stall(&machine, false);
    sent(&mut owner, &mut nic, &numbered(4, 60), &[]);
    nic.tx().post();
    assert_eq!(machine.take_sent(), [numbered(4, 60)]);
    assert_eq!(owner.reclaim(&mut nic), (1, 0));
}

#[test]
fn buffers_of_the_owner_and_of_the_nic_do_not_mix_in_reception() {
    let machine = FakeMachine::new(chip(0x100E));
    let mut nic = Nic::bring_up(
        machine.registers(),
        chip(0x100E),
        Config::default(),
        &mut machine.dma(),
        &machine,
    )
    .expect("bring-up");
    // SAFETY: refused.
    let refused = unsafe { nic.rx().provide(0x1000_0000) };
    assert_eq!(refused, Err(ProvideError::OwnBuffers));
    assert!(machine.deliver(&numbered(1, 60)));
    assert_eq!(nic.rx().next_buffer(), None);
    assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60));

    let (machine, mut nic, mut owner) = start(0x100E, 16);
    owner.provide(&mut nic);
    nic.rx().publish();
    assert!(machine.deliver(&numbered(1, 60)));
    assert_eq!(nic.rx().receive(&mut [0; 60]), None);
    assert_eq!(nic.tx().send(&numbered(1, 60)), Err(TransmitError::NoBuffers));
    assert!(owner.receive(&mut nic).is_some());
}

#[test]
fn pieces_become_one_frame_and_come_back_when_it_was_sent() {
    let (machine, mut nic, mut owner) = start(0x100E, 16);
    stall(&machine, true);
    sent(&mut owner, &mut nic, &numbered(1, 1514), &[14, 0, 20, 700]);
    sent(&mut owner, &mut nic, &numbered(2, 60), &[59]);
    nic.tx().post();
    assert_eq!(owner.reclaim(&mut nic), (0, 0), "the device has them");
    stall(&machine, false);
    assert_eq!(machine.take_sent(), [numbered(1, 1514), numbered(2, 60)]);
    assert_eq!(owner.reclaim(&mut nic), (2, 0));
}

#[test]
fn frames_that_are_copied_and_those_that_are_not_share_the_ring_in_order() {
    let machine = FakeMachine::new(chip(0x10D3));
    let ring = RingSize::new(16).expect("a ring size");
    let config = Config::with_rings(ring, ring);
    let mut nic = Nic::bring_up(
        machine.registers(),
        chip(0x10D3),
        config,
        &mut machine.dma(),
        &machine,
    )
    .expect("bring-up");
    let mut owner = Owner::new(&machine, 16, 2048);
    for round in 0..100 {
        let first = round * 5;
        for n in first..first + 5 {
            let frame = numbered(n, 60 + n as usize % 1400);
            if n % 2 == 0 {
                nic.tx().send(&frame).expect("room");
            } else {
                sent(&mut owner, &mut nic, &frame, &[30]);
            }
        }
        nic.tx().post();
        let order: Vec<u32> = machine
            .take_sent()
            .iter()
            .map(|frame| u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]))
            .collect();
        assert_eq!(order, (first..first + 5).collect::<Vec<_>>());
        // Not every round: copies take descriptors back, too, and tokens wait.
        if round % 3 == 2 {
            owner.reclaim(&mut nic);
        }
    }
    owner.reclaim(&mut nic);
    assert_eq!(owner.out(), (0, 0));
}

#[test]
fn frames_dropped_for_want_of_a_link_come_back_after_those_in_flight() {
    let (machine, mut nic, mut owner) = start(0x100E, 16);
    stall(&machine, true);
    for n in 0..3 {
        sent(&mut owner, &mut nic, &numbered(n, 60), &[]);
    }
    nic.tx().post();
    machine.set_link(false);
    nic.link().refresh(&machine);
    for n in 3..5 {
        sent(&mut owner, &mut nic, &numbered(n, 60), &[]);
    }
    nic.tx().post();
    assert_eq!(nic.tx().drop_pending(), 2);
    assert_eq!(owner.reclaim(&mut nic), (0, 0), "three are with the hardware");
    let more = owner.send(&mut nic, &numbered(5, 60), &[], NOTHING);
    assert_eq!(more, Some(Err(TransmitError::Full.into())), "two are to be taken");
    stall(&machine, false);
    assert_eq!(machine.take_sent_and_lost().len(), 3);
    assert_eq!(owner.reclaim(&mut nic), (3, 2));
    assert_eq!(nic.state().tx_counters().dropped, 2);
    machine.set_link(true);
    nic.link().refresh(&machine);
    sent(&mut owner, &mut nic, &numbered(6, 60), &[]);
    nic.tx().post();
    assert_eq!(machine.take_sent(), [numbered(6, 60)]);
}

#[test]
fn lengths_and_numbers_of_pieces_are_checked() {
    let (machine, mut nic, mut owner) = start(0x100E, 8);
    stall(&machine, true);
    let mut send = |len: usize, pieces: &[usize]| owner.send(&mut nic, &numbered(1, len), pieces, NOTHING);
    let failed = |error: TransmitError| Some(Err(error.into()));
    assert_eq!(send(59, &[]), failed(TransmitError::TooShort), "it is not padded");
    assert_eq!(send(1515, &[]), failed(TransmitError::TooLong { limit: 1514 }));
    assert_eq!(send(1000, &[1; 7]), failed(TransmitError::TooManySegments));
    assert!(send(1000, &[1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1]).is_some_and(|result| result.is_ok()));
    assert_eq!(
        send(60, &[]),
        failed(TransmitError::Full),
        "all 7 descriptors are taken"
    );
    let wraps = [usize::MAX, 2].map(|len| Segment { address: 0, len });
    // SAFETY: refused.
    let result = unsafe { nic.tx().send_segments(&wraps, &[], NOTHING) };
    assert_eq!(result, Err(TransmitError::TooLong { limit: 1514 }.into()));
    nic.tx().post();
    stall(&machine, false);
    assert_eq!(machine.take_sent(), [numbered(1, 1000)]);
}

#[test]
fn sent_frames_that_nobody_takes_stop_the_sender_at_a_ring_full() {
    let (machine, mut nic, mut owner) = start(0x100E, 8);
    for n in 0..8 {
        sent(&mut owner, &mut nic, &numbered(n, 60), &[]);
        nic.tx().post();
    }
    assert_eq!(machine.take_sent().len(), 8);
    let mut more = Owner::new(&machine, 1, 2048);
    let refused = more.send(&mut nic, &numbered(9, 60), &[], NOTHING);
    assert_eq!(refused, Some(Err(TransmitError::Full.into())));
    assert_eq!(owner.reclaim(&mut nic), (8, 0));
}

#[test]
fn segmentation_works_from_pieces_with_the_sentinel_of_8254x() {
    let mut frame = vec![0; 54 + 5000];
    frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
    frame[16..18].copy_from_slice(&5040u16.to_be_bytes());
    frame[23] = 6;
    frame[46] = 0x50;
    let offload = Offload::Segmentation(Segmentation {
        headers: Headers::find(&frame).expect("TCP"),
        header_len: 54,
        mss: 1460,
    });
    let options = SendOptions {
        offload: Some(&offload),
        ..NOTHING
    };
    for (id, lengths) in [
        (0x100E, &[100, 1984, 1984, 982, 4][..]),
        (0x10D3, &[100, 1984, 1984, 986]),
    ] {
        let (machine, mut nic, mut owner) = start(id, 16);
        assert_eq!(
            owner.send(&mut nic, &frame, &[100], options),
            Some(Err(OffloadError::NotEnabled(Offloads::TSO_IPV4)))
        );
        nic.settings().set_offloads(Offloads::TSO_IPV4).expect("it can");
        stall(&machine, true);
        owner
            .send(&mut nic, &frame, &[100], options)
            .expect("free")
            .expect("room");
        nic.tx().post();
        let found: Vec<u32> = (1..=lengths.len() as u32)
            .map(|slot| machine.peek_tx_descriptor(slot)[2] & 0xFFFF)
            .collect();
        assert_eq!(found, lengths, "{id:04x}");
        stall(&machine, false);
        let parts = machine.take_sent();
        assert_eq!(parts.len(), 4, "{id:04x}");
        assert!(parts.iter().flat_map(|part| &part[54..]).eq(&frame[54..]));
        assert_eq!(owner.reclaim(&mut nic), (1, 0));
    }
}

#[test]
fn pieces_end_where_82544_in_pci_x_mode_can_fetch_them_wherever_they_begin() {
    let machine = FakeMachine::new(chip(0x1008));
    machine.poke(
        regs::STATUS,
        machine.peek(regs::STATUS) | Status::PCIX_MODE.bits(),
    );
    let ring = RingSize::new(64).expect("a ring size");
    let config = Config::with_rings(ring, ring);
    let mut nic = Nic::bring_up(
        machine.registers(),
        chip(0x1008),
        config,
        &mut machine.dma(),
        &machine,
    )
    .expect("bring-up");
    let mut owner = Owner::new(&machine, 64, 2048);
    let (mut slot, mut apart) = (0, 0);
    for len in 60..200 {
        for pieces in [[1, 2, 3], [5, 6, 7], [9, 4, len]] {
            let frame = numbered(len as u32, len);
            sent(&mut owner, &mut nic, &frame, &pieces);
            nic.tx().post();
            assert_eq!(machine.take_sent(), [frame]);
            assert_eq!(owner.reclaim(&mut nic), (1, 0));
            let end = machine.peek(regs::TDT);
            apart += usize::from((end + 64 - slot) % 64 > 4);
            while slot != end {
                let [address, _, low, _] = machine.peek_tx_descriptor(slot);
                let len = low & 0xFFFF;
                assert!(
                    len <= 4 || (address + len - 1) & 4 != 0,
                    "{address:x}, {len} bytes"
                );
                slot = (slot + 1) % 64;
            }
        }
    }
    assert!(apart > 100, "{apart}");
}

#[test]
fn self_test_gives_everything_back_and_sends_nothing() {
    let (machine, mut nic, mut owner) = start(0x100E, 16);
    owner.provide(&mut nic);
    nic.rx().publish();
    nic.diagnostics().start_self_test(false, &machine);
    assert!(owner.receive(&mut nic).is_none());
    let refused = owner.send(&mut nic, &numbered(1, 60), &[], NOTHING);
    assert_eq!(refused, Some(Err(TransmitError::Full.into())));
    let report = loop {
        match nic.diagnostics().continue_self_test(&machine) {
            SelfTest::Wait(delay) => machine.sleep(delay),
            SelfTest::Done(report) => break report,
        }
    };
    assert!(
        report.loopback.to_string().starts_with("skipped"),
        "{}",
        report.loopback
    );
    assert!(report.passed());
    for _ in 0..16 {
        assert_eq!(
            owner.receive(&mut nic).map(|(buffer, _)| buffer.status),
            Some(BufferStatus::Unused)
        );
    }
}

#[test]
fn data_path_reads_no_register_and_writes_one_for_a_batch() {
    let (machine, mut nic, mut owner) = start(0x100E, 256);
    assert_eq!(owner.provide(&mut nic), 256);
    nic.rx().publish();
    machine.take_accesses();
    for n in 0..32 {
        sent(&mut owner, &mut nic, &numbered(n, 60), &[30]);
    }
    nic.tx().post();
    assert_eq!(owner.reclaim(&mut nic), (32, 0));
    let accesses = machine.take_accesses();
    assert_eq!((accesses.reads.len(), accesses.writes.len()), (0, 1));
    for n in 0..240 {
        assert!(machine.deliver(&numbered(n, 60)));
    }
    machine.take_accesses();
    for _ in 0..240 {
        assert!(owner.receive(&mut nic).is_some());
        owner.provide(&mut nic);
    }
    let accesses = machine.take_accesses();
    assert_eq!((accesses.reads.len(), accesses.writes.len()), (0, 240 / 16));
}

#[test]
fn memory_of_the_owner_stays_when_the_nic_goes() {
    let (machine, mut nic, mut owner) = start(0x100E, 16);
    owner.provide(&mut nic);
    nic.rx().publish();
    nic.stop(&machine);
    assert_eq!(machine.dma_in_use(), owner.memory());
    drop(owner);
    assert_eq!(machine.dma_in_use(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_lost_doubled_or_changed_whatever_the_order_of_calls(
        steps in prop::collection::vec((0u8..9, any::<u16>()), 1..300),
    ) {
        let (machine, mut nic, mut owner) = start(0x100E, 8);
        let (mut next_in, mut expected_in) = (0, std::collections::VecDeque::new());
        let (mut next_out, mut expected_out) = (0, std::collections::VecDeque::new());
        let mut link = true;
        for (step, number) in steps {
            match step {
                0 => { owner.provide(&mut nic); }
                1 => nic.rx().publish(),
                2 => {
                    let frame = numbered(next_in, 60 + usize::from(number % 1400));
                    if machine.deliver(&frame) {
                        next_in += 1;
                        expected_in.push_back(frame);
                    }
                }
                3 => {
                    let Some((buffer, frame)) = owner.receive(&mut nic) else { continue };
                    if buffer.status == BufferStatus::Unused { continue; }
                    prop_assert_eq!(frame, expected_in.pop_front());
                }
                4 | 5 => {
                    let frame = numbered(next_out, 60 + usize::from(number % 1400));
                    let pieces = [usize::from(number >> 8), usize::from(number & 0xFF)];
                    if let Some(Ok(_)) = owner.send(&mut nic, &frame, &pieces, NOTHING) {
                        next_out += 1;
                        expected_out.push_back(frame);
                    }
                }
                6 => nic.tx().post(),
                7 => { owner.reclaim(&mut nic); }
                _ if number % 4 == 0 => {
                    nic.recovery().restart(&machine).expect("a reset that ends");
                    expected_in.clear();
                    // The fake sends when it is told: what it was not told of is lost.
                    expected_out.clear();
                }
                _ => {
                    link = !link;
                    machine.set_link(link);
                    nic.link().refresh(&machine);
                }
            }
            for frame in machine.take_sent() {
                prop_assert_eq!(Some(frame), expected_out.pop_front());
            }
        }
        machine.set_link(true);
        nic.link().refresh(&machine);
        nic.recovery().restart(&machine).expect("a reset that ends");
        while owner.receive(&mut nic).is_some() {}
        owner.reclaim(&mut nic);
        prop_assert_eq!(owner.out(), (0, 0));
    }
}
