//! Oddities of QEMU's models and its network, which hardware does not have: found out at the start, not concluded
//! from a version.

use e1000_hw::fake;
use e1000_hw::offload::{ChecksumResult, Ip, Offloads, Transport};
use e1000_hw::regs::{Causes, Ctrl};
use e1000_hw::stats::COUNTERS;

use crate::driver::{Driver, Observed};
use crate::frames::{Body, Frame, To};
use crate::script::{Script, Step};
use crate::world::{QemuWorld, World as _};

/// Oddities of one model in one QEMU.
#[derive(Clone, Copy, Debug, Default)]
pub struct Oddities {
    /// Those of the model itself, which the fake is given.
    pub model: fake::Oddities,
    /// Segmentation makes fragments of IP, those of IPv6 without their header: hw/net/net_tx_pkt.c,
    /// `net_tx_pkt_do_sw_fragmentation`, before 8.0. What comes out is not compared.
    pub fragments: bool,
}

// Flags of TCP.
const FIN: u8 = 1 << 0;
const PSH: u8 = 1 << 3;

/// A frame for the NIC of so many bytes.
fn plain(len: usize) -> Frame {
    Frame {
        to: To::Other,
        tag: None,
        body: Body::Plain(7),
        len,
    }
}

/// All that there is to see on QEMU's model after each step.
fn probe(qemu: &mut QemuWorld, steps: Vec<Step>) -> Vec<Observed> {
    let script = Script { rx: 8, tx: 8, steps };
    qemu.set_link(true);
    qemu.settle();
    let mut driver = Driver::new(qemu, &script);
    let seen = script.steps.iter().map(|step| driver.step(step)).collect();
    driver.stop();
    seen
}

/// A counter of the hardware.
fn count(seen: &Observed, name: &str) -> u64 {
    let found = seen.statistics.iter().find(|(other, _)| *other == name);
    found.map_or(0, |(_, sum)| *sum)
}

impl Oddities {
    /// Takes out what is not compared.
    pub fn overlook(&self, step: &Step, seen: &mut Observed) {
        if self.fragments && matches!(step, Step::Segment { .. }) {
            seen.sent.clear();
        }
    }

