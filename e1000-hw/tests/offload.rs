//! Checksums and segmentation: what each part is told, in which descriptors, and what is refused. Against the fake.
//! QEMU's handling of them is in `homes/hosted/tests/offload.rs`.

use e1000_hw::RingSize;
use e1000_hw::TransmitError;
use e1000_hw::chip::{CHIPS, Chip, MacType, find};
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::nic::{Config, Nic, SendOptions};
use e1000_hw::offload::{
    Checked, Checksum, ChecksumResult, Headers, Offload, OffloadError, Offloads, Segmentation,
};
use e1000_hw::regs;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

fn chip(id: u16) -> &'static Chip {
    find(0x8086, id).expect("a chip of the table")
}

fn bring_up(machine: &FakeMachine, size: u32, chip: &'static Chip) -> FakeNic {
    let size = RingSize::new(size).expect("a ring size");
    let sizes = Config::with_rings(size, size);
    Nic::bring_up(machine.registers(), chip, sizes, &mut machine.dma(), machine).expect(chip.name)
}

/// TCP over IPv4, 54 bytes of headers and so many of payload.
fn tcp(payload: usize) -> Vec<u8> {
    let mut frame = vec![0; 54 + payload];
    frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
    frame[16..18].copy_from_slice(&(40 + payload as u16).to_be_bytes());
    frame[23] = 6;
    frame[46] = 0x50;
    for (n, byte) in frame[54..].iter_mut().enumerate() {
        *byte = (n * 31) as u8;
    }
    frame
}

fn cut(frame: &[u8], mss: u16) -> Offload {
    Offload::Segmentation(Segmentation {
        headers: Headers::find(frame).expect("TCP"),
        header_len: 54,
        mss,
    })
}

fn checksum(frame: &[u8]) -> Offload {
    Offload::Checksum(Checksum {
        headers: Headers::find(frame).expect("TCP"),
        ip: true,
        transport: true,
    })
}

/// The payloads of the parts of a frame from [`tcp`], each with at most so many bytes, put together again.
fn joined(parts: &[Vec<u8>], mss: usize) -> Vec<u8> {
    let (last, others) = parts.split_last().expect("one part at least");
    assert!(others.iter().all(|part| part.len() == 54 + mss) && last.len() <= 54 + mss);
    parts.iter().flat_map(|part| &part[54..]).copied().collect()
}

/// A frame without the checksums of IPv4 and TCP.
fn without_checksums(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for at in [24, 50] {
        frame[at..at + 2].fill(0);
    }
    frame
}

/// Lengths of the transmit descriptors from `slot` up to the end of a frame, None for a context.
fn lengths(machine: &FakeMachine, slot: u32) -> Vec<Option<u32>> {
    let mut lengths = vec![];
    for n in 0.. {
        let [_, _, low, _] = machine.peek_tx_descriptor(slot + n);
        let extended = low >> 29 & 1 != 0;
        if extended && low >> 20 & 0xF == 0 {
            lengths.push(None);
            continue;
        }
        lengths.push(Some(low & 0xFFFF));
        if low >> 24 & 1 != 0 {
            break;
        }
    }
    lengths
}

