//! Bytes through the system's stack to the host, and back.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::boot::gateway;
use super::steps::{Flow, Seen, Steps, text};

/// Bytes in each direction: some hundred frames of full length.
const BYTES: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);

/// Sends to the port of the host and takes back what its echo server makes of it.
pub fn transfer(steps: &mut Steps<'_>, port: Option<u16>) -> Flow {
    let (patience, router) = (steps.patience, steps.router);
    steps.step(
        "tcp",
        "1 MiB of TCP to the host and back, equal",
        LIMIT,
        move || {
            let port = port.ok_or("no --port was given")?;
            let size = BYTES.to_string();
            let limit = format!("{}s", (LIMIT * patience).as_secs());
            // A process of its own, which ends with all that it has opened.
            let output = Command::new(std::env::current_exe().map_err(text)?)
                .args(["--json", "system", "tcp", &format!("{}:{port}", gateway(router)?)])
                .args([
                    "--hello",
                    "go",
                    "--send",
                    &size,
                    "--receive",
                    &size,
                    "--timeout",
                    &limit,
                ])
                .output()
                .map_err(text)?;
            let report = serde_json::from_slice(&output.stdout)
                .map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
            verdict(&report)
        },
    )
}

/// Judges the object that `system tcp` prints.
fn verdict(report: &Value) -> Result<Seen, String> {
    if let Some(failure) = report["failure"].as_str() {
        return Err(failure.to_owned());
    }
    let (sent, received) = (&report["sent"], &report["received"]);
    if sent["bytes"] != BYTES || received["bytes"] != BYTES {
        return Err(format!("{} bytes out, {} in", sent["bytes"], received["bytes"]));
    }
    if !sent["sha256"].is_string() || sent["sha256"] != received["sha256"] {
        return Err("other bytes came back than were sent".to_owned());
    }
    Ok(Seen::Good(String::new()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_all_bytes_and_the_same_ones_are_good() {
        let report = |bytes: u64, hash: &str, failure: Value| {
            verdict(&json!({
                "sent": { "bytes": BYTES, "sha256": "a" },
                "received": { "bytes": bytes, "sha256": hash },
                "failure": failure,
            }))
        };
        assert!(matches!(report(BYTES, "a", Value::Null), Ok(Seen::Good(_))));
        assert!(report(BYTES - 1, "a", Value::Null).is_err());
        assert!(report(BYTES, "b", Value::Null).is_err());
        assert!(report(BYTES, "a", json!("reset")).is_err());
        assert!(verdict(&Value::Null).is_err(), "no report at all");
    }
}
