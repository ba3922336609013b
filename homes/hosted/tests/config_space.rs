//! The daemon's view of PCI configuration space, against QEMU's.

mod common;
#[path = "common/hosted.rs"]
mod hosted;

use common::for_each_model;
use hosted::{start, value};

#[test]
fn link_power_management_is_off_where_it_hangs_the_part_and_said() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let aspm = value(&hosted, "info", "aspm");
        println!("{nic}: ASPM {aspm}");
        assert!(
            ["none", "off"].contains(&aspm.split(' ').next().unwrap()),
            "{nic}: {aspm}"
        );
        assert_eq!(value(&hosted, "info", "pcix_longest_read"), "none", "{nic}");
        assert_eq!(value(&hosted, "info", "hazard"), "none", "{nic}");
        assert_eq!(value(&hosted, "info", "warnings"), "none", "{nic}");
        hosted.stop().unwrap();
    });
}
