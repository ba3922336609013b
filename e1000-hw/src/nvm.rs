//! The NVM: the MAC address, which hardware loads into the receive address registers, and a checksum. Never written.
//!
//! Sources: 8254x manual, 5.6 (contents) and 13.4.4 (EERD); Linux e1000, `e1000_read_mac_addr` and
//! `e1000_validate_eeprom_checksum`.

mod microwire;

use core::fmt;
use core::time::Duration;

use crate::chip::{Chip, MacType, Nvm, Quirks};
use crate::ethernet::MacAddress;
use crate::platform::{Clock, Registers};
use crate::regs::{self, Status};
use crate::wait::{TimedOut, wait_until};
use crate::warnings::Warnings;
use microwire::Grant;

/// Layout of EERD; there are two, and they are incompatible.
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
    /// RAL/RAH hold none, and the NVM does not answer.
    NvmSilent(TimedOut),
    /// Neither RAL/RAH nor the NVM hold a valid address; this is the one in the NVM. On PCH, whose NVM is not read, it
    /// is the one in RAL/RAH.
    Invalid(MacAddress),
}

impl fmt::Display for MacAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NvmSilent(error) => write!(f, "no MAC address: none in RAL/RAH, and {error}"),
            Self::Invalid(address) => write!(f, "no MAC address: the NVM holds {address}"),
        }
    }
}

impl core::error::Error for MacAddressError {}

/// Longest wait for one word.
const NVM_LIMIT: Duration = Duration::from_millis(100);
const NVM_INTERVAL: Duration = Duration::from_micros(50);

/// Detects the layout of EERD by reading word 0: the address field is zero in both layouts, so the request is the same
/// and only the position of DONE differs (iPXE, `intel_fetch_mac_eeprom`). Returns the layout and the word.
///
/// # Errors
///
/// When neither DONE appears within 100 ms.
pub fn detect_eerd(registers: &impl Registers, clock: &impl Clock) -> Result<(EerdLayout, u16), TimedOut> {
    const WAITED_FOR: &str = "answer of the EEPROM to a read";
    registers.write(regs::EERD, regs::EERD_START);
    let mut answer = None;
    wait_until(clock, WAITED_FOR, NVM_LIMIT, NVM_INTERVAL, || {
        let value = registers.read(regs::EERD);
        if value != regs::ALL_ONES {
            answer = [EerdLayout::Small, EerdLayout::Large]
                .into_iter()
                .find(|layout| value & layout.done() != 0)
                .map(|layout| (layout, (value >> 16) as u16));
        }
        answer.is_some()
    })?;
    answer.ok_or(TimedOut {
        waited_for: WAITED_FOR,
        limit: NVM_LIMIT,
    })
}

/// Reads one 16-bit word of the NVM; `word` is below 64 on the small parts.
///
/// # Errors
///
/// When DONE does not appear within 100 ms.
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

/// Returns the NIC's own address: from RAL/RAH, into which hardware has loaded it from the NVM, or else from the NVM.
///
/// The NVM of 82546 and 82571 holds the address of the first port; the second port's differs in the last bit. RAL and
/// RAH hold that of the right port (8254x manual, 12.3.1).
///
/// # Errors
///
/// See [`MacAddressError`]; after at most 105 ms.
pub fn mac_address(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
) -> Result<MacAddress, MacAddressError> {
    let high = registers.read(regs::RAH);
    let loaded = address_in(registers.read(regs::RAL), high);
    if high & regs::RAH_AV != 0 && high != regs::ALL_ONES && loaded.is_valid() {
        return Ok(loaded);
    }
    let words = match chip.limits.nvm {
        Nvm::Flash => return Err(MacAddressError::Invalid(loaded)),
        Nvm::Microwire => microwire_words(registers, clock),
        Nvm::EerdSmall | Nvm::EerdLarge => match eerd_words(registers, clock) {
            Ok(words) => words,
            Err(silent) => {
                let _grant = pins(registers, chip, clock, silent).map_err(MacAddressError::NvmSilent)?;
                microwire_words(registers, clock)
            }
        },
    };
    let [[a, b], [c, d], [e, f]] = words.map(u16::to_le_bytes);
    let second_port = chip.quirks.contains(Quirks::ONE_ADDRESS_FOR_TWO_PORTS)
        && registers.read(regs::STATUS) & Status::FUNC.bits() == regs::STATUS_FUNC_1;
    let address = MacAddress([a, b, c, d, e, f ^ u8::from(second_port)]);
    // Checked before the bit is inverted, because an empty NVM would become a valid address by that.
    if MacAddress([a, b, c, d, e, f]).is_valid() {
        Ok(address)
    } else {
        Err(MacAddressError::Invalid(address))
    }
}

/// Address that RAL and RAH hold.
fn address_in(low: u32, high: u32) -> MacAddress {
    let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
    MacAddress([a, b, c, d, e, f])
}

/// Acquires the pins of the EEPROM if EERD did not answer, on parts that have both: bhyve's 82545EM has no EERD
/// (`e82545_read_register`), and a reset clears its RAL and RAH (`e82545_reset`).
fn pins<'a, R: Registers>(
    registers: &'a R,
    chip: &Chip,
    clock: &impl Clock,
    silent: TimedOut,
) -> Result<Grant<'a, R>, TimedOut> {
    if chip.limits.nvm == Nvm::EerdSmall {
        Grant::obtain(registers, clock).map_err(|_| silent)
    } else {
        Err(silent)
    }
}

