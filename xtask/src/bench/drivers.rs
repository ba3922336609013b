//! The drivers that are compared, each on a copy of the image of its own.

use std::convert::Infallible;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};

use crate::redox::build::Toolchain;
use crate::redox::elf::{self, Architecture};
use crate::redox::locate::{self, Location};
use crate::redox::volume::{NewFile, Volume};
use crate::redox::{copy, read, swap};
use crate::steps::Steps;

use super::guest::{MARKER, Moment, SCRIPT, Script};

/// The driver that the image has already.
pub const STOCK: &str = "stock";
/// The driver of this workspace.
const BUILD: &str = "build";
/// The stock driver on the image.
const STOCK_PROGRAM: &str = "/usr/lib/drivers/e1000d";

/// Which driver, as the command line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is called in the results.
    pub label: String,
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

impl FromStr for Source {
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

impl Source {
    /// What is compared if nothing is said: the stock driver and this workspace's.
    pub fn usual() -> Vec<Self> {
        [(STOCK, Kind::Image), (BUILD, Kind::Build)]
            .map(|(label, kind)| Self {
                label: label.to_owned(),
                kind,
            })
            .into()
    }

    /// The program, or `None` for the image's own.
    fn program(&self, architecture: Architecture, steps: &Steps) -> Result<Option<Vec<u8>>> {
        match &self.kind {
            Kind::Image => Ok(None),
            Kind::Build => build(architecture, "e1000d", steps).map(Some),
            Kind::File(path) => Ok(Some(read(path, architecture)?)),
        }
    }
}

/// Builds a program of this workspace for the image.
pub fn build(architecture: Architecture, package: &str, steps: &Steps) -> Result<Vec<u8>> {
    let toolchain = Toolchain::find(architecture)?;
    steps.step(&format!("build {package}"), || {
        let program = toolchain.build(architecture, package)?;
        elf::require(package, &program, architecture)?;
        Ok((program, toolchain.name().to_owned()))
    })
}

/// A driver on a copy of the image.
pub struct Subject {
    pub label: String,
    /// Of the driver's program.
    pub sha256: String,
    pub image: PathBuf,
    copy: File,
    place: Location,
    client: Vec<u8>,
}

impl Subject {
    /// Copies the image and puts the driver onto the copy.
    pub fn prepare(
        source: &Source,
        image: &Path,
        client: Option<&Path>,
        directory: &Path,
        steps: &Steps,
    ) -> Result<Self> {
        let to = directory.join(format!("{}.img", file_name(&source.label)));
        let original = copy::open_original(image)?;
        let copy = steps.bytes(&format!("copy for {}", source.label), |bar| {
            Ok((copy::copy(&original, image, &to, bar)?, String::new()))
        })?;
        let place = locate::locate(&copy)?;
        let mut volume = Volume::open(copy.try_clone()?, &place)?;
        let architecture = swap::architecture(&mut volume)?;
        ensure!(
            matches!(architecture, Architecture::X86_64 | Architecture::I586),
            "QEMU for x86 cannot boot an image for {architecture}"
        );
        let program = match source.program(architecture, steps)? {
            Some(program) => {
                swap::install(&mut volume, &program)?;
                program
            }
            None => {
                ensure!(
                    volume.read(swap::MATCH_FILE)?.is_none(),
                    "{} is on the image: it does not start its stock driver",
                    swap::MATCH_FILE
                );
                volume.read(STOCK_PROGRAM)?.unwrap_or_default()
            }
        };
        let client = match client {
            Some(path) => read(path, architecture)?,
            None => build(architecture, "netstack-client", steps)?,
        };
        Ok(Self::new(&source.label, &program, to, copy, place, client))
    }

    /// A copy of the image on which the driver is already.
    pub fn new(
        label: &str,
        program: &[u8],
        image: PathBuf,
        copy: File,
        place: Location,
        client: Vec<u8>,
    ) -> Self {
        Self {
            label: label.to_owned(),
            sha256: Sha256::digest(program)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            image,
            copy,
            place,
            client,
        }
    }

    /// Makes the system carry out these scripts, and no others, at its next start.
    pub fn install(&self, scripts: &[Script]) -> Result<()> {
        let mut volume = Volume::open(self.copy.try_clone()?, &self.place)?;
        volume.remove(&[Moment::BeforeNetwork.unit(), Moment::AfterNetwork.unit()])?;
        let mut files = vec![(swap::CLIENT.to_owned(), self.client.clone(), true)];
        for script in scripts {
            let path = format!("{SCRIPT}{}", script.moment.number());
            files.push((
                script.moment.unit().to_owned(),
                unit(script.moment, &path).into(),
                false,
            ));
            files.push((path, script.lines.join("\n").into(), false));
        }
        let files: Vec<_> = files
            .iter()
            .map(|(path, data, executable)| NewFile {
                path,
                data,
                executable: *executable,
            })
            .collect();
        Ok(volume.write(&files)?)
    }
}

/// Init waits for its end.
fn unit(moment: Moment, script: &str) -> String {
    format!(
        r#"[unit]
description = "cargo xtask bench"
requires_weak = ["{}"]

[service]
cmd = "netstack-client"
args = ["bench", "script", "{script}", "--marker", "{MARKER}", "--wait", "20"]
type = "oneshot"
"#,
        moment.after()
    )
}

/// A label as part of a file's name.
fn file_name(label: &str) -> String {
    label
        .chars()
        .map(|character| {
            if character.is_alphanumeric() {
                character
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        text.parse().unwrap()
    }

    #[test]
    fn drivers_have_the_name_of_their_file_or_another() {
        assert_eq!(parse("stock"), Source::usual()[0]);
        assert_eq!(parse("build"), Source::usual()[1]);
        assert_eq!(parse("dir/e1000d").label, "e1000d");
        let named = parse("new one=dir/e=1");
        assert_eq!(
            (named.label.as_str(), named.kind),
            ("new one", Kind::File("dir/e=1".into()))
        );
        assert_eq!(file_name("new one/2"), "new-one-2");
    }

    #[test]
    fn unit_is_what_init_reads() {
        let unit: toml::Table = unit(Moment::AfterNetwork, "/etc/script").parse().unwrap();
        assert_eq!(unit["service"]["type"].as_str(), Some("oneshot"));
        assert_eq!(unit["unit"]["requires_weak"][0].as_str(), Some("10_net.target"));
    }
}
