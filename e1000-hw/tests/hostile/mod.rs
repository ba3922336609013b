//! A device that does anything at any time, as a sequence of bytes says: shared by the property test and the fuzz
//! target.
//!
//! The fake panics when the driver has it access memory that was never allocated, so that every case also shows that no
//! descriptor ever points elsewhere.

mod owner;
mod script;

use core::time::Duration;

use e1000_hw::RingSize;
use e1000_hw::chip::find;
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::nic::{Config, Nic, SelfTest, SendOptions};
use e1000_hw::offload::{Checksum, Headers, Ip, MAX_SEGMENTED, Offload, Offloads, Segmentation, Transport};
use e1000_hw::platform::Clock;
use e1000_hw::regs::{self, Status};

use owner::Owner;
use script::Script;

/// Descriptors of each ring.
const RING: u32 = 16;
/// Register accesses that one call may take at most: a reset with its waits, the filter of 82544, or an
/// NVM that answers slowly, or on its pins only after EERD was waited for.
const MAX_ACCESSES: usize = 14_000;
/// Registers that the driver reads, apart from those that only a dump reads.
const READ: [u32; 10] = [
    regs::STATUS,
    regs::CTRL,
    regs::ICR,
    regs::PBA,
    regs::CTRL_EXT,
    regs::EECD,
    regs::TIDV,
    regs::MANC,
    regs::TARC0,
    0x4000,
];

/// Plays one case. Panics when the driver does what it must not do.
pub fn play(bytes: &[u8]) {
    let mut script = Script(bytes);
    let kind = script.byte();
    let id = [0x100E, 0x100C, 0x10D3][usize::from(kind % 3)];
    let chip = find(0x8086, id).expect("a chip of the table");
    let machine = FakeMachine::new(chip);
    let size = RingSize::new(RING).expect("a ring size");
    let config = Config {
        copy_rx: kind & 64 == 0,
        copy_tx: kind & 128 == 0,
        ..Config::with_rings(size, size)
    };
    let mut nic =
        Nic::bring_up(machine.registers(), chip, config, &mut machine.dma(), &machine).expect("bring-up");
    let mut case = Case {
        machine: machine.clone(),
        faults: Faults::default(),
        rx_is_honest: true,
        tx_was_poked: false,
        out: vec![0; 20_000],
        owner: Owner::new(&machine, RING as usize, 4096),
        next: 0,
    };
    while !script.0.is_empty() {
        machine.take_accesses();
        case.step(&mut nic, &mut script);
        let accesses = machine.take_accesses();
        let count = accesses.reads.len() + accesses.writes.len();
        assert!(count < MAX_ACCESSES, "{count} accesses in one step");
        assert!(machine.peek(regs::RDT) < RING && machine.peek(regs::TDT) < RING);
    }
    // However it was treated, it stops, and leaks nothing if the reset ends, without which the receiver of 82574 may
    // run on: for that the NVM has to be loaded, too. It does leak while the device says that it is a bus master.
    let resets = case.faults == Faults::default()
        && machine.peek(regs::EECD) & regs::EECD_AUTO_RD != 0
        && machine.peek(regs::STATUS) & Status::GIO_MASTER_ENABLE.bits() == 0;
    nic.stop(&machine);
    let (rx, tx) = case.owner.out();
    assert!(rx <= RING as usize && tx <= RING as usize);
    if resets {
        assert_eq!(machine.dma_in_use(), case.owner.memory());
    }
}

struct Case {
    machine: FakeMachine,
    faults: Faults,
    /// Nobody wrote to receive descriptors but the fake device.
    rx_is_honest: bool,
    /// The fake device would execute what was written to transmit descriptors.
    tx_was_poked: bool,
    out: Vec<u8>,
    /// Sends from memory of its own, and receives into it unless the NIC copies.
    owner: Owner,
    /// The byte that the next frame is filled with.
    next: u8,
}

/// Asks for something to be done to a frame of zeroes or of headers, described by anything.
fn offload(nic: &mut Nic<FakeRegisters, FakeRegion>, script: &mut Script<'_>) {
    let mut frame = vec![0; script.below(70_000)];
    let kind = script.byte();
    let headers = Headers {
        ip: if kind & 1 != 0 { Ip::V4 } else { Ip::V6 },
        ip_start: if kind & 2 != 0 { 14 } else { script.byte() },
        transport: if kind & 4 != 0 {
            Transport::Tcp
        } else {
            Transport::Udp
        },
        transport_start: if kind & 8 != 0 { 34 } else { script.byte() },
    };
    if frame.len() > 50 {
        frame[14] = 0x45;
        frame[46] = 0x50;
    }
    let offload = if kind & 16 != 0 {
        Offload::Segmentation(Segmentation {
            headers,
            header_len: if kind & 32 != 0 { 54 } else { script.below(300) },
            mss: script.below(1600) as u16,
        })
    } else {
        Offload::Checksum(Checksum {
            headers,
            ip: kind & 32 != 0,
            transport: kind & 64 != 0,
        })
    };
    let all = nic.state().chip().limits.offloads;
    let chosen = Offloads::from_bits_truncate(script.byte());
    assert_eq!(nic.settings().set_offloads(chosen).is_ok(), all.contains(chosen));
    let _ = offload.prepare(&mut frame);
    let tag = (kind & 128 != 0).then_some(7);
    if nic
        .tx()
        .send_with(
            &frame,
            SendOptions {
                tag,
                offload: Some(&offload),
            },
        )
        .is_ok()
    {
        assert!(nic.state().offloads().contains(offload.needs()) && frame.len() <= MAX_SEGMENTED);
    }
    nic.rx().checksums();
}

