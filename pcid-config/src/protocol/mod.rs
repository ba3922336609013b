//! The messages between pcid and a driver, as types and as bytes.
//!
//! # Encoding
//!
//! pcid and its clients use bincode 1 in its legacy default form (`send` and `recv` in redox base,
//! drivers/pcid/src/driver_interface/mod.rs, where the messages are declared, too): little-endian, integers of fixed
//! width, a `u32` discriminant in declaration order before the fields of an enum, one byte 0 or 1 before an `Option`,
//! a `u64` count before the items of a `Vec`, `usize` as `u64` on every target, no padding. Bytes behind a message
//! are ignored.
//!
//! The protocol is private to redox base, has no version number and has changed before. Hence nothing is taken for
//! granted: every error is a [`DecodeError`] that names the field, and no memory is allocated for a count before as
//! many bytes are there.
//!
//! # Framing
//!
//! A request is written as it is, in one `write`. An answer is preceded by its length, 8 bytes little-endian
//! ([`frame`], [`frame_length`]), and may be read in pieces (`write_channel` and `read_channel` in redox base,
//! drivers/pcid/src/scheme.rs).
#![forbid(unsafe_code)]

mod codec;
mod feature;
mod function;
#[cfg(test)]
mod proptests;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use codec::DecodeError;
pub use feature::Feature;
pub use function::{Bar, LegacyInterrupt, PciAddress, PciFunction, PciId, PhandleInterrupt, Rom};
pub use request::{MsiMessage, Request, SetFeature};
pub use response::{FeatureInfo, FeatureStatus, MsiInfo, MsiXInfo, PcidError, Response};

/// Bytes of the length prefix before each response.
pub const FRAME_PREFIX: usize = 8;

/// Longest response body, in bytes, that a client accepts: the limit of Redox's own clients (`recv` in redox base,
/// drivers/pcid/src/driver_interface/mod.rs).
pub const FRAME_LIMIT: usize = 0x10_0000;

/// Precedes a response body with its length, as it goes over the channel.
///
/// A body longer than [`FRAME_LIMIT`] bytes is framed all the same; clients will refuse it.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(FRAME_PREFIX.saturating_add(body.len()));
    framed.extend_from_slice(&(body.len() as u64).to_le_bytes());
    framed.extend_from_slice(body);
    framed
}

/// Length in bytes of the response body that follows `prefix`.
///
/// # Errors
///
/// [`DecodeError::FrameTooLong`] above [`FRAME_LIMIT`].
pub fn frame_length(prefix: [u8; FRAME_PREFIX]) -> Result<usize, DecodeError> {
    let length = u64::from_le_bytes(prefix);
    match usize::try_from(length) {
        Ok(length) if length <= FRAME_LIMIT => Ok(length),
        _ => Err(DecodeError::FrameTooLong { length }),
    }
}
