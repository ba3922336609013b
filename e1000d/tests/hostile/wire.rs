//! Frames on the wire and those that clients wrote: each can be told from the others, byte by byte.

use std::collections::VecDeque;

/// Ends every word of a frame that came from the wire.
const FROM_WIRE: u8 = 0x5A;
/// Ends every word of a frame that a client wrote.
const FROM_CLIENT: u8 = 0xE7;
/// Position of the sender's address: frames of a flood have the same.
const SENDER: std::ops::Range<usize> = 6..12;
/// Frames are filled up with zeroes to this length.
const PADDED_LEN: usize = 60;

/// Makes `len` bytes of frame `number`; each word of 8 bytes has the numbers of frame and word.
fn frame(number: u16, len: usize, origin: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    for n in 0..len.div_ceil(8) as u64 {
        let word = u64::from(number) | n << 16 | u64::from(origin) << 56;
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// One frame that the device received.
#[derive(Clone, Copy)]
struct Received {
    number: u16,
    len: usize,
    /// It is of the one flow that makes up most of what comes.
    of_flood: bool,
}

impl Received {
    /// First `len` bytes of the frame.
    fn bytes(self, len: usize) -> Vec<u8> {
        let mut bytes = frame(self.number, len.max(SENDER.end), FROM_WIRE);
        if self.of_flood {
            bytes[SENDER].fill(0x02);
        }
        bytes.truncate(len);
        bytes
    }
}

/// Answer to the write of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Taken,
    Refused,
}

/// One frame that a client wrote.
struct Written {
    len: usize,
    ethertype: u16,
    verdict: Verdict,
    sent: bool,
}

impl Written {
    fn bytes(&self, number: u16) -> Vec<u8> {
        let mut bytes = frame(number, self.len, FROM_CLIENT);
        if let Some(ethertype) = bytes.get_mut(12..14) {
            ethertype.copy_from_slice(&self.ethertype.to_be_bytes());
        }
        bytes
    }
}

/// Both directions, and their invariants.
pub struct Wire {
    /// Only an honest device wrote to receive descriptors, and each frame that was read is known.
    pub receives_honestly: bool,
    /// A self-test could not end the loopback of a broken device.
    pub may_loop: bool,
    /// Frames that the device received and nobody read.
    received: VecDeque<Received>,
    next: u16,
    /// Frames that were received since the last reset and skipped.
    skipped: u64,
    /// First frame after the last reset, and number of frames that the driver had dropped until then.
    since_reset: (u16, u64),
    written: Vec<Written>,
    /// First frame that may be sent next: frames go out in the order in which they were written.
    next_sent: usize,
}

impl Wire {
    pub fn new() -> Self {
        Self {
            receives_honestly: true,
            may_loop: false,
            received: VecDeque::new(),
            next: 1,
            skipped: 0,
            since_reset: (0, 0),
            written: Vec::new(),
            next_sent: 0,
        }
    }

    /// The next frame arrives. `deliver` returns true if the device took it.
    pub fn arrive(&mut self, len: usize, of_flood: bool, deliver: impl FnOnce(&[u8]) -> bool) {
        let arrived = Received {
            number: self.next,
            len,
            of_flood,
        };
        self.next += 1;
        if deliver(&arrived.bytes(len)) {
            self.received.push_back(arrived);
        }
    }

    /// A client with room for `room` bytes was given `bytes`.
    pub fn read(&mut self, bytes: &[u8], room: usize) {
        assert!(!bytes.is_empty() && bytes.len() <= room);
        // Not what a self-test left in the buffers.
        let is_foreign = |word: &[u8]| word[4..] == [0, 0, 0, FROM_CLIENT];
        let foreign = bytes.chunks_exact(8).any(is_foreign);
        if self.may_loop && (foreign || bytes.len() < 8) {
            // So few bytes may be from anywhere: no frame is followed from here on.
            self.receives_honestly &= foreign;
            return;
        }
        // It came from the wire, once.
        assert!(!foreign, "what a client wrote");
        if !self.receives_honestly {
            return;
        }
        let may_be = |received: &&Received| received.number as u8 == bytes[0];
        if bytes.len() == 1 && self.received.iter().filter(may_be).count() > 1 {
            // One byte is not enough to find the frame: none is followed from here on.
            self.receives_honestly = false;
            return;
        }
        let number = u16::from_le_bytes([bytes[0], bytes.get(1).copied().unwrap_or(0)]);
        loop {
            let candidate = self
                .received
                .pop_front()
                .unwrap_or_else(|| panic!("frame {number} was not received, or twice, or out of order"));
            if candidate.number == number || bytes.len() == 1 && candidate.number as u8 == bytes[0] {
                assert_eq!(bytes.len(), candidate.len.min(room), "length of frame {number}");
                assert!(
                    candidate.bytes(bytes.len()) == bytes,
                    "frame {number} is not what was received"
                );
                return;
            }
            self.skipped += u64::from(candidate.number >= self.since_reset.0);
        }
    }

    /// The device was reset: frames that nobody read are lost. The driver has dropped `dropped` until now.
    pub fn reset(&mut self, dropped: u64) {
        self.since_reset = (self.next, dropped);
        self.skipped = 0;
    }

    /// Checks that all frames were read, but for `dropped` that the driver counted.
    pub fn all_was_read(&self, dropped: u64) {
        let (first, before) = self.since_reset;
        let left = self.received.iter().filter(|received| received.number >= first);
        let missing = self.skipped + left.count() as u64;
        assert_eq!(
            missing,
            dropped - before,
            "frames that were received and never given to a reader"
        );
    }

    /// A client writes a frame. Returns its number and bytes.
    pub fn write(&mut self, len: usize, ethertype: u16) -> (usize, Vec<u8>) {
        let number = self.written.len();
        let written = Written {
            len,
            ethertype,
            verdict: Verdict::Unknown,
            sent: false,
        };
        let bytes = written.bytes(number as u16);
        self.written.push(written);
        (number, bytes)
    }

    /// The write of a frame was answered.
    pub fn answered(&mut self, number: usize, taken: bool) {
        let written = &mut self.written[number];
        assert!(taken || !written.sent, "frame {number} was sent and refused");
        written.verdict = if taken { Verdict::Taken } else { Verdict::Refused };
    }

    /// The device sent a frame.
    pub fn sent(&mut self, bytes: &[u8]) {
        let number = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        assert!(
            number >= self.next_sent,
            "frame {number} was sent twice or out of order"
        );
        let written = self.written.get_mut(number).expect("a frame that was written");
        assert!(
            written.verdict != Verdict::Refused,
            "frame {number} was sent and refused"
        );
        let mut whole = written.bytes(number as u16);
        whole.resize(whole.len().max(PADDED_LEN), 0);
        assert!(whole == bytes, "frame {number} is not what was written");
        written.sent = true;
        self.next_sent = number + 1;
    }

    /// Checks that all frames that were taken were sent, but for those that the driver knows of.
    pub fn all_was_sent(&self, dropped_or_held: u64) {
        let missing = |written: &&Written| written.verdict == Verdict::Taken && !written.sent;
        let missing = self.written.iter().filter(missing).count();
        assert_eq!(
            missing as u64, dropped_or_held,
            "frames that were taken and never sent"
        );
    }
}
