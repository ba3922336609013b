//! Frames that show loss, duplication, reordering and damage.
//!
//! They carry the EtherType that IEEE 802 leaves to local experiments, and behind the Ethernet header, in
//! network byte order:
//!
//! | offset | size | |
//! |---|---|---|
//! | 14 | 4 | `NSCB` |
//! | 18 | 2 | length of the whole frame |
//! | 20 | 4 | run: frames of different senders do not mix |
//! | 24 | 8 | sequence number, from 0 |
//! | 32 | 8 | hash of everything else |
//! | 40 | | fill, different in every frame |

pub mod groups;
pub mod slots;

use crate::MacAddress;
use crate::frame::{HEADER, MAX_FRAME, MIN_FRAME};

/// IEEE 802 local experimental EtherType 1.
pub const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

const MAGIC: [u8; 4] = *b"NSCB";
const LENGTH: usize = HEADER + 4;
const RUN: usize = 20;
const SEQUENCE: usize = 24;
const HASH: usize = 32;
const FILL: usize = 40;

/// Makes the frames of one run, in one buffer.
#[derive(Debug)]
pub struct Generator {
    frame: Vec<u8>,
    next: u64,
}

impl Generator {
    /// Frames of `size` bytes, which is brought into the range of Ethernet: 60 to 1514.
    pub fn new(destination: MacAddress, source: MacAddress, run: u32, size: usize) -> Self {
        let size = size.clamp(MIN_FRAME, MAX_FRAME);
        let mut frame = vec![0; size];
        frame[..6].copy_from_slice(destination.as_bytes());
        frame[6..12].copy_from_slice(source.as_bytes());
        frame[12..HEADER].copy_from_slice(&ETHERTYPE);
        frame[HEADER..LENGTH].copy_from_slice(&MAGIC);
        // At most MAX_FRAME, which fits.
        frame[LENGTH..RUN].copy_from_slice(&(size as u16).to_be_bytes());
        frame[RUN..SEQUENCE].copy_from_slice(&run.to_be_bytes());
        Self { frame, next: 0 }
    }

    /// The next frame, with the next sequence number.
    pub fn next_frame(&mut self) -> &[u8] {
        self.frame[SEQUENCE..HASH].copy_from_slice(&self.next.to_be_bytes());
        let mut word = self.next;
        let mut next_word = || {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            word.to_be_bytes()
        };
        let (words, rest) = self.frame[FILL..].as_chunks_mut::<8>();
        words.fill_with(&mut next_word);
        rest.copy_from_slice(&next_word()[..rest.len()]);
        let hash = hash(&self.frame);
        self.frame[HASH..FILL].copy_from_slice(&hash.to_be_bytes());
        self.next += 1;
        &self.frame
    }
}

/// Kind of a received frame for a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Not a benchmark frame.
    Foreign,
    /// A benchmark frame with other content or length than it was sent with.
    Damaged,
    /// A benchmark frame as it was sent.
    Intact {
        /// Its run.
        run: u32,
        /// Its sequence number.
        sequence: u64,
    },
}

/// Recognises a benchmark frame and checks it.
pub fn parse(frame: &[u8]) -> Parsed {
    if frame.get(12..HEADER) != Some(&ETHERTYPE) || frame.get(HEADER..LENGTH) != Some(&MAGIC) {
        return Parsed::Foreign;
    }
    let intact = || {
        let length = u16::from_be_bytes(*frame.get(LENGTH..)?.first_chunk()?);
        let run = u32::from_be_bytes(*frame.get(RUN..)?.first_chunk()?);
        let sequence = u64::from_be_bytes(*frame.get(SEQUENCE..)?.first_chunk()?);
        let expected = u64::from_be_bytes(*frame.get(HASH..)?.first_chunk()?);
        let whole = frame.len() == usize::from(length) && hash(frame) == expected;
        whole.then_some(Parsed::Intact { run, sequence })
    };
    intact().unwrap_or(Parsed::Damaged)
}

/// A hash of all bytes but the hash field. It guards against accidents and is quick, eight bytes at a time.
fn hash(frame: &[u8]) -> u64 {
    let mut hash = 0_u64;
    let mut add =
        |word| hash = (hash.rotate_left(5) ^ u64::from_be_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
    for part in [frame.get(..HASH), frame.get(FILL..)] {
        let (words, rest) = part.unwrap_or_default().as_chunks::<8>();
        words.iter().copied().for_each(&mut add);
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            add(word);
        }
    }
    // Multiplication carries upwards only: bring the well mixed half down.
    hash ^ hash >> 32
}

/// Number of latest frames for which a late one is distinguished from a duplicate.
const WINDOW: u64 = 4096;
const WORDS: usize = (WINDOW / 64) as usize;

/// Follows the sequence numbers of a run, in bounded memory.
#[derive(Clone, Debug)]
pub struct SequenceTracker {
    run: Option<u32>,
    first: u64,
    /// The highest sequence number so far, plus one.
    next: u64,
    /// One bit for each of the last [`WINDOW`] sequence numbers, set if it came.
    seen: [u64; WORDS],
    unique: u64,
    duplicates: u64,
    reordered: u64,
    lost_in_earlier_runs: u64,
}

impl Default for SequenceTracker {
    fn default() -> Self {
        Self {
            run: None,
            first: 0,
            next: 0,
            seen: [0; WORDS],
            unique: 0,
            duplicates: 0,
            reordered: 0,
            lost_in_earlier_runs: 0,
        }
    }
}

