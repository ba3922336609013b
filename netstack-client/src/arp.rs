//! ARP requests: they find a MAC address, and are the shortest exchange that every neighbour answers.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::adapter::READ_BUFFER;
use crate::frame::{self, ARP_FRAME};
use crate::{FrameIo, MacAddress, Result, Wait, Woken};

/// A neighbour's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its MAC address.
    pub mac: MacAddress,
    /// Time from just before the write of the request to just after the read of the reply.
    pub time: Duration,
}

/// Asks one neighbour, as often as wanted.
pub struct Resolver<A, W> {
    io: A,
    waiter: W,
    target: Ipv4Addr,
    request: [u8; ARP_FRAME],
    buffer: [u8; READ_BUFFER],
    /// The last request was not answered in time. Its reply may still arrive and must not count for the next one.
    late_reply_possible: bool,
}

impl<A: FrameIo, W: Wait> Resolver<A, W> {
    /// Prepares the request. The waiter is not used if the adapter blocks.
    pub fn new(io: A, waiter: W, own_mac: MacAddress, own_address: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self {
            io,
            waiter,
            target,
            request: frame::arp_request(own_mac, own_address, target),
            buffer: [0; READ_BUFFER],
            late_reply_possible: false,
        }
    }

    /// Asks once and waits for the answer; returns `None` if it does not arrive in time. Drops other frames.
    ///
    /// With an adapter that blocks, the time limit is checked only when a frame arrives.
    pub fn ask(&mut self, timeout: Duration) -> Result<Option<Answer>> {
        if self.late_reply_possible {
            while self.io.read_frame(&mut self.buffer)?.is_some() {}
            self.late_reply_possible = false;
        }
        let start = Instant::now();
        self.io.write_frame(&self.request)?;
        loop {
            let read = self.io.read_frame(&mut self.buffer)?;
            let time = start.elapsed();
            let answer = read.and_then(|length| frame::arp_reply(self.buffer.get(..length)?));
            match answer {
                Some((address, mac)) if address == self.target => return Ok(Some(Answer { mac, time })),
                _ => {}
            }
            let over = match (timeout.checked_sub(time), read) {
                (None, _) => true,
                (Some(_), Some(_)) => false,
                (Some(remaining), None) => self.waiter.wait(Some(remaining))? == Woken::Timeout,
            };
            if over {
                self.late_reply_possible = true;
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Meanwhile, Wire};

    const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
    const OWN_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const OTHER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    /// Turns a request into the reply of `address`.
    fn reply(request: &[u8], address: Ipv4Addr) -> Vec<u8> {
        let mut reply = request.to_vec();
        reply[..6].copy_from_slice(&request[6..12]);
        reply[21] = 2;
        reply[22..28].copy_from_slice(OTHER.as_bytes());
        reply[28..32].copy_from_slice(&address.octets());
        reply
    }

    #[test]
    fn answer_is_found_among_other_frames() {
        let (near, mut far) = Wire::pair();
        let answer = move || {
            let mut request = [0; 100];
            if let Some(length) = far.read_frame(&mut request).unwrap() {
                far.write_frame(&[0xff; 60]).unwrap();
                far.write_frame(&reply(&request[..length], Ipv4Addr::new(10, 0, 0, 3)))
                    .unwrap();
                far.write_frame(&reply(&request[..length], OTHER_IP)).unwrap();
            }
        };
        let mut resolver = Resolver::new(near, Meanwhile(answer), OWN, OWN_IP, OTHER_IP);
        for _ in 0..2 {
            assert_eq!(resolver.ask(Duration::from_secs(5)).unwrap().unwrap().mac, OTHER);
        }
    }

    #[test]
    fn late_reply_does_not_answer_the_next_request() {
        let (near, mut far) = Wire::pair();
        let mut resolver = Resolver::new(near, Meanwhile(|| {}), OWN, OWN_IP, OTHER_IP);
        assert_eq!(resolver.ask(Duration::from_millis(2)).unwrap(), None);
        let mut request = [0; 100];
        let length = far.read_frame(&mut request).unwrap().unwrap();
        far.write_frame(&reply(&request[..length], OTHER_IP)).unwrap();
        assert_eq!(resolver.ask(Duration::from_millis(2)).unwrap(), None);
    }
}