#[test]
fn nothing_is_taken_off_the_stack_unless_asked_and_only_what_the_part_can() {
    for chip in CHIPS {
        let machine = FakeMachine::new(chip);
        let mut nic = bring_up(&machine, 64, chip);
        let (name, can) = (chip.name, chip.limits.offloads);
        let frame = tcp(3000);
        let needed = Offloads::TSO_IPV4;
        assert_eq!(nic.state().offloads(), Offloads::empty());
        assert_eq!(
            nic.tx().send_with(
                &frame,
                SendOptions {
                    tag: None,
                    offload: Some(&cut(&frame, 1460))
                }
            ),
            Err(OffloadError::NotEnabled(needed)),
            "{name}"
        );
        for one in Offloads::all().iter() {
            let result = nic.settings().set_offloads(one);
            if can.contains(one) {
                assert_eq!((result, nic.state().offloads()), (Ok(()), one), "{name}");
            } else {
                assert_eq!(result, Err(OffloadError::NotEnabled(one)), "{name}");
            }
        }
        assert_eq!(
            can.contains(needed),
            !matches!(chip.mac(), MacType::I82543 | MacType::I82547 | MacType::I82547R2),
            "{name}"
        );
        assert_eq!(can.contains(Offloads::TSO_IPV6), chip.mac().is_pcie(), "{name}");
        // 82543GC specification update, errata 14 and 15: neither segmentation nor checksums are to be relied on.
        assert_eq!(can.is_empty(), chip.mac() == MacType::I82543, "{name}");
        machine.take_sent();
        nic.tx().post();
        assert!(machine.take_sent().is_empty(), "{name}: nothing was taken");
    }
}

#[test]
fn segmented_frames_of_8254x_and_the_frame_after_end_in_a_sentinel() {
    let frame = tcp(5000);
    for (id, careful) in [(0x100E, true), (0x100C, true), (0x10D3, false), (0x105E, false)] {
        let machine = FakeMachine::new(chip(id));
        machine.set_faults(Faults {
            transmitter_stalled: true,
            ..Faults::default()
        });
        let mut nic = bring_up(&machine, 64, chip(id));
        nic.settings().set_offloads(Offloads::TSO_IPV4).expect("it can");
        nic.tx()
            .send_with(
                &frame,
                SendOptions {
                    tag: None,
                    offload: Some(&cut(&frame, 1460)),
                },
            )
            .expect("room");
        let plain = tcp(6);
        for _ in 0..2 {
            nic.tx().send(&plain).expect("room");
        }
        nic.tx()
            .send_with(
                &frame,
                SendOptions {
                    tag: None,
                    offload: Some(&cut(&frame, 200)),
                },
            )
            .expect("room");
        nic.tx().send(&plain[..14]).expect("room");
        nic.tx().post();
        let mut slot = 0;
        let mut next = || {
            let lengths = lengths(&machine, slot);
            slot += lengths.len() as u32;
            lengths
        };
        let some = |lengths: &[u32]| -> Vec<Option<u32>> { lengths.iter().copied().map(Some).collect() };
        if careful {
            assert_eq!(next()[1..], some(&[1984, 1984, 1082, 4]), "{id:04x}");
            assert_eq!(next(), some(&[56, 4]));
            assert_eq!(next(), some(&[60]));
            // Four MSS a descriptor: 5054 is 6 times 800, 250 and 4.
            assert_eq!(next()[1..], some(&[800, 800, 800, 800, 800, 800, 250, 4]));
            assert_eq!(next(), some(&[56, 4]), "after the padding");
        } else {
            assert_eq!(next()[1..], some(&[1984, 1984, 1086]), "{id:04x}");
            assert_eq!((next(), next()), (some(&[60]), some(&[60])));
            assert_eq!(next()[1..], some(&[1984, 1984, 1086]));
            assert_eq!(next(), some(&[60]));
        }
        // A context has no report, and is not taken for the end of a frame, though TCP is the same bit.
        let [_, _, context, _] = machine.peek_tx_descriptor(0);
        assert_eq!(context & (1 << 27 | 1 << 24), 1 << 24);
        machine.resume_transmitter();
        let mut short = plain[..14].to_vec();
        short.resize(60, 0);
        let sent = machine.take_sent();
        assert_eq!(sent.len(), 4 + 2 + 25 + 1);
        assert!(joined(&sent[..4], 1460) == frame[54..]);
        assert_eq!(sent[4..6], [plain.clone(), plain]);
        assert!(joined(&sent[6..31], 200) == frame[54..]);
        assert_eq!(sent[31], short);
    }
}

