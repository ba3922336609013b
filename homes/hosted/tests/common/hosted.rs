//! A hosted daemon and its files, as its clients see them.

// Each test binary uses a part of this.
#![allow(dead_code)]

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use e1000_hosted::harness::{Hosted, HostedOptions};
use e1000_hosted::machine::NicModel;
use event::{EventFlags, RawEventQueue};
use libredox::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use libredox::{Fd, errno};
use redox_shim::client::read_at;

use crate::common::{MAC, OTHER, SOON, frame, wait_for};

pub const DAEMON: &str = env!("CARGO_BIN_EXE_e1000d-hosted");

/// Starts a daemon for that NIC.
pub fn start(nic: NicModel) -> Hosted {
    Hosted::start(&HostedOptions::new(DAEMON, nic)).unwrap_or_else(|error| panic!("{nic}: {error}"))
}

/// Opens a file of the scheme.
pub fn open(hosted: &Hosted, file: &str, flags: i32) -> Fd {
    Fd::open(&format!("/scheme/{}/{file}", hosted.scheme()), flags, 0).unwrap()
}

/// Opens the file of frames, which does not block.
pub fn data(hosted: &Hosted) -> Fd {
    open(hosted, "", O_RDWR | O_NONBLOCK)
}

/// Contents of a file.
pub fn text(file: &Fd) -> String {
    let mut bytes = vec![0; 1 << 16];
    let length = read_at(file.raw(), &mut bytes, 0).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// The value of `key` in a file that is opened for it.
pub fn value(hosted: &Hosted, file: &str, key: &str) -> String {
    let text = text(&open(hosted, file, O_RDONLY));
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(name, _)| *name == key);
    found
        .unwrap_or_else(|| panic!("no {key} in {file}:\n{text}"))
        .1
        .to_owned()
}

pub fn number(hosted: &Hosted, file: &str, key: &str) -> u64 {
    value(hosted, file, key).parse().unwrap()
}

/// Waits until the file `link` says `state`.
pub fn wait_for_link(hosted: &Hosted, state: &str) {
    wait_for("change of the link", || {
        (value(hosted, "link", "state") == state).then_some(())
    });
}

/// Events of a file, each as it comes.
pub fn events(file: &Fd) -> Receiver<usize> {
    let queue = RawEventQueue::new().unwrap();
    queue.subscribe(file.raw(), 7, EventFlags::READ).unwrap();
    let (sender, events) = channel();
    thread::spawn(move || {
        while let Ok(event) = queue.next_event() {
            if sender.send(event.user_data).is_err() {
                return;
            }
        }
    });
    events
}

/// The next frame, read without blocking.
pub fn read_frame(data: &Fd) -> Vec<u8> {
    let mut buffer = vec![0; 20_000];
    let length = wait_for("frame", || match data.read(&mut buffer) {
        Ok(length) => Some(length),
        Err(error) if error.errno() == errno::EAGAIN => None,
        Err(error) => panic!("{error}"),
    });
    buffer.truncate(length);
    buffer
}

/// Frames pass in both directions.
pub fn passes_both_ways(hosted: &Hosted, data: &Fd, seed: u8) {
    hosted.wire().send(&frame(MAC, 100, seed)).unwrap();
    while read_frame(data) != frame(MAC, 100, seed) {}
    data.write(&frame(OTHER, 100, seed)).unwrap();
    while hosted.wire().receive(SOON).unwrap().unwrap() != frame(OTHER, 100, seed) {}
}

/// All nodes whose address ends in 12:34:56, as this NIC's does: the group of its solicited-node address (RFC 4291,
/// 2.7.1).
pub const SOLICITED: [u8; 6] = [0x33, 0x33, 0xFF, 0x12, 0x34, 0x56];

/// Tells if a frame to `destination` gets through; a broadcast sent after it does in any case.
pub fn passes(hosted: &Hosted, data: &Fd, destination: [u8; 6], seed: u8) -> bool {
    let (asked, end) = (frame(destination, 100, seed), frame([0xFF; 6], 60, seed));
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
