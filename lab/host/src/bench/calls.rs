//! Calls on the driver's scheme, without a network stack: bursts, and a sender that never lets up.

use std::time::Duration;

use lab_protocol::Event;

use super::follow::{HOST, Results, Setup, follow};
use super::load::{Cable, Load};
use super::script::{Moment, Script};
use super::sender::{HeldBack, Stream};
use super::subject::{STOCK, Subject};
use crate::error::Result;

/// Calls of each kind.
const CALLS: u32 = 5000;
/// Sizes of frames.
const SIZES: [usize; 2] = [60, 1514];
/// Time between bursts: a little more than an emulated processor needs to read one. With counted instructions it is
/// slower.
const BURSTS: Duration = Duration::from_millis(80);
const BURSTS_ICOUNT: Duration = Duration::from_millis(400);

/// Frames that are read of a sender that never lets up.
pub const SUSTAINED: u32 = 4000;
/// Frames that are read before those: more than the largest ring can still hold from the previous step.
const WARM_UP: u32 = 640;
/// Time limit of a reader of them. An idle system whose clock counts instructions skips from tick to tick, so that an
/// hour passes within some seconds.
const PATIENCE: u32 = 20;
const PATIENCE_ICOUNT: u32 = 3600;

/// Kinds of readers of a continuous sender: name, and options of `netstack-client bench rx`.
pub const READERS: [(&str, &str); 3] = [
    ("events", "--mode events"),
    ("alone", "--mode events --alone"),
    ("blocking", "--mode blocking"),
];

fn patience(setup: &Setup<'_>) -> u32 {
    if setup.icount { PATIENCE_ICOUNT } else { PATIENCE }
}

/// QEMU's user-mode network answers while the frame is being sent, so the time of an exchange is that of instructions.
pub fn exchanges(subject: &Subject, setup: &Setup<'_>) -> Result<Results> {
    let script = |moment, lines| Script { moment, lines };
    let ping = format!("ping-counted system ping {HOST} -c 300 -i 10ms");
    subject.install(&[
        script(
            Moment::BeforeNetwork,
            vec![format!("rtt-counted bench rtt --frames 300 --target {HOST}")],
        ),
        script(
            Moment::AfterNetwork,
            vec!["report system report --wait 20".to_owned(), ping],
        ),
    ])?;
    follow(subject, setup, "user", 2, |_, _| Ok(()))
}

/// Calls that do nothing, writes, and frames that come in bursts.
pub fn bursts(subject: &Subject, setup: &Setup<'_>) -> Result<Results> {
    let mut lines = Vec::new();
    for size in SIZES {
        lines.push(format!("floor-{size} floor --frames {CALLS} --size {size}"));
        lines.push(format!("tx-{size} bench tx --frames {CALLS} --size {size}"));
    }
    for mode in ["blocking", "events"] {
        for size in SIZES {
            lines.push(format!(
                "rx-{size}-{mode} bench rx --frames {CALLS} --mode {mode} --seconds {}",
                patience(setup)
            ));
        }
    }
    subject.install(&[Script {
        moment: Moment::BeforeNetwork,
        lines,
    }])?;
    let cable = Cable::new()?;
    let interval = if setup.icount { BURSTS_ICOUNT } else { BURSTS };
    let mut flood: Option<Load> = None;
    let mut runs = 0;
    follow(subject, setup, &cable.netdev()?, 1, |event, _| {
        let Some(event) = event else { return Ok(()) };
        flood = None;
        if let Event::Begin(step) = event
            && let Some(size) = size_of(&step, "rx-")
        {
            runs += 1;
            flood = Some(cable.bursts(runs, size, interval)?);
        }
        Ok(())
    })
}

/// Readers of a continuous sender that waits, frame by frame, until the ring has room.
pub fn sustained(subject: &Subject, setup: &Setup<'_>) -> Result<Results> {
    let cable = HeldBack::new()?;
    let netdev = cable.netdev();
    flooded(subject, setup, "sustained", &netdev, |run, size| {
        Ok(cable.flood(run, size))
    })
}

/// Readers of a continuous sender that overruns the ring of QEMU's e1000.
pub fn overrun(subject: &Subject, setup: &Setup<'_>) -> Result<Results> {
    let cable = Stream::new()?;
    let netdev = cable.netdev()?;
    flooded(subject, setup, "overrun", &netdev, |run, size| {
        cable.flood(run, size)
    })
}

fn flooded(
    subject: &Subject,
    setup: &Setup<'_>,
    name: &str,
    netdev: &str,
    start: impl Fn(u32, usize) -> Result<Load>,
) -> Result<Results> {
    let lines = flooded_script(name, subject.label == STOCK, patience(setup));
    subject.install(&[Script {
        moment: Moment::BeforeNetwork,
        lines,
    }])?;
    let mut flood: Option<Load> = None;
    let mut runs = 0;
    follow(subject, setup, netdev, 1, |event, _| {
        let Some(event) = event else { return Ok(()) };
        if let Some(flood) = flood.take() {
            // Waits for its end: frames of two senders would mix.
            flood.stop();
        }
        if let Event::Begin(step) = event
            && let Some(size) = size_of(&step, &format!("{name}-"))
        {
            runs += 1;
            flood = Some(start(runs, size)?);
        }
        Ok(())
    })
}

/// Drops the readers that write `budget off`, which the stock driver does not know.
fn flooded_script(name: &str, stock: bool, patience: u32) -> Vec<String> {
    let mut lines = vec![format!("floor-60 floor --frames {CALLS} --size 60")];
    for (reader, options) in READERS {
        if stock && options.contains("--alone") {
            continue;
        }
        for size in SIZES {
            lines.push(format!(
                "{name}-{size}-{reader} bench rx --frames {SUSTAINED} --warm-up {WARM_UP} --check-last {options} \
                 --seconds {patience}"
            ));
        }
    }
    lines
}

/// The size of frames in a step's name, behind its prefix.
fn size_of(step: &str, prefix: &str) -> Option<usize> {
    step.strip_prefix(prefix)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_the_names_of_steps() {
        assert_eq!(size_of("rx-1514-events", "rx-"), Some(1514));
        assert_eq!(size_of("sustained-60-alone", "sustained-"), Some(60));
        assert_eq!(size_of("floor-60", "rx-"), None);
        assert_eq!(size_of("rx-x", "rx-"), None);
    }

    #[test]
    fn stock_driver_is_not_asked_for_what_it_cannot() {
        let count = |stock| {
            let lines = flooded_script("sustained", stock, 20);
            lines.iter().filter(|line| line.contains("--alone")).count()
        };
        assert_eq!((count(true), count(false)), (0, 2));
    }
}