#[test]
fn descriptors_reported_before_the_end_of_their_frame_are_not_used_again() {
    let machine = FakeMachine::new(chip(0x100E));
    machine.set_faults(Faults {
        transmitter_stalled: true,
        ..Faults::default()
    });
    let mut nic = bring_up(&machine, 8, chip(0x100E));
    nic.settings().set_offloads(Offloads::TSO_IPV4).expect("it can");
    let frame = tcp(5000);
    nic.tx()
        .send_with(
            &frame,
            SendOptions {
                tag: None,
                offload: Some(&cut(&frame, 1460)),
            },
        )
        .expect("5 of 7 descriptors");
    nic.tx().post();
    let plain = tcp(6);
    nic.tx().send(&plain).expect("2 more");
    nic.tx().post();
    for slot in 1..4 {
        let [_, _, low, high] = machine.peek_tx_descriptor(slot);
        machine.poke_tx_descriptor(slot, low, high | 1);
    }
    assert_eq!(nic.tx().send(&plain), Err(TransmitError::Full));
    let [_, _, low, high] = machine.peek_tx_descriptor(4);
    machine.poke_tx_descriptor(4, low, high | 1);
    assert_eq!(nic.tx().send(&plain), Ok(()), "now it was sent");
}

#[test]
fn frames_of_all_kinds_share_the_ring_through_many_wraps() {
    for id in [0x100E, 0x10D3] {
        for size in [16, 64] {
            let machine = FakeMachine::new(chip(id));
            let mut nic = bring_up(&machine, size, chip(id));
            nic.settings()
                .set_offloads(Offloads::TX_CHECKSUM | Offloads::TSO_IPV4)
                .expect("it can");
            for n in 0..1000_usize {
                let long = tcp(1461 + n * 7 % 9000);
                let (short, plain) = (tcp(n % 1400), tcp(n % 1460));
                for (frame, offload) in [
                    (&long, Some(cut(&long, 1460))),
                    (&short, Some(checksum(&short))),
                    (&plain, None),
                ] {
                    match offload {
                        Some(offload) => nic
                            .tx()
                            .send_with(
                                frame,
                                SendOptions {
                                    tag: None,
                                    offload: Some(&offload),
                                },
                            )
                            .expect("room"),
                        None => nic.tx().send(frame).expect("room"),
                    }
                    nic.tx().post();
                    let sent = machine.take_sent();
                    if let Some(Offload::Segmentation(_)) = offload {
                        assert!(joined(&sent, 1460) == frame[54..]);
                        continue;
                    }
                    assert_eq!(sent.len(), 1);
                    let (sent, padding) = sent[0].split_at(frame.len());
                    assert!(without_checksums(sent) == *frame);
                    assert!(padding.iter().all(|byte| *byte == 0), "padding");
                }
            }
            assert_eq!(nic.state().tx_counters().frames, 3000);
        }
    }
}

#[test]
fn ring_that_is_too_small_or_full_says_so() {
    let machine = FakeMachine::new(chip(0x10D3));
    let mut nic = bring_up(&machine, 8, chip(0x10D3));
    nic.settings().set_offloads(Offloads::TSO_IPV4).expect("it can");
    let (fits, longer) = (tcp(11_800), tcp(12_000));
    let too_long = OffloadError::Transmit(TransmitError::TooLong { limit: 5 * 1984 });
    assert_eq!(
        nic.tx().send_with(
            &longer,
            SendOptions {
                tag: None,
                offload: Some(&cut(&longer, 1460))
            }
        ),
        Err(too_long)
    );
    machine.set_faults(Faults {
        transmitter_stalled: true,
        ..Faults::default()
    });
    nic.tx()
        .send_with(
            &fits,
            SendOptions {
                tag: None,
                offload: Some(&cut(&fits, 1460)),
            },
        )
        .expect("all 7 descriptors");
    assert_eq!(
        nic.tx().send_with(
            &fits,
            SendOptions {
                tag: None,
                offload: Some(&cut(&fits, 1460))
            }
        ),
        Err(TransmitError::Full.into())
    );
    machine.resume_transmitter();
    nic.tx()
        .send_with(
            &fits,
            SendOptions {
                tag: None,
                offload: Some(&cut(&fits, 1460)),
            },
        )
        .expect("room again");
    nic.tx().post();
    let sent = machine.take_sent();
    let (first, second) = sent.split_at(sent.len() / 2);
    assert!(joined(first, 1460) == fits[54..] && joined(second, 1460) == fits[54..]);
}

