//! Names of adapters.

use std::fmt;
use std::str::FromStr;

/// Folder in which Redox lists its schemes.
pub(crate) const SCHEMES: &str = "/scheme";

/// The name of an adapter's scheme, `network.pci-0000-00-03.0_e1000` for instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AdapterName(String);

impl AdapterName {
    /// The name without `/scheme/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the data file, where frames are read and written.
    pub fn path(&self) -> String {
        format!("{SCHEMES}/{self}")
    }

    /// The path of one of its additional files.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("{SCHEMES}/{self}/{name}")
    }
}

impl fmt::Display for AdapterName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// A string that cannot name a scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" cannot be the name of an adapter", .0.escape_debug())]
pub struct NameError(String);

impl FromStr for AdapterName {
    type Err = NameError;

    /// Accepts the bare name and the path below `/scheme`. The name need not begin with `network.`, so that a user can
    /// choose any scheme.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.strip_prefix("/scheme/").unwrap_or(text);
        let name = name.strip_suffix('/').unwrap_or(name);
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(NameError(text.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_accepted_bare_and_as_path() {
        for text in ["network.a", "/scheme/network.a", "/scheme/network.a/"] {
            let name: AdapterName = text.parse().unwrap();
            assert_eq!(name.as_str(), "network.a");
            assert_eq!(name.path(), "/scheme/network.a");
        }
    }

    #[test]
    fn name_with_a_path_inside_is_refused() {
        for text in ["", "/scheme/", "network.a/mac", "../disk", "a\0b"] {
            assert!(text.parse::<AdapterName>().is_err(), "{text:?}");
        }
    }
}
