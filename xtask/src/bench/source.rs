//! Drivers that are compared, as the command line names them.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use lab_host::bench::Source;

use crate::programs::Programs;

/// The driver that the image has already.
const STOCK: &str = "stock";
/// The driver of this workspace.
const BUILD: &str = "build";

/// A driver, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name in the results.
    label: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// As it is on the image.
    Image,
    /// Built from this workspace.
    Build,
    File(PathBuf),
}

impl FromStr for Choice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (label, kind) = match text.split_once('=') {
            _ if text == STOCK => (STOCK.to_owned(), Kind::Image),
            _ if text == BUILD => (BUILD.to_owned(), Kind::Build),
            Some((label, file)) if !label.is_empty() => (label.to_owned(), Kind::File(file.into())),
            _ => {
                let file = PathBuf::from(text);
                let name = file.file_name().unwrap_or(file.as_os_str());
                (name.to_string_lossy().into_owned(), Kind::File(file))
            }
        };
        Ok(Self { label, kind })
    }
}

impl Choice {
    /// The stock driver and this workspace's, which are compared if nothing is chosen.
    pub fn usual() -> Vec<Self> {
        [(STOCK, Kind::Image), (BUILD, Kind::Build)]
            .map(|(label, kind)| Self {
                label: label.to_owned(),
                kind,
            })
            .into()
    }

    /// The driver itself.
    pub fn source(&self, programs: &Programs<'_>) -> Result<Source> {
        let program = match &self.kind {
            Kind::Image => None,
            Kind::Build => Some(programs.get("e1000d", None)?),
            Kind::File(path) => Some(programs.get("e1000d", Some(path))?),
        };
        Ok(Source {
            label: self.label.clone(),
            program,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Choice {
        text.parse().unwrap()
    }

    #[test]
    fn drivers_have_the_name_of_their_file_or_another() {
        assert_eq!(parse("stock"), Choice::usual()[0]);
        assert_eq!(parse("build"), Choice::usual()[1]);
        assert_eq!(parse("dir/e1000d").label, "e1000d");
        let named = parse("new one=dir/e=1");
        assert_eq!(
            (named.label.as_str(), named.kind),
            ("new one", Kind::File("dir/e=1".into()))
        );
    }
}
