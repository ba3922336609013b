//! Message interrupts: MSI and MSI-X, on x86.
//!
//! A vector is reserved in the kernel's irq scheme; the device raises it by writing a number to an address of the
//! processor's local APIC. Unlike a line it is never masked and must not be acknowledged: writing the handle back
//! may unmask an unrelated IOAPIC pin (kernel, src/scheme/irq.rs). Reading it is not needed either, the event says
//! all. The kernel never frees a vector, so each attempt costs one of about two hundred.

use std::ptr::NonNull;

use libredox::Fd;
use libredox::error::Error;
use libredox::flag::{O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR};

use crate::bar::{BarError, MappedBar};
use crate::channel::{Channel, ChannelError};
use crate::handle::Handle;
use crate::protocol::{Feature, FeatureInfo, MsiMessage, MsiXInfo, PciFunction, SetFeature};

/// Vectors of a processor that may be free: numbers of the irq scheme from here ...
const FIRST_NUMBER: u8 = 16;
/// ... to here, exclusive.
const NUMBERS_END: u8 = 224;
/// Vector of number 0; the first 32 are the processor's exceptions.
const FIRST_VECTOR: u8 = 32;
/// Where local APICs take messages (Intel SDM volume 3, 11.11.1); bits 19:12 are the APIC's id.
const APIC_BASE: u64 = 0xFEE0_0000;
/// Bytes of an entry of the MSI-X table: address, data, vector control.
const ENTRY_LEN: u64 = 16;
/// Vector control: masked.
const ENTRY_MASKED: u32 = 1;

/// Why message interrupts could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The function does not have the feature, or this machine no vectors.
    #[error("not offered")]
    NotOffered,
    /// The boot processor's APIC id could not be read, or does not fit a message.
    #[error("the boot processor is unknown: {0}")]
    Processor(String),
    /// Every vector is taken.
    #[error("no interrupt vector is free")]
    NoVector,
    /// The irq scheme refused a vector for another reason than that it is taken.
    #[error("cannot reserve an interrupt vector: {0}")]
    Reserve(Error),
    /// pcid refused.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// It was switched on in part, and cannot be switched off: the function raises no other interrupts now.
    #[error("{reason}; and it stays switched on: {error}")]
    StaysOn {
        /// Why it is of no use.
        reason: ChannelError,
        /// Why it stays on.
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

    /// What the device has to write where.
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
    let unknown = |reason: String| MessageError::Processor(reason);
    let file =
        Fd::open("/scheme/irq/bsp", O_RDONLY | O_CLOEXEC, 0).map_err(|error| unknown(error.to_string()))?;
    let mut id = [0; 8];
    let length = file.read(&mut id).map_err(|error| unknown(error.to_string()))?;
    if length < 4 {
        return Err(unknown(format!("{length} bytes instead of an id")));
    }
    let id = u64::from_le_bytes(id);
    u8::try_from(id).map_err(|_| unknown(format!("APIC id {id} does not fit a message")))
}

