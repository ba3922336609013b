//! `cargo xtask check-redox`

use anyhow::{Context, Result};
use clap::Args;

use crate::process::{cargo, output};
use crate::rust_src;
use crate::steps::Steps;
use crate::tools;

/// Redox's targets, all of them.
const TARGETS: [&str; 4] = [
    "x86_64-unknown-redox",
    "aarch64-unknown-redox",
    "riscv64gc-unknown-redox",
    "i586-unknown-redox",
];
/// Packages that run on Redox.
const PACKAGES: [&str; 6] = [
    "e1000-hw",
    "frame-ring",
    "pcid-config",
    "e1000d",
    "netstack-client",
    "lab-agent",
];

/// Options of `cargo xtask check-redox`.
#[derive(Args)]
pub struct Arguments {
    /// Only this target; may be given more than once.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Vec<String>,
}

/// All targets.
pub fn all() -> Result<()> {
    run(&Arguments { target: Vec::new() })
}

/// Checks the targets asked for, or all.
pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::new(false);
    tools::component("clippy", "clippy")?;
    let sources = steps.step("sources of std", || {
        let sources = rust_src::find()?;
        let word = if sources.is_some() { "Debian's" } else { "rustup's" };
        Ok((sources, word.to_owned()))
    })?;
    let chosen = TARGETS
        .into_iter()
        .filter(|target| arguments.target.is_empty() || arguments.target.iter().any(|asked| asked == target));
    for target in chosen {
        let mut command = cargo();
        command.args([
            "clippy",
            "--quiet",
            "--locked",
            "-Z",
            "build-std=std,panic_abort",
            "--target",
            target,
        ]);
        command.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
        command.args(["--", "-D", "warnings"]);
        // build-std is not stable, so a stable cargo and std itself need this; our own crates use nothing of it.
        command.env("RUSTC_BOOTSTRAP", "1");
        if let Some(library) = &sources {
            // Cargo's own switch for sources of std that lie elsewhere.
            command.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
        }
        steps
            .step(target, || output(&mut command).map(|_| ((), String::new())))
            .context(target)?;
    }
    Ok(())
}
