//! Answers of pcid (`DriverHandler::respond` in redox base, drivers/pcid/src/driver_handler.rs).

use super::codec::{Reader, Wire, Writer};
use super::{DecodeError, Feature, PciFunction};

/// One answer of pcid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The function decodes I/O and memory accesses and may master the bus.
    EnabledDevice,
    /// The function.
    Config(PciFunction),
    /// The interrupt features of the function.
    AllFeatures(Vec<Feature>),
    /// The vendor-specific capabilities: of each the bytes behind its 3-byte header.
    VendorCapabilities(Vec<Vec<u8>>),
    /// The feature is on.
    FeatureEnabled(Feature),
    /// State of a feature. In the protocol, but not sent by any known pcid.
    FeatureStatus(Feature, FeatureStatus),
    /// The request could not be executed.
    Error(PcidError),
    /// The parameters of a feature.
    FeatureInfo(FeatureInfo),
    /// The feature is programmed.
    SetFeatureInfo(Feature),
    /// The 32 bits read.
    ReadConfig(u32),
    /// The 32 bits are written.
    WriteConfig,
}

impl Response {
    /// The bytes of the answer, without its length prefix (see [`frame`](super::frame)).
    pub fn encode(&self) -> Vec<u8> {
        self.to_bytes()
    }

    /// The answer that `bytes` start with (without a length prefix).
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if they start with none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes))
    }

    /// The answer's name in the protocol, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EnabledDevice => "EnabledDevice",
            Self::Config(_) => "Config",
            Self::AllFeatures(_) => "AllFeatures",
            Self::VendorCapabilities(_) => "VendorCapabilities",
            Self::FeatureEnabled(_) => "FeatureEnabled",
            Self::FeatureStatus(..) => "FeatureStatus",
            Self::Error(_) => "Error",
            Self::FeatureInfo(_) => "FeatureInfo",
            Self::SetFeatureInfo(_) => "SetFeatureInfo",
            Self::ReadConfig(_) => "ReadConfig",
            Self::WriteConfig => "WriteConfig",
        }
    }
}

impl Wire for Response {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::EnabledDevice => out.u32(0),
            Self::Config(function) => {
                out.u32(1);
                function.write(out);
            }
            Self::AllFeatures(features) => {
                out.u32(2);
                out.count(features.len());
                features.iter().for_each(|feature| feature.write(out));
            }
            Self::VendorCapabilities(capabilities) => {
                out.u32(3);
                out.count(capabilities.len());
                capabilities.iter().for_each(|body| out.bytes(body));
            }
            Self::FeatureEnabled(feature) => {
                out.u32(4);
                feature.write(out);
            }
            Self::FeatureStatus(feature, status) => {
                out.u32(5);
                feature.write(out);
                status.write(out);
            }
            Self::Error(error) => {
                out.u32(6);
                error.write(out);
            }
            Self::FeatureInfo(info) => {
                out.u32(7);
                info.write(out);
            }
            Self::SetFeatureInfo(feature) => {
                out.u32(8);
                feature.write(out);
            }
            Self::ReadConfig(value) => {
                out.u32(9);
                out.u32(*value);
            }
            Self::WriteConfig => out.u32(10),
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u32("response")? {
            0 => Self::EnabledDevice,
            1 => Self::Config(PciFunction::read(input)?),
            2 => Self::AllFeatures(input.list("features", 4, Feature::read)?),
            3 => Self::VendorCapabilities(
                input.list("vendor capabilities", 8, |input| input.bytes("vendor capability"))?,
            ),
            4 => Self::FeatureEnabled(Feature::read(input)?),
            5 => Self::FeatureStatus(Feature::read(input)?, FeatureStatus::read(input)?),
            6 => Self::Error(PcidError::read(input)?),
            7 => Self::FeatureInfo(FeatureInfo::read(input)?),
            8 => Self::SetFeatureInfo(Feature::read(input)?),
            9 => Self::ReadConfig(input.u32("configuration value")?),
            10 => Self::WriteConfig,
            value => {
                return Err(DecodeError::UnknownDiscriminant {
                    field: "response",
                    value,
                });
            }
        })
    }
}

