//! The project's commands: `cargo xtask demo`, `play`, `test`, `check-redox`, `stack`, `redox`, `bench`, `emulators`.

#![forbid(unsafe_code)]

mod bench;
mod check_redox;
mod demo;
mod emulators;
mod hosted;
mod house;
mod play;
mod process;
mod programs;
mod redox;
mod rust_src;
mod stack;
mod steps;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "e1000d: see it work, test it, check it for Redox"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Drive one of QEMU's NICs with e1000d on this machine: DHCP, ping, TCP. No guest, no root.
    Demo(demo::Arguments),
    /// Drive one of QEMU's NICs as demo does, and open a shell in which netstack-client finds it.
    Play(play::Arguments),
    /// Formatting, lints, all tests (also against QEMU's device models), and `check-redox`.
    Test(test::Arguments),
    /// Hold every file against the house rules of docs/design.md; a part of test.
    House(house::Arguments),
    /// Type-check and lint everything that runs on Redox for its four architectures.
    CheckRedox(check_redox::Arguments),
    /// Measure the stack frames of the chip core, which a kernel's stack has to hold.
    Stack,
    /// Swap the driver into the image of a Redox system, or back, and try it there in QEMU.
    Redox(redox::Arguments),
    /// Compare drivers in the image of a Redox system, or count what frames cost against QEMU's NICs.
    Bench(bench::Arguments),
    /// Fetch other QEMUs as Debian packages, install nothing, and run demo and hosted tests on each: one table.
    Emulators(emulators::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Play(arguments) => play::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::House(arguments) => house::run(&arguments),
        Command::CheckRedox(arguments) => check_redox::run(&arguments),
        Command::Stack => stack::run(),
        Command::Redox(arguments) => redox::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Emulators(arguments) => emulators::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
