//! Protocol between the lab's agent, inside a system under test, and the lab's host, outside of it.
//!
//! The agent writes lines to the system's console, each of them a marker and a JSON object. The host finds them among
//! the lines of other programs. Both sides use the types of this crate, so that each field is declared once.
//!
//! ```
//! use lab_protocol::{Outcome, STEP_MARKER, Step, read};
//!
//! let line = Step::begin("boot", "ping", "4 of 4 pings are answered").line(STEP_MARKER);
//! let step: Step = read(&line, STEP_MARKER).unwrap();
//! assert_eq!((step.step.as_str(), step.outcome), ("ping", Outcome::Begin));
//! ```

#![forbid(unsafe_code)]

mod script;
mod step;
pub mod stream;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use script::{Event, SCRIPT_MARKER};
pub use step::{Outcome, STEP_MARKER, Step};

/// Start of the line with the report of `netstack-client system report`.
pub const REPORT_MARKER: &str = "E1000D-REPORT ";

/// One line with the object, including its end. It has to be written in one piece: others write to the same console.
fn line(marker: &str, object: &impl Serialize) -> String {
    // All types here have a form in JSON, so this cannot fail.
    let json = serde_json::to_string(object).unwrap_or_default();
    format!("{marker}{json}\n")
}

/// The object of a line that has the marker. `None` for other lines, and for a line that others have written into.
pub fn read<T: DeserializeOwned>(line: &str, marker: &str) -> Option<T> {
    let (_, json) = line.split_once(marker)?;
    serde_json::from_str(json.trim()).ok()
}
