//! Values of the measures, from the results of one boot.

use super::calls::{READERS, SUSTAINED};
use super::follow::Results;
use super::table::MEASURES;

/// Measures that are in the results.
pub fn values(results: &Results) -> Vec<(&'static str, f64)> {
    MEASURES
        .iter()
        .filter_map(|measure| Some((measure.name, value(results, measure.name)?)))
        .collect()
}

fn number(results: &Results, step: &str, pointer: &str) -> Option<f64> {
    results.get(step)?.pointer(pointer)?.as_f64()
}

fn value(results: &Results, name: &str) -> Option<f64> {
    let number = |step: &str, pointer: &str| number(results, step, pointer);
    let nanoseconds = |step: &str| Some(number(step, "/latency/p50_us")? * 1000.0);
    match name {
        "floor-write-60" => number("floor-60", "/write/nanoseconds"),
        "floor-write-1514" => number("floor-1514", "/write/nanoseconds"),
        "floor-read" => number("floor-60", "/read/nanoseconds"),
        "write-60" => number("tx-60", "/nanoseconds"),
        "write-1514" => number("tx-1514", "/nanoseconds"),
        "read-60" => number("rx-60-blocking", "/nanoseconds"),
        "read-1514" => number("rx-1514-blocking", "/nanoseconds"),
        "read-60-events" => number("rx-60-events", "/nanoseconds"),
        "read-1514-events" => number("rx-1514-events", "/nanoseconds"),
        "faults" => sum(results, &["rx-", "sustained-", "overrun-"], |value| {
            Some(value.get("duplicated")?.as_f64()? + value.get("damaged")?.as_f64()?)
        }),
        "sustained-dropped" => sum(results, &["sustained-"], |value| {
            // The driver's own count may be wrong.
            let lost = value.get("lost")?.as_f64()?;
            let dropped = value.get("driver_dropped").and_then(|count| count.as_f64());
            Some(lost.max(dropped.unwrap_or(0.0)))
        }),
        // Frames are also lost in the NIC here, so only the driver's own count is used.
        "overrun-dropped" => sum(results, &["overrun-"], |value| {
            value.get("driver_dropped")?.as_f64()
        }),
        "sustained-waited" => waited(results, "sustained-"),
        "overrun-waited" => waited(results, "overrun-"),
        "rtt" => number("rtt", "/latency/p50_us"),
        "rtt-counted" => nanoseconds("rtt-counted"),
        "ping-counted" => nanoseconds("ping-counted"),
        "ping" => number("ping", "/latency/p50_us"),
        "ping-under-tcp" => ping_under_load(results, "ping-under-tcp"),
        "ping-under-tcp-standstill" => standstill(results, "ping-under-tcp"),
        "ping-under-tcp-rate" => rate(results, "ping-under-tcp"),
        "tcp-in-8-of-1" => ratio(rate(results, "tcp-in-8"), rate(results, "tcp-in")),
        "tcp-beside-flood" => beside_flood(results),
        "tcp-beside-flood-share" => ratio(beside_flood(results), rate(results, "tcp-in")),
        name if name.starts_with("sustained-") || name.starts_with("overrun-") => whole_run(results, name),
        name if name.starts_with("tcp-") => rate(results, name),
        name => match name.strip_prefix("udp-")?.split_once('-') {
            Some((_, "share")) => {
                let step = name.strip_suffix("-share")?;
                let sent = number(&format!("{step}-host"), "/sent").filter(|sent| *sent > 0.0)?;
                Some(number(step, "/datagrams")? / sent * 100.0)
            }
            Some((_, "ping")) => answered(results, name.strip_suffix("-ping")?),
            _ => delivered(results, name),
        },
    }
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to.filter(|to| *to > 0.0)?)
}

