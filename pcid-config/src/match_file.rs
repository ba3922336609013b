//! The match file: the functions that pcid-spawner starts e1000d for (redox base, drivers/pcid-spawner/src/main.rs).

/// The text of the match file, to be installed as `/etc/pcid.d/e1000d.toml`.
///
/// There it replaces the file of the same name in `/usr/lib/pcid.d`, the one of the stock driver.
pub const MATCH_FILE: &str = include_str!("../e1000d.toml");

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::MATCH_FILE;

    /// The entries of `text`, with the conditions pcid-spawner puts on their types.
    fn drivers(text: &str) -> Vec<Table> {
        let document: Table = text.parse().unwrap();
        let drivers = document["drivers"].as_array().unwrap();
        drivers
            .iter()
            .map(|driver| driver.as_table().unwrap().clone())
            .collect()
    }

    fn integer<T: TryFrom<i64>>(value: &Value) -> T
    where
        T::Error: std::fmt::Debug,
    {
        value.as_integer().unwrap().try_into().unwrap()
    }

    /// As pcid-spawner reads a vendor: a leading 0x is dropped, the rest is base 16.
    fn vendor(key: &str) -> u16 {
        u16::from_str_radix(key.trim_start_matches("0x"), 16).unwrap()
    }

    #[test]
    fn pcid_spawner_understands_the_file_and_finds_our_ids() {
        let [driver] = <[Table; 1]>::try_from(drivers(MATCH_FILE)).unwrap();
        assert_eq!(
            driver["name"].as_str(),
            Some("Intel Gigabit Ethernet (8254x, 8257x)")
        );
        assert_eq!(integer::<u8>(&driver["class"]), 2);
        assert_eq!(driver["command"], Value::try_from(["e1000d"]).unwrap());

        let ids = driver["ids"].as_table().unwrap();
        assert_eq!(ids.keys().map(|key| vendor(key)).collect::<Vec<_>>(), [0x8086]);
        let ids: Vec<u16> = ids["0x8086"].as_array().unwrap().iter().map(integer).collect();
        // The chip table has the last word; the daemon's tests compare all of them.
        for qemu in [0x100C, 0x100E, 0x100F, 0x10D3] {
            assert!(ids.contains(&qemu), "{qemu:#06x}");
        }
        let once: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(once.len(), ids.len(), "an id is listed twice");
    }

    #[test]
    fn the_file_uses_only_keys_that_pcid_spawner_knows() {
        for driver in drivers(MATCH_FILE) {
            for key in driver.keys() {
                assert!(
                    ["name", "class", "ids", "command"].contains(&key.as_str()),
                    "{key}"
                );
            }
        }
    }

    /// pcid-spawner parses the concatenation of all files as one document.
    #[test]
    fn the_file_survives_between_others() {
        let other = "[[drivers]]\nname = \"other\"\ncommand = [\"otherd\"]\n";
        let text = [other, MATCH_FILE, other].concat();
        let names: Vec<_> = drivers(&text)
            .iter()
            .map(|driver| driver["name"].to_string())
            .collect();
        assert_eq!(names.len(), 3);
        assert!(names[1].contains("Intel"));
    }
}
