//! Compares what there is to see in the two worlds.

use std::fmt::Write as _;

use crate::driver::Observed;

/// Longest part of a frame that is shown.
const SHOWN: usize = 40;

fn show(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes", bytes.len());
    for byte in bytes.iter().take(SHOWN) {
        let _ = write!(text, " {byte:02x}");
    }
    text
}

/// Differences, a line each.
pub fn differences(fake: &Observed, qemu: &Observed) -> Vec<String> {
    let mut lines = Vec::new();
    let mut differ = |what: &str, fake: String, qemu: String| {
        if fake != qemu {
            lines.push(format!("{what}:\n    fake {fake}\n    QEMU {qemu}"));
        }
    };
    differ("answer", fake.answer.clone(), qemu.answer.clone());
    differ(
        "causes",
        format!("{:#x}", fake.causes),
        format!("{:#x}", qemu.causes),
    );
    differ("line", fake.line.to_string(), qemu.line.to_string());
    differ("link", fake.link.clone(), qemu.link.clone());
    differ("counters", fake.counters.clone(), qemu.counters.clone());
    let none = ("none", 0);
    for n in 0..fake.statistics.len().max(qemu.statistics.len()) {
        let at = |seen: &Observed| format!("{:?}", seen.statistics.get(n).unwrap_or(&none));
        differ("statistics", at(fake), at(qemu));
    }
    for (fake, qemu) in fake.registers.iter().zip(&qemu.registers) {
        differ(fake.0, format!("{:#x}", fake.1), format!("{:#x}", qemu.1));
    }
    for n in 0..fake.sent.len().max(qemu.sent.len()) {
        let (fake, qemu) = (fake.sent.get(n), qemu.sent.get(n));
        if fake != qemu {
            let text = |frame: Option<&Vec<u8>>| frame.map_or("none".into(), |frame| show(frame));
            let first = fake
                .zip(qemu)
                .and_then(|(fake, qemu)| fake.iter().zip(qemu).position(|(a, b)| a != b));
            differ(
                &format!("frame {n} sent, from byte {first:?}"),
                text(fake),
                text(qemu)
                    + if fake.map(Vec::len) == qemu.map(Vec::len) {
                        " "
                    } else {
                        ""
                    },
            );
            break;
        }
    }
    for n in 0..fake.received.len().max(qemu.received.len()) {
        let (fake, qemu) = (fake.received.get(n), qemu.received.get(n));
        if fake != qemu {
            let text = |frame: Option<&crate::driver::Received>| {
                frame.map_or("none".into(), |frame| {
                    format!("{:?} {:?} {}", frame.tag, frame.checksums, show(&frame.bytes))
                })
            };
            differ(&format!("frame {n} received"), text(fake), text(qemu) + " ");
            break;
        }
    }
    lines
}