#[test]
fn pcie_parts_cut_only_at_1000_mbit() {
    let frame = tcp(3000);
    for (id, status, refused) in [
        (0x10D3, 0x43, true),
        (0x10D3, 0x03, true),
        (0x10D3, 0x83, false),
        (0x100E, 0x43, false),
    ] {
        let machine = FakeMachine::new(chip(id));
        machine.poke(regs::STATUS, status);
        let mut nic = bring_up(&machine, 64, chip(id));
        nic.settings()
            .set_offloads(Offloads::TSO_IPV4 | Offloads::TX_CHECKSUM)
            .expect("it can");
        let result = nic.tx().send_with(
            &frame,
            SendOptions {
                tag: None,
                offload: Some(&cut(&frame, 1460)),
            },
        );
        assert_eq!(
            result == Err(OffloadError::LinkTooSlow),
            refused,
            "{id:04x} {status:#x}"
        );
        let small = tcp(100);
        assert_eq!(
            nic.tx().send_with(
                &small,
                SendOptions {
                    tag: None,
                    offload: Some(&checksum(&small))
                }
            ),
            Ok(())
        );
    }
}

#[test]
fn received_checksums_are_told_while_asked_for_and_survive_a_restart() {
    let machine = FakeMachine::new(chip(0x10D3));
    let mut nic = bring_up(&machine, 64, chip(0x10D3));
    assert_eq!(machine.peek(regs::RXCSUM), 0);
    // IPCS, TCPCS, and TCPE.
    let high = 0x2063;
    machine.poke_rx_descriptor(0, 60, high);
    assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60));
    assert_eq!(nic.rx().checksums(), ChecksumResult::default());
    machine.take_accesses();
    nic.settings()
        .set_offloads(Offloads::RX_CHECKSUM)
        .expect("it can");
    nic.settings()
        .set_offloads(Offloads::RX_CHECKSUM)
        .expect("it can");
    assert_eq!(machine.take_accesses().writes, [(regs::RXCSUM, 0x300)]);
    machine.poke_rx_descriptor(1, 60, high);
    assert_eq!(nic.rx().receive(&mut [0; 60]), Some(60));
    let want = ChecksumResult {
        ip: Checked::Good,
        transport: Checked::Bad,
    };
    assert_eq!(nic.rx().checksums(), want);
    machine.poke(regs::RXCSUM, 0);
    nic.recovery().restart(&machine).expect("a reset that ends");
    assert_eq!(machine.peek(regs::RXCSUM), 0x300);
    nic.settings().set_offloads(Offloads::empty()).expect("nothing");
    assert_eq!(machine.peek(regs::RXCSUM), 0);
}

#[test]
fn offloaded_frames_cost_no_more_registers_than_others() {
    let machine = FakeMachine::new(chip(0x10D3));
    let mut nic = bring_up(&machine, 512, chip(0x10D3));
    nic.settings().set_offloads(Offloads::TSO_IPV4).expect("it can");
    let frame = tcp(9000);
    machine.take_accesses();
    for _ in 0..32 {
        nic.tx()
            .send_with(
                &frame,
                SendOptions {
                    tag: None,
                    offload: Some(&cut(&frame, 1460)),
                },
            )
            .expect("room");
    }
    nic.tx().post();
    let accesses = machine.take_accesses();
    assert_eq!((accesses.reads.len(), accesses.writes.len()), (0, 1));
}
