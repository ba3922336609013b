//! The MAC address: from the receive address registers, which hardware loads from the NVM, else from the NVM.

use core::fmt;
use core::time::Duration;

use crate::platform::{Clock, Registers};
use crate::regs;
use crate::wait::{TimedOut, wait_until};

/// An Ethernet address, in the order of transmission.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Whether a NIC may have this address: not a group address and not all zeroes.
    pub fn is_valid(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }

    /// The values of RAL and RAH (without AV) for this address.
    pub(crate) fn registers(self) -> (u32, u32) {
        let [a, b, c, d, e, f] = self.0;
        (
            u32::from_le_bytes([a, b, c, d]),
            u32::from(u16::from_le_bytes([e, f])),
        )
    }

    fn from_registers(low: u32, high: u32) -> Self {
        let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
        Self([a, b, c, d, e, f])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The two incompatible layouts of EERD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EerdLayout {
    /// 82540, 82545, 82546: DONE is bit 4, the address starts at bit 8.
    Small,
    /// 82541, 82547 and 8257x: DONE is bit 1, the address starts at bit 2.
    Large,
}

impl EerdLayout {
    const fn done(self) -> u32 {
        match self {
            Self::Small => 1 << 4,
            Self::Large => 1 << 1,
        }
    }

    const fn address_shift(self) -> u32 {
        match self {
            Self::Small => 8,
            Self::Large => 2,
        }
    }
}

/// No usable MAC address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacAddressError {
    /// Neither RAL/RAH nor a readable NVM; 82543 and 82544 have no EERD.
    NvmSilent(TimedOut),
    /// What the NVM holds is no address of a NIC.
    Invalid(MacAddress),
}

const NVM_LIMIT: Duration = Duration::from_millis(100);
const NVM_INTERVAL: Duration = Duration::from_micros(50);

/// Finds out which layout EERD has by reading word 0: the address field is zero in both layouts, so the request
/// is the same and only the place of DONE differs. Returns the layout and the word.
pub fn detect_eerd(registers: &impl Registers, clock: &impl Clock) -> Result<(EerdLayout, u16), TimedOut> {
    registers.write(regs::EERD, regs::EERD_START);
    let mut answer = None;
    wait_until(
        clock,
        "answer of the EEPROM to a read",
        NVM_LIMIT,
        NVM_INTERVAL,
        || {
            let value = registers.read(regs::EERD);
            if value != regs::ALL_ONES {
                answer = [EerdLayout::Small, EerdLayout::Large]
                    .into_iter()
                    .find(|layout| value & layout.done() != 0)
                    .map(|layout| (layout, (value >> 16) as u16));
            }
            answer.is_some()
        },
    )?;
    answer.ok_or(TimedOut {
        waited_for: "answer of the EEPROM to a read",
        limit: NVM_LIMIT,
    })
}

/// Reads one 16-bit word of the NVM.
pub fn read_word(
    registers: &impl Registers,
    clock: &impl Clock,
    layout: EerdLayout,
    word: u8,
) -> Result<u16, TimedOut> {
    registers.write(
        regs::EERD,
        regs::EERD_START | u32::from(word) << layout.address_shift(),
    );
    let mut value = 0;
    wait_until(clock, "EEPROM word", NVM_LIMIT, NVM_INTERVAL, || {
        value = registers.read(regs::EERD);
        value != regs::ALL_ONES && value & layout.done() != 0
    })?;
    Ok((value >> 16) as u16)
}

/// The NIC's own address.
pub fn mac_address(registers: &impl Registers, clock: &impl Clock) -> Result<MacAddress, MacAddressError> {
    let high = registers.read(regs::RAH);
    let loaded = MacAddress::from_registers(registers.read(regs::RAL), high);
    if high & regs::RAH_AV != 0 && high != regs::ALL_ONES && loaded.is_valid() {
        return Ok(loaded);
    }
    let (layout, word0) = detect_eerd(registers, clock).map_err(MacAddressError::NvmSilent)?;
    let mut bytes = [0; 6];
    for (word, pair) in bytes.chunks_exact_mut(2).enumerate() {
        let value = match word {
            0 => word0,
            word => read_word(registers, clock, layout, word as u8).map_err(MacAddressError::NvmSilent)?,
        };
        pair.copy_from_slice(&value.to_le_bytes());
    }
    let address = MacAddress(bytes);
    if address.is_valid() {
        Ok(address)
    } else {
        Err(MacAddressError::Invalid(address))
    }
}
