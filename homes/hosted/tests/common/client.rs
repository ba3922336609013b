//! `netstack-client` as a user runs it, on a hosted daemon.

use std::path::PathBuf;
use std::process::Command;

use e1000_hosted::harness::Hosted;

/// Outcome of a command.
#[derive(Debug)]
pub struct Run {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The one object that it printed.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The program, for one daemon.
pub struct Client {
    directory: PathBuf,
    adapter: String,
}

impl Client {
    pub fn new(hosted: &Hosted) -> Self {
        Self {
            directory: hosted.scheme_directory().to_owned(),
            adapter: hosted.scheme().to_owned(),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_netstack-client-hosted"))
            .env("REDOX_SHIM_DIR", &self.directory)
            .args(["--adapter", &self.adapter])
            .args(arguments)
            .output()
            .unwrap();
        Run {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
