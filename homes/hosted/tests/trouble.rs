//! Trouble around a daemon: the NIC is removed, an interrupt is lost; and that nothing is done when nothing is
//! wrong.

mod common;
#[path = "common/hosted.rs"]
mod hosted;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use common::{MAC, OTHER, SOON, for_each_model, frame, wait_for};
use e1000_hosted::harness::Hosted;
use e1000_hw::regs;
use hosted::{events, open, passes_both_ways, start, text, value};
use libredox::errno;
use libredox::flag::{O_RDONLY, O_RDWR, O_WRONLY};

/// Numbers of times that each of the daemon's threads went to sleep so far: each wakeup is followed by one. Without
/// the thread that listens to QEMU, where the PC's timer ticks.
fn sleeps(hosted: &Hosted) -> BTreeMap<PathBuf, u64> {
    let of = |status: String| -> u64 {
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    };
    let tasks = fs::read_dir(format!("/proc/{}/task", hosted.pid())).unwrap();
    tasks
        .flatten()
        .map(|task| task.path())
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name != "qtest\n"))
        .filter_map(|task| {
            fs::read_to_string(task.join("status"))
                .ok()
                .map(|status| (task, of(status)))
        })
        .collect()
}

/// Wakeups of the daemon in three seconds in which nobody asks anything.
fn wakeups(hosted: &Hosted) -> u64 {
    // Threads of clients that are gone end.
    thread::sleep(Duration::from_millis(300));
    let before = sleeps(hosted);
    thread::sleep(Duration::from_secs(3));
    let after = sleeps(hosted);
    assert!(
        after.len() >= 3,
        "main, requests and those of the shim: {after:?}"
    );
    after
        .iter()
        .map(|(task, count)| count - before.get(task).unwrap_or(&0))
        .sum()
}

#[test]
fn removed_nic_is_reported_once_and_its_files_answer_on() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = hosted::data(&hosted);
        passes_both_ways(&hosted, &data, 1);
        let (link, frames) = (open(&hosted, "link", O_RDONLY), hosted::data(&hosted));
        let (news, readable) = (events(&link), events(&frames));
        let blocking = open(&hosted, "", O_RDWR);
        let parked = thread::spawn(move || blocking.read(&mut [0; 2048]).map_err(|error| error.errno()));
        thread::sleep(Duration::from_millis(100));

        hosted.remove_device().unwrap();
        thread::sleep(Duration::from_millis(100));
        // It is noticed when frames that were to be sent are not.
        let removed = Instant::now();
        assert_eq!(data.write(&frame(OTHER, 100, 2)).unwrap(), 100);
        assert_eq!(parked.join().unwrap(), Err(errno::ENODEV));
        println!("{nic}: noticed after {:?}", removed.elapsed());
        assert_eq!(
            (news.recv_timeout(SOON), readable.recv_timeout(SOON)),
            (Ok(7), Ok(7))
        );
        assert_eq!(data.read(&mut [0; 2048]).unwrap_err().errno(), errno::ENODEV);
        assert_eq!(
            data.write(&frame(OTHER, 100, 3)).unwrap_err().errno(),
            errno::ENODEV
        );
        for (file, written) in [
            ("mtu", "9000"),
            ("filter", "promiscuous on"),
            ("selftest", "run force"),
        ] {
            let file = open(&hosted, file, O_WRONLY);
            assert_eq!(file.write(written.as_bytes()).unwrap_err().errno(), errno::ENODEV);
        }
        assert!(text(&link).starts_with("state down\n"));
        assert_eq!(value(&hosted, "info", "state"), "gone");
        assert_eq!(value(&hosted, "stats", "rx_packets"), "1");
        let impossible = u64::from(u32::MAX);
        assert!(
            value(&hosted, "stats", "rx_missed_errors")
                .parse::<u64>()
                .unwrap()
                < impossible
        );
        assert!(value(&hosted, "hang", "hangs") == "0" && value(&hosted, "mtu", "mtu") == "1500");
        let mut mac = [0; 6];
        assert_eq!(open(&hosted, "mac", O_RDONLY).read(&mut mac).unwrap(), 6);
        assert_eq!(mac, MAC);

        assert_eq!(wakeups(&hosted), 0, "a NIC that is gone needs nothing");
        let log = hosted.log();
        assert_eq!(log.matches("the NIC is gone").count(), 1, "{log}");
        assert!(news.try_recv().is_err() && readable.try_recv().is_err());
        hosted.stop().unwrap();
    });
}

#[test]
fn frames_whose_interrupt_was_lost_are_told_of_with_the_next_request() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = hosted::data(&hosted);
        passes_both_ways(&hosted, &data, 1);
        assert_eq!(data.read(&mut [0; 2048]).unwrap_err().errno(), errno::EAGAIN);
        let news = events(&data);
        // What was due is through.
        thread::sleep(Duration::from_millis(1500));
        hosted.poke(regs::IMC, regs::ALL_ONES).unwrap();
        thread::sleep(Duration::from_millis(50));
        hosted.wire().send(&frame(MAC, 100, 2)).unwrap();
        assert!(
            news.recv_timeout(Duration::from_millis(300)).is_err(),
            "nobody noticed"
        );
        // Any request has the ring looked at.
        let other = hosted::data(&hosted);
        other.write(&frame(OTHER, 100, 3)).unwrap();
        assert_eq!(news.recv_timeout(SOON), Ok(7));
        let mut buffer = [0; 2048];
        let length = data.read(&mut buffer).unwrap();
        assert_eq!(buffer[..length], frame(MAC, 100, 2));
        hosted.stop().unwrap();
    });
}

#[test]
fn lost_interrupts_are_counted_and_parked_readers_served() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let other = hosted::data(&hosted);
        passes_both_ways(&hosted, &other, 1);
        thread::sleep(Duration::from_millis(1500));
        assert_eq!(value(&hosted, "stats", "lost_interrupts"), "0");
        hosted.poke(regs::IMC, regs::ALL_ONES).unwrap();
        thread::sleep(Duration::from_millis(50));
        let blocking = open(&hosted, "", O_RDWR);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 2048];
            let length = blocking.read(&mut buffer).unwrap();
            buffer[..length].to_vec()
        });
        thread::sleep(Duration::from_millis(100));
        // The check is due, and then the frame comes in without an interrupt.
        other.write(&frame(OTHER, 100, 2)).unwrap();
        hosted.wire().send(&frame(MAC, 100, 3)).unwrap();
        assert_eq!(reader.join().unwrap(), frame(MAC, 100, 3));
        wait_for("the count", || {
            (value(&hosted, "stats", "lost_interrupts") == "1").then_some(())
        });
        hosted.stop().unwrap();
    });
}

#[test]
fn nothing_wakes_a_daemon_that_has_nothing_to_do() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = hosted::data(&hosted);
        let _news = events(&data);
        for seed in 0..20 {
            passes_both_ways(&hosted, &data, seed);
        }
        thread::sleep(Duration::from_secs(2));
        assert_eq!(wakeups(&hosted), 0, "idle, with a link");
        hosted.set_link(false).unwrap();
        thread::sleep(Duration::from_secs(1));
        assert_eq!(wakeups(&hosted), 0, "idle, without a link");
        hosted.stop().unwrap();
    });
}
