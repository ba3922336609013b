//! `cargo xtask test`

use anyhow::Result;
use clap::Args;

use crate::bench::hosted;
use crate::process::{cargo, run as run_command};
use crate::{check_redox, tools};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub struct Arguments {
    /// Leave `check-redox` out.
    #[arg(long)]
    no_redox: bool,
}

/// Runs everything; the first failure ends it.
pub fn run(arguments: &Arguments) -> Result<()> {
    eprintln!("== tools");
    tools::component("fmt", "rustfmt")?;
    tools::component("clippy", "clippy")?;
    tools::qemu()?;
    eprintln!("== formatting");
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
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
    eprintln!("== tests: beside the code, against QEMU's device models, through the scheme");
    run_command(cargo().args(["test", "--locked", "--workspace"]))?;
    eprintln!("== register accesses and instructions a frame, against the baseline");
    hosted::check(&hosted::baseline(), false)?;
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
