//! The command line of a QEMU.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{Qemu, QemuError, die_with_parent};

/// The QEMU of PC machines.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// A QEMU that is not started yet.
#[derive(Debug)]
pub struct Launch {
    program: OsString,
    arguments: Vec<OsString>,
    monitor: Option<PathBuf>,
    input: Option<File>,
    console: bool,
}

impl Default for Launch {
    fn default() -> Self {
        Self::new()
    }
}

impl Launch {
    /// [`PROGRAM`] as PATH finds it, without arguments.
    pub fn new() -> Self {
        Self::of_program(PROGRAM)
    }

    /// Another QEMU.
    pub fn of_program(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            monitor: None,
            input: None,
            console: false,
        }
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Makes QEMU offer its monitor (QMP) on a Unix socket at `path`, for [`Qemu::monitor`] or another process.
    pub fn monitor(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.monitor = Some(path.into());
        self
    }

    /// Keeps standard output, where `-serial stdio` puts the console, for [`Qemu::take_console`].
    pub fn console(&mut self) -> &mut Self {
        self.console = true;
        self
    }

    /// Gives QEMU a file as standard input, which it can open as `/proc/self/fd/0`.
    pub fn input(&mut self, file: File) -> &mut Self {
        self.input = Some(file);
        self
    }

    /// Starts it. QEMU is in a process group of its own: an interrupt from the terminal is for the caller, who may
    /// need the machine to end well.
    ///
    /// # Errors
    ///
    /// [`QemuError::NotFound`] or [`QemuError::Start`].
    pub fn start(&mut self) -> Result<Qemu, QemuError> {
        let failed = |source| QemuError::Start {
            program: self.program.to_string_lossy().into_owned(),
            source,
        };
        // Without a name: nothing is left behind, however this process ends.
        let messages = tempfile::tempfile().map_err(failed)?;
        let input = self.input.take();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .process_group(0)
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stdout(if self.console {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stderr(messages.try_clone().map_err(failed)?);
        if let Some(path) = &self.monitor {
            command
                .arg("-qmp")
                .arg(format!("unix:{},server=on,wait=off", escape(path)));
        }
        die_with_parent(&mut command);
        let child = command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => QemuError::NotFound(self.program.to_string_lossy().into_owned()),
            _ => failed(source),
        })?;
        Ok(Qemu::new(child, messages, self.monitor.clone()))
    }
}

/// A path as a part of one of QEMU's options, in which a comma ends a value unless it is doubled.
pub fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comma_of_a_path_is_doubled() {
        assert_eq!(escape(Path::new("/a,b/c")), "/a,,b/c");
    }

    #[test]
    fn program_that_is_not_there_is_named() {
        let error = Launch::of_program("qemu-system-nothing").start().err();
        assert!(matches!(&error, Some(QemuError::NotFound(program)) if program == "qemu-system-nothing"));
    }
}
