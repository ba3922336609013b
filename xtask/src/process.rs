//! Running other programs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;

/// The workspace's root.
pub fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// cargo, as this program was started by it, in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The commit that programs are built from, and whether files differ from it.
pub fn sources() -> String {
    let mut git = Command::new("git");
    git.current_dir(root())
        .args(["describe", "--always", "--dirty=, with changes"]);
    output(&mut git).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// PATH with that directory in front.
pub fn path_with(directory: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).with_context(|| format!("{} cannot be in PATH", directory.display()))
}

/// Writes a script that can be started, in one step: another process may be about to start it.
pub fn executable(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&new, text)
        .and_then(|()| fs::set_permissions(&new, Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Returns true if the program can be started at all.
pub fn exists(program: impl AsRef<OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// Runs the command, its output on the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs the command and returns what it printed; what it printed on standard error becomes the error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason.trim();
        bail!("{} ended with {}: {reason}", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a build by cargo, or by what passes its messages on. The bar says how many crates have been begun.
pub fn build(command: &mut Command, bar: &ProgressBar) -> Result<()> {
    let mut child = command
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_QUIET", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let mut said = Vec::new();
    let mut crates = 0;
    for text in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|stderr| BufReader::new(stderr).split(b'\n'))
    {
        let Ok(text) = text else { break };
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        match text.trim_start().strip_prefix("Compiling ") {
            Some(name) => {
                crates += 1;
                let name = name.split(" (").next().unwrap_or_default();
                bar.set_message(format!("{crates} crates, {name}"));
            }
            None => said.push(text),
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "{} ended with {status}: {}",
            line(command),
            said.join("\n").trim()
        );
    }
    Ok(())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn build_shows_how_far_it_is() {
        let bar = ProgressBar::hidden();
        build(
            &mut shell(
                "echo '   Compiling a v1.0.0' >&2; echo warning >&2; echo '   Compiling b v2.0.0 (/b)' >&2",
            ),
            &bar,
        )
        .unwrap();
        assert_eq!(bar.message(), "2 crates, b v2.0.0");
    }

    #[test]
    fn build_that_fails_says_why() {
        let script = "echo '   Compiling a v1.0.0' >&2; echo 'error: no such thing' >&2; exit 101";
        let error = build(&mut shell(script), &ProgressBar::hidden())
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("error: no such thing") && error.contains("101"),
            "{error}"
        );
    }
}
