//! The drivers that are compared, each on a copy of the image of its own.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::script::{Moment, Script};
use crate::image::volume::NewFile;
use crate::image::{Copied, Error, Result, swap};

/// The driver that the image has already.
pub const STOCK: &str = "stock";
/// The stock driver on the image.
const STOCK_PROGRAM: &str = "/usr/lib/drivers/e1000d";

/// A driver to compare.
pub struct Source {
    /// Its name in the results.
    pub label: String,
    /// The program; `None` for the stock driver, as it is on the image.
    pub program: Option<Vec<u8>>,
}

/// A driver on a copy of the image.
pub struct Subject {
    pub label: String,
    /// Of the driver's program.
    pub sha256: String,
    pub image: PathBuf,
    copied: Copied,
    agent: Vec<u8>,
}

impl Subject {
    /// Copies the image into a directory and puts the driver onto the copy.
    pub fn prepare(source: &Source, image: &Path, agent: &[u8], directory: &Path) -> Result<Self> {
        let to = directory.join(format!("{}.img", file_name(&source.label)));
        let copied = Copied::make(image, &to)?;
        let mut volume = copied.open()?;
        let program = match &source.program {
            Some(program) => {
                swap::install(&mut volume, program)?;
                program.clone()
            }
            None => {
                if volume.read(swap::MATCH_FILE)?.is_some() {
                    return Err(Error::Overridden(swap::MATCH_FILE));
                }
                volume.read(STOCK_PROGRAM)?.unwrap_or_default()
            }
        };
        Ok(Self::new(&source.label, &program, to, copied, agent.to_vec()))
    }

    /// A copy of the image on which the driver is already.
    pub fn new(label: &str, program: &[u8], image: PathBuf, copied: Copied, agent: Vec<u8>) -> Self {
        Self {
            label: label.to_owned(),
            sha256: Sha256::digest(program)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            image,
            copied,
            agent,
        }
    }

    /// Makes the system carry out these scripts, and no others, at its next start.
    pub fn install(&self, scripts: &[Script]) -> Result<()> {
        let mut volume = self.copied.open()?;
        volume.remove(&[Moment::BeforeNetwork.unit(), Moment::AfterNetwork.unit()])?;
        let mut files = vec![(swap::AGENT.to_owned(), self.agent.clone(), true)];
        for script in scripts {
            files.push((script.moment.unit().to_owned(), script.unit().into(), false));
            files.push((script.path(), script.lines.join("\n").into(), false));
        }
        let files: Vec<_> = files
            .iter()
            .map(|(path, data, executable)| NewFile {
                path,
                data,
                executable: *executable,
            })
            .collect();
        volume.write(&files)
    }
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

    #[test]
    fn labels_become_names_of_files() {
        assert_eq!(file_name("new one/2"), "new-one-2");
    }
}
