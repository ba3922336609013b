//! Work that the NIC does on a frame.

/// A checksum to fill in. Its field has the sum of the pseudo header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// First byte that is summed.
    pub start: u16,
    /// Bytes from there to the field of the checksum.
    pub offset: u16,
}

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A TCP segment to be cut. The sum of the pseudo header in its checksum is without the length; the total length and
/// the checksum of an IPv4 header are 0, and so is the payload length of an IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Network protocol.
    pub ip: Ip,
    /// The checksum of TCP, which is filled in in each part.
    pub checksum: Checksum,
    /// Bytes of all headers, which are in the first entry's buffer.
    pub header_len: u16,
    /// Bytes of payload in each part but the last.
    pub mss: u16,
}

/// Work that the NIC is to do on a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Fill in a checksum.
    Checksum(Checksum),
    /// Cut it.
    Segmentation(Segmentation),
}

/// Facts about a frame to be sent, besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxInfo {
    /// Work for the NIC.
    pub offload: Option<Offload>,
    /// A VLAN tag to insert (TCI).
    pub vlan: Option<u16>,
}

/// Facts about a received frame, besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxInfo {
    /// The NIC has found the checksums of TCP or UDP, and of the IPv4 header, to be right.
    pub checksum_valid: bool,
    /// The VLAN tag that the NIC has stripped (TCI).
    pub vlan: Option<u16>,
}
