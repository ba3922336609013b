//! The packet buffer: its split between receive and transmit, and the levels at which the partner has to pause.
//!
//! Pure functions of the chip's limits, after Linux e1000 (`e1000_reset`) and e1000e (`e1000e_reset`); 8254x manual,
//! 13.4.16.

use crate::chip::{Chip, JumboSplit, Limits};
use crate::ethernet::STANDARD_WIRE_LEN;

/// Longest frame that is not a jumbo.
const STANDARD_FRAME: u32 = STANDARD_WIRE_LEN as u32;
/// Bytes that a frame to transmit takes in addition to its length with FCS: the descriptor, which is stored with it,
/// less the FCS, which is not.
const TRANSMIT_OVERHEAD: u32 = 16 - 4;

/// Share of the packet buffer for receive, in KiB, when frames are up to `max_frame` bytes with VLAN tag and FCS:
/// the value of PBA. A change of it takes effect with a reset.
///
/// If the split is computed, the transmit side gets room for two frames, as long as the receive side keeps room for
/// one.
pub fn receive_kib(limits: &Limits, max_frame: u32) -> u32 {
    let standard = limits.rx_packet_buffer_kib;
    if max_frame <= STANDARD_FRAME {
        return standard;
    }
    match limits.jumbo_split {
        JumboSplit::Above8192(kib) if max_frame > 8192 => kib,
        JumboSplit::Above8192(_) => standard,
        JumboSplit::AboveStandard(kib) => kib,
        JumboSplit::Computed => {
            let transmit = limits.packet_buffer_kib - standard;
            let two_frames = (2 * (max_frame + TRANSMIT_OVERHEAD)).div_ceil(1024);
            let missing = two_frames.saturating_sub(transmit);
            standard.saturating_sub(missing).max(max_frame.div_ceil(1024))
        }
    }
}

/// Levels of the receive buffer, in bytes, multiples of 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Level above which the peer is asked to pause: FCRTH.
    pub high: u32,
    /// Level below which it may go on: FCRTL without XONE.
    pub low: u32,
    /// Time of a pause that is not ended early, in units of 512 bit times: FCTTV.
    pub pause_time: u16,
}

/// Levels at which to pause the peer, with the split of [`receive_kib`].
///
/// The upper level is 90 % of the buffer, or what leaves room for one frame, whichever is less; PCH2 and later have
/// values of their own (Linux e1000e, `e1000e_reset`).
pub fn thresholds(chip: &Chip, max_frame: u32) -> Thresholds {
    if chip.mac().is_pch() {
        return Thresholds {
            high: 0x5C20,
            low: 0x5048,
            pause_time: 0xFFFF,
        };
    }
    let bytes = receive_kib(chip.limits, max_frame) * 1024;
    let high = (bytes / 10 * 9).min(bytes.saturating_sub(max_frame)) & !7;
    Thresholds {
        high,
        low: high.saturating_sub(8),
        // Linux: 0xFFFF on e1000, 858 us on e1000e.
        pause_time: if chip.mac().is_pcie() { 0x0680 } else { 0xFFFF },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::{CHIPS, VENDOR_INTEL, find};

    fn split(id: u16, max_frame: u32) -> u32 {
        find(VENDOR_INTEL, id).map_or(0, |chip| receive_kib(chip.limits, max_frame))
    }

    #[test]
    fn standard_frames_get_the_split_of_the_table() {
        // Linux e1000, `e1000_reset`; e1000e, the `pba` of the `e1000_info` records.
        for (id, kib) in [
            (0x1004, 48),
            (0x100E, 48),
            (0x1076, 48),
            (0x1019, 30),
            (0x105E, 38),
            (0x109A, 20),
            (0x10D3, 32),
            (0x150C, 32),
            (0x153A, 26),
        ] {
            assert_eq!(split(id, 1522), kib, "{id:04x}");
        }
    }

    #[test]
    fn jumbo_frames_take_from_the_receive_side() {
        // Linux e1000, `e1000_reset`: 40 KiB for the 82540 class, 22 for 82547; e1000e, `e1000e_reset`: 14 for PCH2.
        assert_eq!((split(0x100E, 8192), split(0x100E, 9018)), (48, 40));
        assert_eq!((split(0x1019, 8192), split(0x1019, 9018)), (30, 22));
        assert_eq!(split(0x153A, 9018), 14);
        // 82574: 2 * (9018 + 12) is 18 KiB, of which transmit has 8; 32 - 10.
        assert_eq!(split(0x10D3, 9018), 22);
        // 82571: transmit has 10 KiB; 38 - 8.
        assert_eq!(split(0x105E, 9018), 30);
        // 82545GM: 16 KiB are enough for frames of 8 KiB less their descriptors.
        assert_eq!((split(0x1026, 8180), split(0x1026, 9018)), (48, 46));
    }

    #[test]
    fn one_frame_always_fits_and_levels_are_in_order() {
        for chip in CHIPS {
            for max_frame in 64..=chip.limits.max_frame {
                let kib = receive_kib(chip.limits, max_frame);
                assert!(kib * 1024 >= max_frame, "{}: {max_frame}", chip.name);
                assert!(kib < chip.limits.packet_buffer_kib, "{}: {max_frame}", chip.name);
                let Thresholds { high, low, .. } = thresholds(chip, max_frame);
                assert!(low < high && high % 8 == 0 && low % 8 == 0, "{}", chip.name);
            }
        }
    }

    #[test]
    fn peer_is_paused_while_one_frame_still_fits() {
        let chip = find(VENDOR_INTEL, 0x100E).map(|chip| thresholds(chip, 1522));
        // 90 % of 49152, rounded down to 8.
        assert_eq!(
            chip,
            Some(Thresholds {
                high: 44232,
                low: 44224,
                pause_time: 0xFFFF
            })
        );
    }
}
