//! `netstack-client` on Linux: finds the schemes of hosted daemons in the directory that `REDOX_SHIM_DIR` names.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use netstack_client::cli;
// Nothing is called by name: the crate carries the redox_* symbols for the linker.
use redox_shim as _;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