/// Sum of a value over all steps whose names begin with a prefix; `None` if no step has the value.
fn sum(results: &Results, prefixes: &[&str], of: impl Fn(&serde_json::Value) -> Option<f64>) -> Option<f64> {
    let found: Vec<_> = results
        .iter()
        .filter(|(step, _)| prefixes.iter().any(|prefix| step.starts_with(prefix)))
        .filter_map(|(_, value)| of(value))
        .collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

/// Cost of a frame over the whole run; `None` if not all frames came.
fn whole_run(results: &Results, step: &str) -> Option<f64> {
    number(results, step, "/frames").filter(|frames| *frames >= f64::from(SUSTAINED))?;
    number(results, step, "/nanoseconds_over_all")
}

/// Share of the groups that had to wait, of readers in mode "events", which know it.
fn waited(results: &Results, prefix: &str) -> Option<f64> {
    let of = |name: &str| {
        sum(results, &[prefix], |value| {
            (value.get("mode")?.as_str()? == "events").then(|| value.get(name)?.as_f64())?
        })
    };
    Some(ratio(of("groups_that_waited"), of("groups"))? * 100.0)
}

/// Millions of bits in a second, of all connections of a step, in both directions.
///
/// Bytes count where they arrive. The time is that during which the program counted them, by the system's clock. Since
/// that clock may lose ticks, it is corrected by the ratio of both machines' clocks over the whole command.
fn rate(results: &Results, step: &str) -> Option<f64> {
    let host = format!("{step}-host");
    let arrived = number(results, &host, "/received")?;
    if results
        .get(&host)?
        .get("error")
        .is_some_and(|error| !error.is_null())
    {
        return None;
    }
    // A program without a result has moved nothing.
    let here = |pointer| number(results, step, pointer).unwrap_or(0.0);
    let clock = |whose| number(results, &format!("{step}-clocks"), whose);
    let pace = ratio(clock("/here"), clock("/system")).unwrap_or(1.0);
    let time = here("/seconds") * pace;
    let bytes = here("/received") + arrived;
    Some(if time > 0.0 { bytes * 8e-6 / time } else { 0.0 })
}

/// Rate of a transfer beside a flood; 0 if it had not ended when the flood had to stop, because then it has stalled.
fn beside_flood(results: &Results) -> Option<f64> {
    let host = results.get("tcp-beside-flood-host")?;
    let flooded = host.get("flooded_until_end")?.as_bool()?;
    let rate = rate(results, "tcp-beside-flood")?;
    Some(if flooded { rate } else { 0.0 })
}

/// Rate of datagrams that were delivered. Datagrams that arrive after the load, from queues on the way, count, and
/// their time does, too.
fn delivered(results: &Results, step: &str) -> Option<f64> {
    let sent = number(results, &format!("{step}-host"), "/flood_seconds")?;
    let seconds = number(results, step, "/seconds")?.max(sent);
    (seconds > 0.0).then_some(number(results, step, "/datagrams")? / seconds)
}

/// Share of the pings that were answered; replies after the end of the load do not count.
fn answered(results: &Results, step: &str) -> Option<f64> {
    let ping = format!("{step}-ping");
    let in_time = results
        .get(&format!("{step}-host"))?
        .get("pings_in_time")?
        .as_bool()?;
    let share = ratio(
        number(results, &ping, "/received"),
        number(results, &ping, "/transmitted"),
    )?;
    Some(if in_time { share * 100.0 } else { 0.0 })
}

/// Round trips that are enough for a median.
const ENOUGH: f64 = 10.0;
/// Time that the agent waits for a reply, in microseconds. A request without a reply counts with this time.
const PING_LIMIT_US: f64 = 500_000.0;

/// Median round trip of the requests that were sent while bytes moved; `None` if those were too few.
fn ping_under_load(results: &Results, step: &str) -> Option<f64> {
    let of = |name: &str| number(results, step, &format!("/pings/{name}"));
    let (received, sent) = (of("received")?, of("transmitted")?);
    if sent < ENOUGH {
        None
    } else if received * 2.0 > sent {
        of("latency/p50_us")
    } else {
        Some(PING_LIMIT_US)
    }
}

/// Share of the requests that were due while the transfer had stalled, in percent.
fn standstill(results: &Results, step: &str) -> Option<f64> {
    let of = |name: &str| number(results, step, &format!("/pings/{name}"));
    let (standstills, sent) = (of("standstills")?, of("transmitted")?);
    (standstills + sent > 0.0).then(|| standstills / (standstills + sent) * 100.0)
}

/// Text that names the readers that did not get all frames.
pub fn incomplete(results: &Results) -> Vec<String> {
    let steps = ["sustained", "overrun"].iter().flat_map(|name| {
        READERS
            .iter()
            .flat_map(move |(reader, _)| [60, 1514].map(|size| format!("{name}-{size}-{reader}")))
    });
    steps
        .filter_map(|step| {
            let frames = number(results, &step, "/frames")?;
            (frames < f64::from(SUSTAINED)).then(|| format!("{step}: {frames} of {SUSTAINED} frames came"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    fn found(results: Value) -> BTreeMap<&'static str, f64> {
        values(&serde_json::from_value(results).unwrap())
            .into_iter()
            .collect()
    }

    #[test]
    fn calls_and_datagrams_are_found() {
        let values = found(json!({
            "floor-60": { "write": { "nanoseconds": 1.0 }, "read": { "nanoseconds": 2.0 } },
            "rx-60-blocking": { "nanoseconds": 3.0, "duplicated": 1, "damaged": 2 },
            "rx-60-events": { "duplicated": 0, "damaged": 1 },
            "tx-60": { "error": "the driver did not take a frame" },
            "udp-1000": { "datagrams": 300, "seconds": 4.0 },
            "udp-1000-host": { "sent": 400, "flood_seconds": 4.0, "pings_in_time": false },
            "udp-5000": { "datagrams": 3000, "seconds": 1.5 },
            "udp-20000": { "datagrams": 4000, "seconds": 8.0 },
            "udp-5000-host": { "sent": 30_000, "flood_seconds": 6.0, "pings_in_time": true },
            "udp-5000-ping": { "received": 5, "transmitted": 10 },
            "udp-20000-host": { "sent": 1, "flood_seconds": 6.0, "pings_in_time": false },
            "udp-20000-ping": { "received": 10, "transmitted": 10 },
        }));
        let expected = [
            ("faults", 4.0),
            ("floor-read", 2.0),
            ("floor-write-60", 1.0),
            ("read-60", 3.0),
            ("udp-1000-share", 75.0),
            ("udp-20000", 500.0),
            ("udp-20000-ping", 0.0),
            ("udp-5000", 500.0),
            ("udp-5000-ping", 50.0),
        ];
        assert_eq!(values, expected.into());
    }

    #[test]
    fn sustained_cost_is_that_of_the_whole_run() {
        let reader = |mode: &str, frames: u32, dropped: Value| {
            json!({
                "mode": mode, "frames": frames, "lost": 3, "driver_dropped": dropped, "duplicated": 0, "damaged": 0,
                "nanoseconds": 1.0, "nanoseconds_over_all": 5.0, "groups": 10, "groups_that_waited": 4,
            })
        };
        let values = found(json!({
            "sustained-60-events": reader("events", SUSTAINED, json!(8)),
            "sustained-60-alone": { "error": "the driver cannot be told" },
            "sustained-60-blocking": reader("blocking", SUSTAINED, Value::Null),
            "sustained-1514-blocking": reader("blocking", SUSTAINED - 1, Value::Null),
        }));
        let expected = [
            ("faults", 0.0),
            ("sustained-60-blocking", 5.0),
            ("sustained-60-events", 5.0),
            ("sustained-dropped", 8.0 + 3.0 + 3.0),
            ("sustained-waited", 40.0),
        ];
        assert_eq!(values, expected.into());
    }

    #[test]
    fn bytes_count_where_they_arrive() {
        let values = found(json!({
            "tcp-in": { "received": 5_000_000, "sent": 0, "seconds": 4.0 },
            "tcp-in-host": { "received": 0, "seconds": 9.0, "error": null },
            "tcp-in-clocks": { "system": 6.0, "here": 7.5 },
            "tcp-in-8": { "received": 2_500_000, "seconds": 5.0 },
            "tcp-in-8-host": { "received": 0, "seconds": 10.0 },
            "tcp-out-4": { "received": 0, "sent": 9_000_000, "seconds": 5.0 },
            "tcp-out-4-host": { "received": 2_500_000, "seconds": 5.0 },
            "tcp-both-1": { "received": 1_250_000, "sent": 9_000_000, "seconds": 5.0 },
            "tcp-both-1-host": { "received": 1_250_000, "seconds": 5.0 },
            "tcp-both-4": { "received": 1_250_000, "sent": 9_000_000, "seconds": 5.0 },
            "tcp-both-4-host": { "received": 1, "seconds": 5.0, "error": "other bytes" },
            "tcp-out": { "error": "no answer" },
            "tcp-out-host": { "received": 0, "seconds": 0.0 },
            "tcp-beside-flood": { "received": 1_250_000, "seconds": 4.0 },
            "tcp-beside-flood-host": { "received": 0, "seconds": 6.25, "flooded_until_end": true },
            "tcp-beside-flood-clocks": { "system": 6.0, "here": 7.5 },
        }));
        let expected = [
            ("tcp-beside-flood", 2.0),
            ("tcp-beside-flood-share", 0.25),
            ("tcp-both-1", 4.0),
            ("tcp-in", 8.0),
            ("tcp-in-8", 4.0),
            ("tcp-in-8-of-1", 0.5),
            ("tcp-out", 0.0),
            ("tcp-out-4", 4.0),
        ];
        assert_eq!(values, expected.into());
    }

    #[test]
    fn transfer_that_outlasts_the_flood_stood_still() {
        let values = found(json!({
            "tcp-beside-flood": { "received": 1_250_000, "seconds": 4.0 },
            "tcp-beside-flood-host": { "received": 0, "seconds": 6.25, "flooded_until_end": false },
        }));
        assert_eq!(values, [("tcp-beside-flood", 0.0)].into());
    }

    #[test]
    fn pings_without_an_answer_belong_to_the_median() {
        let ping = |sent: u32, received: u32| {
            let latency = json!({ "p50_us": 900.0 });
            let pings =
                json!({ "received": received, "transmitted": sent, "latency": latency, "standstills": 3 });
            let values = found(json!({ "ping-under-tcp": { "pings": pings } }));
            values.get("ping-under-tcp").copied()
        };
        assert_eq!([ping(40, 21), ping(40, 20)], [Some(900.0), Some(500_000.0)]);
        assert_eq!([ping(40, 0), ping(9, 9)], [Some(500_000.0), None]);
    }

    #[test]
    fn transfer_that_stands_still_is_told() {
        let pings = json!({ "received": 5, "transmitted": 30, "standstills": 10 });
        let values = found(json!({ "ping-under-tcp": { "pings": pings } }));
        assert_eq!(values["ping-under-tcp-standstill"], 25.0);
    }

    #[test]
    fn readers_that_did_not_get_everything_are_named() {
        let results = json!({
            "sustained-60-events": { "frames": 5 },
            "sustained-60-blocking": { "frames": SUSTAINED },
        });
        let words = incomplete(&serde_json::from_value(results).unwrap());
        assert_eq!(
            words,
            [format!("sustained-60-events: 5 of {SUSTAINED} frames came")]
        );
    }
}
