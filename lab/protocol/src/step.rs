//! Lines of a scenario: one when a step begins, one with what came of it.

use serde::{Deserialize, Serialize};

/// Start of each line of a scenario.
pub const STEP_MARKER: &str = "E1000D-STEP ";

/// One line about a step of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Step {
    /// The scenario.
    pub scenario: String,
    /// Name of the step, unique within its scenario.
    pub step: String,
    /// The step in words, for a table.
    pub title: String,
    /// State of the step.
    pub outcome: Outcome,
    /// Explanation; empty if there is nothing to explain.
    pub detail: String,
    /// Milliseconds that the step took.
    pub ms: u64,
    /// The number by which drivers are compared; more is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<u64>,
}

/// State of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The step has begun.
    Begin,
    /// It did what it should.
    Ok,
    /// It did something else that clients can live with.
    Differs,
    /// It could not be tried.
    Skip,
    /// It went wrong.
    Fail,
    /// No step: all scenarios are over.
    End,
}

impl Step {
    /// A step that begins.
    pub fn begin(scenario: &str, step: &str, title: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            step: step.to_owned(),
            title: title.to_owned(),
            outcome: Outcome::Begin,
            detail: String::new(),
            ms: 0,
            figure: None,
        }
    }

    /// The last line of all scenarios.
    pub fn end() -> Self {
        Self {
            outcome: Outcome::End,
            ..Self::begin("", "", "")
        }
    }

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
    fn step_is_read_as_it_was_written() {
        let step = Step {
            outcome: Outcome::Differs,
            detail: "a\n\"b\"".to_owned(),
            ms: 7,
            figure: Some(3),
            ..Step::begin("link", "flaps", "the link flaps")
        };
        let line = step.line(STEP_MARKER);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert_eq!(read(&format!("noise {line}"), STEP_MARKER), Some(step));
    }

    #[test]
    fn lines_that_others_wrote_into_are_none() {
        for line in ["", "E1000D-STEP {\"scenario\":\"bo", "E1000D-STEP []"] {
            assert_eq!(read::<Step>(line, STEP_MARKER), None, "{line}");
        }
    }
}
