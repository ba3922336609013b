//! The scheme's files beside frames, on each of QEMU's NICs, as a client sees them.

mod common;
#[path = "common/hosted.rs"]
mod hosted;

use std::thread;
use std::time::Duration;

use common::{Bench, MAC, OTHER, SOON, for_each_model, frame, wait_for};
use e1000_hosted::harness::{Hosted, HostedOptions};
use e1000_hosted::machine::NicModel;
use e1000_hw::regs;
use hosted::{DAEMON, SOLICITED, data, events, number, open, passes, read_frame, start, text, value};
use libredox::errno;
use libredox::flag::{O_RDONLY, O_RDWR, O_WRONLY};

/// The time that the transmitter may hang, and a little.
const HEALED: Duration = Duration::from_secs(20);

/// The value of a register, from the file `registers`.
fn register(hosted: &Hosted, name: &str) -> u32 {
    let value = value(hosted, "registers", name);
    let digits = value.split(' ').next().and_then(|word| word.strip_prefix("0x"));
    u32::from_str_radix(digits.unwrap(), 16).unwrap()
}

#[test]
fn files_take_only_what_they_understand_and_only_if_opened_for_it() {
    let hosted = start(NicModel::E1000e);
    let write = |file: &str, flags, text: &str| {
        let file = open(&hosted, file, flags);
        file.write(text.as_bytes()).map_err(|error| error.errno())
    };
    for (file, bad) in [
        ("filter", "promiscuous"),
        ("filter", "multicast add 52:54:00:12:34:56"),
        ("filter", "promiscuous on\nnonsense"),
        ("filter", "vlan add 4095"),
        ("mtu", "67"),
        ("mtu", "9217"),
        ("mtu", "fast"),
        ("stats", "0"),
        ("link", "up"),
        ("mac", "123456"),
        ("registers", "RCTL 0"),
    ] {
        assert_eq!(write(file, O_RDWR, bad), Err(errno::EINVAL), "{file}: {bad}");
    }
    assert_eq!(write("filter", O_RDONLY, "promiscuous on"), Err(errno::EINVAL));
    assert_eq!(
        value(&hosted, "filter", "total_promiscuous"),
        "0",
        "all lines or none"
    );
    assert_eq!(write("mtu", O_WRONLY, "1400"), Ok(4));
    assert_eq!(number(&hosted, "mtu", "mtu"), 1400);
    hosted.stop().unwrap();
}

#[test]
fn each_change_of_the_link_is_an_event_and_a_new_text() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let link = open(&hosted, "link", O_RDONLY);
        let news = events(&link);
        // QEMU's PHYs have not negotiated at power-on.
        assert_eq!(text(&link), "state up\nspeed 1000\nduplex full\npause none\n");
        assert!(
            news.recv_timeout(Duration::from_millis(100)).is_err(),
            "nothing changed"
        );
        for round in 0..3 {
            for (on, state) in [(false, "state down\n"), (true, "state up\n")] {
                hosted.set_link(on).unwrap();
                // With another event on the way if it was told of the same change twice.
                assert_eq!(news.recv_timeout(SOON), Ok(7), "round {round}");
                assert!(text(&link).starts_with(state), "{}", text(&link));
            }
            // The partner of e1000e's PHY offers PAUSE, that of e1000's does not.
            let pause = if nic == NicModel::E1000e { "rx" } else { "none" };
            assert_eq!(value(&hosted, "link", "pause"), pause);
        }
        assert!(news.recv_timeout(Duration::from_millis(100)).is_err());
        // Who subscribes late is told at once.
        let late = open(&hosted, "link", O_RDONLY);
        hosted.set_link(false).unwrap();
        assert_eq!(news.recv_timeout(SOON), Ok(7));
        assert_eq!(events(&late).recv_timeout(SOON), Ok(7));
        assert_eq!(number(&hosted, "stats", "link_changes"), 7);
        hosted.stop().unwrap();
    });
}

#[test]
fn pause_frames_are_wanted_as_the_command_line_says() {
    for (wanted, flags) in [("none", 0), ("rx", 0b01), ("tx", 0), ("both", 0b11)] {
        let hosted = Hosted::start(&HostedOptions {
            arguments: vec!["--pause".into(), wanted.into()],
            ..HostedOptions::new(DAEMON, NicModel::E1000e)
        })
        .unwrap();
        let link = open(&hosted, "link", O_RDONLY);
        for (on, state) in [(false, "state down\n"), (true, "state up\n")] {
            hosted.set_link(on).unwrap();
            wait_for(state, || text(&link).starts_with(state).then_some(()));
        }
        // The partner, without ASM_DIR, agrees to both or none.
        let want = if flags == 0 { "none" } else { wanted };
        assert_eq!(value(&hosted, "link", "pause"), want);
        assert_eq!(register(&hosted, "CTRL") >> 27 & 0b11, flags, "RFCE and TFCE");
        assert_eq!(register(&hosted, "FCRTH") != 0, flags & 0b10 != 0);
        hosted.stop().unwrap();
    }
}

