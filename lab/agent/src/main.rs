//! `lab-agent`: checks, plays and measures inside the system under test.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use lab_agent::cli;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
