//! Offloads: checksums and segmentation that the NIC does instead of a TCP/IP stack.
//!
//! For frames to transmit, the NIC fills in checksums ([`Checksum`]), or splits one long TCP segment into many that fit
//! the MTU, each with its own headers ([`Segmentation`]). The caller describes the frame, prepares its headers for the
//! hardware with [`Offload::prepare`], and passes it to [`crate::nic::Tx::send_with`]. For received frames, the NIC
//! reports whether their checksums are correct ([`ChecksumResult`]).
//!
//! Everything is off until [`crate::nic::Settings::set_offloads`]. Sources: 8254x manual, 3.3 (descriptors) and 3.5
//! (segmentation); Linux e1000 and e1000e, `e1000_tx_csum`, `e1000_tso`, `e1000_rx_checksum`.

mod headers;

use core::fmt;

use crate::ethernet::TAG_LEN;
use crate::transmit_error::TransmitError;

pub use crate::chip::Offloads;
pub use headers::{Headers, Ip, Transport};

/// Smallest MSS that is accepted: less than any TCP uses (Linux, `TCP_MIN_SND_MSS`).
pub const MIN_MSS: u16 = 48;
/// Bytes of the longest headers that are accepted with [`Segmentation`]: even with the smallest MSS, the first piece of
/// a frame contains payload, without which 82544 and 82571 to 82573 fail (Linux, `e1000_xmit_frame`).
pub const MAX_HEADERS: usize = 4 * MIN_MSS as usize - 4;
/// Bytes of the longest frame to be segmented.
pub const MAX_SEGMENTED: usize = 65_535;

/// Refusal of a frame with an offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadError {
    /// The part does not have this offload, or it is not turned on.
    NotEnabled(Offloads),
    /// Segmentation hangs PCIe parts at 10 and 100 Mbit/s (Linux e1000e, `e1000_watchdog_task`).
    LinkTooSlow,
    /// The headers do not match their description, or do not fit the frame.
    Headers,
    /// There is nothing to do: no checksum is requested, or the payload is no longer than the MSS.
    Nothing,
    /// The MSS is not in this range; the MTU, less the headers, limits it.
    Mss {
        /// Smallest MSS.
        min: usize,
        /// Largest MSS.
        max: usize,
    },
    /// Refusal for a reason that applies to any frame.
    Transmit(TransmitError),
}

impl fmt::Display for OffloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnabled(offloads) => {
                f.write_str("not enabled:")?;
                offloads
                    .iter_names()
                    .try_for_each(|(name, _)| write!(f, " {name}"))
            }
            Self::LinkTooSlow => f.write_str("segmentation takes a link of 1000 Mbit/s"),
            Self::Headers => f.write_str("the headers do not match their description"),
            Self::Nothing => f.write_str("there is nothing to do"),
            Self::Mss { min, max } => write!(f, "the MSS can be {min} to {max}"),
            Self::Transmit(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for OffloadError {}

impl From<TransmitError> for OffloadError {
    fn from(error: TransmitError) -> Self {
        Self::Transmit(error)
    }
}

/// Checksums to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Positions of the headers.
    pub headers: Headers,
    /// Fill in the checksum of the IPv4 header.
    pub ip: bool,
    /// Fill in the checksum of TCP or UDP.
    pub transport: bool,
}

/// A TCP segment to be split. The NIC fills in sequence numbers, IPv4 ids, lengths and checksums of the parts, and sets
/// FIN and PSH in the last one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Positions of the headers.
    pub headers: Headers,
    /// Bytes of all headers, before the payload.
    pub header_len: usize,
    /// Bytes of payload in each part but the last.
    pub mss: u16,
}

/// An offload of a frame to transmit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Fill in checksums.
    Checksum(Checksum),
    /// Split a TCP segment.
    Segmentation(Segmentation),
}

