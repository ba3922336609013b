//! Processes that serve schemes, and `netstack-client` as their client.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Variable with the directory of the schemes.
pub const DIRECTORY: &str = "REDOX_SHIM_DIR";
/// Variable with the name of the scheme to serve or to use.
pub const NAME: &str = "NETSTACK_CLIENT_TEST_SCHEME";
/// Longest wait for the end of a command.
const LIMIT: Duration = Duration::from_secs(120);
/// Names of the only scheme of most tests.
pub const ONE: &[&str] = &["network.fake"];

/// Running schemes, and the directory in which clients find them.
pub struct Schemes {
    pub directory: TempDir,
    pub servers: Vec<Child>,
}

impl Drop for Schemes {
    fn drop(&mut self) {
        for server in &mut self.servers {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }
}

impl Schemes {
    pub fn start(names: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let server = |name: &&str| {
            this_executable("server")
                .env(DIRECTORY, directory.path())
                .env(NAME, name)
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        let servers = names.iter().map(server).collect();
        let schemes = Self { directory, servers };
        schemes.wait_for("schemes", |_| schemes.adapters() == names.len());
        schemes
    }

    /// Waits until something is so, as may be seen in the directory of schemes.
    pub fn wait_for(&self, what: &str, is_so: impl Fn(&Path) -> bool) {
        let start = Instant::now();
        while !is_so(self.directory.path()) {
            assert!(start.elapsed() < LIMIT, "never seen: {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn adapters(&self) -> usize {
        let output = self.command("list --json").output().unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        list["adapters"].as_array().map_or(0, Vec::len)
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netstack-client-hosted"));
        command
            .args(line.split(' '))
            .env(DIRECTORY, self.directory.path());
        command
    }

    pub fn output(&self, line: &str) -> Output {
        let mut command = self.command(line);
        end_of(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    /// Output of a command, which must succeed.
    pub fn text(&self, line: &str) -> String {
        let output = self.output(line);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{line}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// The same as an object.
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.text(&format!("{line} --json"))).unwrap()
    }

    /// The message of a command, which must fail.
    pub fn failure(&self, line: &str) -> String {
        let output = self.output(line);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{line}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The test of that name, in a process of its own.
pub fn this_executable(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test]);
    command
}

/// Output of a process that has to end; it is killed if it does not.
pub fn end_of(child: Child) -> Output {
    let pid = child.id() as libc::pid_t;
    let (sender, end) = mpsc::channel();
    let thread = thread::spawn(move || drop(sender.send(child.wait_with_output())));
    let output = end.recv_timeout(LIMIT);
    if output.is_err() {
        // SAFETY: takes integers. The thread waits for the child still, so its id is its own.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    thread.join().unwrap();
    output.expect("the command ends").unwrap()
}