fn microwire_words(registers: &impl Registers, clock: &impl Clock) -> [u16; 3] {
    [0, 1, 2].map(|word| microwire::read_word(registers, clock, word))
}

/// Reads words 0 to 2. The layout is detected and not taken from the chip table, because emulators of one part may have
/// the EERD of another (VirtualBox, `e1kRegWriteEERD`).
fn eerd_words(registers: &impl Registers, clock: &impl Clock) -> Result<[u16; 3], TimedOut> {
    let (layout, first) = detect_eerd(registers, clock)?;
    let mut words = [first, 0, 0];
    for (word, value) in (1..).zip(&mut words[1..]) {
        *value = read_word(registers, clock, layout, word)?;
    }
    Ok(words)
}

/// Checks the NVM for bring-up; the checksum of an EEPROM on pins is not read, which would take 170 ms.
pub(crate) fn check(registers: &impl Registers, chip: &Chip, clock: &impl Clock) -> Warnings {
    let contents = match chip.limits.nvm {
        Nvm::Microwire | Nvm::Flash => return Warnings::empty(),
        Nvm::EerdSmall | Nvm::EerdLarge => eerd_contents(registers, clock),
    };
    match contents {
        Ok(contents) if contents.sum != CHECKSUM => Warnings::NVM_CHECKSUM,
        Ok(contents)
            if chip.mac() == MacType::I82573 && contents.init_control_2 & NO_DEEP_POWER_DOWN == 0 =>
        {
            Warnings::DEEP_SMART_POWER_DOWN
        }
        Ok(_) => Warnings::empty(),
        // It answers: the machine is busy, and the checksum stays unknown.
        Err(late) if late.waited_for == ALL_WORDS => Warnings::empty(),
        Err(silent) if pins(registers, chip, clock, silent).is_ok() => Warnings::empty(),
        Err(_) => Warnings::NVM_SILENT,
    }
}

/// Word with settings of the part (Linux e1000e, `NVM_INIT_CONTROL2_REG`).
const INIT_CONTROL_2: u8 = 0x0F;
/// [`INIT_CONTROL_2`] of 82573: deep smart power down is off.
const NO_DEEP_POWER_DOWN: u16 = 1 << 0;

/// Contents of an NVM that bring-up uses.
struct Contents {
    /// Sum of the words that the checksum covers.
    sum: u16,
    /// Word [`INIT_CONTROL_2`].
    init_control_2: u16,
}

/// Words that the checksum covers.
const CHECKSUM_WORDS: u8 = 0x40;
/// Time limit for reading all of them through EERD: an answer takes less than 0.1 ms, but a short sleep may take much
/// longer.
const CHECKSUM_LIMIT: Duration = Duration::from_millis(400);
/// Condition that was not met when that time has passed, although each word came in time.
const ALL_WORDS: &str = "all words of the EEPROM";
/// Sum of words 0 to 0x3F (8254x manual, 5.6, word 0x3F).
pub const CHECKSUM: u16 = 0xBABA;

/// Returns true if words 0 to 0x3F of the NVM add up to [`CHECKSUM`]. A wrong checksum deserves a warning, but is no
/// reason to refuse a NIC, since blank NVMs exist. Returns `None` for an NVM in flash, which is not read. Takes about
/// 200 ms on 82543 and 82544, a few ms elsewhere.
///
/// # Errors
///
/// When the NVM does not answer one word within 100 ms, or all within 400 ms.
pub fn checksum_is_good(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
) -> Result<Option<bool>, TimedOut> {
    let sum = match chip.limits.nvm {
        Nvm::Flash => return Ok(None),
        Nvm::Microwire => microwire_sum(registers, clock),
        Nvm::EerdSmall | Nvm::EerdLarge => match eerd_contents(registers, clock) {
            Ok(contents) => contents.sum,
            Err(silent) => {
                let _grant = pins(registers, chip, clock, silent)?;
                microwire_sum(registers, clock)
            }
        },
    };
    Ok(Some(sum == CHECKSUM))
}

fn microwire_sum(registers: &impl Registers, clock: &impl Clock) -> u16 {
    (0..CHECKSUM_WORDS).fold(0, |sum: u16, word| {
        sum.wrapping_add(microwire::read_word(registers, clock, word))
    })
}

fn eerd_contents(registers: &impl Registers, clock: &impl Clock) -> Result<Contents, TimedOut> {
    let (layout, first) = detect_eerd(registers, clock)?;
    let mut contents = Contents {
        sum: first,
        init_control_2: 0,
    };
    let start = clock.now();
    for word in 1..CHECKSUM_WORDS {
        if clock.now().saturating_sub(start) >= CHECKSUM_LIMIT {
            return Err(TimedOut {
                waited_for: ALL_WORDS,
                limit: CHECKSUM_LIMIT,
            });
        }
        let value = read_word(registers, clock, layout, word)?;
        contents.sum = contents.sum.wrapping_add(value);
        if word == INIT_CONTROL_2 {
            contents.init_control_2 = value;
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests;
