//! UDP datagrams that show loss, duplication and reordering.
//!
//! In network byte order: 4 bytes `NSUD`, 4 bytes run (datagrams of different senders do not mix), 8 bytes sequence
//! number from 0, and fill. UDP's own checksum guards the content.

/// Shortest datagram of this kind, in bytes.
pub const MIN_SIZE: usize = 16;
/// Longest datagram that fits into one Ethernet frame, in bytes.
pub const MAX_SIZE: usize = 1472;

const MAGIC: [u8; 4] = *b"NSUD";

/// Makes the datagrams of one run, in one buffer.
#[derive(Debug)]
pub struct Generator {
    datagram: Vec<u8>,
    next: u64,
}

impl Generator {
    /// Datagrams of `size` bytes, which is brought into the range of [`MIN_SIZE`] to [`MAX_SIZE`].
    pub fn new(run: u32, size: usize) -> Self {
        let mut datagram = vec![0x55; size.clamp(MIN_SIZE, MAX_SIZE)];
        datagram[..4].copy_from_slice(&MAGIC);
        datagram[4..8].copy_from_slice(&run.to_be_bytes());
        Self { datagram, next: 0 }
    }

    /// The next datagram, with the next sequence number.
    pub fn next_datagram(&mut self) -> &[u8] {
        self.datagram[8..16].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        &self.datagram
    }
}

/// Run and sequence number, if it is a datagram of this kind.
pub fn parse(datagram: &[u8]) -> Option<(u32, u64)> {
    let rest = datagram.strip_prefix(&MAGIC)?;
    let (run, rest) = rest.split_first_chunk()?;
    let sequence = rest.first_chunk()?;
    Some((u32::from_be_bytes(*run), u64::from_be_bytes(*sequence)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_numbered_and_of_the_size_asked_for() {
        for (asked, size) in [(0, 16), (16, 16), (1000, 1000), (9000, 1472)] {
            let mut generator = Generator::new(7, asked);
            for sequence in 0..3 {
                let datagram = generator.next_datagram();
                assert_eq!((datagram.len(), parse(datagram)), (size, Some((7, sequence))));
            }
        }
    }

    #[test]
    fn other_datagrams_are_none() {
        for datagram in [&b""[..], b"NSUD", b"NSUD1234567890a", b"nsud567890123456789"] {
            assert_eq!(parse(datagram), None);
        }
    }
}
