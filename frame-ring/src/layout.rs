//! Sizes and places of the four areas.
//!
//! | area | client | bytes | has |
//! |---|---|---|---|
//! | [`AreaName::Client`] | writes | 16 KiB | the client's words, the TX entries |
//! | [`AreaName::TxBuffers`] | writes | 512 KiB | frames to be sent |
//! | [`AreaName::Driver`] | reads | 16 KiB | the driver's words, the RX entries |
//! | [`AreaName::RxBuffers`] | reads | 512 KiB | received frames |
//!
//! The sizes are those of [`Layout::DEFAULT`]. The driver only reads what the client writes.

use core::error::Error;
use core::fmt;

/// Bytes of a page, of which offsets and lengths of areas are multiples.
pub const PAGE_LEN: u32 = 4096;

/// Offset of the tail in a control area: the index behind the last entry that its owner has published.
pub const TAIL: usize = 0;
/// Offset of the head in a control area: the index of the first entry that its owner has not consumed.
pub const HEAD: usize = 128;
/// Offset of the wake word: its owner wants to be woken when the other end's tail moves past it.
pub const WAKE: usize = 256;
/// Offset of the room word in the client's area: it wants to be woken when the other end's head moves past it.
pub const ROOM: usize = 384;
/// Offset of the status words in the driver's area: see `docs/frame-ring.md`.
pub const STATUS: usize = 512;
/// Offset of the counters in the driver's area.
pub const COUNTERS: usize = 640;
/// Offset of the entries in a control area.
pub const ENTRIES: usize = 4096;

/// 32-bit words of an entry.
pub const ENTRY_WORDS: usize = 8;
/// Bytes of an entry.
pub const ENTRY_LEN: usize = 4 * ENTRY_WORDS;

/// Most entries of a ring.
pub const MAX_ENTRIES: u32 = 1 << 15;
/// Most bytes of a buffer.
pub const MAX_BUFFER_LEN: u32 = 1 << 15;
/// Most entries of a frame.
pub const MAX_SEGMENTS: usize = 40;

/// Bytes of the shortest frame that the driver takes. The client pads with zeroes, as the driver writes to no TX
/// buffer.
pub const MIN_FRAME_LEN: usize = 60;
/// Bytes of the longest frame that the NIC is to cut.
pub const MAX_SEGMENTED_LEN: usize = 65_535;

/// Reason why sizes and places make no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// That number of entries is no power of two, or too large.
    Entries(u32),
    /// That length of a buffer is no power of two, or out of range.
    BufferLen(u32),
    /// An area does not begin or end at a page.
    OffPage(AreaName),
    /// An area is too short for what is in it.
    TooShort(AreaName),
    /// An area lies in another one.
    Overlap(AreaName),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(entries) => write!(f, "a ring cannot have {entries} entries"),
            Self::BufferLen(len) => write!(f, "a buffer cannot have {len} bytes"),
            Self::OffPage(name) => write!(f, "the area {name:?} does not begin and end at a page"),
            Self::TooShort(name) => write!(f, "the area {name:?} is too short"),
            Self::Overlap(name) => write!(f, "the area {name:?} lies in another one"),
        }
    }
}

impl Error for LayoutError {}

/// Reason why a client cannot map a range of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// It is empty, or does not begin at a page.
    OffPage,
    /// It is not all in one area.
    Outside,
    /// It is the driver's, and was to be writable.
    ReadOnly,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OffPage => "the range is empty or does not begin at a page",
            Self::Outside => "the range is not all in one area",
            Self::ReadOnly => "the area is the driver's and cannot be written to",
        })
    }
}

impl Error for MapError {}

/// One of the four areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaName {
    /// Words of the client, TX entries.
    Client,
    /// Buffers of frames to be sent; the NIC reads them.
    TxBuffers,
    /// Words of the driver, RX entries.
    Driver,
    /// Buffers of received frames.
    RxBuffers,
}

impl AreaName {
    /// All, in the order in which [`crate::setup::Answer`] has them.
    pub const ALL: [Self; 4] = [Self::Client, Self::TxBuffers, Self::Driver, Self::RxBuffers];

    /// Returns true if the client may map it for writing.
    pub const fn client_writes(self) -> bool {
        matches!(self, Self::Client | Self::TxBuffers)
    }
}

