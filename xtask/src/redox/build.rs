//! Building what goes onto an image, for the image's target.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::elf::Architecture;
use super::error::Error;
use crate::process::{build, cargo, exists, root, target};
use crate::rust_src;

/// The profile of the workspace for programs on Redox.
const PROFILE: &str = "redox";

/// What builds for Redox here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// cargo, with the linker and sysroot that the environment names.
    Cargo,
    /// Redox's own tool, which brings linker and sysroot along.
    Redoxer,
}

impl Toolchain {
    /// What there is.
    ///
    /// # Errors
    ///
    /// [`Error::NoToolchain`] says what to set.
    pub fn find(architecture: Architecture) -> Result<Self, Error> {
        let linker = linker_variable(architecture);
        if std::env::var_os(&linker).is_some() {
            Ok(Self::Cargo)
        } else if exists("redoxer") {
            Ok(Self::Redoxer)
        } else {
            Err(Error::NoToolchain {
                triple: architecture.triple(),
                linker,
            })
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Redoxer => "redoxer",
        }
    }

    /// Builds a package of this workspace whose program has the package's name, and returns the program.
    pub fn build(self, architecture: Architecture, package: &str) -> Result<Vec<u8>> {
        self.build_with(architecture, package, &ProgressBar::hidden())
    }

    /// Does that, and has the bar say how far it is.
    pub fn build_with(self, architecture: Architecture, package: &str, bar: &ProgressBar) -> Result<Vec<u8>> {
        let triple = architecture.triple();
        let mut command = match self {
            Self::Cargo => cargo(),
            Self::Redoxer => {
                let mut command = Command::new("redoxer");
                command.current_dir(root()).env("TARGET", triple);
                command
            }
        };
        command.args(["build", "--locked", "--profile", PROFILE, "--package", package]);
        if self == Self::Cargo {
            command.args(["--target", triple, "-Z", "build-std=std,panic_abort"]);
            // build-std is not stable, so a stable cargo and std itself need this; our own crates use nothing of it.
            command.env("RUSTC_BOOTSTRAP", "1");
            if let Some(library) = rust_src::find()? {
                // Cargo's own switch for sources of std that lie elsewhere.
                command.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
            }
        }
        build(&mut command, bar)?;
        let program = target().join(triple).join(PROFILE).join(package);
        fs::read(&program).with_context(|| format!("nothing was built at {}", program.display()))
    }
}

/// Cargo's variable for the linker of a target.
fn linker_variable(architecture: Architecture) -> String {
    let triple = architecture.triple().to_uppercase().replace('-', "_");
    format!("CARGO_TARGET_{triple}_LINKER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_is_the_one_that_cargo_reads() {
        assert_eq!(
            linker_variable(Architecture::Riscv64),
            "CARGO_TARGET_RISCV64GC_UNKNOWN_REDOX_LINKER"
        );
    }
}
