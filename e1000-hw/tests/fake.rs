//! The fake does what the manuals say of frames: filter, limits, counters, tags, checksums, causes. The differential
//! test of the hosted home compares all of it with QEMU's models.

use e1000_hw::RingSize;
use e1000_hw::chip::{self, Chip};
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{Arrival, FAKE_MAC, FakeMachine, FakeRegion, FakeRegisters, Oddities};
use e1000_hw::nic::{Config, Interrupt, Nic, SendOptions};
use e1000_hw::offload::{Checked, ChecksumResult, Headers, Ip, Offload, Offloads, Segmentation, Transport};
use e1000_hw::regs::Causes;

type FakeNic = Nic<FakeRegisters, FakeRegion>;

const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const GROUP: [u8; 6] = [0x33, 0x33, 0, 0, 0, 0xFB];
const BROADCAST: [u8; 6] = [0xFF; 6];

fn machine(id: u16) -> (FakeMachine, FakeNic) {
    let chip: &'static Chip = chip::find(0x8086, id).expect("a known id");
    let machine = FakeMachine::new(chip);
    let size = RingSize::new(8).expect("a ring size");
    let sizes = Config::with_rings(size, size);
    let nic = Nic::bring_up(machine.registers(), chip, sizes, &mut machine.dma(), &machine);
    (machine, nic.expect("it comes up"))
}

fn frame(to: [u8; 6], len: usize) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(OTHER);
    frame.extend([0x88, 0xB5]);
    frame.resize(len, 0x11);
    frame
}

fn tagged(to: [u8; 6], vlan: u8) -> Vec<u8> {
    let mut frame = frame(to, 80);
    frame.splice(12..12, [0x81, 0, 0x20, vlan]);
    frame
}

fn count(nic: &mut FakeNic, name: &str) -> u64 {
    nic.diagnostics().collect_statistics();
    let found = nic
        .state()
        .statistics()
        .values()
        .find(|(other, _)| *other == name);
    found.expect("a counter of that name").1
}

#[test]
fn frames_for_others_are_filtered() {
    let (machine, mut nic) = machine(0x100E);
    let passes = |to| machine.arrive(&frame(to, 60));
    assert_eq!(passes(FAKE_MAC), Arrival::Received);
    assert_eq!(passes(BROADCAST), Arrival::Received);
    assert_eq!(
        (passes(OTHER), passes(GROUP)),
        (Arrival::Filtered, Arrival::Filtered)
    );
    nic.settings().set_filter(false, false, [MacAddress(GROUP)]);
    assert_eq!(
        (passes(OTHER), passes(GROUP)),
        (Arrival::Filtered, Arrival::Received)
    );
    // The hash of a group lets in no single address, except on QEMU.
    let alike = [2, 0, 0, 0, GROUP[4], GROUP[5]];
    assert_eq!(passes(alike), Arrival::Filtered);
    machine.set_oddities(Oddities {
        multicast_table_is_for_all: true,
        ..Oddities::default()
    });
    assert_eq!(passes(alike), Arrival::Received);
    nic.settings().set_filter(true, false, []);
    assert_eq!(passes(OTHER), Arrival::Received);
    assert_eq!(
        (count(&mut nic, "rx_broadcast"), count(&mut nic, "rx_multicast")),
        (1, 1)
    );
}

#[test]
fn vlan_filter_is_for_tagged_frames() {
    let (machine, mut nic) = machine(0x100E);
    nic.settings().set_vlan_filter(Some([5]));
    assert_eq!(machine.arrive(&tagged(FAKE_MAC, 5)), Arrival::Received);
    assert_eq!(machine.arrive(&tagged(FAKE_MAC, 6)), Arrival::Filtered);
    assert_eq!(machine.arrive(&frame(FAKE_MAC, 60)), Arrival::Received);
}