/// Place of an area in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// First byte.
    pub offset: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Place {
    const fn end(self) -> u64 {
        (self.offset as u64).saturating_add(self.len as u64)
    }
}

/// Sizes of both rings, and places of the areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    entries: u32,
    buffer_len: u32,
    places: [Place; 4],
}

impl Layout {
    /// 256 entries each way, buffers of 2 KiB; 1 MiB and 32 KiB in all.
    pub const DEFAULT: Self = Self {
        entries: 256,
        buffer_len: 2048,
        places: [
            Place {
                offset: 0,
                len: 16 << 10,
            },
            Place {
                offset: 1 << 20,
                len: 512 << 10,
            },
            Place {
                offset: 16 << 20,
                len: 16 << 10,
            },
            Place {
                offset: 17 << 20,
                len: 512 << 10,
            },
        ],
    };

    /// A layout of those sizes; places are in the order of [`AreaName::ALL`].
    ///
    /// # Errors
    ///
    /// When a size is no power of two or out of range, or an area is too short, off a page, or lies in another one.
    pub fn new(entries: u32, buffer_len: u32, places: [Place; 4]) -> Result<Self, LayoutError> {
        if !entries.is_power_of_two() || entries > MAX_ENTRIES {
            return Err(LayoutError::Entries(entries));
        }
        if !buffer_len.is_power_of_two() || !(64..=MAX_BUFFER_LEN).contains(&buffer_len) {
            return Err(LayoutError::BufferLen(buffer_len));
        }
        let layout = Self {
            entries,
            buffer_len,
            places,
        };
        for name in AreaName::ALL {
            let place = layout.place(name);
            if !place.offset.is_multiple_of(PAGE_LEN) || !place.len.is_multiple_of(PAGE_LEN) {
                return Err(LayoutError::OffPage(name));
            }
            if (place.len as usize) < layout.needed(name) {
                return Err(LayoutError::TooShort(name));
            }
            let overlaps = |other: &AreaName| {
                let other_place = layout.place(*other);
                *other != name
                    && u64::from(place.offset) < other_place.end()
                    && u64::from(other_place.offset) < place.end()
            };
            if AreaName::ALL.iter().any(overlaps) {
                return Err(LayoutError::Overlap(name));
            }
        }
        Ok(layout)
    }

    /// Entries of each ring, a power of two.
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// Bytes of each buffer.
    pub const fn buffer_len(&self) -> u32 {
        self.buffer_len
    }

    /// Place of an area.
    pub const fn place(&self, name: AreaName) -> Place {
        let [client, tx_buffers, driver, rx_buffers] = self.places;
        match name {
            AreaName::Client => client,
            AreaName::TxBuffers => tx_buffers,
            AreaName::Driver => driver,
            AreaName::RxBuffers => rx_buffers,
        }
    }

    /// Bytes that an area must have.
    const fn needed(&self, name: AreaName) -> usize {
        let entries = self.entries as usize;
        match name {
            AreaName::Client | AreaName::Driver => ENTRIES.saturating_add(entries.saturating_mul(ENTRY_LEN)),
            AreaName::TxBuffers | AreaName::RxBuffers => entries.saturating_mul(self.buffer_len as usize),
        }
    }

    /// Finds the area that a client wants to map, and the offset in it.
    ///
    /// # Errors
    ///
    /// When the range is empty, off a page, or not all in one area; or when it is to be writable and is the driver's.
    /// The driver also has to refuse private and executable mappings.
    pub fn locate(&self, offset: u64, len: usize, writable: bool) -> Result<(AreaName, usize), MapError> {
        let len = len as u64;
        if len == 0 || !offset.is_multiple_of(PAGE_LEN.into()) {
            return Err(MapError::OffPage);
        }
        for name in AreaName::ALL {
            let place = self.place(name);
            let Some(within) = offset.checked_sub(place.offset.into()) else {
                continue;
            };
            if within >= u64::from(place.len) {
                continue;
            }
            if within.checked_add(len).is_none_or(|end| end > place.len.into()) {
                return Err(MapError::Outside);
            }
            if writable && !name.client_writes() {
                return Err(MapError::ReadOnly);
            }
            return Ok((name, within as usize));
        }
        Err(MapError::Outside)
    }
}
