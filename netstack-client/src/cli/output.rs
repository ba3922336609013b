//! Printing results, for people or for programs.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use super::Outcome;

/// Standard output. Failures to write are ignored, since there is no other place to report them.
pub struct Output {
    program: &'static str,
    json: bool,
}

impl Output {
    /// Output of that program: JSON objects, or text.
    pub fn new(program: &'static str, json: bool) -> Self {
        Self { program, json }
    }

    /// Prints the error of a command, if it has one, and returns the exit status.
    pub fn finish(&self, outcome: Outcome) -> ExitCode {
        match outcome {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                self.error(&error);
                ExitCode::FAILURE
            }
        }
    }

    /// Prints the result of a command: as a JSON object, or as text.
    pub fn result(&self, result: &(impl Serialize + Display)) {
        if !self.json {
            return print(result);
        }
        match serde_json::to_string(result) {
            Ok(text) => print(&text),
            Err(error) => self.error(&error),
        }
    }

    /// Prints a line about progress, unless the output is JSON.
    pub fn progress(&self, line: impl Display) {
        if !self.json {
            print(&line);
        }
    }

    /// Prints an error in one line.
    fn error(&self, error: &dyn Display) {
        let message = error.to_string();
        if self.json {
            print(&json!({ "error": message }));
        }
        let _ = writeln!(std::io::stderr(), "{}: {message}", self.program);
    }
}

fn print(text: &impl Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
