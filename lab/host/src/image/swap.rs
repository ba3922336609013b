//! Putting files on an image, and taking them off again.
//!
//! The stock driver stays where it is. Ours goes beside it under a name of its own, and a match file in
//! `/etc/pcid.d` names it: pcid-spawner takes that file in place of the one of the same name in
//! `/usr/lib/pcid.d`. Without the match file the stock driver is back.

use lab_protocol::REPORT_MARKER;

use super::error::{Error, Result};
use super::volume::{NewFile, Volume};
use crate::program::{self, Abi, Target};

/// Our driver's name on the image. The stock driver's is `e1000d`.
pub const DRIVER_NAME: &str = "e1000d-new";
/// Where pcid-spawner looks for [`DRIVER_NAME`].
pub const DRIVER: &str = "/usr/lib/drivers/e1000d-new";
/// Takes the place of `/usr/lib/pcid.d/e1000d.toml`.
pub const MATCH_FILE: &str = "/etc/pcid.d/e1000d.toml";
/// The client, which reports from within the system.
pub const CLIENT: &str = "/usr/bin/netstack-client";
/// The lab's agent, which plays scenarios and scripts in the system.
pub const AGENT: &str = "/usr/bin/lab-agent";
/// The unit that starts either: after the network, which is 10, and before what may end the system, which is 30.
pub const UNIT: &str = "/etc/init.d/20_e1000d-report.service";
/// The match file of this workspace, which names the stock driver's name.
const OUR_MATCH_FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../pcid-config/e1000d.toml"
));
const STOCK_COMMAND: &str = "command = [\"e1000d\"]";
/// First line of the match file on the image, by which it is known again.
const SIGNATURE: &str = "# Put here by `cargo xtask redox`. Without this file the stock driver is used.\n";
/// The C library that programs share, for images whose programs are not static.
const LIBRARY: &str = "/usr/lib/libc.so";
/// Programs that tell an image's architecture, the likeliest first.
const PROGRAMS: [&str; 5] = [
    "/usr/lib/drivers/e1000d",
    "/usr/bin/pcid-spawner",
    "/usr/bin/init",
    "/usr/bin/netstack",
    "/usr/bin/ion",
];

/// The match file with [`DRIVER_NAME`] as its command.
#[cfg(test)]
pub fn match_file() -> String {
    match_file_with(&[])
}

/// The match file with [`DRIVER_NAME`] and these arguments as its command.
fn match_file_with(arguments: &[&str]) -> String {
    let words: Vec<_> = std::iter::once(&DRIVER_NAME)
        .chain(arguments)
        .map(|word| format!("\"{word}\""))
        .collect();
    let command = format!("command = [{}]", words.join(", "));
    format!("{SIGNATURE}{}", OUR_MATCH_FILE.replace(STOCK_COMMAND, &command))
}

/// The programs that the image runs, by those that are on it.
pub fn target(volume: &mut Volume) -> Result<Target> {
    let mut architecture = None;
    for path in PROGRAMS.iter().chain([&LIBRARY]) {
        let Some(program) = volume.read(path)? else {
            continue;
        };
        let architecture = match architecture {
            Some(architecture) => architecture,
            None => *architecture.insert(program::architecture(path, &program)?),
        };
        if let abi @ Some(_) = Abi::of(&program) {
            return Ok(Target { architecture, abi });
        }
    }
    match architecture {
        Some(architecture) => Ok(Target {
            architecture,
            abi: None,
        }),
        None => Err(Error::NoProgram(PROGRAMS.join(", "))),
    }
}

/// Puts our driver beside the stock one and makes pcid-spawner take it.
pub fn install(volume: &mut Volume, driver: &[u8]) -> Result<()> {
    install_with(volume, driver, &[])
}

/// Does that, and has pcid-spawner start it with these arguments.
pub fn install_with(volume: &mut Volume, driver: &[u8], arguments: &[&str]) -> Result<()> {
    if volume.read(MATCH_FILE)?.is_some_and(|text| !is_ours(&text)) {
        return Err(Error::ForeignOverride(MATCH_FILE));
    }
    volume.write(&[
        NewFile {
            path: DRIVER,
            data: driver,
            executable: true,
        },
        NewFile {
            path: MATCH_FILE,
            data: match_file_with(arguments).as_bytes(),
            executable: false,
        },
    ])
}

