//! Checksums and segmentation of the chip core on QEMU's device models: what comes out on the wire, and what the models
//! say of checksums that come in. The checks here know nothing of the driver's code.

mod common;
#[path = "common/packet.rs"]
mod packet;

use std::time::Duration;

use common::{Bench, MAC, ModelNic, OTHER, for_each_model, receive};
use e1000_hw::nic::SendOptions;
use e1000_hw::offload::{
    Checked, Checksum, ChecksumResult, Headers, Ip, MAX_SEGMENTED, Offload, Offloads, Segmentation, Transport,
};
use packet::{ACK, FIN, ID, PSH, SEQUENCE, Segment, header_len, number, packet, parse, sum};

/// A NIC with these of its abilities switched on.
fn with(bench: &mut Bench, wanted: Offloads, receiving: bool) -> ModelNic {
    let mut nic = if receiving {
        bench.bring_up_receiving(64, 512)
    } else {
        bench.bring_up(64, 512)
    };
    nic.settings()
        .set_offloads(wanted & bench.chip.limits.offloads)
        .expect("the part can");
    nic
}

/// Sends one segment of `payload` bytes to be cut, and checks all that comes out. Returns how many frames those were.
fn cut(
    bench: &Bench,
    nic: &mut ModelNic,
    odd: Oddities,
    ip: Ip,
    options: usize,
    payload: usize,
    mss: u16,
) -> usize {
    let whole = packet(OTHER, ip, Transport::Tcp, options, payload);
    let header_len = whole.len() - payload;
    let offload = Offload::Segmentation(Segmentation {
        headers: Headers::find(&whole).unwrap(),
        header_len,
        mss,
    });
    let mut frame = whole.clone();
    offload.prepare(&mut frame).unwrap();
    nic.tx()
        .send_with(
            &frame,
            SendOptions {
                tag: None,
                offload: Some(&offload),
            },
        )
        .unwrap();
    nic.tx().post();
    let parts: Vec<&[u8]> = whole[header_len..].chunks(mss.into()).collect();
    if odd.fragments {
        return reassemble(bench, ip, &whole);
    }
    for (n, part) in parts.iter().enumerate() {
        let frame = bench.cable.receive();
        assert_eq!(frame[..12], whole[..12]);
        let last = n + 1 == parts.len();
        let want = Segment {
            id: (ip == Ip::V4).then_some(ID.wrapping_add(n as u16)),
            sequence: SEQUENCE.wrapping_add((n * usize::from(mss)) as u32),
            flags: if last && !odd.last_without_flags {
                ACK | PSH | FIN
            } else {
                ACK
            },
            options: vec![1; options],
            payload: part.to_vec(),
        };
        let found = parse(&frame, ip);
        assert!(found == want, "part {n}: {found:?}\nbut not {want:?}");
    }
    // QEMU's e1000 sends the headers once more after a last part that is full.
    if bench.chip.device_id != 0x10D3 && payload.is_multiple_of(mss.into()) {
        let extra = parse(&bench.cable.receive(), ip);
        assert_eq!((extra.payload.len(), extra.options.len()), (0, options));
        assert_eq!(extra.sequence, SEQUENCE.wrapping_add(payload as u32));
    }
    parts.len()
}

/// Differences of a model's segmentation from that of hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Oddities {
    /// Fragments of IP instead of segments of TCP: QEMU's e1000e before 8.0, unless its back end takes long segments as
    /// they are, which only TAP does.
    fragments: bool,
    /// The last segment has neither FIN nor PSH: QEMU's e1000e from 8.0 on, which clears them in the header that it
    /// repeats (`net_tx_pkt_tcp_fragment_fix`). Connections whose FIN is lost do not end: one more reason for the
    /// daemon to leave segmentation off.
    last_without_flags: bool,
}

