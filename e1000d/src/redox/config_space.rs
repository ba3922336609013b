//! Settings in PCI configuration space, which the core does not access: link power management is turned off if it hangs
//! the part, and reads are limited to the length that the part can handle.
//!
//! pcid gives access to the function's own 256 bytes only. The port above a PCIe part has an ASPM control of its own.
//! L1 is entered by the part and so is off with it, but the port may still put its side of the link into L0s.

use std::fmt;

use e1000_hw::chip::{Chip, Quirks};
use pcid_config::channel::{COMMAND, Channel, ChannelError};

/// Status register: the function has a list of capabilities.
const HAS_CAPABILITIES: u32 = 1 << 20;
/// Offset of the first capability.
const FIRST: u16 = 0x34;
/// End of the header: capabilities come after it.
const HEADER_END: u16 = 0x40;
/// Most capabilities that fit.
const MOST: usize = (0x100 - 0x40) / 4;
/// Ids of capabilities.
const PCIX: u8 = 0x07;
const PCIE: u8 = 0x10;
/// PCIe: link control (low half) and status, from the capability's beginning.
const LINK_CONTROL: u16 = 0x10;
/// Its low half: the states that ASPM may enter.
const L0S: u32 = 1 << 0;
const L1: u32 = 1 << 1;
/// PCI-X command, in the high half of the capability's first word: longest read, as a power of two of 512 bytes.
const MMRBC_SHIFT: u32 = 18;
const MMRBC: u32 = 0b11 << MMRBC_SHIFT;
const MMRBC_2048: u32 = 2;

/// 32-bit words of configuration space.
pub trait Config {
    /// Reads the word at `offset`.
    ///
    /// # Errors
    ///
    /// When pcid refuses.
    fn read(&self, offset: u16) -> Result<u32, ChannelError>;

    /// Writes the word at `offset`.
    ///
    /// # Errors
    ///
    /// When pcid refuses.
    fn write(&self, offset: u16, value: u32) -> Result<(), ChannelError>;
}

impl Config for Channel {
    fn read(&self, offset: u16) -> Result<u32, ChannelError> {
        self.read_config(offset)
    }

    fn write(&self, offset: u16, value: u32) -> Result<(), ChannelError> {
        self.write_config(offset, value)
    }
}

/// A setting before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value that firmware left.
    pub before: T,
    /// The value that was read back.
    pub now: T,
}

/// States of a PCIe link that ASPM may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aspm {
    /// L0s, the short one, in one direction.
    pub l0s: bool,
    /// L1, the deep one.
    pub l1: bool,
}

/// Settings of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Link power management of a PCIe function.
    pub aspm: Option<Setting<Aspm>>,
    /// Bytes of the longest read of a PCI-X function.
    pub longest_read: Option<Setting<u32>>,
}

impl fmt::Display for Aspm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.l0s, self.l1) {
            (false, false) => "off",
            (true, false) => "L0s",
            (false, true) => "L1",
            (true, true) => "L0s+L1",
        })
    }
}

impl<T: fmt::Display + PartialEq> fmt::Display for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now.fmt(f)?;
        if self.now != self.before {
            write!(f, " (was {})", self.before)?;
        }
        Ok(())
    }
}

impl Tuning {
    /// Returns true if ASPM may still enter a state that hangs this part, because the setting was not kept.
    pub fn aspm_stays_on(&self, chip: &Chip) -> bool {
        self.aspm.is_some_and(|aspm| {
            let now = aspm.now;
            aspm_bits(now) & forbidden(chip) != 0
        })
    }
}

/// States that ASPM may not enter with this part.
fn forbidden(chip: &Chip) -> u32 {
    if chip.quirks.contains(Quirks::NO_ASPM) {
        L0S | L1
    } else if chip.quirks.contains(Quirks::NO_ASPM_L1) {
        L1
    } else {
        0
    }
}

fn aspm_bits(aspm: Aspm) -> u32 {
    (if aspm.l0s { L0S } else { 0 }) | (if aspm.l1 { L1 } else { 0 })
}

/// Makes the settings that `chip` needs.
///
/// # Errors
///
/// When pcid does not answer as it should.
pub fn tune(config: &impl Config, chip: &Chip) -> Result<Tuning, ChannelError> {
    let mut tuning = Tuning::default();
    for (id, offset) in capabilities(config)? {
        match id {
            PCIE => tuning.aspm = Some(tune_aspm(config, offset + LINK_CONTROL, forbidden(chip))?),
            PCIX => tuning.longest_read = Some(tune_reads(config, offset, chip)?),
            _ => {}
        }
    }
    Ok(tuning)
}

