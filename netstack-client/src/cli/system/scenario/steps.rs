//! Steps, each with a time limit, and the lines that tell of them.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::bounded::within;
use crate::system::services::Services;
use serde::Serialize;

/// What a step that succeeded has seen.
pub enum Seen {
    /// What should be.
    Good(String),
    /// What should be, with a number of which more is better: drivers are compared by it.
    Counted(String, u64),
    /// Something else that clients can live with.
    Other(String),
    /// Nothing: it could not be tried.
    Nothing(String),
}

/// The result of a step; the error says what is wrong.
pub type Verdict = Result<Seen, String>;

/// Whether the scenario goes on.
pub type Flow = ControlFlow<()>;

/// `map_err` of a step's parts.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    step: &'a str,
    title: &'a str,
    outcome: &'a str,
    detail: &'a str,
    ms: u64,
    /// What drivers are compared by; more is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    figure: Option<u64>,
}

/// Prints lines, each in one piece: the console is shared.
pub struct Reporter {
    marker: String,
    failed: bool,
}

impl Reporter {
    pub fn new(marker: &str) -> Self {
        Self {
            marker: marker.to_owned(),
            failed: false,
        }
    }

    fn print(&mut self, line: &Line<'_>) {
        self.failed |= line.outcome == "fail";
        // It consists of strings and a number.
        let json = serde_json::to_string(line).unwrap_or_default();
        let line = format!("{}{json}\n", self.marker);
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Says that all is over; whether no step has failed.
    pub fn end(mut self) -> bool {
        self.print(&Line {
            scenario: "",
            step: "",
            title: "",
            outcome: "end",
            detail: "",
            ms: 0,
            figure: None,
        });
        !self.failed
    }
}

/// The steps of one scenario.
pub struct Steps<'a> {
    reporter: &'a mut Reporter,
    scenario: String,
    pub services: Services,
}

impl<'a> Steps<'a> {
    pub fn new(reporter: &'a mut Reporter, scenario: &str) -> Self {
        Self {
            reporter,
            scenario: scenario.to_owned(),
            services: Services::default(),
        }
    }

    /// Carries a step out. One that is not over within `limit` has failed, and is left behind.
    pub fn step(
        &mut self,
        name: &str,
        title: &str,
        limit: Duration,
        work: impl FnOnce() -> Verdict + Send + 'static,
    ) -> Flow {
        let mut line = Line {
            scenario: &self.scenario,
            step: name,
            title,
            outcome: "begin",
            detail: "",
            ms: 0,
            figure: None,
        };
        self.reporter.print(&line);
        let start = Instant::now();
        let verdict = within(limit, work)
            .unwrap_or_else(|| Err(format!("hangs: not over after {} s", limit.as_secs())));
        line.ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (outcome, detail) = match &verdict {
            Ok(Seen::Good(detail) | Seen::Counted(detail, _)) => ("ok", detail),
            Ok(Seen::Other(detail)) => ("differs", detail),
            Ok(Seen::Nothing(detail)) => ("skip", detail),
            Err(detail) => ("fail", detail),
        };
        (line.outcome, line.detail) = (outcome, detail);
        if let Ok(Seen::Counted(_, figure)) = &verdict {
            line.figure = Some(*figure);
        }
        self.reporter.print(&line);
        if verdict.is_ok() {
            Flow::Continue(())
        } else {
            Flow::Break(())
        }
    }
}
