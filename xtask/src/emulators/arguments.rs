//! Options of the command, and the selection that they make.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lab_host::system::accelerator::Accelerator;

use super::systems::Given;
use crate::hosted::nics;

/// Factor by which all time limits are longer than on an idle machine.
const PATIENCE: u32 = 3;

/// Options of `cargo xtask emulators`.
#[derive(Args)]
pub struct Arguments {
    /// Debian suites whose QEMU and Bochs are fetched and unpacked under target/emulators; nothing is installed. Suites
    /// of backports are understood.
    #[arg(
        long,
        value_name = "SUITE",
        value_delimiter = ',',
        default_value = "trixie,sid"
    )]
    pub suites: Vec<String>,

    /// Server of Debian's packages [default: the one that apt uses on this machine].
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,

    /// Further QEMUs: programs, or directories with a qemu-system-x86_64 in them.
    #[arg(long, value_name = "PATH")]
    pub qemu: Vec<PathBuf>,

    /// Disk image of a Redox system to boot on each emulator with each NIC, and its name in the table [default: the
    /// file's name]. The image is only read. May be given several times.
    #[arg(long, value_name = "[NAME=]FILE")]
    pub image: Vec<String>,

    /// The driver for each image, in the same order, already built [default: build it].
    #[arg(long, value_name = "FILE")]
    pub driver: Vec<PathBuf>,

    /// The lab's agent for each image, in the same order, already built [default: build it].
    #[arg(long, value_name = "FILE")]
    pub agent: Vec<PathBuf>,

    /// Execution by QEMU: on the processor, or by translation [default: kvm if it works, otherwise tcg].
    #[arg(long, value_enum)]
    pub accel: Option<Accelerator>,

    /// Multiplies all time limits for Redox systems, for a busy machine.
    #[arg(long, value_name = "N", default_value_t = PATIENCE, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub patience: u32,

    /// Only these columns.
    #[arg(long, value_enum, value_name = "COLUMN", num_args = 1..)]
    pub only: Vec<Column>,

    /// Only emulators with one of these texts in their names, such as "10.0", "sid" or "Bochs".
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    pub emulator: Vec<String>,

    /// Only these NICs, for demo and Redox.
    #[arg(long, value_name = "NIC", num_args = 1.., value_parser = nics())]
    pub nic: Vec<String>,

    /// Keep the good results of earlier runs (target/emulators/table.json), and run only what is missing. Several
    /// commands with this option may run at the same time.
    #[arg(long)]
    pub resume: bool,

    /// Write the table to this file, too.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Column {
    /// `cargo xtask demo` on each NIC.
    Demo,
    /// The tests of the hosted machine.
    Tests,
    /// The systems of --image.
    Redox,
}

impl Arguments {
    /// Returns true if the column is wanted.
    pub fn wants(&self, column: Column) -> bool {
        self.only.is_empty() || self.only.contains(&column)
    }

    /// Returns true if the emulator of that name is wanted.
    pub fn wants_emulator(&self, name: &str) -> bool {
        self.emulator.is_empty() || self.emulator.iter().any(|text| name.contains(text.as_str()))
    }

    /// The NICs that are wanted, for demo and Redox.
    pub fn nics(&self) -> impl Iterator<Item = &'static str> {
        let wanted = |nic: &&str| self.nic.is_empty() || self.nic.iter().any(|name| name == nic);
        nics().into_iter().filter(wanted)
    }

    /// The images, and the programs for each.
    pub fn images(&self) -> Result<Vec<Given<'_>>> {
        for (files, option) in [(&self.driver, "--driver"), (&self.agent, "--agent")] {
            if !files.is_empty() && files.len() != self.image.len() {
                bail!("{option} is given for some images, and not for others");
            }
        }
        let given = |(index, image): (usize, &String)| {
            let (name, path) = named(image);
            Given {
                name,
                path,
                driver: self.driver.get(index).map(PathBuf::as_path),
                agent: self.agent.get(index).map(PathBuf::as_path),
            }
        };
        Ok(self.image.iter().enumerate().map(given).collect())
    }

    /// The command line, without paths of this machine.
    pub fn command(&self) -> String {
        let mut command = "cargo xtask emulators".to_owned();
        if self.suites != ["trixie", "sid"] {
            command += &format!(" --suites {}", self.suites.join(","));
        }
        for (name, path) in self.image.iter().map(|image| named(image)) {
            let file = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned();
            command += &format!(" --image {name}={file}");
        }
        let lists = [
            (
                "--only",
                self.only
                    .iter()
                    .filter_map(ValueEnum::to_possible_value)
                    .map(|value| value.get_name().to_owned())
                    .collect(),
            ),
            ("--emulator", self.emulator.clone()),
            ("--nic", self.nic.clone()),
        ];
        for (option, values) in lists {
            if !values.is_empty() {
                command += &format!(" {option} {}", values.join(" "));
            }
        }
        if self.patience != PATIENCE {
            command += &format!(" --patience {}", self.patience);
        }
        if self.resume {
            command += " --resume";
        }
        command
    }
}

/// Name and path of an image: `NAME=FILE`, or a file whose name is the image's.
fn named(image: &str) -> (String, PathBuf) {
    match image.split_once('=') {
        Some((name, path)) if !name.contains('/') && !Path::new(image).exists() => {
            (name.to_owned(), PathBuf::from(path))
        }
        _ => {
            let path = PathBuf::from(image);
            let name = path
                .file_stem()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned();
            (name, path)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(line: &str) -> Arguments {
        Line::try_parse_from(line.split(' ')).unwrap().arguments
    }

    #[test]
    fn images_have_names_and_programs_in_their_order() {
        let line = "x --image June=/a/redox.img --driver /a/d --image /b/august.img --driver /b/d";
        let both = arguments(line);
        let images = both.images().unwrap();
        let seen: Vec<_> = images
            .iter()
            .map(|image| (image.name.as_str(), image.path.to_str(), image.driver))
            .collect();
        assert_eq!(
            seen,
            [
                ("June", Some("/a/redox.img"), Some(Path::new("/a/d"))),
                ("august", Some("/b/august.img"), Some(Path::new("/b/d")))
            ]
        );
        assert!(arguments("x --image a --image b --agent c").images().is_err());
    }

    #[test]
    fn command_in_the_document_has_no_place_of_this_machine() {
        let line = "x --image June=/home/me/redox.img --driver /d --only redox tests --emulator Bochs --patience 9 \
                    --resume";
        assert_eq!(
            arguments(line).command(),
            "cargo xtask emulators --image June=redox.img --only redox tests --emulator Bochs --patience 9 --resume"
        );
        assert_eq!(arguments("x").command(), "cargo xtask emulators");
    }

    #[test]
    fn selections_are_by_column_emulator_and_nic() {
        let arguments = arguments("x --only demo --emulator 10.0 Bochs --nic e1000e");
        assert!(arguments.wants(Column::Demo) && !arguments.wants(Column::Redox));
        assert!(arguments.wants_emulator("Bochs 3.0 (trixie)") && !arguments.wants_emulator("QEMU 7.2.22"));
        assert_eq!(arguments.nics().collect::<Vec<_>>(), ["e1000e"]);
    }
}