    /// Finds out.
    pub fn find(qemu: &mut QemuWorld) -> Self {
        let received = |qemu: &mut QemuWorld, frame| {
            let seen = probe(qemu, vec![Step::Arrive(vec![frame]), Step::Receive(1)]);
            seen[1].received.first().map(|frame| frame.bytes.len())
        };
        let causes = |qemu: &mut QemuWorld, steps| {
            let seen = probe(qemu, steps);
            Causes::from_bits_retain(seen[seen.len() - 1].causes)
        };
        let to = |to| Frame { to, ..plain(60) };

        // Two frames that take four descriptors each: the second one finds too few.
        let long = |count| Step::Arrive(vec![plain(8000); count]);
        let mut steps = vec![Step::SetMtu(8000), long(2), Step::Statistics, Step::Statistics];
        steps.extend([Step::Receive(1), Step::Receive(1)]);
        let seen = probe(qemu, steps);
        let missed_stay = count(&seen[2], "rx_missed_errors") != count(&seen[3], "rx_missed_errors");
        let frames_without_room_wait = seen[5].received.len() == 1;

        let groups = Step::SetFilter {
            promiscuous: false,
            all_multicast: false,
            groups: vec![0],
        };
        let alike = Step::Arrive(vec![to(To::Foreign(Some(0)))]);
        let let_in = probe(
            qemu,
            vec![groups.clone(), alike, Step::Receive(1), Step::Statistics],
        );

        // A frame for each counter.
        let arrive = Step::Arrive(vec![
            to(To::Broadcast),
            to(To::Group(0)),
            plain(1600),
            Frame { len: 40, ..plain(60) },
        ]);
        let send = |to| Step::Transmit {
            frame: Frame { to, ..plain(60) },
            count: 1,
            post: true,
        };
        let (everybody, group) = (send(To::Broadcast), send(To::Group(0)));
        let seen = probe(
            qemu,
            vec![groups, arrive, everybody, group, long(1), Step::Statistics],
        );
        let counts = &seen[5];
        let provoked = ["rx_broadcast", "rx_multicast", "tx_broadcast", "tx_multicast"];
        let provoked = provoked
            .into_iter()
            .chain(["rx_short_length_errors", "rx_long_length_errors"]);
        let absent = provoked
            .filter(|name| count(counts, name) == 0)
            .filter_map(|name| {
                let counter = COUNTERS.iter().find(|counter| counter.name == name)?;
                Some(1 << ((counter.offset - 0x4000) / 4))
            });

        let foreign = Frame {
            to: To::Foreign(None),
            ..plain(1600)
        };
        let early = probe(qemu, vec![Step::Arrive(vec![foreign]), Step::Statistics]);
        let lost = probe(
            qemu,
            vec![Step::Link(false), send(To::Broadcast), Step::Statistics],
        );

        // Of seven descriptors, eight in all.
        let three = vec![Step::Arrive(vec![plain(60); 3]), Step::Interrupt];
        let told = causes(qemu, three.clone());
        assert!(
            told.contains(Causes::RXDMT0),
            "half of the ring is left: {told:?}"
        );
        let fourth = [Step::Arrive(vec![plain(60)]), Step::Interrupt];
        let told_again = causes(qemu, three.into_iter().chain(fourth).collect());
        let told_long = causes(qemu, vec![Step::SetMtu(8000), long(1), Step::Interrupt]);

        let all = Step::SetFilter {
            promiscuous: false,
            all_multicast: true,
            groups: vec![],
        };
        let everybody = probe(
            qemu,
            vec![all, Step::Arrive(vec![to(To::Broadcast)]), Step::Statistics],
        );
        let empty = causes(qemu, vec![Step::Restart, Step::Interrupt]);

        let long = |to| Frame { to, ..plain(8000) };
        let two = Step::Arrive(vec![long(To::Broadcast), long(To::Broadcast)]);
        let lost_here = probe(qemu, vec![Step::SetMtu(8000), two, Step::Statistics]);

        let packet = Frame {
            body: Body::Packet {
                ip: Ip::V4,
                transport: Transport::Tcp,
                bad_ip: false,
                bad_transport: false,
            },
            ..plain(60)
        };
        let check = Step::SetOffloads(Offloads::RX_CHECKSUM.bits());
        let judged = probe(qemu, vec![check, Step::Arrive(vec![packet]), Step::Receive(1)]);

        // Two full segments.
        let cut = Step::Segment {
            ip: Ip::V4,
            payload: 1072,
            mss: 536,
            tag: None,
        };
        let able = Step::SetOffloads(Offloads::TSO_IPV4.bits());
        let segments = probe(qemu, vec![able, cut])[1].sent.clone();
        let fragments = segments.first().is_some_and(|first| first[20] & 0x20 != 0);
        let flags = |segment: &Vec<u8>| segment[14 + 20 + 13] & (FIN | PSH);

        let down_and_up = vec![Step::Link(false), Step::Link(true)];
        let ctrl = probe(qemu, down_and_up)[1]
            .registers
            .iter()
            .find(|(name, _)| *name == "CTRL")
            .map(|found| found.1);
        let flow_control = (Ctrl::RFCE | Ctrl::TFCE).bits();

        let model = fake::Oddities {
            short_frames_are_padded: received(qemu, plain(42)) == Some(60),
            lengths_before_filter: count(&early[1], "rx_long_length_errors") == 1,
            lost_frames_are_counted: count(&lost[2], "tx_broadcast") == 1,
            limits_without_fcs: received(qemu, plain(1520)).is_some(),
            masked_causes_are_asserted: causes(qemu, vec![Step::Arrive(vec![plain(60)]), Step::Interrupt])
                .contains(Causes::INT_ASSERTED),
            missed_stay,
            headers_follow_full_segment: segments.len() == 3 && !fragments,
            last_segment_loses_flags: !fragments && segments.last().map(flags) == Some(0),
            checksums_are_not_checked: judged[2]
                .received
                .iter()
                .all(|frame| frame.checksums == ChecksumResult::default()),
            frames_without_room_wait,
            multicast_table_is_for_all: !let_in[2].received.is_empty(),
            everybody_is_a_group: count(&everybody[2], "rx_multicast") == 1,
            empty_queue_is_told_again: empty.contains(Causes::TXQE),
            table_counts: count(&let_in[3], "rx_multicast") == 1,
            filter_counts: count(&lost_here[2], "rx_broadcast") == 2,
            absent_counters: absent.fold(0, |all, one: u128| all | one),
            low_ring_is_told_again: told_again.contains(Causes::RXDMT0),
            low_ring_is_missed: !told_long.contains(Causes::RXDMT0),
            link_sets_flow_control: ctrl.is_some_and(|ctrl| ctrl & flow_control == flow_control),
        };
        Self { model, fragments }
    }
}
