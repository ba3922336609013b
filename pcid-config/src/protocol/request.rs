//! Requests of a driver to pcid.

use super::codec::{DecodeError, Reader, Wire, Writer};
use super::feature::Feature;

/// One request of a driver.
///
/// pcid (`DriverHandler::respond` in redox base, drivers/pcid/src/driver_handler.rs) executes it before the `write`
/// returns, in its only thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Enable I/O and memory decoding and bus mastering; disable MSI and MSI-X.
    EnableDevice,
    /// Describe the function.
    RequestConfig,
    /// List the interrupt features of the function.
    RequestFeatures,
    /// Return the vendor-specific capabilities of the function.
    RequestVendorCapabilities,
    /// Turn a feature on. The other interrupt feature is turned off before.
    EnableFeature(Feature),
    /// Describe a feature.
    FeatureInfo(Feature),
    /// Program a feature.
    SetFeatureInfo(SetFeature),
    /// Read 32 bits of configuration space at this byte offset.
    ///
    /// pcid asserts that the offset is a multiple of 4 below 4096, and on machines without memory-mapped
    /// configuration space expects it to be below 256 (`Pcie::bus_addr_offset_in_dwords` in redox base,
    /// drivers/pcid/src/cfg_access/mod.rs, and `Pci::address` in cfg_access/fallback.rs): any other offset ends
    /// *pcid*.
    ReadConfig(u16),
    /// Write 32 bits of configuration space. The rules of [`ReadConfig`](Self::ReadConfig) apply.
    WriteConfig {
        /// Byte offset.
        offset: u16,
        /// All four bytes.
        value: u32,
    },
}

impl Request {
    /// The bytes of the request, to be written at once.
    pub fn encode(&self) -> Vec<u8> {
        self.to_bytes()
    }

    /// The request that `bytes` start with.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if they start with none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes))
    }

    /// The request's name in the protocol, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EnableDevice => "EnableDevice",
            Self::RequestConfig => "RequestConfig",
            Self::RequestFeatures => "RequestFeatures",
            Self::RequestVendorCapabilities => "RequestVendorCapabilities",
            Self::EnableFeature(_) => "EnableFeature",
            Self::FeatureInfo(_) => "FeatureInfo",
            Self::SetFeatureInfo(_) => "SetFeatureInfo",
            Self::ReadConfig(_) => "ReadConfig",
            Self::WriteConfig { .. } => "WriteConfig",
        }
    }
}

impl Wire for Request {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::EnableDevice => out.u32(0),
            Self::RequestConfig => out.u32(1),
            Self::RequestFeatures => out.u32(2),
            Self::RequestVendorCapabilities => out.u32(3),
            Self::EnableFeature(feature) => {
                out.u32(4);
                feature.write(out);
            }
            Self::FeatureInfo(feature) => {
                out.u32(5);
                feature.write(out);
            }
            Self::SetFeatureInfo(info) => {
                out.u32(6);
                info.write(out);
            }
            Self::ReadConfig(offset) => {
                out.u32(7);
                out.u16(*offset);
            }
            Self::WriteConfig { offset, value } => {
                out.u32(8);
                out.u16(*offset);
                out.u32(*value);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u32("request")? {
            0 => Self::EnableDevice,
            1 => Self::RequestConfig,
            2 => Self::RequestFeatures,
            3 => Self::RequestVendorCapabilities,
            4 => Self::EnableFeature(Feature::read(input)?),
            5 => Self::FeatureInfo(Feature::read(input)?),
            6 => Self::SetFeatureInfo(SetFeature::read(input)?),
            7 => Self::ReadConfig(input.u16("configuration offset")?),
            8 => Self::WriteConfig {
                offset: input.u16("configuration offset")?,
                value: input.u32("configuration value")?,
            },
            value => {
                return Err(DecodeError::UnknownDiscriminant {
                    field: "request",
                    value,
                });
            }
        })
    }
}

impl Wire for Feature {
    fn write(&self, out: &mut Writer) {
        out.u32(match self {
            Self::Msi => 0,
            Self::MsiX => 1,
        });
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u32("feature")? {
            0 => Ok(Self::Msi),
            1 => Ok(Self::MsiX),
            value => Err(DecodeError::UnknownDiscriminant {
                field: "feature",
                value,
            }),
        }
    }
}

/// The memory write that signals an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiMessage {
    /// Physical address written to; a multiple of 4.
    pub address: u64,
    /// Value written. The low `multi_message_enable` bits are 0.
    pub data: u32,
}

/// Programming of a feature. `None` leaves a setting as it is.
///
/// pcid answers [`InvalidBitPattern`](super::PcidError::InvalidBitPattern) to what the capability cannot
/// hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetFeature {
    /// Settings of the MSI capability.
    Msi {
        /// Binary logarithm of the number of messages the function may use.
        multi_message_enable: Option<u8>,
        /// The (first) message.
        address_and_data: Option<MsiMessage>,
        /// One bit a vector; 1 keeps it back.
        mask_bits: Option<u32>,
    },
    /// Settings of the MSI-X capability.
    MsiX {
        /// Keep back all vectors of the function.
        function_mask: Option<bool>,
    },
}

impl SetFeature {
    /// The feature that this programs.
    pub fn feature(&self) -> Feature {
        match self {
            Self::Msi { .. } => Feature::Msi,
            Self::MsiX { .. } => Feature::MsiX,
        }
    }
}

impl Wire for SetFeature {
    fn write(&self, out: &mut Writer) {
        self.feature().write(out);
        match *self {
            Self::Msi {
                multi_message_enable,
                address_and_data,
                mask_bits,
            } => {
                out.option(multi_message_enable, Writer::u8);
                out.option(address_and_data, |out, message| {
                    out.u64(message.address);
                    out.u32(message.data);
                });
                out.option(mask_bits, Writer::u32);
            }
            Self::MsiX { function_mask } => out.option(function_mask, Writer::bool),
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match Feature::read(input)? {
            Feature::Msi => Self::Msi {
                multi_message_enable: input.option("MSI multi-message enable", |input| {
                    input.u8("MSI multi-message enable")
                })?,
                address_and_data: input.option("MSI message", |input| {
                    Ok(MsiMessage {
                        address: input.u64("MSI message address")?,
                        data: input.u32("MSI message data")?,
                    })
                })?,
                mask_bits: input.option("MSI mask bits", |input| input.u32("MSI mask bits"))?,
            },
            Feature::MsiX => Self::MsiX {
                function_mask: input
                    .option("MSI-X function mask", |input| input.bool("MSI-X function mask"))?,
            },
        })
    }
}
