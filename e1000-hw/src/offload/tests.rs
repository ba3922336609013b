use std::vec::Vec;

use super::*;

/// An Ethernet header, an optional VLAN tag, IPv4 (20) or IPv6 (40), TCP (20) or UDP (8), and `payload` bytes.
fn frame(tagged: bool, ip: Ip, transport: Transport, payload: usize) -> Vec<u8> {
    let mut frame = std::vec![2; 12];
    if tagged {
        frame.extend([0x81, 0x00, 0x00, 0x05]);
    }
    let (protocol, header_len) = match transport {
        Transport::Tcp => (6, 20),
        Transport::Udp => (17, 8),
    };
    let len = (header_len + payload) as u16;
    match ip {
        Ip::V4 => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + len).to_be_bytes());
            frame.extend([0, 1, 0x40, 0, 64, protocol, 0xAA, 0xAA, 10, 0, 0, 1, 10, 0, 0, 2]);
        }
        Ip::V6 => {
            frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
            frame.extend(len.to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend([0xFD; 32]);
        }
    }
    let start = frame.len();
    frame.resize(start + header_len, 0);
    if transport == Transport::Tcp {
        frame[start + 12] = 5 << 4;
    }
    frame.resize(start + header_len + payload, 0x5A);
    frame
}

fn segmentation(frame: &[u8], mss: u16) -> Segmentation {
    let headers = Headers::find(frame).expect("TCP");
    Segmentation {
        headers,
        header_len: usize::from(headers.transport_start) + 20,
        mss,
    }
}

#[test]
fn headers_are_found_and_nothing_else_is_taken_for_them() {
    for (tagged, ip_start) in [(false, 14), (true, 18)] {
        for (ip, len) in [(Ip::V4, 20), (Ip::V6, 40)] {
            for transport in [Transport::Tcp, Transport::Udp] {
                let good = frame(tagged, ip, transport, 9);
                let found = Headers {
                    ip,
                    ip_start,
                    transport,
                    transport_start: ip_start + len,
                };
                assert_eq!(Headers::find(&good), Some(found));
                // Cut off anywhere in the headers.
                for end in 0..good.len() - 9 {
                    assert_eq!(Headers::find(&good[..end]), None, "{end} bytes");
                }
            }
        }
    }
    let mut fragment = frame(false, Ip::V4, Transport::Tcp, 9);
    fragment[14 + 6] = 0x20;
    assert_eq!(Headers::find(&fragment), None);
    let mut icmp = frame(false, Ip::V4, Transport::Tcp, 9);
    icmp[14 + 9] = 1;
    assert_eq!(Headers::find(&icmp), None);
    assert_eq!(Headers::find(&[0; 100]), None);
}

#[test]
fn context_has_the_fields_where_the_manual_puts_them() {
    // 8254x manual, 3.3.6: IPCSS, IPCSO, IPCSE; TUCSS, TUCSO, TUCSE; PAYLEN, DTYP, TUCMD; STATUS, HDRLEN, MSS.
    let v4 = frame(false, Ip::V4, Transport::Tcp, 3000);
    let context = Offload::Segmentation(segmentation(&v4, 1460)).context(&v4, v4.len(), 1514);
    let words = [
        14 | 24 << 8 | 33 << 16,
        34 | 50 << 8,
        3000 | 0b0010_0111 << 24,
        54 << 8 | 1460 << 16,
    ];
    let context = context.expect("a good one");
    assert_eq!(context.words, words);
    assert_eq!((context.options, context.command), (0x300, 1 << 26));

    let udp = frame(true, Ip::V6, Transport::Udp, 100);
    let headers = Headers::find(&udp).expect("UDP");
    let offload = Offload::Checksum(Checksum {
        headers,
        ip: false,
        transport: true,
    });
    let context = offload.context(&udp, udp.len(), 1514).expect("a good one");
    assert_eq!(context.words, [18 | 28 << 8, 58 | 64 << 8, 1 << 29, 0]);
    assert_eq!((context.options, context.command), (0x200, 0));
}

#[test]
fn what_cannot_be_is_refused_and_by_name() {
    let tcp = frame(false, Ip::V4, Transport::Tcp, 3000);
    let good = segmentation(&tcp, 1460);
    let refused = |segmentation: Segmentation| {
        Offload::Segmentation(segmentation)
            .context(&tcp, tcp.len(), 1514)
            .expect_err("a bad one")
    };
    let range = OffloadError::Mss { min: 48, max: 1460 };
    for mss in [0, 1, 47, 1461, 2999] {
        assert_eq!(refused(Segmentation { mss, ..good }), range, "{mss}");
    }
    for mss in [3000, u16::MAX] {
        assert_eq!(
            refused(Segmentation { mss, ..good }),
            OffloadError::Nothing,
            "{mss}"
        );
    }
    for header_len in [0, 53, 55, 58, 3054, 3055, usize::MAX] {
        assert_eq!(
            refused(Segmentation { header_len, ..good }),
            OffloadError::Headers
        );
    }
    let moved = |change: fn(&mut Headers)| {
        let mut headers = good.headers;
        change(&mut headers);
        refused(Segmentation { headers, ..good })
    };
    for change in [
        (|h: &mut Headers| h.ip = Ip::V6) as fn(&mut Headers),
        |h| h.ip_start = 13,
        |h| h.ip_start = 255,
        |h| h.transport_start = 14,
        |h| h.transport_start = 38,
        |h| h.transport_start = 255,
        |h| h.transport = Transport::Udp,
    ] {
        assert_eq!(moved(change), OffloadError::Headers);
    }
    // No more payload than one segment has; more than 64 KiB.
    assert_eq!(
        Offload::Segmentation(good).context(&tcp[..54 + 1460], 54 + 1460, 1514),
        Err(OffloadError::Nothing)
    );
    let mut long = tcp.clone();
    long.resize(MAX_SEGMENTED, 0);
    assert!(
        Offload::Segmentation(good)
            .context(&long, long.len(), 1514)
            .is_ok()
    );
    long.push(0);
    let limit = MAX_SEGMENTED;
    let too_long = Err(TransmitError::TooLong { limit }.into());
    assert_eq!(
        Offload::Segmentation(good).context(&long, long.len(), 1514),
        too_long
    );
}

