//! Text files of a driver: one `key value` a line.

use crate::{AdapterName, adapter};
use serde_json::{Map, Value};

use super::{Error, Result};

/// The lines of a file. A key may come more than once.
pub struct Keyed(Vec<(String, String)>);

impl Keyed {
    /// Reads a file that the command cannot do without.
    pub fn read(name: &AdapterName, file: &str) -> Result<Self> {
        match adapter::text_file(name, file)? {
            Some(text) => Ok(Self::parse(&text)),
            None => Err(Error::Other(format!(
                "the driver of {name} offers no file {file:?}"
            ))),
        }
    }

    /// Parses the text of such a file.
    pub fn parse(text: &str) -> Self {
        let pair = |line: &str| {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            (key.to_owned(), value.trim().to_owned())
        };
        Self(text.lines().filter(|line| !line.is_empty()).map(pair).collect())
    }

    /// All lines.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// The value of `key` as a number; 0 if there is none.
    pub fn number(&self, key: &str) -> u64 {
        self.get(key).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// An object for programs: numbers as numbers.
    pub fn json(&self) -> Map<String, Value> {
        let value = |text: &str| match text.parse::<u64>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(text),
        };
        self.pairs()
            .map(|(key, text)| (key.to_owned(), value(text)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_keys_and_values() {
        let keyed = Keyed::parse("state up\nspeed 1000\n\nempty\nquirks A B\n");
        assert_eq!(keyed.get("state"), Some("up"));
        assert_eq!(keyed.get("quirks"), Some("A B"));
        assert_eq!(keyed.get("empty"), Some(""));
        assert_eq!(
            (keyed.number("speed"), keyed.number("state"), keyed.number("none")),
            (1000, 0, 0)
        );
        let json = Value::from(keyed.json());
        assert_eq!(json["speed"], 1000);
        assert_eq!(json["state"], "up");
    }
}