#[test]
fn tags_are_stripped_and_inserted_if_asked() {
    let (machine, mut nic) = machine(0x10D3);
    let mut buffer = [0; 2048];
    let mut receive = |nic: &mut FakeNic| {
        let len = nic.rx().receive(&mut buffer).expect("a frame");
        (buffer[..len].to_vec(), nic.rx().tag())
    };
    machine.arrive(&tagged(FAKE_MAC, 5));
    assert_eq!(receive(&mut nic), (tagged(FAKE_MAC, 5), None));
    nic.settings().set_vlan_offload(true);
    machine.arrive(&tagged(FAKE_MAC, 5));
    assert_eq!(receive(&mut nic), (frame(FAKE_MAC, 80), Some(0x2005)));
    nic.tx()
        .send_with(
            &frame(OTHER, 80),
            SendOptions {
                tag: Some(0x2006),
                offload: None,
            },
        )
        .expect("room");
    nic.tx().post();
    assert_eq!(machine.take_sent(), [tagged(OTHER, 6)]);
}

#[test]
fn lengths_are_limited_and_counted_behind_the_filter() {
    let (machine, mut nic) = machine(0x100E);
    for (to, len, arrival) in [
        (FAKE_MAC, 59, Arrival::TooShort),
        (FAKE_MAC, 60, Arrival::Received),
        (FAKE_MAC, 1518, Arrival::Received),
        (FAKE_MAC, 1519, Arrival::TooLong),
        (OTHER, 1519, Arrival::Filtered),
    ] {
        assert_eq!(machine.arrive(&frame(to, len)), arrival, "{len} bytes");
    }
    assert_eq!(count(&mut nic, "rx_short_length_errors"), 1);
    assert_eq!(count(&mut nic, "rx_long_length_errors"), 1);
    nic.settings().set_mtu(4000, &machine).expect("a possible MTU");
    assert_eq!(machine.arrive(&frame(FAKE_MAC, 1519)), Arrival::Received);
}

#[test]
fn frame_without_descriptors_is_lost_and_counted() {
    let (machine, mut nic) = machine(0x100E);
    for _ in 0..7 {
        assert_eq!(machine.arrive(&frame(FAKE_MAC, 60)), Arrival::Received);
    }
    assert_eq!(machine.arrive(&frame(FAKE_MAC, 60)), Arrival::NoBuffer);
    assert_eq!(count(&mut nic, "rx_missed_errors"), 1);
    assert_eq!(count(&mut nic, "rx_no_buffer_count"), 1);
}

