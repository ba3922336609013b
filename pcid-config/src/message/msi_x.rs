//! MSI-X: a table of messages in one of the function's BARs.

use std::ptr::NonNull;

use super::{MessageError, MessageVector, has_local_apic, switch_on};
use crate::bar::MappedBar;
use crate::channel::Channel;
use crate::protocol::{Feature, FeatureInfo, MsiMessage, MsiXInfo, PciFunction, SetFeature};

/// Bytes of an entry of the table: address, data, vector control.
const ENTRY_LEN: u64 = 16;
/// Vector control: masked.
const ENTRY_MASKED: u32 = 1;

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
    /// or the device refuses something.
    pub fn enable(
        channel: &Channel,
        function: &PciFunction,
        choose: impl FnOnce(u16) -> u16,
    ) -> Result<Self, MessageError> {
        if !has_local_apic() || !channel.features()?.contains(&Feature::MsiX) {
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
        // takes aligned 32-bit writes (PCI Local Bus Specification 3.0, 6.8.2).
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
    use crate::protocol::{Bar, PciAddress, PciId};

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
}