impl Offload {
    /// Offloads that have to be turned on for it.
    pub fn needs(&self) -> Offloads {
        match self {
            Self::Checksum(_) => Offloads::TX_CHECKSUM,
            Self::Segmentation(Segmentation { headers, .. }) => match headers.ip {
                Ip::V4 => Offloads::TSO_IPV4,
                Ip::V6 => Offloads::TSO_IPV6,
            },
        }
    }

    /// Positions of the headers.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Checksum(checksum) => &checksum.headers,
            Self::Segmentation(segmentation) => &segmentation.headers,
        }
    }

    /// Prepares the headers of `frame` for the hardware: zeroes the fields into which it stores a length or the
    /// checksum of the IPv4 header, and stores the sum of the pseudo header in the checksum field of TCP or UDP.
    ///
    /// # Errors
    ///
    /// [`OffloadError::Headers`] and [`OffloadError::Nothing`]; then `frame` is unchanged.
    pub fn prepare(&self, frame: &mut [u8]) -> Result<(), OffloadError> {
        self.check(frame, frame.len())?;
        let headers = self.headers();
        match self {
            Self::Checksum(checksum) => {
                if checksum.ip {
                    headers.clear_ip_checksum(frame);
                }
                if checksum.transport {
                    let len = headers.transport_len(frame);
                    headers.store_pseudo_sum(frame, len);
                }
            }
            Self::Segmentation(_) => {
                headers.clear_ip_len(frame);
                headers.store_pseudo_sum(frame, 0);
            }
        }
        Ok(())
    }

    /// Checks the description against a frame of `len` bytes, of which `frame` has at least the headers.
    fn check(&self, frame: &[u8], len: usize) -> Result<(), OffloadError> {
        let headers = self.headers();
        if !headers.fit(frame) {
            return Err(OffloadError::Headers);
        }
        match self {
            Self::Checksum(checksum) => {
                if checksum.ip && headers.ip == Ip::V6 {
                    return Err(OffloadError::Headers);
                }
                if !checksum.ip && !checksum.transport {
                    return Err(OffloadError::Nothing);
                }
            }
            Self::Segmentation(segmentation) => {
                let header_len = segmentation.header_len;
                if headers.tcp_end(frame) != Some(header_len) || header_len > MAX_HEADERS {
                    return Err(OffloadError::Headers);
                }
                if len <= header_len + usize::from(segmentation.mss) {
                    return Err(OffloadError::Nothing);
                }
            }
        }
        Ok(())
    }

    /// Checks the description against a frame of `len` bytes, of which `frame` has at least the headers, and makes its
    /// context descriptor. `max_len` is the length of the longest frame without a VLAN tag.
    pub(crate) fn context(&self, frame: &[u8], len: usize, max_len: usize) -> Result<Context, OffloadError> {
        self.check(frame, len)?;
        let headers = self.headers();
        // A frame with a VLAN tag may be four bytes longer.
        let max_len = max_len + usize::from(headers.is_tagged()) * TAG_LEN;
        let mut context = Context::new(headers);
        match self {
            Self::Checksum(checksum) => {
                if len > max_len {
                    return Err(TransmitError::TooLong { limit: max_len }.into());
                }
                context.options =
                    if checksum.ip { IXSM } else { 0 } | if checksum.transport { TXSM } else { 0 };
            }
            Self::Segmentation(Segmentation { header_len, mss, .. }) => {
                let max = max_len.saturating_sub(*header_len);
                if !(usize::from(MIN_MSS)..=max).contains(&usize::from(*mss)) {
                    let min = MIN_MSS.into();
                    return Err(OffloadError::Mss { min, max });
                }
                if len > MAX_SEGMENTED {
                    let limit = MAX_SEGMENTED;
                    return Err(TransmitError::TooLong { limit }.into());
                }
                context.segment(len - header_len, *header_len, *mss, headers.ip);
            }
        }
        Ok(context)
    }
}

