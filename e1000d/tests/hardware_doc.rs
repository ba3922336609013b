//! `docs/hardware.md` and the chip table say the same.

use e1000_hw::chip::{CHIPS, Chip, Interrupts};
use e1000_hw::fake::FakeMachine;
use e1000_hw::regs::{self, Status};

#[test]
fn hardware_doc_has_a_row_for_each_chip_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hardware.md");
    let doc = std::fs::read_to_string(path).expect("docs/hardware.md");
    let rows: Vec<[String; 5]> = doc
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, id, part, mac, supported, tested, limits, hazard, _] = cells[..] else {
                return None;
            };
            let is_id = id.len() == 4 && id.chars().all(|c| c.is_ascii_hexdigit());
            if is_id {
                assert!(!tested.is_empty() && !limits.is_empty(), "{line}");
            }
            // What follows says why.
            let hazard = hazard.split(':').next().unwrap_or_default();
            is_id.then(|| [id, part, mac, supported, hazard].map(str::to_owned))
        })
        .collect();
    let table: Vec<[String; 5]> = CHIPS
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
                chip.mac().to_string(),
                format!("{media}, frames to {}, {interrupts}", chip.limits.max_frame),
                refusal(chip).to_owned(),
            ]
        })
        .collect();
    assert_eq!(rows, table);
}

/// When the daemon refuses to drive a part.
fn refusal(chip: &'static Chip) -> &'static str {
    let machine = FakeMachine::new(chip);
    if chip.hazard(&machine.registers()).is_some() {
        return "refused unless forced";
    }
    machine.poke(regs::STATUS, Status::PCIX_MODE.bits());
    if chip.hazard(&machine.registers()).is_some() {
        return "refused unless forced in PCI-X mode";
    }
    "-"
}
