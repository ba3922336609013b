//! The peer that answers, and so makes frames come in.
//!
//! It is pinged: what an echo reply carries is what the request carried, so each reply can be told from every other
//! one, and its content and length be checked.

use std::net::Ipv4Addr;
use std::time::Duration;

use libredox::Fd;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr,
};

use super::subject::{Broken, Reader, Subject, expect_ok};
use netstack_client::frame::{self, HEADER, MIN_FRAME};
use netstack_client::{MacAddress, stack};

/// Bytes of an IPv4 header without options, and of an ICMP echo header.
const IP_HEADER: usize = 20;
const ECHO_HEADER: usize = 8;

/// Time to wait for an ARP reply, several times. QEMU's `e1000` receives nothing in the first second.
const ARP_LIMIT: Duration = Duration::from_secs(2);
const ARP_ATTEMPTS: usize = 4;

/// The peer.
pub struct Peer {
    data: Fd,
    own_mac: MacAddress,
    own_address: Ipv4Addr,
    mac: MacAddress,
    address: Ipv4Addr,
    ident: u16,
    next: u16,
}

impl Peer {
    /// Asks the peer for its MAC address, which tells it ours. Frames received meanwhile are dropped.
    pub fn find(subject: &Subject) -> Result<Self, Broken> {
        let address = subject.peer.ok_or_else(|| Broken("no peer".to_owned()))?;
        let own_mac = subject.mac()?;
        let request = frame::arp_request(own_mac, subject.address, address);
        let mut reader = Reader::open(subject)?;
        for _ in 0..ARP_ATTEMPTS {
            let written = expect_ok("write an ARP request", reader.data.write(&request))?;
            if written != request.len() {
                return Err(Broken(format!("a write of 42 bytes returned {written}")));
            }
            while let Some(received) = reader.next(ARP_LIMIT)? {
                match frame::arp_reply(&received) {
                    Some((sender, mac)) if sender == address => {
                        return Ok(Self {
                            data: reader.data,
                            own_mac,
                            own_address: subject.address,
                            mac,
                            address,
                            ident: stack::random() as u16,
                            next: 0,
                        });
                    }
                    _ => {}
                }
            }
        }
        Err(Broken(format!("{address} did not answer ARP requests")))
    }

    /// Has the peer send a frame of `size` bytes, 60 to 1514; the number by which it can be recognised.
    pub fn provoke(&mut self, size: usize) -> Result<u16, Broken> {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        let request = self.request(sequence, size);
        let written = expect_ok("write a ping", self.data.write(&request))?;
        if written != request.len() {
            return Err(Broken(format!(
                "a write of {} bytes returned {written}",
                request.len()
            )));
        }
        Ok(sequence)
    }

    fn request(&self, sequence: u16, size: usize) -> Vec<u8> {
        let data = payload(sequence, size.max(MIN_FRAME) - HEADER - IP_HEADER - ECHO_HEADER);
        let echo = Icmpv4Repr::EchoRequest {
            ident: self.ident,
            seq_no: sequence,
            data: &data,
        };
        let ip = Ipv4Repr {
            src_addr: self.own_address,
            dst_addr: self.address,
            next_header: IpProtocol::Icmp,
            payload_len: echo.buffer_len(),
            hop_limit: 64,
        };
        let checksums = ChecksumCapabilities::default();
        let mut bytes = vec![0; HEADER + ip.buffer_len() + echo.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes);
        EthernetRepr {
            src_addr: self.own_mac,
            dst_addr: self.mac,
            ethertype: EthernetProtocol::Ipv4,
        }
        .emit(&mut frame);
        let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        ip.emit(&mut packet, &checksums);
        echo.emit(&mut Icmpv4Packet::new_unchecked(packet.payload_mut()), &checksums);
        bytes
    }

    /// The number of a frame that was provoked, or `None` if it is any other frame.
    ///
    /// # Errors
    ///
    /// When it is a frame that was provoked, but not as it was sent.
    pub fn recognise(&self, received: &[u8]) -> Result<Option<u16>, Broken> {
        let parsed = || {
            let frame = EthernetFrame::new_checked(received).ok()?;
            if frame.ethertype() != EthernetProtocol::Ipv4 || frame.src_addr() != self.mac {
                return None;
            }
            let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
            let echo = Icmpv4Packet::new_checked(packet.payload()).ok()?;
            match Icmpv4Repr::parse(&echo, &ChecksumCapabilities::ignored()).ok()? {
                Icmpv4Repr::EchoReply { ident, seq_no, data } if ident == self.ident => {
                    Some((seq_no, data == payload(seq_no, data.len()), packet.total_len()))
                }
                _ => None,
            }
        };
        match parsed() {
            None => Ok(None),
            Some((sequence, true, total))
                if received.len() == (HEADER + usize::from(total)).max(MIN_FRAME) =>
            {
                Ok(Some(sequence))
            }
            Some((sequence, intact, total)) => Err(Broken(format!(
                "reply {sequence} of {total} bytes came as a frame of {} bytes, {}",
                received.len(),
                if intact { "intact" } else { "damaged" }
            ))),
        }
    }

    /// Waits until the frame with number `sequence` is read; returns its length. Others are dropped.
    pub fn await_reply(&self, reader: &mut Reader, sequence: u16, limit: Duration) -> Result<usize, Broken> {
        while let Some(frame) = reader.next(limit)? {
            if self.recognise(&frame)? == Some(sequence) {
                return Ok(frame.len());
            }
        }
        Err(Broken(format!("reply {sequence} did not come within {limit:?}")))
    }
}

/// Payload of the frame with this number.
fn payload(sequence: u16, length: usize) -> Vec<u8> {
    let step = usize::from(sequence) * 31 + 7;
    (0..length)
        .map(|index| (index * 3 + step + index * step / 64) as u8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_differ() {
        assert_eq!(payload(3, 100), payload(3, 100));
        for other in 0..3 {
            assert_ne!(payload(3, 100), payload(other, 100));
        }
        assert_eq!(payload(3, 100)[..50], payload(3, 50));
    }
}
