//! `netstack-client`: tries out, measures and watches a network adapter of Redox from the command line.

#![forbid(unsafe_code)]

use std::process::ExitCode;

#[cfg(target_os = "redox")]
fn main() -> ExitCode {
    use clap::Parser;
    use netstack_client::cli;

    cli::run(cli::Arguments::parse())
}

#[cfg(not(target_os = "redox"))]
fn main() -> ExitCode {
    eprintln!(
        "netstack-client: this program is for Redox; on Linux, `cargo xtask play` offers netstack-client-hosted"
    );
    ExitCode::FAILURE
}
