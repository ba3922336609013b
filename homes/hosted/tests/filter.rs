//! The receive filter: frames that a client gets, by the modes that it asks for in the file `filter`.

mod common;
#[path = "common/hosted.rs"]
mod hosted;
#[allow(dead_code, reason = "one of its roles is played here")]
#[path = "common/process.rs"]
mod process;

use common::{MAC, OTHER, for_each_model, frame, wait_for};
use e1000_hosted::harness::Hosted;
use hosted::{SOLICITED, data, open, passes, read_frame, start, text, value};
use libredox::Fd;
use libredox::flag::{O_RDWR, O_WRONLY};

#[test]
fn groups_pass_while_a_handle_asks_for_them() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = data(&hosted);
        let other_group = [0x01, 0x00, 0x5E, 0, 0, 0xFB];
        assert!(!passes(&hosted, &data, SOLICITED, 1));
        let filter = open(&hosted, "filter", O_RDWR);
        filter.write(b"multicast add 33:33:ff:12:34:56\n").unwrap();
        assert!(
            passes(&hosted, &data, SOLICITED, 2),
            "IPv6 neighbour solicitation"
        );
        assert!(!passes(&hosted, &data, other_group, 3));
        assert_eq!(
            text(&filter),
            "promiscuous 0\nallmulti 0\nmulticast 33:33:ff:12:34:56\nbudget 1\n\
             total_promiscuous 0\ntotal_allmulti 0\ntotal_multicast 33:33:ff:12:34:56\nvlan_filter 0\n"
        );
        // A second handle that asks for the same keeps it.
        let second = open(&hosted, "filter", O_RDWR);
        second.write(b"multicast add 33:33:FF:12:34:56").unwrap();
        drop(filter);
        assert!(passes(&hosted, &data, SOLICITED, 4));
        second
            .write(b"multicast del 33:33:ff:12:34:56\nallmulti on\n")
            .unwrap();
        assert!(passes(&hosted, &data, SOLICITED, 5) && passes(&hosted, &data, other_group, 6));
        assert!(!passes(&hosted, &data, OTHER, 7), "all groups are not everything");
        assert!(text(&second).starts_with("promiscuous 0\nallmulti 1\nbudget 1\ntotal_"));
        drop(second);
        wait_for("the end of what it asked for", || {
            (value(&hosted, "filter", "total_allmulti") == "0").then_some(())
        });
        assert!(!passes(&hosted, &data, SOLICITED, 8));
        assert!(passes(&hosted, &data, MAC, 9));
        hosted.stop().unwrap();
    });
}

/// No test: the processes that tests start play their roles here.
#[test]
fn client_process() {
    process::play_role();
}

/// Tells if a frame of this VLAN gets through; an untagged one sent after it does in any case.
fn vlan_passes(hosted: &Hosted, data: &Fd, vlan: u16, seed: u8) -> bool {
    let (mut asked, end) = (frame(MAC, 100, seed), frame(MAC, 60, seed));
    asked.splice(12..12, [0x81, 0x00].into_iter().chain(vlan.to_be_bytes()));
    hosted.wire().send(&asked).unwrap();
    hosted.wire().send(&end).unwrap();
    let mut passed = false;
    loop {
        let received = read_frame(data);
        passed |= received == asked;
        if received == end {
            return passed;
        }
    }
}

#[test]
fn other_vlans_are_kept_out_while_every_reader_asks_for_some() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let restricted = || value(&hosted, "filter", "vlan_filter") == "1";
        let filter = open(&hosted, "filter", O_RDWR);
        filter.write(b"vlan add 100\n").unwrap();
        assert!(!restricted(), "nobody reads");
        let data = data(&hosted);
        assert!(restricted());
        assert!(vlan_passes(&hosted, &data, 100, 1) && !vlan_passes(&hosted, &data, 101, 2));
        // Priority and no VLAN; the priority is no part of the id.
        assert!(vlan_passes(&hosted, &data, 0x6000, 3) && vlan_passes(&hosted, &data, 0xE064, 4));
        // A second handle asks for another one: both pass.
        let second = open(&hosted, "filter", O_RDWR);
        second.write(b"vlan add 101\nvlan add 4094").unwrap();
        assert!(vlan_passes(&hosted, &data, 100, 5) && vlan_passes(&hosted, &data, 101, 6));
        assert!(!vlan_passes(&hosted, &data, 102, 7));
        assert_eq!(
            text(&second),
            "promiscuous 0\nallmulti 0\nvlan 101\nvlan 4094\nbudget 1\ntotal_promiscuous 0\ntotal_allmulti 0\n\
             total_vlan 100\ntotal_vlan 101\ntotal_vlan 4094\nvlan_filter 1\n"
        );
        // Who wants everything gets everything.
        second.write(b"promiscuous on").unwrap();
        assert!(vlan_passes(&hosted, &data, 102, 8) && !restricted());
        drop(second);
        wait_for("the end of what it asked for", || restricted().then_some(()));
        assert!(!vlan_passes(&hosted, &data, 101, 9) && vlan_passes(&hosted, &data, 100, 10));
        // The filter survives a reset.
        open(&hosted, "mtu", O_WRONLY).write(b"9000").unwrap();
        wait_for("link", || (value(&hosted, "link", "state") == "up").then_some(()));
        assert!(!vlan_passes(&hosted, &data, 101, 11) && vlan_passes(&hosted, &data, 100, 12));
        drop(filter);
        wait_for("the end of what it asked for", || (!restricted()).then_some(()));
        assert!(vlan_passes(&hosted, &data, 101, 13), "as before");
        hosted.stop().unwrap();
    });
}

#[test]
fn reader_that_asks_for_no_vlan_goes_on_seeing_all() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let (data, filter) = (data(&hosted), open(&hosted, "filter", O_RDWR));
        filter.write(b"vlan add 100").unwrap();
        let restricted = || value(&hosted, "filter", "vlan_filter") == "1";
        assert!(restricted());
        // Another process opens the file of frames.
        let mut reader = process::reader(&hosted.scheme().parse().unwrap());
        reader.env("REDOX_SHIM_DIR", hosted.scheme_directory());
        let reader = process::Process::start(&mut reader);
        wait_for("everything to pass", || (!restricted()).then_some(()));
        drop(reader);
        wait_for("the filter, once it is gone", || restricted().then_some(()));
        assert!(!vlan_passes(&hosted, &data, 101, 1));
        hosted.stop().unwrap();
    });
}

#[test]
fn everything_passes_while_a_handle_is_promiscuous() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = data(&hosted);
        assert!(!passes(&hosted, &data, OTHER, 1));
        let filter = open(&hosted, "filter", O_RDWR);
        filter.write(b"promiscuous on").unwrap();
        assert!(passes(&hosted, &data, OTHER, 2) && passes(&hosted, &data, SOLICITED, 3));
        drop(filter);
        wait_for("the end of what it asked for", || {
            (value(&hosted, "filter", "total_promiscuous") == "0").then_some(())
        });
        assert!(!passes(&hosted, &data, OTHER, 4));
        hosted.stop().unwrap();
    });
}
