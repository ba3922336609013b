//! Lines of a script: one when a command begins, one with its result, one at the end.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Start of each line of a script.
pub const SCRIPT_MARKER: &str = "E1000D-BENCH ";

/// One line about a script.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The command with that name has begun.
    Begin(String),
    /// A command has ended.
    End {
        /// Its name.
        step: String,
        /// The JSON object that it printed; null if there is none.
        result: Value,
        /// Text on its standard error.
        error: String,
        /// Exit status 0.
        success: bool,
        /// Time from its begin to its end, by the system's clock.
        seconds: f64,
    },
    /// All commands have ended. Always true.
    Done(bool),
}

impl Event {
    /// The line for the console, with its end.
    pub fn line(&self, marker: &str) -> String {
        crate::line(marker, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    #[test]
    fn events_have_the_form_that_is_documented() {
        let text = |event: &Event| event.line("");
        assert_eq!(text(&Event::Begin("a".to_owned())), "{\"begin\":\"a\"}\n");
        assert_eq!(text(&Event::Done(true)), "{\"done\":true}\n");
        let end = Event::End {
            step: "a".to_owned(),
            result: Value::Null,
            error: String::new(),
            success: true,
            seconds: 1.5,
        };
        let line = end.line(SCRIPT_MARKER);
        assert_eq!(
            line,
            "E1000D-BENCH {\"end\":{\"step\":\"a\",\"result\":null,\"error\":\"\",\"success\":true,\"seconds\":1.5}}\n"
        );
        assert_eq!(read(&line, SCRIPT_MARKER), Some(end));
    }
}
