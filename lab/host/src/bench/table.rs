//! Everything that is measured, and what is wanted of it.

use super::measures::Kind::{self, Burst, Single, Sustained};
use super::measures::Target::{self, AtLeast, AtMost, OfBefore, OfFloor, OfStock};
use super::measures::{CLOCK_TOLERANCE, Measure};

const fn call(name: &'static str, title: &'static str, kind: Kind, target: Target) -> Measure {
    Measure {
        name,
        title,
        unit: "ns",
        kind,
        lower_is_better: true,
        target,
    }
}

/// Of exchanges, in that unit.
const fn exchange(name: &'static str, title: &'static str, unit: &'static str, target: Target) -> Measure {
    Measure {
        name,
        title,
        unit,
        kind: Single,
        lower_is_better: true,
        target,
    }
}

/// Of a load that lasts, where more is better.
const fn load(name: &'static str, title: &'static str, unit: &'static str, target: Target) -> Measure {
    Measure {
        name,
        title,
        unit,
        kind: Sustained,
        lower_is_better: false,
        target,
    }
}

/// Of a load that lasts, where less is better.
const fn cost(name: &'static str, title: &'static str, unit: &'static str, target: Target) -> Measure {
    Measure {
        lower_is_better: true,
        ..load(name, title, unit, target)
    }
}

/// The measure of that name.
pub fn find(name: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|measure| measure.name == name)
}

/// Everything, in the order of the table.
pub static MEASURES: [Measure; 56] = [
    call(
        "floor-write-60",
        "write 60 B to /scheme/null",
        Single,
        Target::None,
    ),
    call(
        "floor-write-1514",
        "write 1514 B to /scheme/null",
        Single,
        Target::None,
    ),
    call(
        "floor-read",
        "read /scheme/null into 2048 B",
        Single,
        Target::None,
    ),
    call(
        "write-60",
        "write one 60 B frame",
        Single,
        OfFloor(1.06, "floor-write-60"),
    ),
    call(
        "write-1514",
        "write one 1514 B frame",
        Single,
        OfFloor(1.06, "floor-write-1514"),
    ),
    call(
        "read-60",
        "read one 60 B frame, blocking",
        Burst,
        OfFloor(1.15, "floor-read"),
    ),
    call(
        "read-1514",
        "read one 1514 B frame, blocking",
        Burst,
        OfFloor(1.15, "floor-read"),
    ),
    call(
        "read-60-events",
        "read one 60 B frame, event queue",
        Burst,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "read-1514-events",
        "read one 1514 B frame, event queue",
        Burst,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "sustained-60-events",
        "read 60 B frames, held back: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "sustained-1514-events",
        "read 1514 B frames, held back: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "sustained-60-alone",
        "read 60 B frames, held back: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "sustained-1514-alone",
        "read 1514 B frames, held back: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "sustained-60-blocking",
        "read 60 B frames, held back: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    call(
        "sustained-1514-blocking",
        "read 1514 B frames, held back: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    cost(
        "sustained-dropped",
        "lost or dropped by the driver meanwhile",
        "frames",
        AtMost(0.0),
    ),
    cost(
        "sustained-waited",
        "groups of 64 in which readers were told of no frame",
        "%",
        Target::None,
    ),
    call(
        "overrun-60-events",
        "read 60 B frames, overrun: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "overrun-1514-events",
        "read 1514 B frames, overrun: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "overrun-60-alone",
        "read 60 B frames, overrun: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "overrun-1514-alone",
        "read 1514 B frames, overrun: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "overrun-60-blocking",
        "read 60 B frames, overrun: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    call(
        "overrun-1514-blocking",
        "read 1514 B frames, overrun: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    cost(
        "overrun-dropped",
        "dropped by the driver meanwhile",
        "frames",
        AtMost(0.0),
    ),
    cost(
        "overrun-waited",
        "groups of 64 in which readers were told of no frame",
        "%",
        Target::None,
    ),
    Measure {
        name: "faults",
        title: "frames received twice or damaged",
        unit: "frames",
        kind: Burst,
        lower_is_better: true,
        target: AtMost(0.0),
    },
    exchange(
        "rtt",
        "ARP there and back, without netstack, median",
        "us",
        Target::None,
    ),
    exchange("ping", "ping through smolnetd, median", "us", OfStock(0.75)),
    exchange(
        "rtt-counted",
        "ARP there and back, without netstack",
        "instr",
        Target::None,
    ),
    exchange("ping-counted", "ping through smolnetd", "instr", Target::None),
    load(
        "tcp-in",
        "TCP, host to guest, 1 connection",
        "Mbit/s",
        OfStock(2.0),
    ),
    load(
        "tcp-in-2",
        "TCP, host to guest, 2 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-4",
        "TCP, host to guest, 4 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-8",
        "TCP, host to guest, 8 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-16",
        "TCP, host to guest, 16 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-8-of-1",
        "of it 8 connections over 1: no less, with 10 % tolerance",
        "",
        AtLeast(1.0 - CLOCK_TOLERANCE),
    ),
    load(
        "tcp-out",
        "TCP, guest to host, 1 connection",
        "Mbit/s",
        OfStock(1.3),
    ),
    load(
        "tcp-out-4",
        "TCP, guest to host, 4 connections",
        "Mbit/s",
        OfStock(1.3),
    ),
    load(
        "tcp-out-8",
        "TCP, guest to host, 8 connections",
        "Mbit/s",
        OfStock(1.3),
    ),
    load(
        "tcp-both-1",
        "TCP both ways at once, 1 connection each, sum",
        "Mbit/s",
        OfStock(1.5),
    ),
    load(
        "tcp-both-4",
        "TCP both ways at once, 4 connections each, sum",
        "Mbit/s",
        OfStock(1.5),
    ),
    load(
        "udp-1000-share",
        "UDP in, 1 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-2000-share",
        "UDP in, 2 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-3000-share",
        "UDP in, 3 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-4000-share",
        "UDP in, 4 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-5000",
        "UDP in, 5 000/s offered: delivered",
        "/s",
        OfBefore(1.0),
    ),
    load("udp-5000-ping", "meanwhile pings answered", "%", AtLeast(50.0)),
    load(
        "udp-8000",
        "UDP in, 8 000/s offered: delivered",
        "/s",
        OfBefore(1.0),
    ),
    load("udp-8000-ping", "meanwhile pings answered", "%", AtLeast(50.0)),
    load(
        "udp-20000",
        "UDP in, 20 000/s offered: delivered",
        "/s",
        OfBefore(1.0),
    ),
    load("udp-20000-ping", "meanwhile pings answered", "%", AtLeast(50.0)),
    load(
        "tcp-beside-flood",
        "TCP, host to guest, beside UDP at 20 000/s",
        "Mbit/s",
        Target::None,
    ),
    load(
        "tcp-beside-flood-share",
        "that as a share of the rate alone",
        "",
        AtLeast(0.25),
    ),
    cost(
        "ping-under-tcp",
        "ping beside a TCP transfer to the guest that moves, median",
        "us",
        OfStock(1.0),
    ),
    cost(
        "ping-under-tcp-standstill",
        "moments at which that transfer stood still",
        "%",
        OfStock(1.0),
    ),
    load(
        "ping-under-tcp-rate",
        "rate of that transfer",
        "Mbit/s",
        OfStock(1.0),
    ),
];