/// Id and offset of each capability. The list is cut if it is endless or leaves configuration space.
fn capabilities(config: &impl Config) -> Result<Vec<(u8, u16)>, ChannelError> {
    let mut found = Vec::new();
    if config.read(COMMAND)? & HAS_CAPABILITIES == 0 {
        return Ok(found);
    }
    let mut offset = config.read(FIRST)? as u16 & 0xFC;
    while offset >= HEADER_END && found.len() < MOST && found.iter().all(|(_, seen)| *seen != offset) {
        let header = config.read(offset)?;
        // A read that nobody answers is all ones.
        if header == u32::MAX {
            break;
        }
        found.push((header as u8, offset));
        offset = (header >> 8) as u16 & 0xFC;
    }
    Ok(found)
}

/// Turns off the `forbidden` states of ASPM. The upper half, whose bits are cleared by writing ones, is written as
/// zero.
fn tune_aspm(config: &impl Config, offset: u16, forbidden: u32) -> Result<Setting<Aspm>, ChannelError> {
    let aspm = |value: u32| Aspm {
        l0s: value & L0S != 0,
        l1: value & L1 != 0,
    };
    let before = config.read_inside(offset)? & 0xFFFF;
    if before & forbidden != 0 {
        config.write_inside(offset, before & !forbidden)?;
    }
    Ok(Setting {
        before: aspm(before),
        now: aspm(config.read_inside(offset)?),
    })
}

/// Limits reads to 2 KiB if longer ones are not safe. Id and next pointer, in the lower half, are read only.
fn tune_reads(config: &impl Config, offset: u16, chip: &Chip) -> Result<Setting<u32>, ChannelError> {
    let bytes = |value: u32| 512 << ((value & MMRBC) >> MMRBC_SHIFT);
    let before = config.read_inside(offset)?;
    if chip.quirks.contains(Quirks::PCIX_READ_2048) && (before & MMRBC) >> MMRBC_SHIFT > MMRBC_2048 {
        config.write_inside(offset, before & !MMRBC | MMRBC_2048 << MMRBC_SHIFT)?;
    }
    Ok(Setting {
        before: bytes(before),
        now: bytes(config.read_inside(offset)?),
    })
}

/// Accesses to a capability that, by a faulty device's list, may extend beyond configuration space.
trait Inside: Config {
    fn read_inside(&self, offset: u16) -> Result<u32, ChannelError> {
        if offset < 0x100 { self.read(offset) } else { Ok(0) }
    }

    fn write_inside(&self, offset: u16, value: u32) -> Result<(), ChannelError> {
        if offset < 0x100 {
            self.write(offset, value)
        } else {
            Ok(())
        }
    }
}

impl<C: Config> Inside for C {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use e1000_hw::chip::CHIPS;
    use proptest::prelude::*;

    use super::*;

    /// Configuration space whose words take what is written, but for a mask of bits that stay.
    struct Space {
        words: RefCell<[u32; 64]>,
        writes: RefCell<Vec<(u16, u32)>>,
        stuck: u32,
    }

    impl Space {
        fn new(words: &[(u16, u32)]) -> Self {
            let mut space = [0; 64];
            for (offset, value) in words {
                space[usize::from(offset / 4)] = *value;
            }
            Self {
                words: RefCell::new(space),
                writes: RefCell::default(),
                stuck: 0,
            }
        }
    }

    impl Config for Space {
        fn read(&self, offset: u16) -> Result<u32, ChannelError> {
            assert!(offset.is_multiple_of(4) && offset < 0x100);
            Ok(self.words.borrow()[usize::from(offset / 4)])
        }

        fn write(&self, offset: u16, value: u32) -> Result<(), ChannelError> {
            assert!(offset.is_multiple_of(4) && offset < 0x100);
            self.writes.borrow_mut().push((offset, value));
            let word = &mut self.words.borrow_mut()[usize::from(offset / 4)];
            *word = *word & self.stuck | value & !self.stuck;
            Ok(())
        }
    }

