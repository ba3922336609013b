//! The match file lists the ids of the chip table.

use std::collections::BTreeSet;

use e1000_hw::chip::CHIPS;
use pcid_config::MATCH_FILE;

#[test]
fn match_file_lists_exactly_the_chip_tables_ids() {
    let file: toml::Table = MATCH_FILE.parse().expect("TOML");
    let drivers = file["drivers"].as_array().expect("an array of drivers");
    assert_eq!(drivers.len(), 1);
    let ids = drivers[0]["ids"].as_table().expect("a table of vendors");
    assert_eq!(ids.keys().collect::<Vec<_>>(), ["0x8086"]);
    let listed: Vec<i64> = ids["0x8086"]
        .as_array()
        .expect("ids")
        .iter()
        .map(|id| id.as_integer().expect("a number"))
        .collect();
    let known: BTreeSet<i64> = CHIPS.iter().map(|chip| i64::from(chip.device_id)).collect();
    assert_eq!(listed.len(), CHIPS.len(), "each id once");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), known);
}