/// Takes off what [`install`] has put on.
pub fn undo(volume: &mut Volume) -> Result<()> {
    let text = volume.read(MATCH_FILE)?;
    if text.as_ref().is_some_and(|text| !is_ours(text)) {
        return Err(Error::ForeignOverride(MATCH_FILE));
    }
    if text.is_none() && volume.read(DRIVER)?.is_none() {
        return Err(Error::NothingToUndo);
    }
    // The unit is there only if a run was broken off.
    volume.remove(&[MATCH_FILE, DRIVER, UNIT])
}

/// Has the stock driver started, whatever was there before.
pub fn make_stock(volume: &mut Volume) -> Result<()> {
    match undo(volume) {
        Err(Error::NothingToUndo) => Ok(()),
        result => result,
    }
}

fn is_ours(text: &[u8]) -> bool {
    text.starts_with(SIGNATURE.as_bytes())
}

/// Content of the client that was on the image before, if there was one.
pub struct BeforeReport(Option<Vec<u8>>);

/// Makes the system report at its next start, with `wait` seconds of patience.
pub fn install_report(volume: &mut Volume, client: &[u8], wait: u64) -> Result<BeforeReport> {
    let wait = wait.to_string();
    let before = volume.read(CLIENT)?;
    let arguments = ["system", "report", "--wait", &wait, "--marker", REPORT_MARKER];
    install_program(volume, CLIENT, client, &arguments)?;
    Ok(BeforeReport(before))
}

/// Makes the system start the lab's agent with these arguments at its next start.
pub fn install_agent(volume: &mut Volume, agent: &[u8], arguments: &[&str]) -> Result<()> {
    install_program(volume, AGENT, agent, arguments)
}

/// Writes a program, and the unit that starts it.
fn install_program(volume: &mut Volume, path: &str, program: &[u8], arguments: &[&str]) -> Result<()> {
    volume.write(&[
        NewFile {
            path,
            data: program,
            executable: true,
        },
        NewFile {
            path: UNIT,
            data: unit(path, arguments).as_bytes(),
            executable: false,
        },
    ])
}

/// Takes off what [`install_report`] has put on.
pub fn remove_report(volume: &mut Volume, before: &BeforeReport) -> Result<()> {
    volume.remove(&[UNIT, CLIENT])?;
    match &before.0 {
        Some(data) => volume.write(&[NewFile {
            path: CLIENT,
            data,
            executable: true,
        }]),
        None => Ok(()),
    }
}

/// Init waits for its end, so nothing that comes later ends the system before.
fn unit(path: &str, arguments: &[&str]) -> String {
    let program = path.rsplit('/').next().unwrap_or_default();
    let words: Vec<_> = arguments.iter().map(|word| format!("\"{word}\"")).collect();
    format!(
        r#"[unit]
description = "What cargo xtask redox wants to know"
requires_weak = ["10_net.target"]

[service]
cmd = "{program}"
args = [{}]
type = "oneshot"
"#,
        words.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn match_file_names_our_driver_and_what_the_workspace_drives() {
        let parse = |text: &str| text.parse::<toml::Table>().unwrap()["drivers"][0].clone();
        let (ours, workspace) = (parse(&match_file()), parse(OUR_MATCH_FILE));
        assert_eq!(ours["command"].as_array().unwrap()[0].as_str(), Some(DRIVER_NAME));
        assert_eq!(ours["command"].as_array().unwrap().len(), 1);
        assert_eq!(ours["ids"], workspace["ids"]);
        assert_eq!(ours["class"], workspace["class"]);
        assert!(
            match_file().ends_with('\n'),
            "the next file is appended to this one"
        );
    }

    #[test]
    fn match_file_may_have_arguments() {
        let file = match_file_with(&["--interrupts", "msi"]);
        assert!(
            file.contains("command = [\"e1000d-new\", \"--interrupts\", \"msi\"]\n"),
            "{file}"
        );
    }

    #[test]
    fn unit_has_only_what_init_knows() {
        let unit: toml::Table = unit(CLIENT, &["system", "report", "--marker", REPORT_MARKER])
            .parse()
            .unwrap();
        let keys = |table: &str| {
            let table = unit[table].as_table().unwrap();
            table.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys("unit"), ["description", "requires_weak"]);
        assert_eq!(keys("service"), ["args", "cmd", "type"]);
        assert_eq!(
            CLIENT,
            format!("/usr/bin/{}", unit["service"]["cmd"].as_str().unwrap())
        );
        assert_eq!(DRIVER, format!("/usr/lib/drivers/{DRIVER_NAME}"));
    }
}