    fn chip(id: u16) -> &'static Chip {
        e1000_hw::chip::find(0x8086, id).expect("a chip of the table")
    }

    /// Power management at 0xC8, MSI at 0xD0, PCIe at 0xE0, as 82574 has them; ASPM, and status bits that ones clear.
    fn pcie(aspm: u32) -> Space {
        Space::new(&[
            (COMMAND, 0x0010_0006),
            (FIRST, 0xC8),
            (0xC8, 0xC823_D001),
            (0xD0, 0x0080_E005),
            (0xE0, 0x0001_A010),
            (0xA0, 0x8004_0011),
            (0xF0, 0xC011_0040 | aspm),
        ])
    }

    #[test]
    fn aspm_is_turned_off_as_far_as_it_hangs_the_part() {
        let both = Aspm { l0s: true, l1: true };
        for (id, now, text) in [
            (0x10D3, 0, "off (was L0s+L1)"),
            (0x150C, 0, "off (was L0s+L1)"),
            (0x109A, 0, "off (was L0s+L1)"),
            (0x105E, L0S, "L0s (was L0s+L1)"),
            (0x107D, L0S, "L0s (was L0s+L1)"),
        ] {
            let space = pcie(3);
            let tuning = tune(&space, chip(id)).expect("configuration space");
            let aspm = tuning.aspm.expect("PCIe");
            assert_eq!((aspm.before, aspm_bits(aspm.now)), (both, now), "{id:04x}");
            assert_eq!(aspm.to_string(), text);
            // The other bits of link control stay, status bits are not cleared.
            assert_eq!(*space.writes.borrow(), [(0xF0, 0x40 | now)], "{id:04x}");
            assert!(!tuning.aspm_stays_on(chip(id)));
        }
        // Nothing to do, and nothing that this part minds.
        for (id, before, text) in [(0x10D3, 0, "off"), (0x105E, L0S, "L0s"), (0x153A, 3, "L0s+L1")] {
            let space = pcie(before);
            let tuning = tune(&space, chip(id)).expect("configuration space");
            assert_eq!(tuning.aspm.expect("PCIe").to_string(), text);
            assert_eq!(*space.writes.borrow(), []);
        }
        // A bit that does not hold is said.
        let space = Space { stuck: L1, ..pcie(3) };
        let tuning = tune(&space, chip(0x10D3)).expect("configuration space");
        assert!(tuning.aspm_stays_on(chip(0x10D3)));
        assert_eq!(tuning.aspm.expect("PCIe").to_string(), "L1 (was L0s+L1)");
    }

    #[test]
    fn pci_x_reads_are_not_longer_than_2_kib() {
        let pcix = |size: u32| {
            Space::new(&[
                (COMMAND, 0x0230_0007),
                (FIRST, 0xDC),
                (0xDC, 0x0022_E401),
                (0xE4, 0x0002_0007 | size << MMRBC_SHIFT),
            ])
        };
        for (id, before, after) in [
            (0x100F, 3, 2),
            (0x1010, 3, 2),
            (0x1008, 3, 2),
            (0x100F, 1, 1),
            // Revision 3 takes 4 KiB.
            (0x1026, 3, 3),
            (0x1079, 3, 3),
        ] {
            let space = pcix(before);
            let tuning = tune(&space, chip(id)).expect("configuration space");
            let read = tuning.longest_read.expect("PCI-X");
            assert_eq!((read.before, read.now), (512 << before, 512 << after), "{id:04x}");
            assert_eq!(
                space.words.borrow()[0xE4 / 4],
                0x0002_0007 | after << MMRBC_SHIFT,
                "{id:04x}: the rest stays"
            );
        }
        let space = Space::new(&[(COMMAND, 7), (FIRST, 0xE4), (0xE4, 0x000E_0007)]);
        assert_eq!(
            tune(&space, chip(0x100E)).expect("none"),
            Tuning::default(),
            "no list"
        );
    }

    proptest! {
        #[test]
        fn device_that_says_anything_is_walked_to_an_end(
            words in prop::collection::vec(any::<u32>(), 64),
            index in 0..CHIPS.len(),
        ) {
            let space = Space::new(&[]);
            space.words.borrow_mut().copy_from_slice(&words);
            space.words.borrow_mut()[1] |= HAS_CAPABILITIES;
            let found = capabilities(&space).expect("configuration space");
            prop_assert!(found.len() <= MOST);
            prop_assert!(tune(&space, &CHIPS[index]).is_ok());
        }
    }
}
