//! Carries out a step: all that this test knows of the core's API.

use e1000_hw::RingSize;
use e1000_hw::ethernet::MacAddress;
use e1000_hw::nic::{Config, Interrupt, Nic, SendOptions};
use e1000_hw::offload::{Checksum, ChecksumResult, Headers, Offload, Offloads, Segmentation, Transport};
use e1000_hw::platform::DmaAllocator;
use e1000_hw::regs::{self, Ctrl};

use crate::frames::{Body, Frame, GROUPS, To, packet};
use crate::script::{Script, Step};
use crate::world::World;

/// A frame as the driver got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub bytes: Vec<u8>,
    pub tag: Option<u16>,
    pub checksums: ChecksumResult,
}

/// All that there is to see after a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Result of the call.
    pub answer: String,
    /// Causes that an interrupt was about.
    pub causes: u32,
    /// Frames that the host sent.
    pub arrived: usize,
    pub received: Vec<Received>,
    pub sent: Vec<Vec<u8>>,
    pub line: bool,
    pub link: String,
    /// The driver's own counters.
    pub counters: String,
    /// The hardware's, where the step reads them.
    pub statistics: Vec<(&'static str, u64)>,
    pub registers: Vec<(&'static str, u32)>,
}

/// Registers that are looked at after each step, and the bits of them that the driver is about.
const REGISTERS: [(&str, u32, u32); 8] = [
    ("RDH", regs::RDH, u32::MAX),
    ("RDT", regs::RDT, u32::MAX),
    ("TDH", regs::TDH, u32::MAX),
    ("TDT", regs::TDT, u32::MAX),
    ("RCTL", regs::RCTL, u32::MAX),
    ("TCTL", regs::TCTL, u32::MAX),
    ("IMS", regs::IMS, u32::MAX),
    ("CTRL", regs::CTRL, CTRL.bits()),
];

const CTRL: Ctrl = Ctrl::SLU.union(Ctrl::VME).union(Ctrl::RFCE).union(Ctrl::TFCE);

type NicOf<W> = Nic<<W as World>::Registers, <<W as World>::Dma as DmaAllocator>::Region>;

/// A NIC in its world.
pub struct Driver<'a, W: World> {
    world: &'a mut W,
    nic: NicOf<W>,
}

impl<'a, W: World> Driver<'a, W> {
    /// Brings the NIC up, and forgets what there was to see until then.
    pub fn new(world: &'a mut W, script: &Script) -> Self {
        let size = |size| RingSize::new(size).expect("a ring size");
        let sizes = Config::with_rings(size(script.rx), size(script.tx));
        let nic = Nic::bring_up(
            world.registers(),
            world.chip(),
            sizes,
            &mut world.dma(),
            world.clock(),
        );
        let mut nic = nic.expect("the NIC comes up");
        world.settle();
        nic.link().refresh(world.clock());
        world.take_sent();
        nic.interrupts().disable();
        nic.diagnostics().collect_statistics();
        Self { world, nic }
    }

    /// Reads frames until there are no more, whatever kept them.
    pub fn drain(mut self) {
        let mut frame = vec![0; 1 << 16];
        loop {
            self.world.settle();
            if self.nic.rx().receive(&mut frame).is_none() {
                break;
            }
            while self.nic.rx().receive(&mut frame).is_some() {}
        }
        self.stop();
    }

    pub fn stop(self) {
        self.nic.stop(self.world.clock());
    }

    /// Carries out a step, lets time pass, and looks.
    pub fn step(&mut self, step: &Step) -> Observed {
        let mut seen = Observed::default();
        self.carry_out(step, &mut seen);
        self.world.settle();
        seen.sent = self.world.take_sent();
        let values = self.world.peek(&REGISTERS.map(|(_, offset, _)| offset));
        let found = REGISTERS.iter().zip(values);
        seen.registers = found
            .map(|((name, _, bits), value)| (*name, value & bits))
            .collect();
        seen.line = self.world.line();
        let nic = &mut self.nic;
        seen.link = format!("{:?}", nic.state().link());
        seen.counters = format!(
            "{:?} {:?} held {} MTU {} interval {}",
            nic.state().rx_counters(),
            nic.state().tx_counters(),
            nic.state().pending_frames(),
            nic.state().mtu(),
            nic.state().interrupt_interval()
        );
        seen
    }

