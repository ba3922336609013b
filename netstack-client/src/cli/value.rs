//! Parsers for option values.

use std::time::Duration;

use crate::{MacAddress, frame};
use smoltcp::wire::Ipv4Cidr;

/// Longest duration that is accepted: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A duration: "2" and "0.5" are seconds; "500ms", "10s", "2m" have units.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?,
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string())?,
    };
    if duration <= LONGEST {
        Ok(duration)
    } else {
        Err("longer than a week".to_owned())
    }
}

/// A size in bytes: "1500", "64K", "10M", "1G", in powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|error| error.to_string())
}

/// An address with the length of its prefix: "10.0.2.15/24".
pub fn cidr(text: &str) -> Result<Ipv4Cidr, String> {
    text.parse()
        .map_err(|()| "not an address with prefix length, such as 10.0.2.15/24".to_owned())
}

/// A MAC address: "52:54:00:12:34:56".
pub fn mac(text: &str) -> Result<MacAddress, String> {
    text.parse()
        .map_err(|()| "not a MAC address, such as 52:54:00:12:34:56".to_owned())
}

/// Bytes in hexadecimal.
pub fn hex(text: &str) -> Result<Vec<u8>, String> {
    frame::from_hex(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [
            ("2", 2000),
            ("0.5", 500),
            ("0.5s", 500),
            ("1m 30s", 90_000),
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "", "s", "-1", "1x", "1.2.3", "inf", "NaN", "1e9", "99999999", "8days",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("64K", 65_536),
            ("1MiB", 1 << 20),
            ("2G", 2 << 30),
            ("1.5M", 3 << 19),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "K",
            "-1",
            "1X",
            "18446744073709551615K",
            "99999999999999999999",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
