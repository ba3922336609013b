//! Steps, each with a time limit, and the lines that tell of them.

use std::io::Write;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::services::Services;
use lab_protocol::{Outcome, Step};
use netstack_client::bounded::within;

/// Observation of a step that succeeded.
pub enum Seen {
    /// As it should be.
    Good(String),
    /// As it should be, with a number of which more is better: drivers are compared by it.
    Counted(String, u64),
    /// Something else that clients can live with.
    Other(String),
    /// Nothing: it could not be tried.
    Nothing(String),
}

/// The result of a step; the error says what is wrong.
pub type Verdict = Result<Seen, String>;

/// Continues or ends the scenario.
pub type Flow = ControlFlow<()>;

/// `map_err` of a step's parts.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
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

    fn print(&mut self, step: &Step) {
        self.failed |= step.outcome == Outcome::Fail;
        let line = step.line(&self.marker);
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Says that all is over; whether no step has failed.
    pub fn end(mut self) -> bool {
        self.print(&Step::end());
        !self.failed
    }
}

/// The steps of one scenario.
pub struct Steps<'a> {
    reporter: &'a mut Reporter,
    scenario: String,
    /// Factor of all limits.
    pub patience: u32,
    /// The router, if it is not that of the default route.
    pub router: Option<Ipv4Addr>,
    pub services: Services,
}

impl<'a> Steps<'a> {
    pub fn new(reporter: &'a mut Reporter, scenario: &str, patience: u32, router: Option<Ipv4Addr>) -> Self {
        Self {
            reporter,
            patience,
            router,
            scenario: scenario.to_owned(),
            services: Services::default(),
        }
    }

    /// Carries a step out. One that is not over within `limit`, times patience, has failed, and is left behind.
    pub fn step(
        &mut self,
        name: &str,
        title: &str,
        limit: Duration,
        work: impl FnOnce() -> Verdict + Send + 'static,
    ) -> Flow {
        let mut line = Step::begin(&self.scenario, name, title);
        self.reporter.print(&line);
        let start = Instant::now();
        let limit = limit * self.patience;
        let verdict = within(limit, work)
            .unwrap_or_else(|| Err(format!("hangs: not over after {} s", limit.as_secs())));
        line.ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (outcome, detail) = match &verdict {
            Ok(Seen::Good(detail) | Seen::Counted(detail, _)) => (Outcome::Ok, detail),
            Ok(Seen::Other(detail)) => (Outcome::Differs, detail),
            Ok(Seen::Nothing(detail)) => (Outcome::Skip, detail),
            Err(detail) => (Outcome::Fail, detail),
        };
        (line.outcome, line.detail) = (outcome, detail.clone());
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
