//! The firmware's work for the NIC: routing its interrupt, placing its BARs, switching it on.

use std::sync::{Arc, Mutex, PoisonError};

use pcid_config::protocol::{Bar, LegacyInterrupt, PciAddress, PciFunction, PciId};

use crate::qtest::Qtest;
use crate::registers::QtestRegisters;

// Configuration mechanism 1 (PCI Local Bus Specification 3.0, 3.2.2.3.2).
const CONFIG_ADDRESS: u16 = 0xCF8;
const CONFIG_DATA: u16 = 0xCFC;

// Offsets in configuration space.
const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const BAR0: u8 = 0x10;
const INTERRUPT: u8 = 0x3C;

/// I/O decoding, memory decoding, bus mastering.
const COMMAND_ENABLE: u32 = 0b111;

/// Interrupt routing of the PIIX3 ISA bridge: one byte for each of PIRQA to PIRQD (82371SB datasheet, register PIRQRC).
const PIIX3_SLOT: u8 = 1;
const PIIX3_ROUTES: u8 = 0x60;

/// The legacy lines of PIRQA to PIRQD, as SeaBIOS routes them (`pci_irqs` in its src/fw/pciinit.c).
const LINES: [u8; 4] = [10, 10, 11, 11];

/// First address of memory BARs: above RAM, below the IOAPIC.
const MEMORY_WINDOW: u32 = 0xE000_0000;

/// First address of port BARs.
const PORT_WINDOW: u32 = 0xC000;

/// Configuration space of one function of bus 0, through the address and data ports. Clones share the ports.
#[derive(Clone)]
pub struct ConfigSpace {
    qtest: Qtest,
    slot: u8,
    /// Address and data are two accesses that belong together.
    ports: Arc<Mutex<()>>,
}

impl ConfigSpace {
    /// Function 0 in `slot`.
    pub fn new(qtest: Qtest, slot: u8) -> Self {
        Self {
            qtest,
            slot,
            ports: Arc::default(),
        }
    }

    fn select(&self, offset: u8) {
        self.qtest.outl(
            CONFIG_ADDRESS,
            1 << 31 | u32::from(self.slot) << 11 | u32::from(offset & 0xFC),
        );
    }

    /// Reads the 32-bit word that contains `offset`.
    pub fn read(&self, offset: u8) -> u32 {
        let _ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        self.select(offset);
        self.qtest.inl(CONFIG_DATA)
    }

    /// Writes the 32-bit word that contains `offset`.
    pub fn write(&self, offset: u8, value: u32) {
        let _ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        self.select(offset);
        self.qtest.outl(CONFIG_DATA, value);
    }

    /// Switches I/O, memory and bus mastering on; leaves the rest of the command register, clears no status.
    pub fn enable(&self) {
        let command = self.read(COMMAND) & 0xFFFF;
        self.write(COMMAND, command | COMMAND_ENABLE);
    }
}

/// A NIC that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PciError {
    /// Nothing answers in the slot.
    #[error("there is no device in slot {0}")]
    NoDevice(u8),
    /// BAR 0 is not memory.
    #[error("BAR 0 is not a memory BAR")]
    NoRegisters,
}

/// The NIC as firmware leaves it.
pub struct Nic {
    /// Its configuration space.
    pub config: ConfigSpace,
    /// Its description, as pcid gives it to a driver.
    pub function: PciFunction,
}

impl Nic {
    /// BAR 0.
    ///
    /// # Errors
    ///
    /// [`PciError::NoRegisters`] if it is not memory.
    pub fn registers(&self, qtest: &Qtest) -> Result<QtestRegisters, PciError> {
        let bar = self.function.bars[0];
        let (address, _) = bar.memory().ok_or(PciError::NoRegisters)?;
        Ok(QtestRegisters::new(qtest.clone(), address))
    }
}

/// Configures the NIC in `slot` of bus 0.
///
/// # Errors
///
/// [`PciError::NoDevice`] if there is none.
pub fn configure(qtest: &Qtest, slot: u8) -> Result<Nic, PciError> {
    route_interrupts(qtest);
    let config = ConfigSpace::new(qtest.clone(), slot);
    let id = config.read(ID);
    if id == u32::MAX {
        return Err(PciError::NoDevice(slot));
    }
    let bars = place_bars(&config);
    config.enable();
    let [revision, prog_if, subclass, class] = config.read(CLASS).to_le_bytes();
    let legacy_interrupt = interrupt_line(&config);
    let id = PciId {
        vendor: id as u16,
        device: (id >> 16) as u16,
        class,
        subclass,
        prog_if,
        revision,
    };
    let address = PciAddress {
        segment: 0,
        bus: 0,
        device: slot,
        function: 0,
    };
    Ok(Nic {
        config,
        function: PciFunction {
            address,
            bars,
            rom: None,
            legacy_interrupt,
            id,
        },
    })
}

/// Connects PIRQA to PIRQD to legacy lines; after reset they are not connected.
fn route_interrupts(qtest: &Qtest) {
    ConfigSpace::new(qtest.clone(), PIIX3_SLOT).write(PIIX3_ROUTES, u32::from_le_bytes(LINES));
}

/// Writes the legacy line that the NIC's pin ends at into its interrupt line register.
fn interrupt_line(config: &ConfigSpace) -> Option<LegacyInterrupt> {
    let [_, pin, rest @ ..] = config.read(INTERRUPT).to_le_bytes();
    if !(1..=4).contains(&pin) {
        return None;
    }
    // The i440FX rotates the pins by the slot: pin 1 of slot 1 is PIRQA (`pci_slot_get_pirq` in QEMU's
    // hw/pci-host/i440fx.c, in older ones in hw/pci-host/piix.c).
    let irq = LINES[(usize::from(config.slot) + usize::from(pin) + 2) % LINES.len()];
    config.write(INTERRUPT, u32::from_le_bytes([irq, pin, rest[0], rest[1]]));
    Some(LegacyInterrupt { irq, phandle: None })
}

fn place_bars(config: &ConfigSpace) -> [Bar; 6] {
    let (mut memory, mut port) = (MEMORY_WINDOW, PORT_WINDOW);
    let mut bars = [Bar::None; 6];
    let mut index = 0;
    while index < bars.len() {
        let offset = BAR0 + 4 * index as u8;
        config.write(offset, u32::MAX);
        let mask = config.read(offset);
        let is_port = mask & 1 != 0;
        let is_wide = !is_port && mask & 0b110 == 0b100;
        let decoded = if is_port {
            mask & !0b11 | 0xFFFF_0000
        } else {
            mask & !0xF
        };
        let size = decoded.wrapping_neg();
        let place = if is_port { &mut port } else { &mut memory };
        if mask & !0xF != 0 && size != 0 {
            let address = place.next_multiple_of(size);
            *place = address + size;
            config.write(offset, address);
            bars[index] = match (is_port, is_wide) {
                (true, _) => Bar::Port(address as u16),
                (false, false) => Bar::Memory32 { address, size },
                (false, true) => Bar::Memory64 {
                    address: address.into(),
                    size: size.into(),
                },
            };
        }
        if is_wide {
            config.write(offset + 4, 0);
            index += 1;
        }
        index += 1;
    }
    bars
}
