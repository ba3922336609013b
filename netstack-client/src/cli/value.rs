//! Parsers for option values.

use std::time::Duration;

use crate::{MacAddress, frame};
use smoltcp::wire::Ipv4Cidr;

/// The longest duration that makes sense here.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;

/// "2", "0.5", "500ms", "10s", "2m".
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "m" | "min" => 60.0,
        _ => return Err(format!("{unit:?} is no unit of time: us, ms, s, m")),
    };
    let seconds = number
        .parse::<f64>()
        .map_err(|_| format!("{number:?} is not a number"))?
        * factor;
    if (0.0..=LONGEST).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("longer than a week".to_owned())
    }
}

/// "1500", "64K", "10M", "1G", in powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit {
        "" | "B" => 0,
        "k" | "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err(format!("{unit:?} is no unit of size: K, M, G")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{number:?} is not a whole number"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "too large".to_owned())
}

/// "10.0.2.15/24".
pub fn cidr(text: &str) -> Result<Ipv4Cidr, String> {
    text.parse()
        .map_err(|()| "not an address with prefix length, such as 10.0.2.15/24".to_owned())
}

/// "52:54:00:12:34:56".
pub fn mac(text: &str) -> Result<MacAddress, String> {
    text.parse()
        .map_err(|()| "not a MAC address, such as 52:54:00:12:34:56".to_owned())
}

/// Bytes in hexadecimal.
pub fn hex(text: &str) -> Result<Vec<u8>, String> {
    frame::from_hex(text)
}

/// The number and the letters behind it.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [
            ("2", 2000),
            ("0.5", 500),
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-1", "1h", "1.2.3", "inf", "NaN", "1e9", "99999999"] {
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
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "K",
            "-1",
            "1.5M",
            "1T",
            "18446744073709551615K",
            "99999999999999999999",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
