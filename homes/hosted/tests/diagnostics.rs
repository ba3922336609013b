//! The file `selftest` through the scheme, and the client's commands about the adapter as a user runs them.

#[path = "common/client.rs"]
mod client;
mod common;
#[path = "common/hosted.rs"]
mod hosted;

use std::thread;
use std::time::Duration;

use client::Client;
use common::{OTHER, for_each_model, frame, wait_for};
use e1000_hosted::harness::Hosted;
use e1000_hosted::machine::NicModel;
use hosted::{data, open, passes_both_ways, start, text, value, wait_for_link};
use libredox::errno;
use libredox::flag::{O_RDONLY, O_WRONLY};

/// The lines of a file.
fn lines(hosted: &Hosted, file: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        line.split_once(' ')
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    text(&open(hosted, file, O_RDONLY))
        .lines()
        .filter_map(pair)
        .collect()
}

/// Self-tests in which others have to be served at least once.
const TRIES: usize = 10;

fn write(hosted: &Hosted, file: &str, text: &str) -> Result<usize, i32> {
    open(hosted, file, O_WRONLY)
        .write(text.as_bytes())
        .map_err(|error| error.errno())
}

/// Waits for the end of a self-test; its lines.
fn report(hosted: &Hosted) -> Vec<(String, String)> {
    wait_for("end of the self-test", || {
        (value(hosted, "selftest", "state") == "done").then_some(())
    });
    lines(hosted, "selftest")
}

