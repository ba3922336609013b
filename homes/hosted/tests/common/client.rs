//! `netstack-client` as a user runs it, on a hosted daemon.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use e1000_hosted::harness::Hosted;

use crate::hosted::DAEMON;

/// What a command came to.
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
        let output = Command::new(program())
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

/// The program of another package: cargo builds it for whoever asks.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // In the same directory as the daemon, and of the same profile.
        let directory = Path::new(DAEMON).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "netstack-client"]);
        cargo.arg("--target-dir").arg(directory.parent().unwrap());
        if directory.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
        directory.join("netstack-client")
    })
}
