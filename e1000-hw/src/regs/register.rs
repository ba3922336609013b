//! One register, or an array of registers: an entry of [`REGISTERS`](super::REGISTERS).

use super::VFTA_REGISTERS;
use crate::chip::{Chip, MacTypes};

/// Effect of reading and writing a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Cleared by reading.
    ReadClear,
    /// Cleared by reading; writing ones clears as well.
    ReadClearWriteOneClear,
    /// Writing ones sets bits.
    WriteOneSet,
    /// Writing ones clears bits of another register.
    WriteOneClear,
    /// Reading takes a semaphore.
    ReadTakes,
}

impl Access {
    /// Returns whether reading clears the register.
    pub const fn clears_on_read(self) -> bool {
        matches!(self, Self::ReadClear | Self::ReadClearWriteOneClear)
    }

    /// Returns whether reading changes nothing.
    pub const fn is_harmless_to_read(self) -> bool {
        !self.clears_on_read() && !matches!(self, Self::ReadTakes)
    }
}

/// Number of registers of one kind, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Array {
    /// One.
    No,
    /// Halves of receive addresses, 8 bytes apart: [`crate::chip::Limits::receive_addresses`].
    ReceiveAddresses,
    /// The multicast table: [`crate::chip::Limits::mta_registers`].
    Multicast,
    /// The VLAN table.
    Vlans,
    /// One for each MSI-X vector of 82574.
    Vectors,
}

/// Part of the self-test that a register has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternTest {
    /// Types on which it is tested.
    types: MacTypes,
    /// Bits that keep what is written. No other is ever written as one.
    pub mask: u32,
    /// QEMU's `e1000` does not have the register: it reads as zero there (`macreg_writeops` in `hw/net/e1000.c`).
    pub may_be_absent: bool,
}

/// One register, or an array of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Register {
    /// Intel's name.
    pub name: &'static str,
    /// Byte offset of the first into BAR 0.
    pub offset: u32,
    /// Effect of reading and writing.
    pub access: Access,
    types: MacTypes,
    array: Array,
    pub(super) dump_name: Option<&'static str>,
    test: Option<PatternTest>,
}

impl Register {
    pub(super) const fn new(name: &'static str, offset: u32, access: Access, types: MacTypes) -> Self {
        Self {
            name,
            offset,
            access,
            types,
            array: Array::No,
            dump_name: None,
            test: None,
        }
    }

    /// Has it in a dump.
    pub(super) const fn dumped(self) -> Self {
        let name = self.name;
        self.dumped_as(name)
    }

    /// Has the first of an array in a dump, under this name.
    pub(super) const fn dumped_as(mut self, name: &'static str) -> Self {
        self.dump_name = Some(name);
        self
    }

    /// Has the self-test write patterns to these bits.
    pub(super) const fn tested(self, mask: u32) -> Self {
        let types = self.types;
        self.tested_on(types, mask)
    }

    /// As [`Self::tested`], but not on all parts that have it.
    pub(super) const fn tested_on(mut self, types: MacTypes, mask: u32) -> Self {
        self.test = Some(PatternTest {
            types,
            mask,
            may_be_absent: false,
        });
        self
    }

    /// As [`Self::tested`]; the register may be absent.
    pub(super) const fn tested_if_present(mut self, mask: u32) -> Self {
        self.test = Some(PatternTest {
            types: self.types,
            mask,
            may_be_absent: true,
        });
        self
    }

    /// Makes it the first of an array.
    pub(super) const fn array(mut self, array: Array) -> Self {
        self.array = array;
        self
    }

    /// Returns whether this part has the register.
    pub const fn is_on(&self, chip: &Chip) -> bool {
        self.types.contains(chip.limits.mac)
    }

    /// Returns how the self-test tests it on this part.
    pub fn pattern_test(&self, chip: &Chip) -> Option<PatternTest> {
        self.test
            .filter(|test| self.is_on(chip) && test.types.contains(chip.limits.mac))
    }

    /// Offsets of the register, or of each of the array, that a driver may use on this part.
    pub fn offsets(&self, chip: &Chip) -> impl Iterator<Item = u32> {
        let (count, stride) = match self.array {
            Array::No => (1, 4),
            Array::ReceiveAddresses => (chip.limits.receive_addresses, 8),
            Array::Multicast => (chip.limits.mta_registers, 4),
            Array::Vlans => (VFTA_REGISTERS, 4),
            Array::Vectors => (5, 4),
        };
        let first = self.offset;
        (0..count).map(move |n| first + stride * n)
    }
}
