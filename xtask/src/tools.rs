//! Tools that the commands need from the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{cargo, executable, exists, output, run};

/// QEMU as the hosted machine starts it.
pub const QEMU: &str = "qemu-system-x86_64";
/// Its Debian package.
pub const QEMU_PACKAGE: &str = "qemu-system-x86";
/// Counts instructions. Its package has its name.
pub const VALGRIND: &str = "valgrind";

/// Makes sure that QEMU is there.
pub fn qemu() -> Result<()> {
    program(QEMU, QEMU_PACKAGE)
}

/// A directory to put first in PATH so that the QEMU at `path` is found: `path` itself if it is a directory that has
/// one, or else `place`, with a script in it that starts the program `path`.
pub fn qemu_directory(path: &Path, place: &Path) -> Result<PathBuf> {
    let directory = if path.is_dir() {
        let path = fs::canonicalize(path)?;
        ensure!(
            path.join(QEMU).exists(),
            "there is no {QEMU} in {}",
            path.display()
        );
        path
    } else {
        let program = if path == Path::new(QEMU) {
            path.to_owned()
        } else {
            fs::canonicalize(path).with_context(|| format!("there is no {}", path.display()))?
        };
        let mut which = Command::new("sh");
        which.args(["-c", "command -v -- \"$0\""]).arg(&program);
        let program = output(&mut which).with_context(|| format!("{} cannot be started", path.display()))?;
        let program = program.trim().replace('\'', r"'\''");
        fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
        executable(
            &place.join(QEMU),
            &format!("#!/bin/sh\nexec '{program}' \"$@\"\n"),
        )?;
        place.to_owned()
    };
    let said = output(Command::new(directory.join(QEMU)).arg("--version"))?;
    ensure!(said.starts_with("QEMU"), "{} is no QEMU", path.display());
    Ok(directory)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_is_a_program_or_a_directory_that_has_one() {
        let place = tempfile::tempdir().unwrap();
        let (program, made) = (place.path().join("it's mine"), place.path().join("made"));
        assert!(qemu_directory(&program, &made).is_err(), "not there");
        assert!(qemu_directory(place.path(), &made).is_err(), "none in it");
        executable(&program, "#!/bin/sh\necho QEMU emulator version 99.1 \"$1\"\n").unwrap();
        assert_eq!(qemu_directory(&program, &made).unwrap(), made);
        let said = output(Command::new(made.join(QEMU)).arg("-x")).unwrap();
        assert_eq!(said.trim(), "QEMU emulator version 99.1 -x");
        assert_eq!(
            qemu_directory(&made, place.path()).unwrap(),
            fs::canonicalize(&made).unwrap()
        );
        executable(&program, "#!/bin/sh\necho something else\n").unwrap();
        assert!(qemu_directory(&program, &made).is_err(), "no QEMU");
    }
}
