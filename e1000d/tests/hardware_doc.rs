//! `docs/hardware.md` agrees with the chip table.

use e1000_hw::chip::{CHIPS, Chip, Interrupts};

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
            // The reason follows.
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

/// Condition under which the daemon refuses a part.
fn refusal(chip: &'static Chip) -> &'static str {
    if chip.hazard().is_some() {
        return "refused unless forced";
    }
    "-"
}

#[test]
fn errata_of_each_chip_of_the_table_are_in_one_section_of_the_doc() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hardware.md");
    let doc = std::fs::read_to_string(path).expect("docs/hardware.md");
    let mut listed: Vec<u16> = doc
        .lines()
        .filter_map(|line| line.strip_prefix("Ids: "))
        .flat_map(|ids| ids.trim_end_matches('.').split(", "))
        .map(|id| u16::from_str_radix(id, 16).expect(id))
        .collect();
    listed.sort_unstable();
    let mut table: Vec<u16> = CHIPS.iter().map(|chip| chip.device_id).collect();
    table.sort_unstable();
    assert_eq!(listed, table);
}

#[test]
fn states_of_errata_are_one_of_three_and_done_ones_say_where() {
    let doc = include_str!("../../docs/hardware.md");
    let (_, errata) = doc.split_once("\n## Errata").expect("the section on errata");
    let (errata, _) = errata.split_once("\n## ").expect("a section after it");
    let mut rows = 0;
    for line in errata.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, problem, source, state, here, _] = cells[..] else {
            panic!("four cells: {line}");
        };
        if problem == "Erratum, workaround" {
            continue;
        }
        rows += 1;
        assert!(
            ["done", "not needed", "missing", "refused"].contains(&state),
            "{line}"
        );
        assert!(!source.is_empty() && !here.is_empty(), "{line}");
        assert!(state != "done" || here.contains('`'), "{line}");
        for path in here
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|path| path.ends_with(".rs"))
        {
            let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../e1000-hw/src/");
            let daemon = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
            let is_there = [core, daemon]
                .iter()
                .any(|dir| std::path::Path::new(dir).join(path).exists());
            assert!(is_there, "{path}: {line}");
        }
    }
    assert!(rows > 50, "{rows}");
}
