//! `cargo xtask test`

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::bench::counts;
use crate::process::{cargo, path_with, run as run_command, target};
use crate::{check_redox, house, stack, tools};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub struct Arguments {
    /// Leave `check-redox` out.
    #[arg(long)]
    no_redox: bool,

    /// The QEMU of all tests that need one: a program, or a directory with a qemu-system-x86_64 in it.
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
}

/// Runs everything; the first failure ends it.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(qemu) = &arguments.qemu {
        return run_with(qemu, arguments.no_redox);
    }
    eprintln!("== tools");
    tools::component("fmt", "rustfmt")?;
    tools::component("clippy", "clippy")?;
    tools::qemu()?;
    eprintln!("== formatting");
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    eprintln!("== house rules");
    house::check()?;
    eprintln!("== lints");
    run_command(cargo().args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // Tests of the commands start these; what a build says of itself is to be read here, not in a test's failure.
    eprintln!("== programs of the hosted mode");
    run_command(cargo().args(["build", "--release", "--locked", "--package", "e1000-hosted"]))?;
    eprintln!("== tests: beside the code, against QEMU's device models, through the scheme");
    run_command(cargo().args(["test", "--locked", "--workspace"]))?;
    eprintln!("== register accesses and instructions a frame, against the baseline");
    counts::check(&counts::baseline(), false)?;
    eprintln!("== stack frames of the chip core");
    stack::check_or_skip()?;
    eprintln!("== documentation");
    let mut doc = cargo();
    doc.args(["doc", "--locked", "--workspace", "--no-deps", "--quiet"]);
    // Binaries that are named like their library are documented with it.
    doc.env("RUSTDOCFLAGS", "-D warnings").arg("--lib");
    run_command(&mut doc)?;
    if arguments.no_redox {
        eprintln!("== Redox targets: SKIPPED (--no-redox)");
    } else {
        eprintln!("== Redox targets");
        check_redox::all()?;
    }
    eprintln!("all passed");
    Ok(())
}

/// Runs everything in a process that finds this QEMU first.
fn run_with(qemu: &Path, no_redox: bool) -> Result<()> {
    let place = std::path::absolute(target().join("emulators").join("test"))?;
    let directory = tools::qemu_directory(qemu, &place)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("test").args(no_redox.then_some("--no-redox"));
    run_command(command.env("PATH", path_with(&directory)?))
}
