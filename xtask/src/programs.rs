//! Programs for an image: built for its target, or read from files.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use indicatif::ProgressBar;
use lab_host::image::{self, Kind};
use lab_host::program::{self, Architecture, Target};
use lab_host::units::mebibytes;

use crate::process::{build, cargo, exists, root, target};
use crate::rust_src;
use crate::steps::Steps;

/// The profile of the workspace for programs on Redox.
const PROFILE: &str = "redox";

/// The function that relibc of before July 2026 lacks.
const STAND_IN: &str = "redox_fcntl_v0";

/// Looks at an image, by way of a copy at `scratch`, and shows what it is.
pub fn inspect(image: &Path, scratch: &Path, steps: &Steps) -> Result<Kind> {
    let kind = steps.step("RedoxFS", || {
        let kind = image::inspect(image, scratch)?;
        Ok((kind, describe(&kind)))
    })?;
    fs::remove_file(scratch).with_context(|| format!("removing {}", scratch.display()))?;
    Ok(kind)
}

/// An image in a few words.
pub fn describe(kind: &Kind) -> String {
    format!(
        "at {}, {}, {}{}",
        mebibytes(kind.place.start),
        kind.place.layout.name(),
        kind.target.architecture,
        kind.target
            .abi
            .map_or_else(String::new, |abi| format!(", system {abi}"))
    )
}

/// The source of programs for one image.
pub struct Programs<'a> {
    target: Target,
    steps: &'a Steps,
}

impl<'a> Programs<'a> {
    /// Programs for that image; builds are shown.
    pub fn new(target: Target, steps: &'a Steps) -> Self {
        Self { target, steps }
    }

    /// The program of a package of this workspace: from a file if one is given, built otherwise.
    pub fn get(&self, package: &str, given: Option<&Path>) -> Result<Vec<u8>> {
        let Some(path) = given else {
            return self.build(package);
        };
        let program = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        program::require(&path.display().to_string(), &program, &self.target)?;
        Ok(program)
    }

    /// The same, or `None` if there is no file and nothing that could build it.
    pub fn find(&self, package: &str, given: Option<&Path>) -> Result<Option<Vec<u8>>> {
        if given.is_none() && Toolchain::find(self.target.architecture).is_none() {
            return Ok(None);
        }
        self.get(package, given).map(Some)
    }

    fn build(&self, package: &str) -> Result<Vec<u8>> {
        let architecture = self.target.architecture;
        let toolchain = Toolchain::find(architecture).ok_or_else(|| {
            anyhow!(
                "no way to build for {}: set {} (and the RUSTFLAGS that its sysroot needs), or put redoxer into PATH, \
                 or give a program built elsewhere with --driver, --client or --agent",
                architecture.triple(),
                linker_variable(architecture)
            )
        })?;
        self.steps.build(&format!("build {package}"), |bar| {
            let program = toolchain
                .build(architecture, package, bar)
                .map_err(|error| self.explain(error))?;
            program::require(package, &program, &self.target)?;
            Ok((
                program,
                format!("{}, {}", architecture.triple(), toolchain.name()),
            ))
        })
    }
}

impl Programs<'_> {
    /// Adds to a linker's complaint what it means.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match self.target.abi {
            Some(abi) if error.to_string().contains(STAND_IN) => error.context(format!(
                "the image is a system {abi}: link against {}; docs/redox.md has the stand-in",
                abi.library()
            )),
            _ => error,
        }
    }
}

/// A way to build for Redox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toolchain {
    /// cargo, with the linker and sysroot that the environment names.
    Cargo,
    /// Redox's own tool, which brings linker and sysroot along.
    Redoxer,
}

impl Toolchain {
    /// The one that is there.
    fn find(architecture: Architecture) -> Option<Self> {
        if std::env::var_os(linker_variable(architecture)).is_some() {
            Some(Self::Cargo)
        } else if exists("redoxer") {
            Some(Self::Redoxer)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Redoxer => "redoxer",
        }
    }

    /// Builds a package of this workspace whose program has the package's name, and returns the program. The bar says
    /// how far it is.
    fn build(self, architecture: Architecture, package: &str, bar: &ProgressBar) -> Result<Vec<u8>> {
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
