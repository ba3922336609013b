//! Scripts: what is done to a NIC, step by step.

use e1000_hw::flow_control::Pause;
use e1000_hw::moderation::Policy;
use e1000_hw::offload::{Ip, Transport};

use crate::frames::{Body, Frame, GROUPS, To, VLANS};
use crate::random::Random;

/// One step. Each is one call of the core, or something that happens to the NIC from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// So many frames to be sent; posted or not.
    Transmit {
        frame: Frame,
        count: usize,
        post: bool,
    },
    /// One with a tag that the device inserts.
    TransmitTagged {
        frame: Frame,
        tag: u16,
    },
    /// One whose checksums the device fills in.
    TransmitChecksums {
        frame: Frame,
        ip: bool,
        transport: bool,
        tag: Option<u16>,
    },
    /// One that the device cuts.
    Segment {
        ip: Ip,
        payload: usize,
        mss: u16,
        tag: Option<u16>,
    },
    Post,
    /// The host sends frames.
    Arrive(Vec<Frame>),
    /// At most so many frames are read.
    Receive(usize),
    /// One is dropped.
    Discard,
    DiscardAll,
    SetFilter {
        promiscuous: bool,
        all_multicast: bool,
        groups: Vec<u8>,
    },
    SetVlanFilter(Option<Vec<u16>>),
    SetVlanOffload(bool),
    /// Bits of `Offloads`, of which the part's are set.
    SetOffloads(u8),
    SetMtu(usize),
    EnableInterrupts,
    DisableInterrupts,
    /// The causes of an interrupt are read.
    Interrupt,
    TransmitInterrupt(bool),
    TestInterrupt,
    FramesLeftWaiting,
    SetModeration(Policy),
    Moderate,
    Link(bool),
    RefreshLink,
    SetPause(Pause),
    Watch,
    Restart,
    Statistics,
    FlushBuffers,
    DropHeldFrames,
}

/// Steps that one NIC goes through, after bring-up with rings of these sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub rx: u32,
    pub tx: u32,
    pub steps: Vec<Step>,
}

const SIZES: [u32; 5] = [8, 8, 16, 32, 64];

const PAUSES: [Pause; 3] = [Pause::NONE, Pause::RX, Pause { rx: true, tx: true }];

impl Script {
    pub fn random(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let (rx, tx) = (random.pick(&SIZES), random.pick(&SIZES));
        let count = random.within(4, 40);
        // Frames longer than the standard are of use once the MTU was set.
        let mut longest = 1518;
        let steps = (0..count).map(|_| {
            let step = Step::random(random, longest);
            if let Step::SetMtu(mtu) = step {
                longest = mtu.max(1500) + 30;
            }
            step
        });
        let steps = steps.collect();
        Self { rx, tx, steps }
    }
}

impl Step {
    fn random(random: &mut Random, longest: usize) -> Self {
        match random.below(108) {
            0..12 => {
                let frame = Frame::random(random, longest);
                let count = if random.one_in(3) { random.within(2, 12) } else { 1 };
                let post = !random.one_in(4);
                Self::Transmit { frame, count, post }
            }
            12..16 => {
                let frame = Frame {
                    tag: None,
                    ..Frame::random(random, longest)
                };
                let tag = random.pick(&VLANS) | (random.below(8) as u16) << 13;
                Self::TransmitTagged { frame, tag }
            }
            16..19 => Self::Post,
            19..43 => {
                let count = if random.one_in(4) {
                    random.within(2, 30)
                } else {
                    random.within(1, 3)
                };
                Self::Arrive((0..count).map(|_| Frame::random(random, longest)).collect())
            }
            43..57 => Self::Receive(random.pick(&[1, 2, 5, 16, 1000, 1000])),
            57..59 => Self::Discard,
            59 => Self::DiscardAll,
            60..64 => Self::SetFilter {
                promiscuous: random.one_in(4),
                all_multicast: random.one_in(4),
                groups: (0..GROUPS.len() as u8).filter(|_| random.one_in(3)).collect(),
            },
            64..67 => Self::SetVlanFilter(
                (!random.one_in(3)).then(|| VLANS.into_iter().filter(|_| random.one_in(3)).collect()),
            ),
            67..70 => Self::SetVlanOffload(random.one_in(2)),
            70 => Self::SetMtu(match random.below(6) {
                0 => 68,
                1 => 1500,
                2 => 4000,
                3 => 9000,
                4 => random.within(1480, 2100),
                _ => random.within(60, 17_000),
            }),
            71..75 => Self::EnableInterrupts,
            75 => Self::DisableInterrupts,
            76..83 => Self::Interrupt,
            83..85 => Self::TransmitInterrupt(random.one_in(2)),
            85 => Self::TestInterrupt,
            86 => Self::FramesLeftWaiting,
            87 => Self::SetModeration(match random.below(3) {
                0 => Policy::Adaptive,
                1 => Policy::Fixed(0),
                _ => Policy::Fixed(random.below(2000) as u32),
            }),
            88 => Self::Moderate,
            89..91 => Self::Link(random.one_in(2)),
            91..94 => Self::RefreshLink,
            94 => Self::SetPause(random.pick(&PAUSES)),
            95 => Self::Watch,
            96 => Self::Restart,
            97 | 98 => Self::Statistics,
            99 if random.one_in(2) => Self::FlushBuffers,
            99 => Self::DropHeldFrames,
            100..102 => Self::SetOffloads(random.below(16) as u8),
            102..105 => {
                let body = Body::Packet {
                    ip: random.pick(&[Ip::V4, Ip::V6]),
                    transport: random.pick(&[Transport::Tcp, Transport::Udp]),
                    bad_ip: random.one_in(3),
                    bad_transport: random.one_in(3),
                };
                Self::TransmitChecksums {
                    frame: Frame {
                        to: To::Other,
                        tag: None,
                        body,
                        len: random.below(1400),
                    },
                    ip: !random.one_in(4),
                    transport: !random.one_in(4),
                    tag: random.one_in(4).then(|| random.pick(&VLANS)),
                }
            }
            _ => {
                let mss = random.pick(&[48, 536, 1000, 1460, 1460, 1440]);
                let most = random.pick(&[3000, 3000, 9000, 65_000]);
                let payload = match random.below(4) {
                    0 => usize::from(mss) * random.within(1, 5),
                    _ => random.within(1, most),
                };
                Self::Segment {
                    ip: random.pick(&[Ip::V4, Ip::V6]),
                    payload,
                    mss,
                    tag: random.one_in(4).then(|| random.pick(&VLANS)),
                }
            }
        }
    }
}