/// One vector by MSI.
///
/// # Errors
///
/// [`MessageError::NotOffered`] if the function has no MSI; the others if the machine does not play along.
pub fn enable_msi(channel: &Channel) -> Result<MessageVector, MessageError> {
    if !cfg!(any(target_arch = "x86", target_arch = "x86_64")) || !channel.features()?.contains(&Feature::Msi)
    {
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
/// drive its line (PCI 3.0, 6.8.2.1).
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

/// Turns MSI and MSI-X off. pcid does so when it enables a function, and has no other request for it.
///
/// # Errors
///
/// [`ChannelError`]; they may be on then.
pub fn switch_off<H: Handle>(channel: &Channel<H>) -> Result<(), ChannelError> {
    channel.enable_device()
}

/// MSI-X, with its table mapped: entry n raises vector n.
pub struct MsiX {
    vectors: Vec<MessageVector>,
    // The device reads the table for as long as it lives.
    _table: Table,
}

impl MsiX {
    /// Enables MSI-X with as many of the table's entries as `choose` wants, given how many there are; the others
    /// stay masked.
    ///
    /// # Errors
    ///
    /// [`MessageError::NotOffered`] if the function has no MSI-X or `choose` wants none; the others if the machine
    /// or the device does not play along.
    pub fn enable(
        channel: &Channel,
        function: &PciFunction,
        choose: impl FnOnce(u16) -> u16,
    ) -> Result<Self, MessageError> {
        if !cfg!(any(target_arch = "x86", target_arch = "x86_64"))
            || !channel.features()?.contains(&Feature::MsiX)
        {
            return Err(MessageError::NotOffered);
        }
        let FeatureInfo::MsiX(info) = channel.feature_info(Feature::MsiX)? else {
            return Err(MessageError::NotOffered);
        };
        let wanted = choose(info.table_size).min(info.table_size);
        if wanted == 0 {
            return Err(MessageError::NotOffered);
        }
        check(&info, function)?;
        let table = Table::map(channel, function, &info)?;
        for entry in 0..info.table_size {
            table.mask(entry);
        }
        let vectors = (0..wanted)
            .map(|_| MessageVector::reserve())
            .collect::<Result<Vec<_>, _>>()?;
        for (entry, vector) in (0..).zip(&vectors) {
            table.program(entry, vector.message());
        }
        let unmasked = SetFeature::MsiX {
            function_mask: Some(false),
        };
        switch_on(channel, Feature::MsiX, Some(unmasked))?;
        Ok(Self {
            vectors,
            _table: table,
        })
    }

    /// The vectors, in the order of the table's entries.
    pub fn vectors(&self) -> &[MessageVector] {
        &self.vectors
    }
}

/// Table and pending bits must lie inside of their BARs; one that ends with its BAR does.
fn check(info: &MsiXInfo, function: &PciFunction) -> Result<(), MessageError> {
    let entries = u64::from(info.table_size);
    let pending = entries.div_ceil(64) * 8;
    for (what, bar, offset, len) in [
        ("table", info.table_bar, info.table_offset, entries * ENTRY_LEN),
        ("pending bits", info.pba_bar, info.pba_offset, pending),
    ] {
        let size = function
            .bars
            .get(usize::from(bar))
            .and_then(|bar| bar.memory())
            .map_or(0, |(_, size)| size);
        if u64::from(offset) + len > size {
            return Err(MessageError::OutsideBar { what, bar });
        }
    }
    Ok(())
}

/// The MSI-X table in its BAR, mapped uncacheable.
struct Table {
    bar: MappedBar,
    offset: usize,
    entries: u16,
}

impl Table {
    /// Maps the table. `check` has passed.
    fn map(channel: &Channel, function: &PciFunction, info: &MsiXInfo) -> Result<Self, MessageError> {
        let outside = MessageError::OutsideBar {
            what: "table",
            bar: info.table_bar,
        };
        let end = u64::from(info.table_offset) + u64::from(info.table_size) * ENTRY_LEN;
        let Ok(end) = usize::try_from(end) else {
            return Err(outside);
        };
        let bar = MappedBar::map(channel, function, info.table_bar, end)?;
        if bar.len() < end || !info.table_offset.is_multiple_of(8) {
            return Err(outside);
        }
        Ok(Self {
            bar,
            offset: info.table_offset as usize,
            entries: info.table_size,
        })
    }

    /// Word `word`, 0 to 3, of an entry.
    fn word(&self, entry: u16, word: usize) -> Option<NonNull<u32>> {
        if entry >= self.entries || word > 3 {
            return None;
        }
        let offset = self.offset + usize::from(entry) * ENTRY_LEN as usize + word * 4;
        // SAFETY: the entry is one of `entries`, all of which `map` checked to end inside of the mapping.
        Some(unsafe { self.bar.base().add(offset) }.cast())
    }

    fn write(&self, entry: u16, word: usize, value: u32) {
        let Some(target) = self.word(entry, word) else {
            return;
        };
        // SAFETY: inside the mapping, and aligned: BARs are page aligned, the offset is a multiple of 8. The table
        // takes aligned 32-bit writes (PCI 3.0, 6.8.2).
        unsafe { target.write_volatile(value.to_le()) };
    }

    fn mask(&self, entry: u16) {
        self.write(entry, 3, ENTRY_MASKED);
    }

    /// Programs an entry, masked meanwhile, and unmasks it.
    fn program(&self, entry: u16, message: MsiMessage) {
        self.mask(entry);
        self.write(entry, 0, message.address as u32);
        self.write(entry, 1, (message.address >> 32) as u32);
        self.write(entry, 2, message.data);
        self.write(entry, 3, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::tests::{Requests, answering};
    use crate::protocol::{Bar, PciAddress, PciId, PcidError, Request, Response};

    fn function(size: u32) -> PciFunction {
        let mut bars = [Bar::None; 6];
        bars[3] = Bar::Memory32 {
            address: 0xFEBC_0000,
            size,
        };
        PciFunction {
            address: PciAddress {
                segment: 0,
                bus: 0,
                device: 3,
                function: 0,
            },
            bars,
            rom: None,
            legacy_interrupt: None,
            id: PciId {
                vendor: 0x8086,
                device: 0x10D3,
                class: 2,
                subclass: 0,
                prog_if: 0,
                revision: 0,
            },
        }
    }

    fn info(table_offset: u32, table_size: u16, pba_offset: u32) -> MsiXInfo {
        MsiXInfo {
            table_bar: 3,
            table_offset,
            table_size,
            pba_bar: 3,
            pba_offset,
        }
    }

    #[test]
    fn messages_name_processor_and_vector() {
        let message = message(2, 16);
        assert_eq!((message.address, message.data), (0xFEE0_2000, 48));
    }

    #[test]
    fn table_and_pending_bits_must_lie_in_their_bar() {
        let function = function(0x4000);
        assert!(check(&info(0, 5, 0x2000), &function).is_ok(), "the 82574");
        assert!(
            check(&info(0x4000 - 5 * 16, 5, 0x2000), &function).is_ok(),
            "ends with the BAR"
        );
        for bad in [
            info(0x4000 - 4 * 16, 5, 0x2000),
            info(0, 5, 0x4000 - 4),
            info(u32::MAX, 5, 0),
            info(0, u16::MAX, 0),
            MsiXInfo {
                table_bar: 2,
                ..info(0, 5, 0)
            },
            MsiXInfo {
                pba_bar: 9,
                ..info(0, 5, 0)
            },
        ] {
            assert!(
                matches!(check(&bad, &function), Err(MessageError::OutsideBar { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn message_interrupts_that_were_switched_on_in_part_are_switched_off() {
        let unmasked = SetFeature::MsiX {
            function_mask: Some(false),
        };
        let refused = || Response::Error(PcidError::InvalidBitPattern);
        let on = || Response::FeatureEnabled(Feature::MsiX);
        let off = Response::EnabledDevice;
        let asked = [
            Request::EnableFeature(Feature::MsiX),
            Request::SetFeatureInfo(unmasked.clone()),
            Request::EnableDevice,
        ];
        // The setting fails; so does pcid's answer to the switch itself.
        let channel = answering([on(), refused(), off.clone()]);
        let error = switch_on(&channel, Feature::MsiX, Some(unmasked.clone())).expect_err("refused");
        assert!(matches!(
            error,
            MessageError::Channel(ChannelError::Refused { .. })
        ));
        assert_eq!(channel.handle().requests(), asked);
        let channel = answering([Response::WriteConfig, off]);
        assert!(switch_on(&channel, Feature::MsiX, Some(unmasked.clone())).is_err());
        assert_eq!(channel.handle().requests(), [asked[0].clone(), asked[2].clone()]);
        // And when that fails, too, it is said.
        let channel = answering([on(), refused(), refused()]);
        let error = switch_on(&channel, Feature::MsiX, Some(unmasked.clone())).expect_err("refused");
        assert!(matches!(error, MessageError::StaysOn { .. }), "{error}");
        // What works stays on.
        let channel = answering([on(), Response::SetFeatureInfo(Feature::MsiX)]);
        assert!(switch_on(&channel, Feature::MsiX, Some(unmasked)).is_ok());
        assert_eq!(channel.handle().requests(), asked[..2]);
    }
}