impl SequenceTracker {
    /// Records a frame.
    pub fn observe(&mut self, run: u32, sequence: u64) {
        if self.run != Some(run) {
            *self = Self {
                run: Some(run),
                first: sequence,
                next: sequence,
                lost_in_earlier_runs: self.lost(),
                duplicates: self.duplicates,
                reordered: self.reordered,
                ..Self::default()
            };
        }
        if sequence >= self.next {
            // Forget the numbers that leave the window, which are at most all of it.
            for passed in self.next..sequence.min(self.next.saturating_add(WINDOW)) {
                self.set(passed, false);
            }
            if sequence - self.next >= WINDOW {
                self.seen = [0; WORDS];
            }
            self.next = sequence.saturating_add(1);
        } else if self.next - sequence > WINDOW || self.is_seen(sequence) {
            self.duplicates += 1;
            return;
        } else {
            self.reordered += 1;
            self.first = self.first.min(sequence);
        }
        self.set(sequence, true);
        self.unique += 1;
    }

    /// Number of frames missing between the first and the last of each run.
    pub fn lost(&self) -> u64 {
        self.lost_in_earlier_runs
            .saturating_add((self.next - self.first).saturating_sub(self.unique))
    }

    /// Number of frames that came again, and of frames too late to be distinguished from those.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Number of frames that came after one with a higher number.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    fn is_seen(&self, sequence: u64) -> bool {
        let (word, bit) = Self::position(sequence);
        self.seen[word] & bit != 0
    }

    fn set(&mut self, sequence: u64, seen: bool) {
        let (word, bit) = Self::position(sequence);
        if seen {
            self.seen[word] |= bit;
        } else {
            self.seen[word] &= !bit;
        }
    }

    fn position(sequence: u64) -> (usize, u64) {
        ((sequence % WINDOW / 64) as usize, 1 << (sequence % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(size: usize) -> Generator {
        Generator::new(MacAddress::BROADCAST, MacAddress([2, 0, 0, 0, 0, 1]), 7, size)
    }

    fn track(sequences: impl IntoIterator<Item = u64>) -> SequenceTracker {
        let mut tracker = SequenceTracker::default();
        sequences
            .into_iter()
            .for_each(|sequence| tracker.observe(7, sequence));
        tracker
    }

    #[test]
    fn frames_are_numbered_and_of_the_size_asked_for() {
        for size in [60, 61, 67, 68, 1514] {
            let mut generator = generator(size);
            for sequence in 0..3 {
                let frame = generator.next_frame();
                assert_eq!(frame.len(), size);
                assert_eq!(parse(frame), Parsed::Intact { run: 7, sequence });
            }
        }
        assert_eq!(generator(0).next_frame().len(), MIN_FRAME);
        assert_eq!(generator(9000).next_frame().len(), MAX_FRAME);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let frame = generator(75).next_frame().to_vec();
        for index in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame.clone();
                damaged[index] ^= 1 << bit;
                let expected = if (12..LENGTH).contains(&index) {
                    Parsed::Foreign
                } else {
                    Parsed::Damaged
                };
                assert_eq!(parse(&damaged), expected, "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn every_other_length_is_found() {
        let frame = generator(100).next_frame().to_vec();
        for length in 0..frame.len() {
            let expected = if length < LENGTH {
                Parsed::Foreign
            } else {
                Parsed::Damaged
            };
            assert_eq!(parse(&frame[..length]), expected, "{length} bytes");
        }
        assert_eq!(parse(&[frame.as_slice(), &[0]].concat()), Parsed::Damaged);
    }

    #[test]
    fn rest_of_an_older_frame_is_found() {
        let mut generator = generator(200);
        let first = generator.next_frame().to_vec();
        let mut second = generator.next_frame().to_vec();
        second[150..].copy_from_slice(&first[150..]);
        assert_eq!(parse(&second), Parsed::Damaged);
    }

    #[test]
    fn lost_duplicated_and_reordered_frames_are_counted() {
        let counts = |tracker: SequenceTracker| (tracker.lost(), tracker.duplicates(), tracker.reordered());
        assert_eq!(counts(track([])), (0, 0, 0));
        assert_eq!(
            counts(track(5..100_000)),
            (0, 0, 0),
            "a run joined late has lost nothing"
        );
        assert_eq!(counts(track([0, 1, 3, 4])), (1, 0, 0));
        assert_eq!(counts(track([0, 2, 1, 3])), (0, 0, 1));
        assert_eq!(counts(track([0, 1, 1, 0, 2])), (0, 2, 0));
        assert_eq!(counts(track([3, 2, 1, 4])), (0, 0, 2), "also before the first");
    }

    #[test]
    fn window_wraps_without_remembering_wrongly() {
        let tracker = track((0..5000).chain(10_000..15_000).chain([14_999, 14_998, 0]));
        assert_eq!((tracker.lost(), tracker.duplicates()), (5000, 3));
        let tracker = track([0, WINDOW, WINDOW - 1, 2 * WINDOW - 1, WINDOW + 1]);
        assert_eq!((tracker.duplicates(), tracker.reordered()), (0, 2));
        assert_eq!(track([0, u64::MAX]).duplicates(), 0);
    }

    #[test]
    fn runs_are_counted_apart() {
        let mut tracker = track([0, 2]);
        tracker.observe(8, 1000);
        tracker.observe(8, 1002);
        tracker.observe(8, 1002);
        assert_eq!((tracker.lost(), tracker.duplicates()), (2, 1));
    }
}
