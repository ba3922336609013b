//! Message interrupts: MSI and MSI-X, on x86.
//!
//! A vector is reserved in the kernel's irq scheme; the device raises it by writing a number to an address of the
//! processor's local APIC. Unlike a line it is never masked and must not be acknowledged: writing the handle back
//! may unmask an unrelated IOAPIC pin (kernel, `kwrite` in src/scheme/irq.rs). Reading it is not needed either, the
//! event says all. The kernel never frees a vector, so each attempt costs one of about two hundred.

mod msi_x;
#[cfg(test)]
mod tests;

use libredox::Fd;
use libredox::error::Error;
use libredox::flag::{O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR};

use crate::bar::BarError;
use crate::channel::{Channel, ChannelError};
use crate::handle::Handle;
use crate::protocol::{Feature, MsiMessage, SetFeature};

pub use msi_x::MsiX;

/// Vectors of a processor that may be free: numbers of the irq scheme from here ...
const FIRST_NUMBER: u8 = 16;
/// ... to here, exclusive.
const NUMBERS_END: u8 = 224;
/// Vector of number 0; the first 32 are the processor's exceptions.
const FIRST_VECTOR: u8 = 32;
/// Address at which local APICs take messages (Intel SDM volume 3, 11.11.1); bits 19:12 are the APIC's id.
const APIC_BASE: u64 = 0xFEE0_0000;
/// Message interrupts that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The function does not have the feature, or this machine no vectors.
    #[error("not offered")]
    NotOffered,
    /// The boot processor's APIC id could not be read.
    #[error("the boot processor is unknown: {0}")]
    Processor(Error),
    /// The kernel gave something else than the boot processor's APIC id.
    #[error("the boot processor is unknown: {length} bytes instead of an id")]
    ProcessorLength {
        /// Bytes read.
        length: usize,
    },
    /// The boot processor's APIC id does not fit a message: more than 8 bits.
    #[error("the boot processor's APIC id {0} does not fit a message")]
    ProcessorId(u64),
    /// Every vector is taken.
    #[error("no interrupt vector is free")]
    NoVector,
    /// The irq scheme refused a vector for another reason than that it is taken.
    #[error("cannot reserve an interrupt vector: {0}")]
    Reserve(Error),
    /// pcid refused.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The capability was switched on in part, and cannot be switched off: the function raises no other interrupts now.
    #[error("{reason}; and it stays switched on: {error}")]
    StaysOn {
        /// The reason why it is of no use.
        reason: ChannelError,
        /// The reason why it stays on.
        error: ChannelError,
    },
    /// The BAR with the MSI-X table could not be mapped.
    #[error("the MSI-X table cannot be mapped: {0}")]
    Table(#[from] BarError),
    /// The device says that its table or pending bits lie outside of their BAR.
    #[error("the MSI-X {what} leaves BAR {bar}")]
    OutsideBar {
        /// Table or pending bits.
        what: &'static str,
        /// The BAR.
        bar: u8,
    },
}

/// A vector that was reserved: its handle is readable at each interrupt.
pub struct MessageVector {
    fd: Fd,
    message: MsiMessage,
}

impl MessageVector {
    /// Reserves any free vector of the boot processor, the only one that the kernel delivers to.
    ///
    /// # Errors
    ///
    /// [`MessageError`]; nothing is reserved then.
    pub fn reserve() -> Result<Self, MessageError> {
        let apic = boot_processor()?;
        for number in FIRST_NUMBER..NUMBERS_END {
            let path = format!("/scheme/irq/cpu-{apic:02x}/{number}");
            match Fd::open(&path, O_CREAT | O_RDWR | O_CLOEXEC, 0) {
                Ok(fd) => {
                    return Ok(Self {
                        fd,
                        message: message(apic, number),
                    });
                }
                // Taken by somebody.
                Err(error) if error.errno() == libredox::errno::EEXIST => {}
                Err(error) => return Err(MessageError::Reserve(error)),
            }
        }
        Err(MessageError::NoVector)
    }

    /// The descriptor's number, for an event queue.
    pub fn fd(&self) -> usize {
        self.fd.raw()
    }

    /// Address and data of the device's write.
    pub fn message(&self) -> MsiMessage {
        self.message
    }
}

/// The message that raises vector `number` + 32: fixed delivery, edge, no redirection.
fn message(apic: u8, number: u8) -> MsiMessage {
    MsiMessage {
        address: APIC_BASE | u64::from(apic) << 12,
        data: u32::from(number) + u32::from(FIRST_VECTOR),
    }
}

fn boot_processor() -> Result<u8, MessageError> {
    let file = Fd::open("/scheme/irq/bsp", O_RDONLY | O_CLOEXEC, 0).map_err(MessageError::Processor)?;
    let mut id = [0; 8];
    let length = file.read(&mut id).map_err(MessageError::Processor)?;
    if length < 4 {
        return Err(MessageError::ProcessorLength { length });
    }
    let id = u64::from_le_bytes(id);
    u8::try_from(id).map_err(|_| MessageError::ProcessorId(id))
}

/// Returns true if this machine's processors take message interrupts in a form that this module knows.
const fn has_local_apic() -> bool {
    cfg!(any(target_arch = "x86", target_arch = "x86_64"))
}

/// One vector by MSI.
///
/// # Errors
///
/// [`MessageError::NotOffered`] if the function has no MSI; the others if the machine refuses something.
pub fn enable_msi(channel: &Channel) -> Result<MessageVector, MessageError> {
    if !has_local_apic() || !channel.features()?.contains(&Feature::Msi) {
        return Err(MessageError::NotOffered);
    }
    let vector = MessageVector::reserve()?;
    channel.set_feature_info(SetFeature::Msi {
        multi_message_enable: Some(0),
        address_and_data: Some(vector.message()),
        mask_bits: None,
    })?;
    switch_on(channel, Feature::Msi, None)?;
    Ok(vector)
}

/// Turns a feature on and then sets it; turns it off again if either fails: a function with MSI or MSI-X on does not
/// drive its line (PCI Local Bus Specification 3.0, 6.8.2.1).
fn switch_on<H: Handle>(
    channel: &Channel<H>,
    feature: Feature,
    setting: Option<SetFeature>,
) -> Result<(), MessageError> {
    let set = |setting| channel.set_feature_info(setting);
    let on = channel
        .enable_feature(feature)
        .and_then(|()| setting.map_or(Ok(()), set));
    on.map_err(|reason| match switch_off(channel) {
        Ok(()) => MessageError::Channel(reason),
        Err(error) => MessageError::StaysOn { reason, error },
    })
}

/// Turns MSI and MSI-X off. pcid does so when it enables a function (`enable_function` in redox base,
/// drivers/pcid/src/main.rs), and has no other request for it.
///
/// # Errors
///
/// [`ChannelError`]; they may be on then.
pub fn switch_off<H: Handle>(channel: &Channel<H>) -> Result<(), ChannelError> {
    channel.enable_device()
}
