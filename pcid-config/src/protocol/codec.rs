//! Reading and writing bincode's primitives.

use super::feature::Feature;

/// Bytes that are not a message.
///
/// `field` names the part of the message that was being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error("the message ends in {field}: {needed} bytes needed, {available} left")]
    Truncated {
        /// The field that was being read.
        field: &'static str,
        /// Bytes that it takes.
        needed: usize,
        /// Bytes that were left.
        available: usize,
    },
    /// An enum's discriminant is none that this version of the protocol has.
    #[error("{field} is of the unknown kind {value}")]
    UnknownDiscriminant {
        /// The enum that was being read.
        field: &'static str,
        /// The discriminant found.
        value: u32,
    },
    /// A `bool`, or the byte before an `Option`, is neither 0 nor 1.
    #[error("{field} should start with 0 or 1, not with {value:#04x}")]
    InvalidTag {
        /// The field that was being read.
        field: &'static str,
        /// The byte found.
        value: u8,
    },
    /// A count announces more items than the message has bytes for.
    #[error("{field} announces {count} items, of which at most {limit} fit the message")]
    CountTooLarge {
        /// The list that was being read.
        field: &'static str,
        /// The count found.
        count: u64,
        /// The most items that the rest of the message can hold.
        limit: usize,
    },
    /// A number is outside of what its field can mean.
    #[error("{field} cannot be {value}")]
    OutOfRange {
        /// The field that was being read.
        field: &'static str,
        /// The number found.
        value: u64,
    },
    /// A description names one feature and describes another.
    #[error("a description of {described} where {named} is announced")]
    FeatureMismatch {
        /// The feature that the message names.
        named: Feature,
        /// The feature that the description is for.
        described: Feature,
    },
    /// The length before a response is above [`FRAME_LIMIT`](super::FRAME_LIMIT).
    #[error(
        "a response of {length} bytes is announced, {} are allowed",
        super::FRAME_LIMIT
    )]
    FrameTooLong {
        /// The length announced, in bytes.
        length: u64,
    },
}

/// A value with a place on the wire.
pub(super) trait Wire: Sized {
    /// Appends the value.
    fn write(&self, out: &mut Writer);
    /// Takes a value off the front.
    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The value alone, as bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.write(&mut out);
        out.bytes
    }
}

/// The message so far.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(super) fn count(&mut self, value: usize) {
        self.u64(value as u64);
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// The rest of a message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated {
            field,
            needed: N,
            available: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(*value)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_le_bytes)
    }

    pub(super) fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::InvalidTag { field, value }),
        }
    }

    pub(super) fn option<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool(field)? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The count before a list whose items take at least `item_size` bytes each; never more items than the
    /// rest of the message can hold, so that it is safe to allocate for them.
    fn count(&mut self, field: &'static str, item_size: usize) -> Result<usize, DecodeError> {
        let count = self.u64(field)?;
        let limit = self.rest.len().checked_div(item_size).unwrap_or(0);
        match usize::try_from(count) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(DecodeError::CountTooLarge { field, count, limit }),
        }
    }

    /// A list of items that take at least `item_size` bytes each.
    pub(super) fn list<T>(
        &mut self,
        field: &'static str,
        item_size: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count(field, item_size)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// A list of bytes.
    pub(super) fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, DecodeError> {
        let needed = self.count(field, 1)?;
        let (value, rest) = self.rest.split_at_checked(needed).ok_or(DecodeError::Truncated {
            field,
            needed,
            available: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(value.to_vec())
    }
}
