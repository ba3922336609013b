//! `xtask/house.toml`: the files that may say `unsafe`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Path of the settings in the repository.
pub const FILE: &str = "xtask/house.toml";

/// The reasons for which a file may say `unsafe`.
const REASONS: [&str; 4] = ["registers", "DMA memory", "shared memory", "C ABI"];

/// The settings as they stand in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Files that may say `unsafe`, each with the reason.
    #[serde(default, rename = "unsafe")]
    unsafe_files: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the settings of the repository in `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
        Self::parse(&text)
    }

    /// Settings in that text; an unknown reason is an error.
    pub fn parse(text: &str) -> Result<Self> {
        let settings: Self = toml::from_str(text).with_context(|| format!("{FILE} cannot be understood"))?;
        for (path, reason) in &settings.unsafe_files {
            if !REASONS.contains(&reason.as_str()) {
                bail!("{FILE}: {path}: {reason:?} is not a reason for unsafe; these are: {REASONS:?}");
            }
        }
        Ok(settings)
    }

    /// Returns true if the file may say `unsafe`.
    pub fn allows_unsafe(&self, path: &str) -> bool {
        self.unsafe_files.contains_key(path)
    }

    /// Files of the list that do not say `unsafe`: one sentence each.
    pub fn stale(&self, says_unsafe: &BTreeSet<String>) -> Vec<String> {
        let listed = self.unsafe_files.keys();
        listed
            .filter(|path| !says_unsafe.contains(*path))
            .map(|path| format!("{FILE}: unsafe: {path} does not say unsafe: delete it from the list"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[unsafe]\n\"a/mmio.rs\" = \"registers\"";

    #[test]
    fn listed_files_may_say_unsafe_and_no_others() {
        let settings = Settings::parse(TEXT).unwrap();
        assert!(settings.allows_unsafe("a/mmio.rs"));
        assert!(!settings.allows_unsafe("b/mmio.rs"));
    }

    #[test]
    fn entry_that_nothing_needs_is_an_error() {
        let settings = Settings::parse(TEXT).unwrap();
        assert!(
            settings
                .stale(&BTreeSet::from(["a/mmio.rs".to_owned()]))
                .is_empty()
        );
        assert_eq!(
            settings.stale(&BTreeSet::new()),
            ["xtask/house.toml: unsafe: a/mmio.rs does not say unsafe: delete it from the list"]
        );
    }

    #[test]
    fn unknown_reasons_and_keys_are_refused() {
        for text in [
            "[unsafe]\n\"a.rs\" = \"speed\"",
            "[safe]",
            "[exemptions]\nlong-line = []",
        ] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
    }
}
