//! What the commands need from the machine, and how it gets there.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{cargo, exists, output, run};

const QEMU: &str = "qemu-system-x86_64";
const QEMU_PACKAGE: &str = "qemu-system-x86";
/// Counts instructions. Its package has its name.
pub const VALGRIND: &str = "valgrind";

/// Makes sure that QEMU is there.
pub fn qemu() -> Result<()> {
    program(QEMU, QEMU_PACKAGE)
}

/// Makes sure that valgrind is there.
pub fn valgrind() -> Result<()> {
    program(VALGRIND, VALGRIND)
}

/// Makes sure that a program is there, which a Debian package has.
fn program(name: &str, package: &str) -> Result<()> {
    if exists(name) {
        return Ok(());
    }
    eprintln!("{name} is not installed; trying apt-get");
    if let Err(error) = apt_install(package) {
        bail!(
            "{name} is needed and could not be installed ({error:#}). Install it: apt-get install {package}"
        );
    }
    if !exists(name) {
        bail!("{name} is not in PATH, though its package is installed");
    }
    Ok(())
}

/// Makes sure that the cargo subcommand of a rustup component is there.
pub fn component(subcommand: &str, component: &str) -> Result<()> {
    if output(cargo().args([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    if let Err(error) = run(Command::new("rustup").args(["component", "add", component])) {
        bail!("cargo {subcommand} is needed. Install it: rustup component add {component} ({error:#})");
    }
    Ok(())
}

/// Installs a Debian package, as root or with sudo.
pub fn apt_install(package: &str) -> Result<()> {
    let root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        if !root {
            command.args(["-n", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        run(&mut command)
    };
    let install = ["install", "-y", "-qq", "--no-install-recommends", package];
    if apt(&install).is_err() {
        // Package lists may be missing or old.
        apt(&["update", "-qq"])?;
        apt(&install)?;
    }
    Ok(())
}