#[test]
fn self_test_passes_through_the_scheme_and_others_are_served_meanwhile() {
    for_each_model(|nic| {
        let hosted = start(nic);
        assert_eq!(
            lines(&hosted, "selftest"),
            [("state", "never"), ("runs", "0"), ("failures", "0")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        // Others wait for a step, not for the test: they are answered while it runs. Where this process gets no
        // processor, a short test may be over before it asks.
        let served = (0..TRIES).any(|_| {
            assert_eq!(write(&hosted, "selftest", "run"), Ok(3));
            let mut answers = 0;
            while value(&hosted, "selftest", "state") == "running" {
                assert_eq!(value(&hosted, "mtu", "mtu"), "1500");
                answers += usize::from(value(&hosted, "selftest", "state") == "running");
            }
            println!("{nic}: {answers} answers, {:?}", report(&hosted));
            answers > 0
        });
        assert!(served, "nobody is served while the test runs");
        for part in ["link", "registers", "nvm", "loopback", "interrupt"] {
            assert_eq!(value(&hosted, "selftest", part), "passed", "{part}");
        }
        assert_eq!(value(&hosted, "selftest", "result"), "passed");
        let frames = data(&hosted);
        wait_for_link(&hosted, "up");
        passes_both_ways(&hosted, &frames, 1);
        hosted.stop().unwrap();
    });
}

#[test]
fn self_test_is_refused_while_somebody_has_the_adapter_open_unless_forced() {
    let hosted = start(NicModel::E1000e);
    let frames = data(&hosted);
    wait_for_link(&hosted, "up");
    passes_both_ways(&hosted, &frames, 1);
    assert_eq!(write(&hosted, "selftest", "run"), Err(errno::EBUSY));
    for bad in ["", "go", "run fast"] {
        assert_eq!(write(&hosted, "selftest", bad), Err(errno::EINVAL), "{bad:?}");
    }
    assert_eq!(value(&hosted, "selftest", "runs"), "0");
    assert_eq!(write(&hosted, "selftest", "run force"), Ok(9));
    assert_eq!(
        frames.write(&frame(OTHER, 100, 7)).unwrap(),
        100,
        "dropped, not refused"
    );
    report(&hosted);
    assert_eq!(value(&hosted, "selftest", "result"), "passed");
    wait_for_link(&hosted, "up");
    passes_both_ways(&hosted, &frames, 2);
    drop(frames);
    assert_eq!(
        write(&hosted, "selftest", "run"),
        Ok(3),
        "nobody has it open any more"
    );
    report(&hosted);
    assert_eq!(value(&hosted, "selftest", "runs"), "2");
    hosted.stop().unwrap();
}

#[test]
fn while_a_self_test_runs_nothing_else_is_begun() {
    let hosted = start(NicModel::E1000);
    hosted.set_link(false).unwrap();
    wait_for_link(&hosted, "down");
    // Takes 7.5 s without a cable in QEMU.
    assert_eq!(write(&hosted, "selftest", "run"), Ok(3));
    for (file, text) in [
        ("selftest", "run force"),
        ("mtu", "9000"),
        ("filter", "promiscuous on"),
    ] {
        assert_eq!(write(&hosted, file, text), Err(errno::EBUSY), "{file}");
    }
    let report = report(&hosted);
    let failed: Vec<_> = report
        .iter()
        .filter(|(_, value)| value.starts_with("failed: "))
        .collect();
    assert_eq!(failed.len(), 2, "link and loopback: {report:?}");
    assert_eq!(value(&hosted, "selftest", "failures"), "1");
    assert!(
        hosted.log().contains("self-test: link failed: no link"),
        "{}",
        hosted.log()
    );
    assert_eq!(write(&hosted, "mtu", "9000"), Ok(4));
    hosted.set_link(true).unwrap();
    let frames = data(&hosted);
    wait_for_link(&hosted, "up");
    passes_both_ways(&hosted, &frames, 1);
    hosted.stop().unwrap();
}

#[test]
fn client_runs_the_self_test_and_says_what_came_of_it() {
    let hosted = start(NicModel::E1000e);
    let client = Client::new(&hosted);
    let run = client.run(&["selftest", "--last"]);
    assert!(
        !run.success && run.stderr.contains("was not tested yet"),
        "{run:?}"
    );
    let run = client.run(&["selftest"]);
    assert!(run.success, "{run:?}");
    let expected = [
        "link       passed",
        "registers  passed",
        "nvm        passed",
        "loopback   passed",
    ];
    assert_eq!(run.stdout.lines().take(4).collect::<Vec<_>>(), expected);
    assert!(run.stdout.contains("self-test passed after "), "{run:?}");

    let frames = data(&hosted);
    let run = client.run(&["selftest"]);
    assert!(
        !run.success && run.stderr.contains("is in use: --force"),
        "{run:?}"
    );
    let run = client.run(&["--json", "selftest"]);
    assert!(
        !run.success && run.json()["error"].as_str().unwrap().contains("in use"),
        "{run:?}"
    );
    let run = client.run(&["selftest", "--force", "--json"]);
    assert!(run.success, "{run:?}");
    let json = run.json();
    assert_eq!(
        (&json["passed"], &json["loopback"]),
        (&true.into(), &"passed".into())
    );
    drop(frames);

    hosted.set_link(false).unwrap();
    wait_for_link(&hosted, "down");
    let run = client.run(&["selftest"]);
    assert!(!run.success, "the exit status tells: {run:?}");
    assert!(run.stdout.contains("link       failed: no link\n"), "{run:?}");
    assert!(run.stdout.contains("self-test failed after "), "{run:?}");
    let run = client.run(&["selftest", "--last", "--json"]);
    assert!(!run.success && run.json()["passed"] == false, "{run:?}");
    hosted.stop().unwrap();
}

#[test]
fn client_shows_link_statistics_and_info() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let client = Client::new(&hosted);
        let run = client.run(&["link"]);
        assert!(
            run.success && run.stdout.starts_with("up, 1000 Mbit/s, full duplex"),
            "{run:?}"
        );
        let json = client.run(&["link", "--json"]).json();
        assert_eq!((&json["state"], &json["speed"]), (&"up".into(), &1000.into()));

        let frames = data(&hosted);
        wait_for_link(&hosted, "up");
        passes_both_ways(&hosted, &frames, 1);
        let run = client.run(&["stats"]);
        assert!(run.success && run.stdout.lines().count() > 30, "{run:?}");
        let json = client.run(&["stats", "--nonzero", "--json"]).json();
        assert_eq!(
            (&json["rx_packets"], &json["tx_packets"]),
            (&1.into(), &1.into()),
            "{json}"
        );
        assert!(json.get("tx_dropped").is_none(), "it is zero: {json}");
        let text = client.run(&["stats", "--nonzero"]).stdout;
        assert!(
            text.contains("rx_packets") && !text.contains("tx_dropped"),
            "{text}"
        );

        let run = client.run(&["info"]);
        for part in [
            "mac      52:54:00:12:34:56",
            hosted.scheme(),
            "driver e1000d ",
            "interrupt INTx",
        ] {
            assert!(run.stdout.contains(part), "{part}: {run:?}");
        }
        let json = client.run(&["info", "--json"]).json();
        assert_eq!(json["mac"], "52:54:00:12:34:56");
        assert!(
            json["files"]["info"].as_str().unwrap().contains("chip 825"),
            "{json}"
        );

        hosted.set_link(false).unwrap();
        wait_for_link(&hosted, "down");
        let run = client.run(&["link"]);
        assert!(!run.success && run.stdout == "down\n", "{run:?}");
        let run = client.run(&["link", "--json"]);
        assert!(!run.success && run.json()["state"] == "down", "{run:?}");
        hosted.stop().unwrap();
    });
}