impl Case {
    fn step(&mut self, nic: &mut Nic<FakeRegisters, FakeRegion>, script: &mut Script<'_>) {
        let machine = &self.machine;
        match script.byte() % 24 {
            0 | 1 => {
                self.next = self.next.wrapping_add(1);
                machine.deliver(&vec![self.next; 14 + script.below(17_000)]);
            }
            2 => {
                self.rx_is_honest = false;
                machine.poke_rx_descriptor(u32::from(script.byte()) % RING, script.low(), script.high());
            }
            3 => {
                self.rx_is_honest = false;
                let (low, high) = (script.low(), script.high());
                (0..RING).for_each(|slot| machine.poke_rx_descriptor(slot, low, high));
            }
            4 => {
                self.tx_was_poked = true;
                self.set_faults(self.faults);
                self.machine
                    .poke_tx_descriptor(u32::from(script.byte()) % RING, script.low(), script.high());
            }
            5..=7 if nic.state().config().copy_rx => self.receive(nic, script.below(20_000)),
            5..=7 => self.receive_by_address(nic),
            8 => {
                let len = script.below(17_000);
                let result = nic.tx().send_with(
                    &vec![0x17; len],
                    SendOptions {
                        tag: Some(script.byte().into()),
                        offload: None,
                    },
                );
                assert!(result.is_err() || (14..=nic.state().mtu() + 18).contains(&len));
            }
            9 if script.byte() & 1 != 0 => offload(nic, script),
            9 => nic.tx().post(),
            10 => {
                machine.set_link(script.byte() & 1 != 0);
                nic.link().refresh(machine);
            }
            11 => {
                let modes = script.byte();
                let groups: Vec<MacAddress> = (0..script.byte() % 8)
                    .map(|_| MacAddress(core::array::from_fn(|_| script.byte())))
                    .collect();
                nic.settings().set_filter(modes & 1 != 0, modes & 2 != 0, groups);
            }
            12 => {
                let _ = nic.settings().set_mtu(script.below(20_000), machine);
            }
            13 => {
                machine.sleep(Duration::from_millis(script.below(5000) as u64));
                nic.recovery().watch(machine);
            }
            14 => {
                // A storm: each interrupt costs a bounded number of accesses.
                for vector in 0..16 {
                    machine.poke(regs::ICR, script.word());
                    nic.interrupts().acknowledge(vector % 4);
                    nic.rx().hold_off_interrupts();
                }
            }
            15 => machine.poke(READ[usize::from(script.byte()) % READ.len()], script.word()),
            16 => {
                let bits = script.byte();
                self.set_faults(Faults {
                    gone: bits & 1 != 0,
                    reset_stuck: bits & 2 != 0,
                    reset_ignored: bits & 4 != 0,
                    transmitter_stalled: bits & 8 != 0,
                    writes_back_late: bits & 16 != 0,
                    ..Faults::default()
                });
            }
            17 => match script.byte() % 4 {
                0 => nic.interrupts().enable(),
                1 => nic.interrupts().disable(),
                2 => nic.interrupts().set_transmit(true),
                _ => drop(nic.recovery().restart(machine)),
            },
            18 => {
                nic.diagnostics().collect_statistics();
                nic.diagnostics().dump_registers(|_, _| {});
                assert!(
                    nic.diagnostics()
                        .snapshot(machine.now())
                        .to_string()
                        .lines()
                        .count()
                        < 60
                );
            }
            19 => {
                if !nic.state().is_testing() {
                    nic.diagnostics().start_self_test(script.byte() & 1 != 0, machine);
                }
                if let SelfTest::Wait(delay) = nic.diagnostics().continue_self_test(machine) {
                    machine.sleep(delay);
                }
            }
            20 => {
                self.owner.provide(nic);
                nic.rx().publish();
            }
            21 => {
                let (len, number) = (script.below(4000), script.word());
                let pieces = number.to_le_bytes().map(usize::from);
                let options = SendOptions {
                    tag: (number & 1 != 0).then_some(9),
                    offload: None,
                };
                if let Some(Ok(_)) = self.owner.send(nic, &vec![0x17; len], &pieces, options) {
                    assert!((60..=nic.state().mtu() + 14).contains(&len));
                }
            }
            22 => drop(self.owner.reclaim(nic)),
            _ => {
                nic.settings().set_vlan_offload(script.byte() & 1 != 0);
                let vlans = [script.word() as u16, script.word() as u16];
                nic.settings()
                    .set_vlan_filter((vlans[0] & 1 != 0).then_some(vlans));
                nic.tx().drop_pending();
            }
        }
    }

    fn set_faults(&mut self, mut faults: Faults) {
        faults.transmitter_stalled |= self.tx_was_poked;
        self.faults = faults;
        self.machine.set_faults(faults);
    }

    fn receive_by_address(&mut self, nic: &mut Nic<FakeRegisters, FakeRegion>) {
        for _ in 0..RING {
            let Some((_, frame)) = self.owner.receive(nic) else {
                nic.rx().complete();
                return;
            };
            if let Some(frame) = frame
                && self.rx_is_honest
            {
                // The fake's FCS, which 82544 does not strip, is cut off.
                assert!(
                    frame.iter().all(|byte| *byte == frame[0]),
                    "mixed from two frames"
                );
            }
        }
    }

    fn receive(&mut self, nic: &mut Nic<FakeRegisters, FakeRegion>, len: usize) {
        let expected = nic.rx().next_len();
        let out = &mut self.out[..len];
        let Some(copied) = nic.rx().receive(out) else {
            assert_eq!(expected, None);
            nic.rx().complete();
            return;
        };
        assert_eq!(Some(copied), expected.map(|frame| frame.min(len)));
        if self.rx_is_honest {
            let frame = &out[..copied];
            assert!(
                frame.iter().all(|byte| *byte == frame[0]),
                "mixed from two frames"
            );
        }
    }
}