/// State of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureStatus {
    /// On.
    Enabled,
    /// Off.
    Disabled,
}

impl Wire for FeatureStatus {
    fn write(&self, out: &mut Writer) {
        out.u32(match self {
            Self::Enabled => 0,
            Self::Disabled => 1,
        });
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u32("feature status")? {
            0 => Ok(Self::Enabled),
            1 => Ok(Self::Disabled),
            value => Err(DecodeError::UnknownDiscriminant {
                field: "feature status",
                value,
            }),
        }
    }
}

/// pcid's reason not to execute a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcidError {
    /// The function has no such capability.
    #[error("the function has no {0} capability")]
    NonexistentFeature(Feature),
    /// The capability cannot hold the setting.
    #[error("the capability cannot hold this setting")]
    InvalidBitPattern,
}

impl Wire for PcidError {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::NonexistentFeature(feature) => {
                out.u32(0);
                feature.write(out);
            }
            Self::InvalidBitPattern => out.u32(1),
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u32("error")? {
            0 => Ok(Self::NonexistentFeature(Feature::read(input)?)),
            1 => Ok(Self::InvalidBitPattern),
            value => Err(DecodeError::UnknownDiscriminant {
                field: "error",
                value,
            }),
        }
    }
}

/// The parameters of a feature.
///
/// On the wire the feature stands before its description a second time; a message in which the two differ is
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureInfo {
    /// Of MSI.
    Msi(MsiInfo),
    /// Of MSI-X.
    MsiX(MsiXInfo),
}

/// The MSI capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiInfo {
    /// Binary logarithm of the number of messages the function asks for.
    pub log2_multiple_message_capable: u8,
    /// True if the message address may be above 4 GiB.
    pub is_64_bit: bool,
    /// True if vectors can be masked one by one.
    pub has_per_vector_masking: bool,
}

/// Places of the MSI-X tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiXInfo {
    /// Index of the BAR with the vector table.
    pub table_bar: u8,
    /// Byte offset of the vector table in that BAR.
    pub table_offset: u32,
    /// Number of vectors (the number itself, unlike in the capability, which holds one less); 16 bytes each.
    pub table_size: u16,
    /// Index of the BAR with the pending bits.
    pub pba_bar: u8,
    /// Byte offset of the pending bits in that BAR.
    pub pba_offset: u32,
}

impl FeatureInfo {
    /// The feature that this describes.
    pub fn feature(&self) -> Feature {
        match self {
            Self::Msi(_) => Feature::Msi,
            Self::MsiX(_) => Feature::MsiX,
        }
    }
}

impl Wire for FeatureInfo {
    fn write(&self, out: &mut Writer) {
        // Once as the feature asked about, once as the kind of the description.
        self.feature().write(out);
        self.feature().write(out);
        match self {
            Self::Msi(info) => {
                out.u8(info.log2_multiple_message_capable);
                out.bool(info.is_64_bit);
                out.bool(info.has_per_vector_masking);
            }
            Self::MsiX(info) => {
                out.u8(info.table_bar);
                out.u32(info.table_offset);
                out.u16(info.table_size);
                out.u8(info.pba_bar);
                out.u32(info.pba_offset);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let named = Feature::read(input)?;
        let described = Feature::read(input)?;
        if named != described {
            return Err(DecodeError::FeatureMismatch { named, described });
        }
        Ok(match described {
            Feature::Msi => Self::Msi(MsiInfo {
                log2_multiple_message_capable: input.u8("MSI message count")?,
                is_64_bit: input.bool("MSI 64-bit flag")?,
                has_per_vector_masking: input.bool("MSI per-vector masking flag")?,
            }),
            Feature::MsiX => Self::MsiX(MsiXInfo {
                table_bar: input.u8("MSI-X table BAR")?,
                table_offset: input.u32("MSI-X table offset")?,
                table_size: input.u16("MSI-X table size")?,
                pba_bar: input.u8("MSI-X pending bits BAR")?,
                pba_offset: input.u32("MSI-X pending bits offset")?,
            }),
        })
    }
}
