//! The interface between Redox's kernel and its C library.
//!
//! A static program carries its C library along, and runs only on systems with the kernel that this library is for.
//! In July 2026 file descriptors came to be allocated in user space: a program of before does not start on a system
//! of after, and the other way round.

use std::fmt;

/// The two kinds of systems, by who allocates file descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// The kernel: systems of before July 2026.
    Kernel,
    /// The C library: systems of July 2026 and later.
    UserSpace,
}

/// Text in each program that allocates descriptors itself: relibc (of August 2026) src/start.rs `relibc_start_v1`
/// ends with it if the kernel has given the program no table.
const USER_SPACE: &[u8] = b"no filetable fd present";
/// Text in each program of either kind: places in relibc's part that is particular to Redox, for messages of panics.
const EITHER: &[u8] = b"redox-rt/src/";

impl Abi {
    /// The kind that a program with a C library in it is for; `None` if it has none, or one of another time.
    pub fn of(program: &[u8]) -> Option<Self> {
        if contains(program, USER_SPACE) {
            Some(Self::UserSpace)
        } else if contains(program, EITHER) {
            Some(Self::Kernel)
        } else {
            None
        }
    }

    /// The C library that a driver for such a system must be linked against.
    pub fn library(self) -> &'static str {
        match self {
            Self::Kernel => {
                "relibc from before July 2026, with a stand-in for redox_fcntl_v0, which it lacks"
            }
            Self::UserSpace => "relibc from July 2026 or later, without stand-ins",
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Kernel => "from before July 2026",
            Self::UserSpace => "from July 2026 or later",
        })
    }
}

fn contains(program: &[u8], text: &[u8]) -> bool {
    program.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_told_apart_by_what_the_c_library_says() {
        let program = |text: &str| format!("\x7fELF something {text} and more").into_bytes();
        assert_eq!(Abi::of(&program("redox-rt/src/signal.rs")), Some(Abi::Kernel));
        assert_eq!(
            Abi::of(&program("redox-rt/src/signal.rs no filetable fd present")),
            Some(Abi::UserSpace)
        );
        assert_eq!(Abi::of(&program("")), None);
    }
}