/// Finds out, with a segment of two parts.
fn oddities(bench: &Bench, nic: &mut ModelNic) -> Oddities {
    let mut frame = packet(OTHER, Ip::V4, Transport::Tcp, 0, 1500);
    let offload = Offload::Segmentation(Segmentation {
        headers: Headers::find(&frame).unwrap(),
        header_len: 54,
        mss: 1460,
    });
    offload.prepare(&mut frame).unwrap();
    nic.tx()
        .send_with(
            &frame,
            SendOptions {
                tag: None,
                offload: Some(&offload),
            },
        )
        .unwrap();
    nic.tx().post();
    let (first, last) = (bench.cable.receive(), bench.cable.receive());
    let more_fragments = number(&first, 20) & 0x2000 != 0;
    let found = Oddities {
        fragments: more_fragments,
        last_without_flags: !more_fragments && parse(&last, Ip::V4).flags & (FIN | PSH) == 0,
    };
    if bench.chip.device_id != 0x10D3 {
        assert_eq!(found, Oddities::default(), "only e1000e is known for them");
    }
    println!("{}: {found:?}", bench.chip.name);
    found
}

/// Puts fragments together, which come to `whole` but for the checksum of its IP header. Returns how many.
fn reassemble(bench: &Bench, ip: Ip, whole: &[u8]) -> usize {
    let start = 14 + header_len(ip);
    let (mut found, mut count) = (Vec::new(), 0);
    while start + found.len() < whole.len() {
        let frame = bench.cable.receive();
        assert_eq!(frame[..14], whole[..14]);
        // Those of IPv6 have neither a length nor a fragment header: nobody could put them together on the wire.
        if ip == Ip::V4 {
            assert_eq!(sum(&frame[14..34]), 0xFFFF, "the checksum of IPv4");
            assert_eq!(usize::from(number(&frame, 16)), frame.len() - 14);
            let offset = usize::from(number(&frame, 20) & 0x1FFF) * 8;
            assert_eq!((number(&frame, 18), offset), (ID, found.len()));
        }
        found.extend_from_slice(&frame[start..]);
        count += 1;
    }
    assert!(found == whole[start..], "with a checksum of TCP over all of it");
    count
}

#[test]
fn one_long_tcp_segment_leaves_as_good_short_ones() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = with(&mut bench, Offloads::all(), false);
        let odd = oddities(&bench, &mut nic);
        for ip in [Ip::V4, Ip::V6] {
            let able = match ip {
                Ip::V4 => Offloads::TSO_IPV4,
                Ip::V6 => Offloads::TSO_IPV6,
            };
            if !nic.state().offloads().contains(able) {
                println!("{model}: {ip:?} not cut by this part");
                continue;
            }
            let mss = (1500 - header_len(ip) - 20) as u16;
            let parts = cut(&bench, &mut nic, odd, ip, 0, 9000, mss);
            println!("{model}: {ip:?}, 9000 bytes in {parts} segments");
            assert!(parts >= 7);
            // Options are repeated; two full segments; one byte more than one; the smallest MSS; an odd one.
            for (options, payload, mss) in [
                (12, 9000, mss - 12),
                (0, 2 * usize::from(mss), mss),
                (0, usize::from(mss) + 1, mss),
                (0, 2000, 48),
                (12, 5001, 537),
            ] {
                cut(&bench, &mut nic, odd, ip, options, payload, mss);
                bench.push_out(&mut nic, 1, 60, 3, 1);
            }
            let most = MAX_SEGMENTED - 14 - header_len(ip) - 20;
            let parts = cut(&bench, &mut nic, odd, ip, 0, most, mss);
            println!("{model}: {ip:?}, {most} bytes in {parts} segments");
        }
        assert_eq!(bench.cable.try_receive(Duration::from_millis(20)), None);
        nic.stop(&bench.clock);
    });
}

#[test]
fn many_long_segments_leave_with_one_register_write_each_batch() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = with(&mut bench, Offloads::TSO_IPV4, false);
        let odd = oddities(&bench, &mut nic);
        for _ in 0..60 {
            let before = bench.registers.counts();
            cut(&bench, &mut nic, odd, Ip::V4, 0, 9000, 1460);
            let after = bench.registers.counts();
            assert_eq!((after.reads - before.reads, after.writes - before.writes), (0, 1));
        }
        nic.stop(&bench.clock);
    });
}

