//! Printing results, for people or for programs.

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;
use serde_json::json;

/// Standard output. Nobody is left to tell if it fails, so failures are ignored.
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// The result of a command: an object for programs, its text for people.
    pub fn result(&self, result: &(impl Serialize + Display)) {
        if !self.json {
            return print(result);
        }
        match serde_json::to_string(result) {
            Ok(text) => print(&text),
            Err(error) => self.error(&error),
        }
    }

    /// A line about progress, which is for people only.
    pub fn progress(&self, line: impl Display) {
        if !self.json {
            print(&line);
        }
    }

    /// The reason why there is no result, in one line.
    pub fn error(&self, error: &dyn Display) {
        let message = error.to_string();
        if self.json {
            print(&json!({ "error": message }));
        }
        let _ = writeln!(std::io::stderr(), "netstack-client: {message}");
    }
}

fn print(text: &impl Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