/// TUCMD, bits 31:24 of the third word: the packet is TCP, not UDP.
const TUCMD_TCP: u32 = 1 << 24;
/// TUCMD: the packet is IPv4.
const TUCMD_IP: u32 = 1 << 25;
/// TUCMD of the context, and DCMD of a data descriptor: segmentation.
pub(crate) const TSE: u32 = 1 << 26;
/// Not a legacy descriptor.
pub(crate) const DEXT: u32 = 1 << 29;
/// DTYP, bits 23:20: a data descriptor. A context is 0.
pub(crate) const DTYP_DATA: u32 = 1 << 20;
/// POPTS, bits 15:8 of a data descriptor's fourth word: insert the checksum of the IPv4 header.
const IXSM: u32 = 1 << 8;
/// POPTS: insert that of TCP or UDP.
const TXSM: u32 = 1 << 9;

/// A context descriptor, and the fields of the data descriptors after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    /// The four words of the context descriptor.
    pub words: [u32; 4],
    /// POPTS, in place.
    pub options: u32,
    /// TSE, in place, if it is about segmentation.
    pub command: u32,
    /// The MSS of a segmentation.
    pub mss: Option<u16>,
}

impl Context {
    /// Where checksums begin, end and are stored: IPCSS, IPCSO, IPCSE, TUCSS, TUCSO, and TUCSE 0, the end of the
    /// packet.
    fn new(headers: &Headers) -> Self {
        let (start, transport) = (u32::from(headers.ip_start), u32::from(headers.transport_start));
        let stored = match headers.transport {
            Transport::Tcp => 16,
            Transport::Udp => 6,
        };
        let (ip, version) = match headers.ip {
            Ip::V4 => (start | (start + 10) << 8 | (transport - 1) << 16, TUCMD_IP),
            // No checksum of the header.
            Ip::V6 => (start | (start + 10) << 8, 0),
        };
        let protocol = match headers.transport {
            Transport::Tcp => TUCMD_TCP,
            Transport::Udp => 0,
        };
        Self {
            words: [
                ip,
                transport | (transport + stored) << 8,
                DEXT | version | protocol,
                0,
            ],
            options: 0,
            command: 0,
            mss: None,
        }
    }

    /// Adds PAYLEN, HDRLEN and MSS.
    fn segment(&mut self, payload: usize, header_len: usize, mss: u16, ip: Ip) {
        let [.., command, lengths] = &mut self.words;
        *command |= TSE | payload as u32;
        *lengths = (header_len as u32) << 8 | u32::from(mss) << 16;
        self.options = TXSM | if ip == Ip::V4 { IXSM } else { 0 };
        self.command = TSE;
        self.mss = Some(mss);
    }
}

/// The outcome of checking one checksum of a received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checked {
    /// Nobody looked: no such header, or the part, or the model, does not.
    #[default]
    No,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
}

/// The outcome of checking a received frame's checksums.
///
/// Only the IPv4 header of a fragment is checked; the rest is checked when fragments are reassembled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChecksumResult {
    /// That of the IPv4 header.
    pub ip: Checked,
    /// That of TCP or UDP.
    pub transport: Checked,
}

impl ChecksumResult {
    /// From bits 15:0 of a receive descriptor's last word; only PCIe parts have UDPCS (8254x manual, 3.2.3.1; Linux
    /// e1000e, `E1000_RXD_STAT_UDPCS`).
    pub(crate) fn from_descriptor(high: u32, pcie: bool) -> Self {
        const IXSM: u32 = 1 << 2;
        const UDPCS: u32 = 1 << 4;
        const TCPCS: u32 = 1 << 5;
        const IPCS: u32 = 1 << 6;
        const TCPE: u32 = 1 << 13;
        const IPE: u32 = 1 << 14;
        if high & IXSM != 0 {
            return Self::default();
        }
        let found = |checked: u32, error: u32| match (high & checked != 0, high & error != 0) {
            (false, _) => Checked::No,
            (true, false) => Checked::Good,
            (true, true) => Checked::Bad,
        };
        Self {
            ip: found(IPCS, IPE),
            transport: found(if pcie { TCPCS | UDPCS } else { TCPCS }, TCPE),
        }
    }
}

#[cfg(test)]
mod tests;