#[test]
fn interrupts_are_moderated_as_the_command_line_says() {
    for (nic, arguments, want) in [
        (NicModel::E1000, vec![], 195),
        (NicModel::E1000, vec!["--moderation", "bulk"], 976),
        // Single small frames: the lowest class.
        (NicModel::E1000, vec!["--moderation", "adaptive"], 55),
        (NicModel::E1000e, vec!["--moderation", "adaptive"], 55),
    ] {
        let hosted = Hosted::start(&HostedOptions {
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            ..HostedOptions::new(DAEMON, nic)
        })
        .unwrap();
        let data = data(&hosted);
        let mut seed = 0;
        wait_for(&format!("ITR {want} ({nic} {arguments:?})"), || {
            // On a busy machine, one interrupt may be all that comes of many frames.
            for _ in 0..20 {
                seed = u8::wrapping_add(seed, 1);
                hosted.wire().send(&frame(MAC, 60, seed)).unwrap();
                assert_eq!(read_frame(&data), frame(MAC, 60, seed));
            }
            (register(&hosted, "ITR") == want).then_some(())
        });
        hosted.stop().unwrap();
    }
}

#[test]
fn stats_count_what_passes_and_what_does_not() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = data(&hosted);
        let group = [0x01, 0x00, 0x5E, 0, 0, 1];
        let filter = open(&hosted, "filter", O_RDWR);
        filter.write(b"multicast add 01:00:5e:00:00:01").unwrap();
        for seed in 0..5 {
            assert!(passes(&hosted, &data, group, seed));
        }
        // Too long for an MTU of 1500, even with a VLAN tag.
        hosted.wire().send(&frame(MAC, 1600, 9)).unwrap();
        assert!(passes(&hosted, &data, MAC, 9));
        for (kind, count) in [([0xFF; 6], 4), (group, 3), (OTHER, 2)] {
            for seed in 0..count {
                assert_eq!(data.write(&frame(kind, 200, seed)).unwrap(), 200);
                hosted.wire().receive(SOON).unwrap().expect("it comes out");
            }
        }
        let stats = text(&open(&hosted, "stats", O_RDONLY));
        assert!(stats.lines().count() > 30, "{stats}");
        let value = |key: &str| number(&hosted, "stats", key);
        assert_eq!(value("rx_packets"), 6 * 2);
        assert_eq!(value("tx_packets"), 9);
        assert_eq!(value("tx_bytes"), 9 * 200);
        assert_eq!(
            (
                value("tx_dropped"),
                value("tx_timeout_count"),
                value("lost_interrupts")
            ),
            (0, 0, 0)
        );
        assert!(value("requests") > 20);
        // Frames are read from the ring by whoever asks; the thread that serves interrupts may get its turn after
        // them on a busy machine. The line stays up until then.
        wait_for("counted interrupt", || (value("interrupts") > 0).then_some(()));
        let (multicasts, broadcasts) = (value("rx_multicast"), value("rx_broadcast"));
        let sent = (value("tx_multicast"), value("tx_broadcast"));
        if nic == NicModel::E1000e || Bench::new(nic).has_extra_registers() {
            // QEMU's e1000e counted a frame to a group twice before 8.0 (`e1000x_update_rx_total_stats` and its
            // caller).
            let twice = nic == NicModel::E1000e && multicasts == 10;
            println!("{nic}: five frames to a group count {multicasts}");
            assert_eq!((multicasts, broadcasts), (if twice { 10 } else { 5 }, 6));
            assert_eq!(sent, (3, 4));
        } else {
            println!("{nic}: no counters of groups");
            assert_eq!((multicasts, broadcasts, sent), (0, 0, (0, 0)));
        }
        hosted.stop().unwrap();
    });
}

#[test]
fn registers_are_dumped_without_side_effects() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = data(&hosted);
        for seed in 0..20 {
            hosted.wire().send(&frame(MAC, 100, seed)).unwrap();
            let dump = text(&open(&hosted, "registers", O_RDONLY));
            let rctl = dump.lines().find(|line| line.starts_with("RCTL ")).unwrap();
            assert!(
                rctl.ends_with(" EN BAM SECRC") || rctl.ends_with(" EN BAM"),
                "{rctl}"
            );
            assert!(dump.lines().count() > 25 && !dump.contains("ICR"));
            assert_eq!(read_frame(&data), frame(MAC, 100, seed));
        }
        hosted.stop().unwrap();
    });
}