    fn carry_out(&mut self, step: &Step, seen: &mut Observed) {
        let clock = self.world.clock();
        let nic = &mut self.nic;
        match step {
            Step::Transmit { frame, count, post } => {
                let bytes = frame.bytes(false);
                for _ in 0..*count {
                    seen.answer += &format!("{:?} ", nic.tx().send(&bytes));
                }
                if *post {
                    nic.tx().post();
                }
            }
            Step::TransmitTagged { frame, tag } => {
                seen.answer = format!(
                    "{:?}",
                    nic.tx().send_with(
                        &frame.bytes(false),
                        SendOptions {
                            tag: Some(*tag),
                            offload: None
                        }
                    )
                );
                nic.tx().post();
            }
            Step::TransmitChecksums {
                frame,
                ip,
                transport,
                tag,
            } => {
                let mut bytes = frame.bytes(false);
                let headers = Headers::find(&bytes).expect("a packet");
                let offload = Offload::Checksum(Checksum {
                    headers,
                    ip: *ip,
                    transport: *transport,
                });
                let prepared = offload.prepare(&mut bytes);
                seen.answer = format!(
                    "{prepared:?} {:?}",
                    nic.tx().send_with(
                        &bytes,
                        SendOptions {
                            tag: *tag,
                            offload: Some(&offload)
                        }
                    )
                );
                nic.tx().post();
            }
            Step::Segment {
                ip,
                payload,
                mss,
                tag,
            } => {
                let body = Body::Plain(0);
                let header = Frame {
                    to: To::Other,
                    tag: None,
                    body,
                    len: 14,
                };
                let mut bytes = header.bytes(false);
                bytes.truncate(12);
                bytes.extend(packet(*ip, Transport::Tcp, *payload));
                let offload = Offload::Segmentation(Segmentation {
                    headers: Headers::find(&bytes).expect("a packet"),
                    header_len: bytes.len() - payload,
                    mss: *mss,
                });
                let prepared = offload.prepare(&mut bytes);
                seen.answer = format!(
                    "{prepared:?} {:?}",
                    nic.tx().send_with(
                        &bytes,
                        SendOptions {
                            tag: *tag,
                            offload: Some(&offload)
                        }
                    )
                );
                nic.tx().post();
            }
            Step::Post => nic.tx().post(),
            Step::Arrive(frames) => {
                // As many as may wait at once.
                let sent = frames
                    .iter()
                    .take_while(|frame| self.world.send(&frame.bytes(true)));
                seen.arrived = sent.count();
            }
            Step::Receive(count) => {
                let mut frame = vec![0; 1 << 16];
                for _ in 0..*count {
                    let Some(len) = nic.rx().receive(&mut frame) else {
                        break;
                    };
                    seen.received.push(Received {
                        bytes: frame[..len].to_vec(),
                        tag: nic.rx().tag(),
                        checksums: nic.rx().checksums(),
                    });
                }
            }
            Step::Discard => seen.answer = nic.rx().discard().to_string(),
            Step::DiscardAll => seen.answer = nic.rx().discard_all().to_string(),
            Step::SetFilter {
                promiscuous,
                all_multicast,
                groups,
            } => {
                let groups = groups.iter().map(|n| MacAddress(GROUPS[usize::from(*n)]));
                nic.settings().set_filter(*promiscuous, *all_multicast, groups);
            }
            Step::SetVlanFilter(vlans) => nic.settings().set_vlan_filter(vlans.clone()),
            Step::SetVlanOffload(on) => nic.settings().set_vlan_offload(*on),
            Step::SetOffloads(bits) => {
                let wanted = Offloads::from_bits_truncate(*bits) & nic.state().chip().limits.offloads;
                seen.answer = format!("{:?}", nic.settings().set_offloads(wanted));
            }
            Step::SetMtu(mtu) => seen.answer = format!("{:?}", nic.settings().set_mtu(*mtu, clock)),
            Step::EnableInterrupts => nic.interrupts().enable(),
            Step::DisableInterrupts => nic.interrupts().disable(),
            Step::Interrupt => match nic.interrupts().acknowledge(0) {
                Interrupt::Causes(causes) => {
                    seen.answer = "causes".into();
                    seen.causes = causes.bits();
                }
                other => seen.answer = format!("{other:?}"),
            },
            Step::TransmitInterrupt(wanted) => nic.interrupts().set_transmit(*wanted),
            Step::TestInterrupt => nic.interrupts().raise_test(),
            Step::FramesLeftWaiting => nic.rx().hold_off_interrupts(),
            Step::SetModeration(policy) => nic.interrupts().set_moderation(*policy),
            Step::Moderate => nic.interrupts().moderate(),
            Step::Link(up) => self.world.set_link(*up),
            Step::RefreshLink => seen.answer = format!("{:?}", nic.link().refresh(clock)),
            Step::SetPause(pause) => seen.answer = format!("{:?}", nic.link().set_pause(*pause, clock)),
            Step::Watch => seen.answer = format!("{:?}", nic.recovery().watch(clock)),
            Step::Restart => seen.answer = format!("{:?}", nic.recovery().restart(clock)),
            Step::Statistics => {
                nic.diagnostics().collect_statistics();
                seen.statistics = nic.state().statistics().values().collect();
            }
            Step::FlushBuffers => nic.rx().flush(),
            Step::DropHeldFrames => seen.answer = nic.tx().drop_pending().to_string(),
        }
    }
}
