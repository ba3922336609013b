//! The hosted daemon from the outside: its client is this process, its wire a UDP socket.

use std::time::{Duration, Instant};

use e1000_hosted::harness::{HarnessError, Hosted, HostedOptions};
use e1000_hosted::machine::NicModel;
use libredox::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use libredox::{Fd, errno};

const DAEMON: &str = env!("CARGO_BIN_EXE_e1000d-hosted");
const SOON: Duration = Duration::from_secs(10);

fn start(nic: NicModel) -> Hosted {
    Hosted::start(&HostedOptions::new(DAEMON, nic)).unwrap_or_else(|error| panic!("{nic}: {error}"))
}

fn open(hosted: &Hosted, path: &str, flags: i32) -> Fd {
    Fd::open(&format!("/scheme/{}{path}", hosted.scheme()), flags, 0).unwrap()
}

fn frame(first: u8) -> Vec<u8> {
    let mut frame = vec![0xFF; 6];
    frame.extend((0..94).map(|index| first.wrapping_add(index)));
    frame
}

fn read_frame(data: &Fd) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let start = Instant::now();
    loop {
        match data.read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return buffer;
            }
            Err(error) if error.errno() == errno::EAGAIN => assert!(start.elapsed() < SOON, "no frame came"),
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn frames_pass_in_both_directions_and_are_counted() {
    for model in NicModel::ALL {
        let hosted = start(model);
        let data = open(&hosted, "", O_RDWR | O_NONBLOCK);
        assert_eq!(data.write(&frame(1)).unwrap(), 100);
        assert_eq!(
            hosted.wire().receive(SOON).unwrap().expect("a frame"),
            frame(1),
            "{model}"
        );
        hosted.wire().send(&frame(2)).unwrap();
        assert_eq!(read_frame(&data), frame(2), "{model}");
        let mut mac = [0; 8];
        assert_eq!(open(&hosted, "/mac", O_RDONLY).read(&mut mac).unwrap(), 6);
        assert_eq!(mac[..6], [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        drop(data);
        let report = hosted.stop().unwrap();
        assert_eq!((report.rx_frames, report.tx_frames), (1, 1), "{model}");
        assert!(report.register_writes > 0);
    }
}

#[test]
fn cable_can_be_plugged_in_after_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = HostedOptions::new(DAEMON, NicModel::E1000);
    options.link_down = true;
    options.mac = Some([0x52, 0x54, 0, 1, 2, 3]);
    options.capture = Some(directory.path().join("frames.pcap"));
    let hosted = Hosted::start(&options).unwrap();
    let data = open(&hosted, "", O_RDWR | O_NONBLOCK);
    hosted.set_link(true).unwrap();
    let start = Instant::now();
    while hosted
        .wire()
        .receive(Duration::from_millis(50))
        .unwrap()
        .is_none()
    {
        assert!(start.elapsed() < SOON, "nothing is sent");
        data.write(&frame(9)).unwrap();
    }
    let mut mac = [0; 6];
    open(&hosted, "/mac", O_RDONLY).read(&mut mac).unwrap();
    assert_eq!(mac, [0x52, 0x54, 0, 1, 2, 3]);
    drop(hosted);
    let captured = std::fs::metadata(directory.path().join("frames.pcap"))
        .unwrap()
        .len();
    assert!(captured > 24 + 100, "the capture has a header and a frame");
}

#[test]
fn two_daemons_have_names_of_their_own() {
    let (one, two) = (start(NicModel::E1000), start(NicModel::E1000e));
    assert_ne!(one.scheme(), two.scheme());
    open(&one, "", O_RDWR);
    open(&two, "", O_RDWR);
}

#[test]
fn killed_daemon_is_no_device_any_more() {
    let mut hosted = start(NicModel::E1000);
    let data = open(&hosted, "", O_RDWR | O_NONBLOCK);
    hosted.kill().unwrap();
    assert_eq!(data.write(&frame(0)).err().unwrap().errno(), errno::ENODEV);
}

#[test]
fn daemon_that_cannot_start_says_why() {
    let mut options = HostedOptions::new(DAEMON, NicModel::E1000);
    options.netdev = Some("user,nonsense=1".parse().unwrap());
    match Hosted::start(&options) {
        Err(HarnessError::Ended { log }) => assert!(log.contains("nonsense"), "{log}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("QEMU takes nonsense"),
    }
}
