//! The description of one PCI function, `SubdriverArguments` in redox base, drivers/pcid/src/driver_interface/mod.rs.

use std::fmt;

use super::DecodeError;
use super::codec::{Reader, Wire, Writer};

/// One PCI function, as pcid found and configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciFunction {
    /// Its address.
    pub address: PciAddress,
    /// Its base address registers. The one behind a [`Bar::Memory64`] is [`Bar::None`].
    pub bars: [Bar; 6],
    /// Its expansion ROM.
    pub rom: Option<Rom>,
    /// Its interrupt line. `None` if its interrupt pin register is 0.
    pub legacy_interrupt: Option<LegacyInterrupt>,
    /// Its identity.
    pub id: PciId,
}

impl PciFunction {
    /// The bytes of the description alone.
    pub fn encode(&self) -> Vec<u8> {
        self.to_bytes()
    }

    /// The description that `bytes` start with.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if they start with none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes))
    }
}

impl Wire for PciFunction {
    fn write(&self, out: &mut Writer) {
        self.address.write(out);
        self.bars.iter().for_each(|bar| bar.write(out));
        out.option(self.rom.as_ref(), |out, rom| rom.write(out));
        out.option(self.legacy_interrupt.as_ref(), |out, interrupt| {
            interrupt.write(out)
        });
        self.id.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let address = PciAddress::read(input)?;
        let mut bars = [Bar::None; 6];
        for bar in &mut bars {
            *bar = Bar::read(input)?;
        }
        Ok(Self {
            address,
            bars,
            rom: input.option("expansion ROM", Rom::read)?,
            legacy_interrupt: input.option("legacy interrupt", LegacyInterrupt::read)?,
            id: PciId::read(input)?,
        })
    }
}

/// The place of a function. Displayed in the usual form, `0000:00:03.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// Segment group.
    pub segment: u16,
    /// Bus number.
    pub bus: u8,
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

impl PciAddress {
    /// The address as it stands in the names of schemes, `pci-0000-00-03.0`: a colon would end a scheme's
    /// name.
    pub fn scheme_name(&self) -> String {
        let Self {
            segment,
            bus,
            device,
            function,
        } = self;
        format!("pci-{segment:04x}-{bus:02x}-{device:02x}.{function:x}")
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            bus,
            device,
            function,
        } = self;
        write!(f, "{segment:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

impl Wire for PciAddress {
    fn write(&self, out: &mut Writer) {
        out.u16(self.segment);
        out.u8(self.bus);
        out.u8(self.device);
        out.u8(self.function);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            segment: input.u16("PCI segment")?,
            bus: input.u8("PCI bus")?,
            device: input.u8("PCI device")?,
            function: input.u8("PCI function")?,
        })
    }
}

/// A base address register. Addresses are physical, sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// Not implemented, or the upper half of a 64-bit BAR.
    None,
    /// Memory below 4 GiB.
    Memory32 {
        /// Physical address.
        address: u32,
        /// Bytes decoded.
        size: u32,
    },
    /// Memory anywhere.
    Memory64 {
        /// Physical address.
        address: u64,
        /// Bytes decoded.
        size: u64,
    },
    /// I/O ports from this one on.
    Port(u16),
}

impl Bar {
    /// Physical address and size in bytes of a memory BAR, `None` for any other.
    pub fn memory(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Memory32 { address, size } => Some((address.into(), size.into())),
            Self::Memory64 { address, size } => Some((address, size)),
            Self::None | Self::Port(_) => None,
        }
    }
}

impl Wire for Bar {
    fn write(&self, out: &mut Writer) {
        match *self {
            Self::None => out.u32(0),
            Self::Memory32 { address, size } => {
                out.u32(1);
                out.u32(address);
                out.u32(size);
            }
            Self::Memory64 { address, size } => {
                out.u32(2);
                out.u64(address);
                out.u64(size);
            }
            Self::Port(port) => {
                out.u32(3);
                out.u16(port);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u32("BAR")? {
            0 => Self::None,
            1 => Self::Memory32 {
                address: input.u32("BAR address")?,
                size: input.u32("BAR size")?,
            },
            2 => Self::Memory64 {
                address: input.u64("BAR address")?,
                size: input.u64("BAR size")?,
            },
            3 => Self::Port(input.u16("BAR port")?),
            value => return Err(DecodeError::UnknownDiscriminant { field: "BAR", value }),
        })
    }
}

/// The expansion ROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rom {
    /// Physical address.
    pub address: u32,
    /// Bytes decoded.
    pub size: u32,
    /// State: true if the function decodes it.
    pub enabled: bool,
}

