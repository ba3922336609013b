//! The sources of std, of exactly the compiler's version: Redox targets have no precompiled std.
//!
//! They are rustup's component `rust-src`. Where that cannot be had, Debian's package `rust-src` of the same
//! version is downloaded from backports and unpacked below `target/`; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{output, run, target};

/// Debian's suite that carries recent Rust.
const SUITE: &str = "trixie-backports";

/// Where the sources are. `None`: where cargo finds them by itself.
pub fn find() -> Result<Option<PathBuf>> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let own = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    if own.exists() {
        return Ok(None);
    }
    let version = version()?;
    let unpacked = target().join(format!("rust-src-{version}"));
    let library = unpacked.join(format!("usr/src/rustc-{version}/library"));
    if library.join("std/Cargo.toml").exists() {
        return Ok(Some(library));
    }
    if Command::new("rustup")
        .args(["component", "add", "rust-src"])
        .output()
        .is_ok_and(|o| o.status.success())
        && own.exists()
    {
        return Ok(None);
    }
    eprintln!("rustup has no rust-src here; trying Debian's package of {version}");
    from_debian(&version, &unpacked).with_context(|| {
        format!("the sources of std {version} are needed. Install them: rustup component add rust-src")
    })?;
    if !library.join("std/Cargo.toml").exists() {
        bail!("Debian's package rust-src {version} has no library/std");
    }
    Ok(Some(library))
}

/// The compiler's version, for example `1.95.0`.
fn version() -> Result<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let release = version.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(release.context("rustc -vV names no release")?.trim().to_owned())
}

/// Downloads and unpacks Debian's package, with package lists of its own.
fn from_debian(version: &str, unpacked: &Path) -> Result<()> {
    let place = target().join("rust-src-apt");
    for directory in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(place.join(directory))?;
    }
    let mirror = mirror()?;
    fs::write(place.join("sources.list"), format!("deb {mirror} {SUITE} main\n"))?;
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command
            .current_dir(&place)
            .args(["-qq", "-o", "APT::Sandbox::User="]);
        for (option, path) in [
            ("Dir::Etc::sourcelist", place.join("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::State::lists", place.join("lists")),
            ("Dir::Cache", place.join("cache")),
        ] {
            command.args(["-o", &format!("{option}={}", path.display())]);
        }
        command
    };
    run(apt("apt-get").arg("update"))?;
    let offered = output(apt("apt-cache").args(["madison", "rust-src"]))?;
    let full = offered
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .find(|offered| {
            offered.starts_with(&format!("{version}+")) || offered.starts_with(&format!("{version}-"))
        })
        .with_context(|| format!("{SUITE} has no rust-src {version}"))?;
    run(apt("apt-get").args(["download", &format!("rust-src={full}")]))?;
    let package = fs::read_dir(&place)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("nothing was downloaded")?;
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(unpacked))?;
    fs::remove_file(package)?;
    Ok(())
}

/// The mirror that this machine's own packages come from.
fn mirror() -> Result<String> {
    let format = "$(ORIGIN) $(REPO_URI)";
    let targets =
        output(Command::new("apt-get").args(["indextargets", "Created-By: Packages", "--format", format]))
            .context("asking apt for its mirrors")?;
    targets
        .lines()
        .filter_map(|line| line.strip_prefix("Debian "))
        .find(|uri| !uri.contains("security"))
        .map(str::to_owned)
        .context("apt knows no Debian mirror; run apt-get update once")
}
