//! The tests of the hosted machine: built once, run on each QEMU.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::results::{self, Results};
use crate::process::{cargo, path_with, root};

/// Builds the tests. Returns their programs.
pub fn build() -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command
        .args(["test", "--locked", "--package", "e1000-hosted", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the hosted tests cannot be built");
    }
    let programs = test_programs(&String::from_utf8_lossy(&output.stdout));
    if programs.is_empty() {
        bail!("there are no hosted tests");
    }
    Ok(programs)
}

/// Programs of tests in cargo's messages, sorted.
fn test_programs(messages: &str) -> Vec<PathBuf> {
    let program = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["profile"]["test"] == true).then_some(())?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let mut programs: Vec<_> = messages.lines().filter_map(program).collect();
    programs.sort_unstable();
    programs
}

/// Runs all tests with the QEMU in `directory`; their output goes to `log`.
pub fn run(programs: &[PathBuf], directory: &Path, log: &Path) -> Result<Results> {
    let failed = || format!("cannot write {}", log.display());
    let file = File::create(log).with_context(failed)?;
    for program in programs {
        let mut command = Command::new(program);
        // Same as cargo does, but without a rebuild of files that have changed since. A failed test is a result, too.
        command
            .current_dir(root().join("homes/hosted"))
            .env("PATH", path_with(directory)?)
            .stdin(Stdio::null())
            .stdout(file.try_clone().with_context(failed)?)
            .stderr(file.try_clone().with_context(failed)?)
            .status()
            .with_context(|| format!("cannot start {}", program.display()))?;
    }
    let said = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    results::parse(&String::from_utf8_lossy(&said))
        .with_context(|| format!("no test ran; see {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tests_are_found_among_what_cargo_says() {
        let messages = r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":"/t/bin"}
            {"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/b"}
            {"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/a"}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(test_programs(messages), [Path::new("/t/a"), Path::new("/t/b")]);
    }
}
