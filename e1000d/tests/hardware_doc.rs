//! `docs/hardware.md` and the chip table say the same.

use e1000_hw::chip::{CHIPS, Interrupts};

#[test]
fn hardware_doc_has_a_row_for_each_chip_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hardware.md");
    let doc = std::fs::read_to_string(path).expect("docs/hardware.md");
    let rows: Vec<[String; 4]> = doc
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, id, part, mac, supported, tested, limits, _] = cells[..] else {
                return None;
            };
            let is_id = id.len() == 4 && id.chars().all(|c| c.is_ascii_hexdigit());
            if is_id {
                assert!(!tested.is_empty() && !limits.is_empty(), "{line}");
            }
            is_id.then(|| [id, part, mac, supported].map(str::to_owned))
        })
        .collect();
    let table: Vec<[String; 4]> = CHIPS
        .iter()
        .map(|chip| {
            let interrupts = match chip.limits.interrupts {
                Interrupts::Line => "INTx",
                Interrupts::Msi => "INTx, MSI",
                Interrupts::MsiX => "INTx, MSI, MSI-X",
            };
            let media = format!("{:?}", chip.media).to_lowercase();
            [
                format!("{:04X}", chip.device_id),
                chip.name.to_owned(),
                chip.limits.mac.to_owned(),
                format!("{media}, frames to {}, {interrupts}", chip.limits.max_frame),
            ]
        })
        .collect();
    assert_eq!(rows, table);
}
