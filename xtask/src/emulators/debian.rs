//! QEMU from Debian's packages, unpacked and not installed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{executable, output};
use crate::tools::{QEMU, QEMU_PACKAGE};

/// With which Debian signs its suites.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Fetches the suite's QEMU with all that it needs, or finds it as it was fetched before; the directory with a program
/// that starts it by its own loader, with its own libraries.
///
/// apt works in a directory of its own: it knows no other sources, no installed package, and needs no root.
pub fn fetch(suite: &str, mirror: Option<&str>, place: &Path) -> Result<PathBuf> {
    let named = suite
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    ensure!(named && !suite.is_empty(), "{suite:?} is no name of a suite");
    let directory = place.join(suite);
    let program = directory.join("bin").join(QEMU);
    if program.exists() {
        return Ok(directory.join("bin"));
    }
    let mirror = match mirror {
        Some(mirror) => mirror.to_owned(),
        None => machines_mirror()?,
    };
    let ensured = |path: &str| {
        let path = directory.join(path);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))
    };
    for path in [
        "etc",
        "state/lists/partial",
        "cache/archives/partial",
        "tree",
        "bin",
    ] {
        ensured(path)?;
    }
    let signed = if Path::new(KEYRING).exists() {
        format!("[signed-by={KEYRING}] ")
    } else {
        String::new()
    };
    let write = |path: &str, text: String| {
        let path = directory.join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("etc/sources.list", format!("deb {signed}{mirror} {suite} main\n"))?;
    write("status", String::new())?;
    let at = directory.display();
    // A mirror may be behind; what it says is signed in any case.
    write(
        "apt.conf",
        format!(
            "Dir::Etc::SourceList \"{at}/etc/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
             Dir::State \"{at}/state\";\nDir::State::Status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n\
             APT::Sandbox::User \"root\";\nAPT::Install-Recommends \"false\";\n\
             Acquire::Check-Valid-Until \"false\";\nAcquire::Languages \"none\";\nAcquire::Retries \"2\";\n"
        ),
    )?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("APT_CONFIG", directory.join("apt.conf"))
            .args(arguments);
        output(&mut command).map(|_| ())
    };
    apt(&["update", "-qq"])?;
    apt(&["install", "-y", "-qq", "--download-only", QEMU_PACKAGE])?;
    let tree = directory.join("tree");
    let mut packages = 0;
    for entry in fs::read_dir(directory.join("cache/archives"))? {
        let package = entry?.path();
        if package.extension() == Some(OsStr::new("deb")) {
            output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&tree))?;
            packages += 1;
        }
    }
    ensure!(packages > 0, "apt-get fetched no package");
    executable(&program, &starter(&tree)?)?;
    Ok(directory.join("bin"))
}

/// A script that starts the QEMU in `tree`.
fn starter(tree: &Path) -> Result<String> {
    // Where /lib is a part of /usr, and where it is not.
    let loaders = ["usr/lib", "lib"].map(|lib| tree.join(lib).join("x86_64-linux-gnu/ld-linux-x86-64.so.2"));
    let Some(loader) = loaders.iter().find(|loader| loader.exists()) else {
        bail!("no x86_64 loader among the packages");
    };
    let (loader, tree) = (loader.display(), tree.display());
    Ok(format!(
        "#!/bin/sh\nexec '{loader}' --library-path '{tree}/usr/lib/x86_64-linux-gnu:{tree}/lib/x86_64-linux-gnu' \
         '{tree}/usr/bin/{QEMU}' -L '{tree}/usr/share/qemu' -L '{tree}/usr/share/seabios' \"$@\"\n"
    ))
}

/// Where apt on this machine has Debian's packages from.
fn machines_mirror() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(REPO_URI)",
        "Created-By: Packages",
    ]);
    let sources = output(&mut command)?;
    let mut mirrors = sources.lines().filter_map(|line| line.strip_prefix("Debian "));
    // Security updates are a repository of their own, without suites like these.
    let mirror = mirrors.find(|mirror| !mirror.contains("security"));
    mirror
        .map(str::to_owned)
        .context("apt has no Debian packages on this machine; say --mirror URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_is_a_name_and_no_path_or_option() {
        let place = tempfile::tempdir().unwrap();
        for suite in ["", "../sid", "sid main\ndeb x", "a b"] {
            assert!(
                fetch(suite, Some("file:/nowhere"), place.path()).is_err(),
                "{suite}"
            );
        }
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn starter_takes_the_loader_that_is_there() {
        let tree = tempfile::tempdir().unwrap();
        assert!(starter(tree.path()).is_err());
        let lib = tree.path().join("lib/x86_64-linux-gnu");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("ld-linux-x86-64.so.2"), "").unwrap();
        let script = starter(tree.path()).unwrap();
        assert!(
            script.contains(&format!("exec '{}/ld-linux", lib.display())),
            "{script}"
        );
    }
}