#[test]
fn client_waits_for_the_link() {
    let hosted = start(NicModel::E1000);
    let client = Client::new(&hosted);
    hosted.set_link(false).unwrap();
    wait_for_link(&hosted, "down");
    let run = client.run(&["link", "--wait", "300ms"]);
    assert!(!run.success && run.stdout == "down\n", "{run:?}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.run(&["link", "--wait", "20s"]));
        thread::sleep(Duration::from_millis(300));
        hosted.set_link(true).unwrap();
        let run = waiting.join().unwrap();
        assert!(run.success && run.stdout.starts_with("up, "), "{run:?}");
    });
    hosted.stop().unwrap();
}

#[test]
fn client_watches_traffic_and_a_link_that_flaps() {
    let hosted = start(NicModel::E1000e);
    let client = Client::new(&hosted);
    let frames = data(&hosted);
    let watch = |json: &[&str]| {
        let arguments = [&["watch", "--seconds", "6", "--interval", "200ms"], json].concat();
        thread::scope(|scope| {
            let watching = scope.spawn(|| client.run(&arguments));
            thread::sleep(Duration::from_millis(1000));
            hosted.set_link(false).unwrap();
            thread::sleep(Duration::from_millis(1000));
            hosted.set_link(true).unwrap();
            for seed in 0..50 {
                wait_for_link(&hosted, "up");
                passes_both_ways(&hosted, &frames, seed);
            }
            watching.join().unwrap()
        })
    };
    let run = watch(&["--json"]);
    assert!(run.success, "{run:?}");
    let parsed = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = parsed.collect();
    let states: Vec<bool> = lines
        .iter()
        .map(|line| line["link"].as_str().unwrap().starts_with("up"))
        .collect();
    let mut flap = states.clone();
    flap.dedup();
    assert_eq!(flap, [true, false, true], "{states:?}");
    let sum = |key: &str| -> f64 {
        let mut before = 0.0;
        let each = lines.iter().map(|line| {
            let seconds = line["seconds"].as_f64().unwrap();
            let frames = line[key].as_f64().unwrap() * (seconds - before);
            before = seconds;
            frames
        });
        each.sum()
    };
    let (rx, tx) = (sum("rx_packets_per_second"), sum("tx_packets_per_second"));
    assert!((rx - 50.0).abs() < 2.0 && (tx - 50.0).abs() < 2.0, "{rx} {tx}");

    let run = watch(&[]);
    assert!(
        run.stdout.contains("link down") && run.stdout.contains("link up, 1000 Mbit/s"),
        "{run:?}"
    );
    let run = client.run(&["watch", "--interval", "50ms"]);
    assert!(!run.success && run.stderr.contains("at least 100ms"), "{run:?}");
    hosted.stop().unwrap();
}

#[test]
fn client_captures_what_it_asks_the_filter_for_and_nobody_else_keeps_getting_it() {
    const NEIGHBOUR: [u8; 6] = [0x33, 0x33, 0xFF, 0x12, 0x34, 0x56];
    for_each_model(|nic| {
        let hosted = start(nic);
        let client = Client::new(&hosted);
        wait_for_link(&hosted, "up");
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let capture = |options: &[&str]| {
            let arguments = [&["--json", "capture", "-w", path, "--timeout", "3s"], options].concat();
            thread::scope(|scope| {
                let capturing = scope.spawn(|| client.run(&arguments));
                // The tool is up, and a change of RCTL has QEMU's model deaf for a second.
                thread::sleep(Duration::from_millis(2000));
                hosted.wire().send(&frame(NEIGHBOUR, 86, 1)).unwrap();
                let run = capturing.join().unwrap();
                println!("{nic} {options:?} {run:?}");
                assert!(run.success, "{run:?}");
                run.json()["frames"].as_u64().unwrap()
            })
        };
        assert_eq!(capture(&[]), 0);
        assert_eq!(capture(&["--multicast", "33:33:ff:12:34:56"]), 1);
        assert!(!text(&open(&hosted, "filter", O_RDONLY)).contains("multicast "));
        assert_eq!(capture(&["--all-multicast"]), 1);
        assert_eq!(capture(&["--promiscuous"]), 1);
        assert_eq!(capture(&[]), 0, "what was asked for ends with who asked");
        let run = client.run(&["capture", "-w", path, "--multicast", "52:54:00:12:34:56"]);
        assert!(!run.success && run.stderr.contains("filter"), "{run:?}");
        hosted.stop().unwrap();
    });
}
