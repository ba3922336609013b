//! The client's end of the channel to pcid.

use std::sync::atomic::{AtomicBool, Ordering};

use libredox::Fd;

use crate::handle::{Handle, uninterrupted};
use crate::protocol::{
    DecodeError, FRAME_PREFIX, Feature, FeatureInfo, PciFunction, PcidError, Request, Response, SetFeature,
    frame_length,
};

/// Byte offset in configuration space of the command register (low half) and the status register (high half).
pub const COMMAND: u16 = 0x04;
/// The command register's share of those 32 bits.
const COMMAND_MASK: u32 = 0xffff;
/// Command register: the function may master the bus.
pub const COMMAND_BUS_MASTER: u32 = 1 << 2;

/// First byte offset of extended configuration space.
const CONFIG_END: u16 = 0x100;

/// A request over the channel that failed.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// pcid would end at such an offset (see [`Request::ReadConfig`]); nothing has been sent.
    #[error("configuration offset {offset:#x} is not a multiple of 4 below 0x100")]
    BadOffset {
        /// The byte offset asked for.
        offset: u16,
    },
    /// Another thread, or who was interrupted by a panic, waits for an answer; nothing has been sent.
    #[error("an earlier request to pcid has not been answered")]
    Busy,
    /// pcid did not take the request.
    #[error("cannot send {request} to pcid: {error}")]
    Write {
        /// The request.
        request: &'static str,
        /// The error of the write.
        error: libredox::error::Error,
    },
    /// pcid took a part of the request. It understands requests only whole.
    #[error("pcid took {written} of the {length} bytes of {request}")]
    ShortWrite {
        /// The request.
        request: &'static str,
        /// Bytes taken.
        written: usize,
        /// Bytes of the request.
        length: usize,
    },
    /// The answer could not be read.
    #[error("cannot read pcid's answer to {request}: {error}")]
    Read {
        /// The request.
        request: &'static str,
        /// The error of the read.
        error: libredox::error::Error,
    },
    /// The channel ended before the answer did.
    #[error("pcid's answer to {request} ends after {received} of {length} bytes")]
    EndOfFile {
        /// The request.
        request: &'static str,
        /// Bytes received, of the length prefix or of the body.
        received: usize,
        /// Bytes expected.
        length: usize,
    },
    /// The answer is not a message of the protocol: pcid probably speaks another version of it.
    #[error("cannot understand pcid's answer to {request}: {error}")]
    Decode {
        /// The request.
        request: &'static str,
        /// The defect.
        error: DecodeError,
    },
    /// pcid did not execute the request.
    #[error("pcid refused {request}: {error}")]
    Refused {
        /// The request.
        request: &'static str,
        /// The reason it gave.
        error: PcidError,
    },
    /// The answer belongs to another request, or to another feature.
    #[error("pcid answered {request} with {}", response.name())]
    Unexpected {
        /// The request.
        request: &'static str,
        /// The answer.
        response: Box<Response>,
    },
}

/// The channel to pcid: one function's configuration.
///
/// Requests and answers alternate strictly, and an answer that was not read completely spoils the next request
/// (`read_channel` and `write_channel` in redox base, drivers/pcid/src/scheme.rs). So after a failed read or an
/// answer of impossible length the channel is of no more use, and a request while another one waits for its answer is
/// refused ([`ChannelError::Busy`]).
///
/// Errors carry their causes in their messages: one line says it all.
///
/// The channel is closed when this is dropped. pcid then offers the function to other drivers; it does not
/// take bus mastering from it (`on_close`, in the same file).
pub struct Channel<H = Fd> {
    handle: H,
    /// A request was sent and its answer not read.
    waiting: AtomicBool,
}

impl Channel {
    /// The channel behind the descriptor that pcid-spawner named in the environment; takes ownership of it.
    pub fn from_raw(fd: usize) -> Self {
        Self::from_handle(Fd::new(fd))
    }

    /// The descriptor's number, for as long as this lives.
    pub fn fd(&self) -> usize {
        self.handle.raw()
    }
}

impl<H: Handle> Channel<H> {
    /// A channel over any handle.
    pub fn from_handle(handle: H) -> Self {
        Self {
            handle,
            waiting: AtomicBool::new(false),
        }
    }

    /// The handle.
    #[cfg(test)]
    pub(crate) fn handle(&self) -> &H {
        &self.handle
    }

    /// Sends a request and waits for the answer, whatever it is.
    ///
    /// # Errors
    ///
    /// [`ChannelError`], but never `Refused` or `Unexpected`.
    pub fn request(&self, request: &Request) -> Result<Response, ChannelError> {
        // Checked here, so that no way leads past it: see `Request::ReadConfig`.
        if let Request::ReadConfig(offset) | Request::WriteConfig { offset, .. } = *request
            && !(offset.is_multiple_of(4) && offset < CONFIG_END)
        {
            return Err(ChannelError::BadOffset { offset });
        }
        if self.waiting.swap(true, Ordering::Acquire) {
            return Err(ChannelError::Busy);
        }
        let response = self.exchange(request);
        self.waiting.store(false, Ordering::Release);
        response
    }

    fn exchange(&self, request: &Request) -> Result<Response, ChannelError> {
        let name = request.name();
        self.send(name, &request.encode())?;

        let mut prefix = [0; FRAME_PREFIX];
        self.receive(name, &mut prefix)?;
        let length = frame_length(prefix).map_err(|error| ChannelError::Decode { request: name, error })?;
        let mut body = vec![0; length];
        self.receive(name, &mut body)?;
        Response::decode(&body).map_err(|error| ChannelError::Decode { request: name, error })
    }