#[test]
fn mtu_of_9000_carries_frames_of_all_sizes() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = data(&hosted);
        assert_eq!(
            data.write(&frame(OTHER, 1515, 1)).unwrap_err().errno(),
            errno::EMSGSIZE
        );
        assert!(number(&hosted, "mtu", "max") >= 9000);
        let filter = open(&hosted, "filter", O_RDWR);
        filter.write(b"multicast add 33:33:ff:12:34:56\n").unwrap();
        open(&hosted, "mtu", O_WRONLY).write(b"9000").unwrap();
        wait_for("link", || (value(&hosted, "link", "state") == "up").then_some(()));
        assert_eq!(number(&hosted, "mtu", "mtu"), 9000);
        assert!(passes(&hosted, &data, SOLICITED, 1), "filters survive the reset");
        for (seed, size) in [60, 1514, 1515, 1519, 2047, 2048, 2049, 4096, 4097, 8999, 9014]
            .into_iter()
            .enumerate()
        {
            let seed = seed as u8;
            hosted.wire().send(&frame(MAC, size, seed)).unwrap();
            assert_eq!(read_frame(&data), frame(MAC, size, seed), "{size} bytes in");
            assert_eq!(data.write(&frame(OTHER, size, seed)).unwrap(), size);
            assert_eq!(
                hosted.wire().receive(SOON).unwrap().unwrap(),
                frame(OTHER, size, seed),
                "{size} bytes out"
            );
        }
        assert_eq!(
            data.write(&frame(OTHER, 9015, 1)).unwrap_err().errno(),
            errno::EMSGSIZE
        );
        // 9018 may be a tagged frame.
        hosted.wire().send(&frame(MAC, 9019, 1)).unwrap();
        assert!(passes(&hosted, &data, MAC, 2));
        assert_eq!(number(&hosted, "stats", "rx_over_errors"), 1, "dropped whole");
        // A short reader gets the beginning, and the next frame whole.
        hosted.wire().send(&frame(MAC, 9000, 3)).unwrap();
        hosted.wire().send(&frame(MAC, 100, 4)).unwrap();
        let mut beginning = [0; 5000];
        let length = wait_for("frame", || data.read(&mut beginning).ok());
        assert_eq!(beginning[..length], frame(MAC, 9000, 3)[..5000]);
        assert_eq!(read_frame(&data), frame(MAC, 100, 4));

        open(&hosted, "mtu", O_WRONLY).write(b"mtu 1500").unwrap();
        wait_for("link", || (value(&hosted, "link", "state") == "up").then_some(()));
        hosted.wire().send(&frame(MAC, 9000, 5)).unwrap();
        assert!(passes(&hosted, &data, MAC, 6));
        assert_eq!(
            data.write(&frame(OTHER, 1515, 1)).unwrap_err().errno(),
            errno::EMSGSIZE
        );
        hosted.stop().unwrap();
    });
}

#[test]
fn transmitter_that_hangs_is_reset_and_heals() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = data(&hosted);
        let filter = open(&hosted, "filter", O_RDWR);
        filter.write(b"multicast add 33:33:ff:12:34:56\n").unwrap();
        assert_eq!(number(&hosted, "hang", "hangs"), 0);
        // The transmitter is off, and nobody told the driver.
        hosted.poke(regs::TCTL, 0).unwrap();
        thread::sleep(Duration::from_millis(50));
        for seed in 0..3 {
            assert_eq!(data.write(&frame(OTHER, 100, seed)).unwrap(), 100);
        }
        let start = std::time::Instant::now();
        while number(&hosted, "hang", "resets") == 0 {
            assert!(
                start.elapsed() < HEALED,
                "{}",
                text(&open(&hosted, "hang", O_RDONLY))
            );
            thread::sleep(Duration::from_millis(100));
        }
        println!("{nic}: healed after {:?}", start.elapsed());
        let hang = text(&open(&hosted, "hang", O_RDONLY));
        assert!(
            hang.contains("TCTL 0x00000000\n") && hang.contains("tx_descriptor_0 "),
            "{hang}"
        );
        assert_eq!(number(&hosted, "stats", "tx_timeout_count"), 1);
        assert_eq!(
            number(&hosted, "stats", "tx_dropped"),
            3,
            "the frames in the ring are lost, and counted"
        );
        wait_for("link", || (value(&hosted, "link", "state") == "up").then_some(()));
        assert!(passes(&hosted, &data, SOLICITED, 1), "filters survive the reset");
        for seed in 0..20 {
            assert_eq!(data.write(&frame(OTHER, 100, seed)).unwrap(), 100);
            assert_eq!(
                hosted.wire().receive(SOON).unwrap().unwrap(),
                frame(OTHER, 100, seed)
            );
            assert!(passes(&hosted, &data, MAC, seed));
        }
        assert_eq!(number(&hosted, "hang", "hangs"), 1);
        hosted.stop().unwrap();
    });
}
