//! What kind of program a file is, from its ELF headers.

use std::fmt;

use super::error::{Error, Result};

/// What Redox runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    Aarch64,
    Riscv64,
    I586,
}

impl Architecture {
    /// The name of the Rust target.
    pub fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-redox",
            Self::Aarch64 => "aarch64-unknown-redox",
            Self::Riscv64 => "riscv64gc-unknown-redox",
            Self::I586 => "i586-unknown-redox",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = self.triple().split_once('-').unwrap_or((self.triple(), ""));
        f.pad(name)
    }
}

/// The architecture of the program `name` (for messages), from its bytes.
///
/// # Errors
///
/// [`Error::NotAProgram`] if it is no ELF executable of one of Redox's architectures.
pub fn architecture(name: &str, program: &[u8]) -> Result<Architecture> {
    let refuse = |why: &str| {
        Err(Error::NotAProgram {
            name: name.to_owned(),
            why: why.to_owned(),
        })
    };
    let Some(header) = program.first_chunk::<20>() else {
        return refuse("too short for an ELF header");
    };
    if !header.starts_with(b"\x7fELF") {
        return refuse("no ELF file");
    }
    // e_ident: class (1: 32 bits, 2: 64 bits) and byte order (1: little-endian); e_type and e_machine follow.
    let (class, order, abi) = (header[4], header[5], header[7]);
    let kind = u16::from_le_bytes([header[16], header[17]]);
    let machine = u16::from_le_bytes([header[18], header[19]]);
    if order != 1 {
        return refuse("big-endian");
    }
    // Linux's toolchains leave 0 (System V) too, mostly; 3 is certainly Linux's.
    if abi == 3 {
        return refuse("built for Linux");
    }
    if !matches!(kind, 2 | 3) {
        return refuse("no executable (an object file or a core dump)");
    }
    match (class, machine) {
        (2, 62) => Ok(Architecture::X86_64),
        (2, 183) => Ok(Architecture::Aarch64),
        (2, 243) => Ok(Architecture::Riscv64),
        (1, 3) => Ok(Architecture::I586),
        _ => refuse(&format!("ELF machine {machine} is none of Redox's")),
    }
}

/// Demands that a program is for `wanted`, and static: those of Redox's drivers are, and Linux's mostly are not.
pub fn require(name: &str, program: &[u8], wanted: Architecture) -> Result<()> {
    let found = architecture(name, program)?;
    if found != wanted {
        return Err(Error::Architecture {
            name: name.to_owned(),
            found,
            wanted,
        });
    }
    match interpreter(program) {
        Some(interpreter) => Err(Error::NotAProgram {
            name: name.to_owned(),
            why: format!("not static, it needs {interpreter}"),
        }),
        None => Ok(()),
    }
}

/// The dynamic linker that a program asks for.
fn interpreter(program: &[u8]) -> Option<String> {
    // Where these numbers are, and how wide, depends on the class.
    let number = |offset: usize, width: usize| {
        let bytes = program.get(offset..offset.checked_add(width)?)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).ok()
    };
    let wide = program.get(4) == Some(&2);
    let pick = |wide_one, narrow_one| if wide { wide_one } else { narrow_one };
    let word = pick(8, 4);
    let table = number(pick(32, 28), word)?;
    let (size, count) = (number(pick(54, 42), 2)?, number(pick(56, 44), 2)?);
    let mut headers = (0..count).filter_map(|index| table.checked_add(index * size));
    // PT_INTERP; then p_offset and p_filesz.
    let header = headers.find(|header| number(*header, 4) == Some(3))?;
    let start = number(header.checked_add(pick(8, 4))?, word)?;
    let length = number(header.checked_add(pick(32, 16))?, word)?;
    let path = program.get(start..start.checked_add(length)?)?;
    Some(String::from_utf8_lossy(path).trim_end_matches('\0').to_owned())
}

/// The start of a program, for tests.
#[cfg(test)]
pub fn fake_program(class: u8, machine: u16, length: usize) -> Vec<u8> {
    let mut program = vec![0; length.max(64)];
    program[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1, 1, 0]);
    program[16] = 2;
    program[18..20].copy_from_slice(&machine.to_le_bytes());
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_architectures_of_redox_are_told_apart() {
        for (class, machine, expected) in [
            (2, 62, "x86_64"),
            (2, 183, "aarch64"),
            (2, 243, "riscv64gc"),
            (1, 3, "i586"),
        ] {
            let found = architecture("x", &fake_program(class, machine, 64)).unwrap();
            assert_eq!(found.to_string(), expected);
        }
    }

    #[test]
    fn other_files_are_refused_with_their_name() {
        let mut big_endian = fake_program(2, 62, 64);
        big_endian[5] = 2;
        let mut linux = fake_program(2, 62, 64);
        linux[7] = 3;
        let mut object = fake_program(2, 62, 64);
        object[16] = 1;
        for (program, why) in [
            (b"#!/bin/sh\nexec something else\n".to_vec(), "no ELF file"),
            (b"\x7fELF".to_vec(), "too short"),
            (big_endian, "big-endian"),
            (linux, "Linux"),
            (object, "object file"),
            (fake_program(2, 40, 64), "machine 40"),
            (fake_program(1, 62, 64), "machine 62"),
        ] {
            let error = architecture("some-file", &program).unwrap_err().to_string();
            assert!(error.starts_with("some-file: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn program_that_needs_a_dynamic_linker_is_refused() {
        let mut wide = fake_program(2, 62, 256);
        wide[32] = 64;
        (wide[54], wide[56]) = (56, 1);
        wide[64] = 3;
        (wide[72], wide[96]) = (200, 8);
        wide[200..208].copy_from_slice(b"/lib/ld\0");
        let mut narrow = fake_program(1, 3, 256);
        narrow[28] = 64;
        (narrow[42], narrow[44]) = (32, 1);
        narrow[64] = 3;
        (narrow[68], narrow[80]) = (200, 8);
        narrow[200..208].copy_from_slice(b"/lib/ld\0");
        for (program, wanted) in [(wide, Architecture::X86_64), (narrow, Architecture::I586)] {
            let error = require("x", &program, wanted).unwrap_err().to_string();
            assert_eq!(error, "x: not a program for Redox: not static, it needs /lib/ld");
        }
        require("x", &fake_program(2, 62, 64), Architecture::X86_64).unwrap();
    }

    #[test]
    fn header_with_senseless_numbers_does_no_harm() {
        let mut program = fake_program(2, 62, 64);
        program[32..64].fill(0xFF);
        require("x", &program, Architecture::X86_64).unwrap();
    }

    #[test]
    fn wrong_architecture_names_both() {
        let error = require("driver", &fake_program(2, 183, 64), Architecture::X86_64).unwrap_err();
        assert_eq!(error.to_string(), "driver is for aarch64, the image for x86_64");
    }
}