#[test]
fn tag_is_inserted_into_every_part() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = with(&mut bench, Offloads::TSO_IPV4 | Offloads::TX_CHECKSUM, false);
        let odd = oddities(&bench, &mut nic);
        nic.settings().set_vlan_offload(true);
        let mut frame = packet(OTHER, Ip::V4, Transport::Tcp, 0, 3000);
        let headers = Headers::find(&frame).unwrap();
        let offload = Offload::Segmentation(Segmentation {
            headers,
            header_len: 54,
            mss: 1460,
        });
        offload.prepare(&mut frame).unwrap();
        nic.tx()
            .send_with(
                &frame,
                SendOptions {
                    tag: Some(0x2064),
                    offload: Some(&offload),
                },
            )
            .unwrap();
        nic.tx().post();
        for len in [1460, 1460, 80] {
            let mut part = bench.cable.receive();
            let tag: Vec<u8> = part.drain(12..16).collect();
            assert_eq!(tag, [0x81, 0, 0x20, 0x64]);
            if !odd.fragments {
                assert_eq!(parse(&part, Ip::V4).payload.len(), len);
            }
        }
        nic.stop(&bench.clock);
    });
}

#[test]
fn checksums_are_filled_in() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = with(&mut bench, Offloads::TX_CHECKSUM, false);
        for ip in [Ip::V4, Ip::V6] {
            for transport in [Transport::Tcp, Transport::Udp] {
                for payload in [0, 1, 2, 5, 6, 17, 18, 100, 999, 1400] {
                    let good = packet(OTHER, ip, transport, 0, payload);
                    let mut frame = good.clone();
                    if ip == Ip::V4 {
                        frame[24..26].copy_from_slice(&[0xBA, 0xD0]);
                    }
                    let headers = Headers::find(&frame).unwrap();
                    let offload = Offload::Checksum(Checksum {
                        headers,
                        ip: ip == Ip::V4,
                        transport: true,
                    });
                    offload.prepare(&mut frame).unwrap();
                    nic.tx()
                        .send_with(
                            &frame,
                            SendOptions {
                                tag: None,
                                offload: Some(&offload),
                            },
                        )
                        .unwrap();
                    nic.tx().post();
                    let mut sent = bench.cable.receive();
                    let padding = sent.split_off(good.len().min(sent.len()));
                    assert_eq!(sent, good, "{ip:?} {transport:?} {payload}");
                    assert!(padding.iter().all(|byte| *byte == 0));
                }
            }
        }
        nic.stop(&bench.clock);
    });
}

#[test]
fn received_checksums_are_judged_by_models_that_do() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = with(&mut bench, Offloads::RX_CHECKSUM, true);
        // QEMU's e1000 models say "checksum ignored" (IXSM) of every frame (`e1000_receive_iov` in hw/net/e1000.c).
        let looks = bench.chip.device_id == 0x10D3;
        for ip in [Ip::V4, Ip::V6] {
            for transport in [Transport::Tcp, Transport::Udp] {
                for (bad_ip, bad_transport) in [(false, false), (false, true), (true, false)] {
                    if bad_ip && ip == Ip::V6 {
                        continue;
                    }
                    let mut frame = packet(MAC, ip, transport, 0, 100);
                    if bad_ip {
                        frame[25] ^= 1;
                    }
                    if bad_transport {
                        *frame.last_mut().unwrap() ^= 1;
                    }
                    bench.cable.send(&frame);
                    assert_eq!(receive(&mut nic), frame, "bad or not, it is handed on");
                    let found = nic.rx().checksums();
                    println!("{model}: {ip:?} {transport:?} {bad_ip} {bad_transport}: {found:?}");
                    let judge = |bad| match (looks, bad) {
                        (false, _) => Checked::No,
                        (true, false) => Checked::Good,
                        (true, true) => Checked::Bad,
                    };
                    let want = ChecksumResult {
                        ip: if ip == Ip::V6 { Checked::No } else { judge(bad_ip) },
                        transport: judge(bad_transport),
                    };
                    assert_eq!(found, want);
                }
            }
        }
        // ARP has none.
        let mut arp = common::frame(MAC, 60, 1);
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        bench.cable.send(&arp);
        assert_eq!(receive(&mut nic), arp);
        assert_eq!(nic.rx().checksums(), ChecksumResult::default());
        nic.settings().set_offloads(Offloads::empty()).unwrap();
        let frame = packet(MAC, Ip::V4, Transport::Tcp, 0, 100);
        bench.cable.send(&frame);
        assert_eq!(receive(&mut nic), frame);
        assert_eq!(nic.rx().checksums(), ChecksumResult::default(), "off");
        nic.stop(&bench.clock);
    });
}