#[test]
fn low_ring_is_told_once_when_half_of_it_is_left() {
    let (machine, mut nic) = machine(0x100E);
    let mut causes = |frames| {
        (0..frames).for_each(|_| assert_eq!(machine.arrive(&frame(FAKE_MAC, 60)), Arrival::Received));
        match nic.interrupts().acknowledge(0) {
            Interrupt::Causes(causes) => causes & (Causes::RXT0 | Causes::RXDMT0),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(causes(2), Causes::RXT0, "5 of 8 left");
    assert_eq!(causes(1), Causes::RXT0 | Causes::RXDMT0, "4 of 8 left");
    assert_eq!(causes(1), Causes::RXT0);
}

#[test]
fn without_a_link_nothing_passes() {
    let (machine, mut nic) = machine(0x100E);
    machine.set_link(false);
    assert_eq!(machine.arrive(&frame(FAKE_MAC, 60)), Arrival::Off);
    nic.tx().send(&frame(BROADCAST, 60)).expect("room");
    nic.tx().post();
    assert!(machine.take_sent().is_empty(), "the driver does not know yet");
    assert_eq!(count(&mut nic, "tx_broadcast"), 0);
}

#[test]
fn line_follows_causes_and_mask() {
    let (machine, mut nic) = machine(0x100E);
    machine.arrive(&frame(FAKE_MAC, 60));
    assert!(!machine.interrupt_line(), "masked");
    nic.interrupts().enable();
    assert!(machine.interrupt_line());
    nic.interrupts().acknowledge(0);
    assert!(!machine.interrupt_line(), "acknowledged");
}

/// TCP with good checksums: 54 bytes of headers and so many of payload.
fn tcp(to: [u8; 6], payload: usize) -> Vec<u8> {
    let mut frame = frame(to, 12);
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((40 + payload as u16).to_be_bytes());
    frame.extend([0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
    frame.extend([0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x19, 1, 0, 0, 0, 0, 0]);
    frame.extend((0..payload).map(|n| n as u8));
    let sum = |parts: &[&[u8]]| {
        let pairs = parts.iter().flat_map(|part| part.chunks(2));
        let sum: u32 = pairs
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
            .sum();
        !((sum >> 16) + (sum & 0xFFFF)) as u16
    };
    let ip = sum(&[&frame[14..34]]);
    frame[24..26].copy_from_slice(&ip.to_be_bytes());
    let transport = sum(&[
        &frame[26..34],
        &[0, 6],
        &(20 + payload as u16).to_be_bytes(),
        &frame[34..],
    ]);
    frame[50..52].copy_from_slice(&transport.to_be_bytes());
    frame
}

#[test]
fn checksums_of_received_frames_are_examined_if_asked() {
    for id in [0x100E, 0x10D3] {
        let (machine, mut nic) = machine(id);
        let mut buffer = [0; 2048];
        let mut judge = |nic: &mut FakeNic, frame: &[u8]| {
            machine.arrive(frame);
            nic.rx().receive(&mut buffer).expect("a frame");
            nic.rx().checksums()
        };
        let good = tcp(FAKE_MAC, 101);
        assert_eq!(judge(&mut nic, &good), ChecksumResult::default(), "not asked");
        nic.settings()
            .set_offloads(Offloads::RX_CHECKSUM)
            .expect("it can");
        let (mut bad_ip, mut bad_tcp) = (good.clone(), good.clone());
        bad_ip[25] ^= 1;
        bad_tcp[60] ^= 1;
        for (frame, ip, transport) in [
            (&good, Checked::Good, Checked::Good),
            (&bad_ip, Checked::Bad, Checked::Good),
            (&bad_tcp, Checked::Good, Checked::Bad),
        ] {
            assert_eq!(judge(&mut nic, frame), ChecksumResult { ip, transport });
        }
    }
}

#[test]
fn segments_are_cut_with_headers_of_their_own() {
    for id in [0x100E, 0x10D3] {
        let (machine, mut nic) = machine(id);
        nic.settings().set_offloads(Offloads::TSO_IPV4).expect("it can");
        let whole = tcp(OTHER, 1100);
        let headers = Headers::find(&whole).expect("headers");
        assert_eq!((headers.ip, headers.transport), (Ip::V4, Transport::Tcp));
        let segmentation = Segmentation {
            headers,
            header_len: 54,
            mss: 500,
        };
        let offload = Offload::Segmentation(segmentation);
        let mut frame = whole.clone();
        offload.prepare(&mut frame).expect("it fits");
        nic.tx()
            .send_with(
                &frame,
                SendOptions {
                    tag: None,
                    offload: Some(&offload),
                },
            )
            .expect("room");
        nic.tx().post();
        let sent = machine.take_sent();
        let lens: Vec<_> = sent.iter().map(Vec::len).collect();
        assert_eq!(lens, [554, 554, 154]);
        let numbers: Vec<_> = sent
            .iter()
            .map(|part| (part[19], part[40], part[41], part[47]))
            .collect();
        assert_eq!(
            numbers,
            [(7, 0, 1, 0x10), (8, 1, 0xF5, 0x10), (9, 3, 0xE9, 0x19)],
            "id, sequence, flags"
        );
        // As they came out, the receiver finds their checksums good.
        nic.settings()
            .set_offloads(Offloads::RX_CHECKSUM)
            .expect("it can");
        for mut part in sent {
            part[..6].copy_from_slice(&FAKE_MAC);
            machine.arrive(&part);
            nic.rx().receive(&mut [0; 2048]).expect("a frame");
            let good = Checked::Good;
            assert_eq!(
                nic.rx().checksums(),
                ChecksumResult {
                    ip: good,
                    transport: good
                }
            );
        }
    }
}
