//! Client processes: this test program, started again to play a role.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use lab_agent::contract::{self, Finding, Options, Outcome};
use netstack_client::AdapterName;

/// Variable with the role that the program was started for.
const ROLE: &str = "SCHEME_TEST_ROLE";
const ADAPTER: &str = "SCHEME_TEST_ADAPTER";
const ONLY: &str = "SCHEME_TEST_ONLY";

/// Runs checks of the contract.
const CHECKS: &str = "checks";
/// Reads until it is killed.
const READER: &str = "reader";

/// All of a contract takes three seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Plays the role that this process was started for, if it was. Has to be called by a test named `client_process`.
pub fn play_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let adapter: AdapterName = std::env::var(ADAPTER).unwrap().parse().unwrap();
    match role.as_str() {
        CHECKS => run_checks(adapter, &std::env::var(ONLY).unwrap()),
        READER => panic!("{}", contract::read_until_killed(&adapter).unwrap_err()),
        _ => panic!("no such role: {role}"),
    }
}

fn run_checks(adapter: AdapterName, only: &str) {
    let options = Options {
        adapter,
        address: [10, 0, 2, 15].into(),
        peer: Some([10, 0, 2, 2].into()),
        reader: Some(reader),
    };
    let chosen = contract::checks().iter();
    let chosen =
        chosen.filter(|check| only.is_empty() || only.split(' ').any(|name| check.is_meant_by(name)));
    let findings = contract::run(&options, chosen, |finding| println!("{finding:?}"));
    let open: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.outcome != Outcome::Pass)
        .collect();
    assert!(!findings.is_empty(), "no checks");
    assert!(open.is_empty(), "{open:#?}");
}

fn command(role: &str, adapter: &AdapterName) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["client_process", "--exact", "--nocapture"])
        .env(ROLE, role)
        .env(ADAPTER, adapter.as_str())
        .stdin(Stdio::null());
    command
}

/// A process that reads until it is killed.
pub fn reader(adapter: &AdapterName) -> Command {
    command(READER, adapter)
}

/// A process that is killed at the end.
pub struct Process(pub Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Lines that it prints.
    pub fn output(&mut self) -> impl Iterator<Item = String> + use<> {
        let stdout: ChildStdout = self.0.stdout.take().expect("its output is piped");
        BufReader::new(stdout).lines().map_while(Result::ok)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Checks an adapter in a process of its own: all of the contract, or the checks named in `only`. Every check has to
/// pass; none may be skipped.
pub fn check_contract(scheme_directory: &Path, adapter: &str, only: &str) {
    let adapter = adapter.parse().unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let append = || File::options().append(true).open(output.path()).unwrap();
    let said = || fs::read_to_string(output.path()).unwrap();
    let mut checks = command(CHECKS, &adapter);
    checks
        .env("REDOX_SHIM_DIR", scheme_directory)
        .env(ONLY, only)
        .stdout(append())
        .stderr(append());
    let mut process = Process::start(&mut checks);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = process.0.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < LIMIT, "the checks do not end:\n{}", said());
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(
        status.success(),
        "{adapter} does not keep the contract:\n{}",
        said()
    );
}
