//! What kind of program a file is, from its ELF headers.

use std::fmt;

/// The result of a look at a program.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image cannot run a program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program of another format or system.
    #[error("{name}: not a program for Redox: {why}")]
    NotAProgram {
        /// The program.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A program for another architecture.
    #[error("{name} is for {found}, the image for {wanted}")]
    Architecture {
        /// The program.
        name: String,
        /// Its architecture.
        found: Architecture,
        /// The image's.
        wanted: Architecture,
    },
}

/// What Redox runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// AMD64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V, `riscv64gc`.
    Riscv64,
    /// 32-bit x86.
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

impl Architecture {
    /// Whether QEMU's x86 machines run it.
    pub fn is_x86(self) -> bool {
        matches!(self, Self::X86_64 | Self::I586)
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
    let (class, order) = (header[4], header[5]);
    let kind = u16::from_le_bytes([header[16], header[17]]);
    let machine = u16::from_le_bytes([header[18], header[19]]);
    if order != 1 {
        return refuse("big-endian");
    }
    // The operating system in e_ident tells nothing: linkers write 0 (System V) or 3 (GNU) for Redox and for Linux, the
    // latter where a program has GNU's extensions, rust-lld 22 more often.
    if is_for_linux(program) {
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
    let path = segments(program, PT_INTERP).next()?;
    Some(String::from_utf8_lossy(path).trim_end_matches('\0').to_owned())
}

/// Types of program headers.
const PT_INTERP: usize = 3;
const PT_NOTE: usize = 4;
/// The note in which glibc's start files say for which kernel they are (LSB Core, "ABI note tag"): its type, and Linux.
const NT_GNU_ABI_TAG: usize = 1;
const ABI_LINUX: usize = 0;

/// Whether a program has glibc's note that it is for Linux.
fn is_for_linux(program: &[u8]) -> bool {
    segments(program, PT_NOTE).any(|mut notes| {
        // Length of the name and of the rest, and the type; both are padded.
        while let (Some(name), Some(rest), Some(kind)) =
            (number(notes, 0, 4), number(notes, 4, 4), number(notes, 8, 4))
        {
            let place = name
                .checked_next_multiple_of(4)
                .and_then(|name| name.checked_add(12));
            let Some(place) = place else { break };
            if kind == NT_GNU_ABI_TAG && notes[12..].starts_with(b"GNU\0") {
                return number(notes, place, 4) == Some(ABI_LINUX);
            }
            let next = rest
                .checked_next_multiple_of(4)
                .and_then(|rest| place.checked_add(rest));
            let Some(left) = next.and_then(|next| notes.get(next..)) else {
                break;
            };
            notes = left;
        }
        false
    })
}

/// A number of so many bytes.
fn number(bytes: &[u8], offset: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(offset..offset.checked_add(width)?)?;
    let value = bytes
        .iter()
        .rev()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    usize::try_from(value).ok()
}

/// What the program headers of a type point to.
fn segments(program: &[u8], kind: usize) -> impl Iterator<Item = &[u8]> {
    // Where these numbers are, and how wide, depends on the class.
    let wide = program.get(4) == Some(&2);
    let pick = move |wide_one, narrow_one| if wide { wide_one } else { narrow_one };
    let word = pick(8, 4);
    let table = number(program, pick(32, 28), word).unwrap_or(usize::MAX);
    let size = number(program, pick(54, 42), 2).unwrap_or(0);
    let count = number(program, pick(56, 44), 2).unwrap_or(0);
    let headers = (0..count).filter_map(move |index| table.checked_add(index * size));
    headers.filter_map(move |header| {
        if number(program, header, 4) != Some(kind) {
            return None;
        }
        // p_offset and p_filesz.
        let start = number(program, header.checked_add(pick(8, 4))?, word)?;
        let length = number(program, header.checked_add(pick(32, 16))?, word)?;
        program.get(start..start.checked_add(length)?)
    })
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

    /// A program with notes: names, types, contents.
    fn with_notes(abi: u8, notes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let mut program = fake_program(2, 62, 120);
        program[7] = abi;
        program[32] = 64;
        (program[54], program[56]) = (56, 1);
        (program[64], program[72]) = (4, 120);
        for (name, kind, content) in notes {
            for word in [name.len() as u32, content.len() as u32, u32::from(*kind)] {
                program.extend(word.to_le_bytes());
            }
            for part in [name, content] {
                program.extend(*part);
                program.resize(program.len().next_multiple_of(4), 0);
            }
        }
        program[96] = (program.len() - 120) as u8;
        program
    }

    #[test]
    fn linker_may_write_gnu_for_redox() {
        for notes in [
            &[][..],
            &[(&b"GNU\0"[..], 3, &[7; 20][..])],
            &[(b"GNU\0", 1, &[9; 4])],
        ] {
            let program = with_notes(3, notes);
            assert_eq!(architecture("x", &program).unwrap(), Architecture::X86_64);
            require("x", &program, Architecture::X86_64).unwrap();
        }
    }

    #[test]
    fn notes_with_senseless_lengths_do_no_harm() {
        let mut program = with_notes(3, &[(b"GNU\0", 3, &[7; 20])]);
        program[120..128].fill(0xFF);
        architecture("x", &program).unwrap();
        program[120..124].fill(0);
        architecture("x", &program).unwrap();
    }

    #[test]
    fn other_files_are_refused_with_their_name() {
        let mut big_endian = fake_program(2, 62, 64);
        big_endian[5] = 2;
        let linux = with_notes(
            0,
            &[(b"GNU\0", 3, &[7; 20]), (b"GNU\0", 1, &[0, 0, 0, 0, 3, 0, 0, 0])],
        );
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
