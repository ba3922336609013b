//! The call by which a client attaches, and the names of the files that belong to a ring.
//!
//! A call has metadata, three words of 64 bits, and a payload. [`Call::decode`] is the driver's side of it,
//! [`Request`] and [`Answer::decode`] the client's.

use core::error::Error;
use core::fmt;

use crate::features::Features;
use crate::layout::{AreaName, Layout, LayoutError, Place};

/// Name of the file, on the scheme of a NIC.
pub const FILE: &str = "ring";
/// Name for `dup` of the doorbell, the write end of a pipe.
pub const DOORBELL: &str = "doorbell";
/// Name for `dup` of the sign of life, the read end of a pipe: it ends when the driver does.
pub const ALIVE: &str = "alive";

/// Newest version of this protocol.
pub const VERSION: u32 = 1;

/// Verb of [`Call::Setup`].
const SETUP: u64 = 0;
/// Verb of [`Call::Kick`].
const KICK: u64 = 1;

/// Bytes of Setup's payload.
pub const PAYLOAD_LEN: usize = 64;
/// First word of the answer: "ring" in ASCII, the first letter in the lowest byte.
pub const MAGIC: u32 = 0x676e_6972;
/// Words of the payload.
const WORDS: usize = PAYLOAD_LEN / 4;

/// Reason why a call or its answer is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// No such verb.
    Verb(u64),
    /// Metadata or payload has another length.
    Len,
    /// Bytes that are to be zero are not.
    Reserved,
    /// It does not begin with the magic number.
    Magic,
    /// No version in common; this is the other end's.
    Version(u32),
    /// Features that were not asked for.
    Features(u64),
    /// Sizes or places that cannot be.
    Layout(LayoutError),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verb(verb) => write!(f, "verb {verb} is unknown"),
            Self::Len => f.write_str("metadata or payload has another length"),
            Self::Reserved => f.write_str("reserved bytes are not zero"),
            Self::Magic => f.write_str("that is no answer to Setup"),
            Self::Version(version) => write!(f, "version {version} is not spoken here"),
            Self::Features(bits) => write!(f, "features {bits:#x} were not asked for"),
            Self::Layout(error) => write!(f, "{error}"),
        }
    }
}

impl Error for SetupError {}

impl From<LayoutError> for SetupError {
    fn from(error: LayoutError) -> Self {
        Self::Layout(error)
    }
}

/// A call on the file, as the driver gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The client attaches; the payload is to be overwritten with [`Answer::encode`].
    Setup(Request),
    /// The doorbell, for clients without the pipe.
    Kick,
}

impl Call {
    /// Metadata of a kick, which has no payload.
    pub const KICK: [u64; 3] = [KICK, 0, 0];

    /// Reads a call.
    ///
    /// # Errors
    ///
    /// When it is not one of these, or is of version 0. A newer version is no error: the driver answers with its own.
    pub fn decode(metadata: &[u64], payload: &[u8]) -> Result<Self, SetupError> {
        let [verb, version, features] = *metadata.first_chunk().ok_or(SetupError::Len)?;
        match verb {
            SETUP if payload.len() != PAYLOAD_LEN => Err(SetupError::Len),
            SETUP if payload.iter().any(|byte| *byte != 0) => Err(SetupError::Reserved),
            SETUP => match u32::try_from(version) {
                Ok(version) if version > 0 => Ok(Self::Setup(Request {
                    version,
                    features: Features::from_bits(features),
                })),
                _ => Err(SetupError::Version(version as u32)),
            },
            KICK if !payload.is_empty() => Err(SetupError::Len),
            KICK => Ok(Self::Kick),
            _ => Err(SetupError::Verb(verb)),
        }
    }
}

/// A client's request to attach. Its payload is zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Newest version that the client speaks.
    pub version: u32,
    /// Features that it can make use of.
    pub features: Features,
}

impl Request {
    /// A request of this version.
    pub const fn new(features: Features) -> Self {
        let version = VERSION;
        Self { version, features }
    }

    /// Metadata of the call.
    pub const fn metadata(&self) -> [u64; 3] {
        [SETUP, self.version as u64, self.features.bits()]
    }

    /// Payload of the call, which the answer overwrites.
    pub const fn payload(&self) -> [u8; PAYLOAD_LEN] {
        [0; PAYLOAD_LEN]
    }
}

/// The driver's answer to [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Version that both speak from now on.
    pub version: u32,
    /// Features that both have.
    pub features: Features,
    /// Sizes and places.
    pub layout: Layout,
}

impl Answer {
    /// The answer to a request, of a driver that has those features.
    pub fn new(request: &Request, features: Features, layout: Layout) -> Self {
        Self {
            version: request.version.min(VERSION),
            features: request.features & features,
            layout,
        }
    }

    /// Bytes of the answer.
    pub fn encode(&self) -> [u8; PAYLOAD_LEN] {
        let features = self.features.bits();
        let [client, tx_buffers, driver, rx_buffers] = AreaName::ALL.map(|name| self.layout.place(name));
        let words: [u32; WORDS] = [
            MAGIC,
            self.version,
            features as u32,
            (features >> 32) as u32,
            self.layout.entries(),
            self.layout.buffer_len(),
            0,
            0,
            client.offset,
            client.len,
            tx_buffers.offset,
            tx_buffers.len,
            driver.offset,
            driver.len,
            rx_buffers.offset,
            rx_buffers.len,
        ];
        let mut bytes = [0; PAYLOAD_LEN];
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_ne_bytes();
        }
        bytes
    }

    /// Reads the answer to that request.
    ///
    /// # Errors
    ///
    /// When it is none, has a version or features that were not asked for, or sizes that cannot be.
    pub fn decode(bytes: &[u8; PAYLOAD_LEN], request: &Request) -> Result<Self, SetupError> {
        let mut words = [0; WORDS];
        for (to, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *to = u32::from_ne_bytes(*chunk);
        }
        let [magic, version, low, high, entries, buffer_len, _, _, places @ ..] = words;
        if magic != MAGIC {
            return Err(SetupError::Magic);
        }
        if version == 0 || version > request.version {
            return Err(SetupError::Version(version));
        }
        let features = Features::from_bits(u64::from(high) << 32 | u64::from(low));
        if !request.features.contains(features) {
            return Err(SetupError::Features(features.bits()));
        }
        let [a, b, c, d, e, f, g, h] = places;
        let places = [(a, b), (c, d), (e, f), (g, h)].map(|(offset, len)| Place { offset, len });
        let layout = Layout::new(entries, buffer_len, places)?;
        Ok(Self {
            version,
            features,
            layout,
        })
    }
}
