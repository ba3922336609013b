//! An emulator: its programs, and its name with the version that it prints.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::output;
use crate::tools::QEMU;

/// An emulator to try.
pub struct Emulator {
    /// Name in the table, with the version.
    pub name: String,
    /// Directory with the program, or with a script that starts it.
    pub bin: PathBuf,
    /// Directory with the files of Bochs; `None` for QEMU.
    pub bochs: Option<PathBuf>,
}
/// The QEMU in a directory, with the version that it prints.
pub fn qemu(bin: PathBuf, origin: &str) -> Result<Emulator> {
    let said = output(Command::new(bin.join(QEMU)).arg("--version"))?;
    let version = word_behind(&said, "version").with_context(|| format!("it says no version: {said}"))?;
    Ok(Emulator {
        name: format!("QEMU {version} ({origin})"),
        bin,
        bochs: None,
    })
}

/// The Bochs in a directory, with the version that it prints.
pub fn bochs(bin: PathBuf, tree: PathBuf, origin: &str) -> Result<Emulator> {
    // It prints the version on standard output or error, and its exit status depends on the release.
    let said = Command::new(bin.join("bochs"))
        .arg("--help")
        .stdin(Stdio::null())
        .output();
    let said = said.context("cannot start Bochs")?;
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let version = word_behind(&text, "Emulator").with_context(|| format!("it says no version: {text}"))?;
    Ok(Emulator {
        name: format!("Bochs {version} ({origin})"),
        bin,
        bochs: Some(tree),
    })
}

/// The word after `word`.
fn word_behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_whitespace().skip_while(|found| *found != word).nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_the_word_after_its_name() {
        let said = "QEMU emulator version 10.0.13 (Debian)";
        assert_eq!(word_behind(said, "version"), Some("10.0.13"));
        assert_eq!(word_behind(said, "Emulator"), None);
    }
}