#[test]
fn checksums_alone_are_for_frames_of_the_mtu() {
    let headers = |frame: &[u8]| Headers::find(frame).expect("headers");
    let ask = |frame: &[u8], ip, transport| {
        let headers = headers(frame);
        Offload::Checksum(Checksum {
            headers,
            ip,
            transport,
        })
        .context(frame, frame.len(), 1514)
    };
    let v6 = frame(false, Ip::V6, Transport::Udp, 9);
    assert_eq!(ask(&v6, true, true), Err(OffloadError::Headers), "IPv6 has none");
    assert_eq!(ask(&v6, false, false), Err(OffloadError::Nothing));
    let (fits, tagged) = (
        frame(false, Ip::V4, Transport::Udp, 1472),
        frame(true, Ip::V4, Transport::Udp, 1472),
    );
    assert_eq!((fits.len(), tagged.len()), (1514, 1518));
    assert!(ask(&fits, true, true).is_ok() && ask(&tagged, true, true).is_ok());
    let too_long = frame(false, Ip::V4, Transport::Udp, 1473);
    assert_eq!(
        ask(&too_long, true, true),
        Err(TransmitError::TooLong { limit: 1514 }.into())
    );
}

#[test]
fn prepare_stores_the_sum_of_the_pseudo_header() {
    // 10.0.0.1, 10.0.0.2: 0a00 + 0001 + 0a00 + 0002, protocol 6, length 29.
    let mut tcp = frame(false, Ip::V4, Transport::Tcp, 9);
    let headers = Headers::find(&tcp).expect("TCP");
    let offload = Offload::Checksum(Checksum {
        headers,
        ip: true,
        transport: true,
    });
    offload.prepare(&mut tcp).expect("headers");
    assert_eq!(tcp[50..52], (0x1403_u16 + 6 + 29).to_be_bytes());
    assert_eq!((&tcp[24..26], &tcp[16..18]), (&[0, 0][..], &[0, 49][..]));
    // Padding does not count.
    tcp.resize(100, 0);
    offload.prepare(&mut tcp).expect("headers");
    assert_eq!(tcp[50..52], (0x1403_u16 + 6 + 29).to_be_bytes());
    let cut = Offload::Segmentation(segmentation(&tcp, 45));
    cut.prepare(&mut tcp).expect("headers");
    assert_eq!(tcp[50..52], (0x1403_u16 + 6).to_be_bytes(), "without the length");
    assert_eq!(tcp[16..18], [0, 0]);
    // 16 words of 0xFDFD: the carries come back in.
    let mut udp = frame(false, Ip::V6, Transport::Udp, 9);
    let headers = Headers::find(&udp).expect("UDP");
    let offload = Offload::Checksum(Checksum {
        headers,
        ip: false,
        transport: true,
    });
    offload.prepare(&mut udp).expect("headers");
    let sum = 16 * 0xFDFD_u32 + 17 + 17;
    assert_eq!(udp[60..62], ((sum >> 16) as u16 + sum as u16).to_be_bytes());
}

#[test]
fn received_checksums_are_decoded_as_the_manual_says() {
    let of = |high, pcie| {
        let result = ChecksumResult::from_descriptor(high, pcie);
        (result.ip, result.transport)
    };
    use Checked::{Bad, Good, No};
    // DD and EOP; IPCS 0x40, TCPCS 0x20, UDPCS 0x10, IXSM 0x04; errors TCPE 0x2000, IPE 0x4000.
    for (high, old, pcie) in [
        (0x0003, (No, No), (No, No)),
        (0x0067, (No, No), (No, No)),
        (0x0063, (Good, Good), (Good, Good)),
        (0x4063, (Bad, Good), (Bad, Good)),
        (0x2063, (Good, Bad), (Good, Bad)),
        (0x2043, (Good, No), (Good, No)),
        (0x0053, (Good, No), (Good, Good)),
        (0x2053, (Good, No), (Good, Bad)),
        (0x6003, (No, No), (No, No)),
    ] {
        assert_eq!((of(high, false), of(high, true)), (old, pcie), "{high:#06x}");
    }
}