impl Wire for Rom {
    fn write(&self, out: &mut Writer) {
        out.u32(self.address);
        out.u32(self.size);
        out.bool(self.enabled);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            address: input.u32("ROM address")?,
            size: input.u32("ROM size")?,
            enabled: input.bool("ROM enable flag")?,
        })
    }
}

/// Route of the function's INTx pin to the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyInterrupt {
    /// The interrupt line register: an IRQ number on x86, without meaning elsewhere.
    pub irq: u8,
    /// The interrupt in a device tree's terms, on machines that have one.
    pub phandle: Option<PhandleInterrupt>,
}

impl Wire for LegacyInterrupt {
    fn write(&self, out: &mut Writer) {
        out.u8(self.irq);
        out.option(self.phandle.as_ref(), |out, phandle| phandle.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            irq: input.u8("interrupt line")?,
            phandle: input.option("device-tree interrupt", PhandleInterrupt::read)?,
        })
    }
}

/// An interrupt of a device tree: the controller and 1 to 3 cells that it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhandleInterrupt {
    phandle: u32,
    cells: [u32; 3],
    count: usize,
}

impl PhandleInterrupt {
    /// An interrupt of the controller with this phandle; `None` unless there are 1, 2 or 3 cells.
    pub fn new(phandle: u32, specifier: &[u32]) -> Option<Self> {
        let mut cells = [0; 3];
        let count = specifier.len();
        if count == 0 {
            return None;
        }
        cells.get_mut(..count)?.copy_from_slice(specifier);
        Some(Self {
            phandle,
            cells,
            count,
        })
    }

    /// The interrupt controller.
    pub fn phandle(&self) -> u32 {
        self.phandle
    }

    /// The interrupt specifier, 1 to 3 cells.
    pub fn specifier(&self) -> &[u32] {
        // `new` has checked the count; the whole array is what an impossible one would give.
        self.cells.get(..self.count).unwrap_or(&self.cells)
    }
}

impl Wire for PhandleInterrupt {
    fn write(&self, out: &mut Writer) {
        out.u32(self.phandle);
        self.cells.iter().for_each(|&cell| out.u32(cell));
        out.count(self.count);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let phandle = input.u32("interrupt phandle")?;
        let mut cells = [0; 3];
        for cell in &mut cells {
            *cell = input.u32("interrupt specifier")?;
        }
        let count = input.u64("interrupt cell count")?;
        usize::try_from(count)
            .ok()
            .and_then(|count| Self::new(phandle, cells.get(..count)?))
            .ok_or(DecodeError::OutOfRange {
                field: "interrupt cell count",
                value: count,
            })
    }
}

/// Identity of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PciId {
    /// Vendor.
    pub vendor: u16,
    /// Device, in the vendor's numbering.
    pub device: u16,
    /// Base class; 2 is a network controller.
    pub class: u8,
    /// Subclass; 0 of a network controller is Ethernet.
    pub subclass: u8,
    /// Programming interface.
    pub prog_if: u8,
    /// Revision, in the vendor's numbering.
    pub revision: u8,
}

impl Wire for PciId {
    fn write(&self, out: &mut Writer) {
        out.u16(self.vendor);
        out.u16(self.device);
        out.u8(self.class);
        out.u8(self.subclass);
        out.u8(self.prog_if);
        out.u8(self.revision);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            vendor: input.u16("vendor id")?,
            device: input.u16("device id")?,
            class: input.u8("class")?,
            subclass: input.u8("subclass")?,
            prog_if: input.u8("programming interface")?,
            revision: input.u8("revision")?,
        })
    }
}
