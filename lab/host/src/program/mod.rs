//! Programs for an image: for which architecture, static or not, against which system's C library.

mod abi;

use std::fmt;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, elf};

pub use abi::Abi;

/// The result of a look at a program.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Reason why an image cannot run a program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program of another format or system.
    #[error("{name}: not a program for Redox: {why}")]
    NotAProgram {
        /// The program.
        name: String,
        /// Its fault.
        why: String,
    },
    /// A program with the C library of another time.
    #[error("{name} is for systems {found}, the image is one {wanted}: link it against {}", wanted.library())]
    Abi {
        /// The program.
        name: String,
        /// The kind of systems that it is for.
        found: Abi,
        /// The image's.
        wanted: Abi,
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

/// Architectures that Redox runs on.
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
    /// Returns true if QEMU's x86 machines run it.
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
    Ok(Headers::parse(name, program)?.architecture)
}

/// The kind of programs that an image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its architecture.
    pub architecture: Architecture,
    /// Its system's kind, if that is known.
    pub abi: Option<Abi>,
}

/// Demands that a program is one for `target`, and static: those of Redox's drivers are, and Linux's mostly are not.
pub fn require(name: &str, program: &[u8], target: &Target) -> Result<()> {
    let headers = Headers::parse(name, program)?;
    if headers.architecture != target.architecture {
        return Err(Error::Architecture {
            name: name.to_owned(),
            found: headers.architecture,
            wanted: target.architecture,
        });
    }
    if let Some(interpreter) = headers.interpreter {
        return Err(Error::NotAProgram {
            name: name.to_owned(),
            why: format!("not static, it needs {interpreter}"),
        });
    }
    match (Abi::of(program), target.abi) {
        (Some(found), Some(wanted)) if found != wanted => Err(Error::Abi {
            name: name.to_owned(),
            found,
            wanted,
        }),
        _ => Ok(()),
    }
}

/// Facts from the headers of a program.
struct Headers {
    architecture: Architecture,
    /// The dynamic linker that the program asks for.
    interpreter: Option<String>,
}

impl Headers {
    fn parse(name: &str, program: &[u8]) -> Result<Self> {
        let parsed = if !program.starts_with(&elf::ELFMAG) {
            Err("no ELF file".to_owned())
        } else {
            match FileKind::parse(program) {
                Ok(FileKind::Elf64) => Self::of::<elf::FileHeader64<Endianness>>(program),
                Ok(FileKind::Elf32) => Self::of::<elf::FileHeader32<Endianness>>(program),
                _ => Err("too short for an ELF header".to_owned()),
            }
        };
        parsed.map_err(|why| Error::NotAProgram {
            name: name.to_owned(),
            why,
        })
    }

    fn of<E: FileHeader<Endian = Endianness>>(program: &[u8]) -> Result<Self, String> {
        let header = E::parse(program).map_err(|error| error.to_string())?;
        let endian = header.endian().map_err(|error| error.to_string())?;
        if endian != Endianness::Little {
            return Err("big-endian".to_owned());
        }
        // A table with senseless numbers tells nothing, like none.
        let segments = header.program_headers(endian, program).unwrap_or_default();
        // The operating system in e_ident tells nothing: linkers write 0 (System V) or 3 (GNU) for Redox and for
        // Linux, the latter where a program has GNU's extensions, rust-lld 22 more often.
        if segments
            .iter()
            .any(|segment| is_for_linux(segment, endian, program))
        {
            return Err("built for Linux".to_owned());
        }
        if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
            return Err("no executable (an object file or a core dump)".to_owned());
        }
        let architecture = match (header.is_class_64(), header.e_machine(endian)) {
            (true, elf::EM_X86_64) => Architecture::X86_64,
            (true, elf::EM_AARCH64) => Architecture::Aarch64,
            (true, elf::EM_RISCV) => Architecture::Riscv64,
            (false, elf::EM_386) => Architecture::I586,
            (_, machine) => return Err(format!("ELF machine {machine} is none of Redox's")),
        };
        let interpreter = segments
            .iter()
            .find_map(|segment| segment.interpreter(endian, program).ok().flatten());
        Ok(Self {
            architecture,
            interpreter: interpreter.map(|path| String::from_utf8_lossy(path).into_owned()),
        })
    }
}

/// Returns true if a segment has the note in which glibc's start files say that they are for Linux (LSB Core, "ABI
/// note tag").
fn is_for_linux<P: ProgramHeader<Endian = Endianness>>(
    segment: &P,
    endian: Endianness,
    program: &[u8],
) -> bool {
    let Ok(Some(mut notes)) = segment.notes(endian, program) else {
        return false;
    };
    while let Ok(Some(note)) = notes.next() {
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_ABI_TAG {
            return note.desc().starts_with(&elf::ELF_NOTE_OS_LINUX.to_le_bytes());
        }
    }
    false
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

    /// That architecture, and a system of unknown kind.
    fn on(architecture: Architecture) -> Target {
        Target {
            architecture,
            abi: None,
        }
    }

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
            require("x", &program, &on(Architecture::X86_64)).unwrap();
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
            let error = require("x", &program, &on(wanted)).unwrap_err().to_string();
            assert_eq!(error, "x: not a program for Redox: not static, it needs /lib/ld");
        }
        require("x", &fake_program(2, 62, 64), &on(Architecture::X86_64)).unwrap();
    }

    #[test]
    fn header_with_senseless_numbers_does_no_harm() {
        let mut program = fake_program(2, 62, 64);
        program[32..64].fill(0xFF);
        require("x", &program, &on(Architecture::X86_64)).unwrap();
    }

    #[test]
    fn wrong_architecture_names_both() {
        let error = require("driver", &fake_program(2, 183, 64), &on(Architecture::X86_64)).unwrap_err();
        assert_eq!(error.to_string(), "driver is for aarch64, the image for x86_64");
    }

    #[test]
    fn program_for_the_other_kind_of_system_is_refused() {
        let mut program = fake_program(2, 62, 64);
        program.extend(b"redox-rt/src/signal.rs");
        for (abi, refused) in [
            (None, false),
            (Some(Abi::Kernel), false),
            (Some(Abi::UserSpace), true),
        ] {
            let target = Target {
                abi,
                ..on(Architecture::X86_64)
            };
            let result = require("driver", &program, &target);
            assert_eq!(result.is_err(), refused);
            if let Err(error) = result {
                assert_eq!(
                    error.to_string(),
                    "driver is for systems from before July 2026, the image is one from July 2026 or later: link it against \
                     relibc from July 2026 or later, without stand-ins"
                );
            }
        }
    }
}