    /// The function: address, BARs, interrupt, ids.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]
    pub fn config(&self) -> Result<PciFunction, ChannelError> {
        self.ask(&Request::RequestConfig, |response| match response {
            Response::Config(function) => Ok(function),
            other => Err(other.into()),
        })
    }

    /// Enables I/O and memory decoding and bus mastering; disables MSI and MSI-X.
    ///
    /// pcid-spawner does so before it starts a driver.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]
    pub fn enable_device(&self) -> Result<(), ChannelError> {
        self.ask(&Request::EnableDevice, |response| match response {
            Response::EnabledDevice => Ok(()),
            other => Err(other.into()),
        })
    }

    /// Reads 32 bits of configuration space at a byte offset.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; `BadOffset` unless the offset is a multiple of 4 below 0x100.
    pub fn read_config(&self, offset: u16) -> Result<u32, ChannelError> {
        self.ask(&Request::ReadConfig(offset), |response| match response {
            Response::ReadConfig(value) => Ok(value),
            other => Err(other.into()),
        })
    }

    /// Writes 32 bits of configuration space at a byte offset.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; `BadOffset` unless the offset is a multiple of 4 below 0x100.
    pub fn write_config(&self, offset: u16, value: u32) -> Result<(), ChannelError> {
        self.ask(
            &Request::WriteConfig { offset, value },
            |response| match response {
                Response::WriteConfig => Ok(()),
                other => Err(other.into()),
            },
        )
    }

    /// Allows the function to master the bus, or forbids it; forbidden, it neither reads nor writes memory
    /// and signals no message interrupts.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]
    pub fn set_bus_master(&self, on: bool) -> Result<(), ChannelError> {
        // The status half is written as zero: its bits are cleared by writing ones.
        let command = self.read_config(COMMAND)? & COMMAND_MASK & !COMMAND_BUS_MASTER;
        self.write_config(COMMAND, command | if on { COMMAND_BUS_MASTER } else { 0 })
    }

    /// The interrupt features in the function's capability list.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]
    pub fn features(&self) -> Result<Vec<Feature>, ChannelError> {
        self.ask(&Request::RequestFeatures, |response| match response {
            Response::AllFeatures(features) => Ok(features),
            other => Err(other.into()),
        })
    }

    /// The vendor-specific capabilities: of each the bytes behind its 3-byte header.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]
    pub fn vendor_capabilities(&self) -> Result<Vec<Vec<u8>>, ChannelError> {
        self.ask(&Request::RequestVendorCapabilities, |response| match response {
            Response::VendorCapabilities(capabilities) => Ok(capabilities),
            other => Err(other.into()),
        })
    }

    /// The parameters of a feature.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; `Refused` if the function does not have it.
    pub fn feature_info(&self, feature: Feature) -> Result<FeatureInfo, ChannelError> {
        self.ask(&Request::FeatureInfo(feature), |response| match response {
            Response::FeatureInfo(info) if info.feature() == feature => Ok(info),
            other => Err(other.into()),
        })
    }

    /// Turns a feature on, after turning the other one off.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; `Refused` if the function does not have it.
    pub fn enable_feature(&self, feature: Feature) -> Result<(), ChannelError> {
        self.ask(&Request::EnableFeature(feature), |response| match response {
            Response::FeatureEnabled(enabled) if enabled == feature => Ok(()),
            other => Err(other.into()),
        })
    }

    /// Programs a feature.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; `Refused` if the function does not have it or cannot hold the setting.
    pub fn set_feature_info(&self, info: SetFeature) -> Result<(), ChannelError> {
        self.ask(&Request::SetFeatureInfo(info), |response| match response {
            Response::SetFeatureInfo(set) if set == info.feature() => Ok(()),
            other => Err(other.into()),
        })
    }

    /// Sends a request whose answer `select` takes or gives back.
    fn ask<T>(
        &self,
        request: &Request,
        select: impl FnOnce(Response) -> Result<T, Box<Response>>,
    ) -> Result<T, ChannelError> {
        let name = request.name();
        select(self.request(request)?).map_err(|response| match *response {
            Response::Error(error) => ChannelError::Refused { request: name, error },
            _ => ChannelError::Unexpected {
                request: name,
                response,
            },
        })
    }

    /// Writes a request, in one piece.
    fn send(&self, request: &'static str, bytes: &[u8]) -> Result<(), ChannelError> {
        let written = uninterrupted(|| self.handle.write(bytes))
            .map_err(|error| ChannelError::Write { request, error })?;
        if written == bytes.len() {
            Ok(())
        } else {
            Err(ChannelError::ShortWrite {
                request,
                written,
                length: bytes.len(),
            })
        }
    }

    /// Fills `buffer`, in as many pieces as pcid gives it.
    fn receive(&self, request: &'static str, buffer: &mut [u8]) -> Result<(), ChannelError> {
        let length = buffer.len();
        let mut received = 0;
        while let Some(rest) = buffer.get_mut(received..)
            && !rest.is_empty()
        {
            match uninterrupted(|| self.handle.read(rest)) {
                Ok(0) => {
                    return Err(ChannelError::EndOfFile {
                        request,
                        received,
                        length,
                    });
                }
                Ok(count) => received = received.saturating_add(count),
                Err(error) => return Err(ChannelError::Read { request, error }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
