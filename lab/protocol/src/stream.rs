//! TCP connections under load: any number at once, each in one direction.
//!
//! The agent connects and says with one byte what it will do. The bytes that follow are the same in each connection:
//! the first [`PERIOD`] bytes of [`Pattern`], again and again. They cost nothing to make and little to compare, while
//! a hash takes as long as the transport on an emulated processor.

use netstack_client::pattern::Pattern;

/// First byte of a connection on which the agent receives.
pub const RECEIVER: u8 = b'r';
/// First byte of a connection on which the agent sends.
pub const SENDER: u8 = b's';

/// Bytes after which the stream repeats: a prime, so that no piece of a usual size can be lost or doubled unnoticed.
pub const PERIOD: usize = 16_411;

/// The bytes of a connection.
#[derive(Clone, Debug)]
pub struct Stream {
    /// A period and a chunk, so that a chunk from anywhere is in one piece.
    bytes: Vec<u8>,
    chunk: usize,
}

impl Stream {
    /// A stream of which no more than `chunk` bytes are taken at once.
    pub fn new(chunk: usize) -> Self {
        let mut period = vec![0; PERIOD];
        Pattern::new(1).fill(&mut period);
        Self {
            bytes: period.into_iter().cycle().take(PERIOD + chunk).collect(),
            chunk,
        }
    }

    /// The bytes behind the first `position` ones: `length`, but no more than a chunk.
    pub fn at(&self, position: u64, length: usize) -> &[u8] {
        // Less than the period, which fits.
        let start = (position % PERIOD as u64) as usize;
        let length = length.min(self.chunk);
        self.bytes.get(start..start + length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_the_same_however_it_is_cut() {
        let (small, large) = (Stream::new(100), Stream::new(3 * PERIOD));
        assert_eq!(large.at(0, usize::MAX).len(), 3 * PERIOD);
        for position in [0, 7, PERIOD as u64 - 1, PERIOD as u64 + 5, 1 << 40] {
            let piece = small.at(position, usize::MAX);
            assert_eq!(piece.len(), 100);
            assert_eq!(piece, &large.at(position, 100)[..100]);
            assert_eq!(large.at(position, 10), large.at(position + PERIOD as u64, 10));
        }
    }
}
