//! `xtask/house.toml`: the places of `unsafe`, and files that do not fulfil a rule yet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Rule;

/// Path of the settings in the repository.
pub const FILE: &str = "xtask/house.toml";

/// The reasons for which a file may say `unsafe`.
const REASONS: [&str; 4] = ["registers", "DMA memory", "shared memory", "C ABI"];

/// The settings as they stand in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Files that may say `unsafe`, and around what.
    #[serde(default, rename = "unsafe")]
    unsafe_files: BTreeMap<String, String>,
    /// Files that do not fulfil a rule yet, by the rule's name.
    #[serde(default)]
    exemptions: BTreeMap<String, BTreeSet<String>>,
}

impl Settings {
    /// Reads the settings of the repository in `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
        Self::parse(&text)
    }

    /// Settings in that text; an unknown rule or reason is an error.
    pub fn parse(text: &str) -> Result<Self> {
        let settings: Self = toml::from_str(text).with_context(|| format!("{FILE} cannot be understood"))?;
        for name in settings.exemptions.keys() {
            if !Rule::ALL.iter().any(|rule| rule.name() == name) {
                bail!("{FILE}: no rule is named {name}");
            }
        }
        for (path, reason) in &settings.unsafe_files {
            if !REASONS.contains(&reason.as_str()) {
                bail!("{FILE}: {path}: {reason:?} is not a reason for unsafe; these are: {REASONS:?}");
            }
        }
        Ok(settings)
    }

    /// Returns true if the file is exempt from the rule.
    pub fn exempts(&self, rule: Rule, path: &str) -> bool {
        self.exemptions
            .get(rule.name())
            .is_some_and(|paths| paths.contains(path))
    }

    /// Returns true if the file may say `unsafe`.
    pub fn allows_unsafe(&self, path: &str) -> bool {
        self.unsafe_files.contains_key(path)
    }

    /// Exemptions that nothing needs, and files that may say `unsafe` but do not: one sentence each.
    pub fn stale(&self, used: &BTreeSet<(Rule, String)>, says_unsafe: &BTreeSet<String>) -> Vec<String> {
        let exemptions = self.exemptions.iter().flat_map(|(name, paths)| {
            paths
                .iter()
                .filter(move |path| {
                    !used
                        .iter()
                        .any(|(rule, used)| rule.name() == name && used == *path)
                })
                .map(move |path| format!("{FILE}: {name}: {path} fulfils the rule: delete its exemption"))
        });
        let places = self
            .unsafe_files
            .keys()
            .filter(|path| !says_unsafe.contains(*path))
            .map(|path| format!("{FILE}: unsafe: {path} does not say unsafe: delete it from the list"));
        exemptions.chain(places).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [unsafe]
        "a/mmio.rs" = "registers"
        [exemptions]
        long-line = ["README.md"]
    "#;

    #[test]
    fn listed_files_are_exempt_and_no_others() {
        let settings = Settings::parse(TEXT).unwrap();
        assert!(settings.exempts(Rule::LongLine, "README.md"));
        assert!(!settings.exempts(Rule::LongLine, "a/README.md"));
        assert!(!settings.exempts(Rule::DeadLink, "README.md"));
        assert!(settings.allows_unsafe("a/mmio.rs"));
        assert!(!settings.allows_unsafe("b/mmio.rs"));
    }

    #[test]
    fn exemption_that_nothing_needs_is_told() {
        let settings = Settings::parse(TEXT).unwrap();
        let used = BTreeSet::from([(Rule::LongLine, "README.md".to_owned())]);
        let says_unsafe = BTreeSet::from(["a/mmio.rs".to_owned()]);
        assert!(settings.stale(&used, &says_unsafe).is_empty());
        assert_eq!(
            settings.stale(&BTreeSet::new(), &BTreeSet::new()),
            [
                "xtask/house.toml: long-line: README.md fulfils the rule: delete its exemption",
                "xtask/house.toml: unsafe: a/mmio.rs does not say unsafe: delete it from the list",
            ]
        );
    }

    #[test]
    fn unknown_rules_reasons_and_keys_are_refused() {
        for text in [
            "[exemptions]\nlong-lines = []",
            "[unsafe]\n\"a.rs\" = \"speed\"",
            "[safe]",
        ] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
    }
}
