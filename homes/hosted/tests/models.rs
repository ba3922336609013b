//! The chip core alone, against QEMU's device models.

mod common;

use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::{
    Bench, MAC, OTHER, WINDOW, for_each_model, frame, interrupt, number, numbered, receive, wait_for,
};
use e1000_hw::RingSize;
use e1000_hw::TransmitError;
use e1000_hw::link::Link;
use e1000_hw::nic::Interrupt;
use e1000_hw::regs::Causes;

const BROADCAST: [u8; 6] = [0xFF; 6];

/// The usual ring.
const RING: u32 = RingSize::DEFAULT.get();

#[test]
fn mac_is_that_of_the_card() {
    for_each_model(|model| {
        let nic = Bench::new(model).bring_up(RING, RING);
        assert_eq!(nic.state().mac().0, MAC);
        assert!(nic.state().link().is_up());
    });
}

#[test]
fn default_rings_take_at_most_4_mib_of_dma_memory() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let nic = bench.bring_up(RING, RING);
        let total: usize = bench.dma.given.iter().map(|(_, length)| length).sum();
        assert!(total <= 4 << 20, "{total} bytes");
        let end = bench
            .dma
            .given
            .iter()
            .map(|(address, length)| address + *length as u64);
        assert_eq!(nic.state().end_address(), end.max().unwrap());
    });
}

#[test]
fn frames_go_out_unchanged_and_padded_to_60_bytes() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up(8, 8);
        let too_long = TransmitError::TooLong { limit: 1514 };
        for (length, error) in [
            (0, TransmitError::TooShort),
            (1, TransmitError::TooShort),
            (13, TransmitError::TooShort),
            (1515, too_long),
            (20_000, too_long),
        ] {
            assert_eq!(
                nic.tx().send(&frame(OTHER, length, 1)),
                Err(error),
                "{length} bytes"
            );
        }
        // The long frame leaves its bytes where the short ones go next.
        for (seed, length) in [1514, 14, 60, 1514, 42, 15, 59, 61, 590, 1513, 1514]
            .into_iter()
            .enumerate()
        {
            let mut frame = frame(OTHER, length, seed as u8);
            nic.tx().send(&frame).unwrap();
            nic.tx().post();
            frame.resize(length.max(60), 0);
            assert_eq!(bench.cable.receive(), frame, "{length} bytes");
        }
        let mut tagged = frame(OTHER, 1518, 7);
        tagged[12..14].copy_from_slice(&[0x81, 0x00]);
        nic.tx().send(&tagged).unwrap();
        nic.tx().post();
        assert_eq!(bench.cable.receive(), tagged);
        assert_eq!(
            bench.cable.try_receive(Duration::from_millis(20)),
            None,
            "nothing else came out"
        );
        assert_eq!(nic.state().tx_counters().frames, 12);
    });
}

#[test]
fn burst_larger_than_the_ring_goes_out_in_order() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up(8, 8);
        bench.push_out(&mut nic, 1, 60, 2000, 5 * 8 + 3);
        bench.push_out(&mut nic, 2, 1514, 500, WINDOW);
    });
}

#[test]
fn frames_come_in_unchanged() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(RING, 8);
        for (seed, length) in [1514, 60, 61, 590, 1513, 1514, 64].into_iter().enumerate() {
            let frame = frame(MAC, length, seed as u8);
            bench.cable.send(&frame);
            assert_eq!(receive(&mut nic), frame, "{length} bytes");
        }
        // No wire carries a frame so short, and no other end of this cable fills it up. QEMU's models did before 8.0
        // (its net layer does since, for back ends that want it): whole, and nothing behind it but zeros.
        let short = frame(MAC, 42, 9);
        bench.cable.send(&short);
        let mut received = receive(&mut nic);
        println!("{model}: a frame of 42 bytes comes in as {}", received.len());
        assert!([42, 60].contains(&received.len()), "{received:02x?}");
        let padding = received.split_off(42);
        assert_eq!(received, short);
        assert!(padding.iter().all(|byte| *byte == 0), "{padding:02x?}");
        // A short reader loses the rest of the frame, not the next one.
        bench.cable.send(&frame(MAC, 200, 1));
        bench.cable.send(&frame(MAC, 100, 2));
        let mut buffer = [0; 20];
        assert_eq!(wait_for("frame", || nic.rx().receive(&mut buffer)), 20);
        assert_eq!(buffer, frame(MAC, 200, 1)[..20]);
        assert_eq!(receive(&mut nic), frame(MAC, 100, 2));
        assert_eq!(nic.rx().receive(&mut buffer), None);
    });
}

#[test]
fn small_rings_wrap_around_many_times() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        for (run, size) in [8, 64].into_iter().enumerate() {
            let run = 10 + 2 * run as u32;
            let mut nic = bench.bring_up_receiving(size, size);
            bench.push_in(&mut nic, run, 61, 3000);
            bench.push_out(&mut nic, run + 1, 61, 3000, 7);
            assert_eq!(nic.state().rx_counters().frames, 3001);
            nic.stop(&bench.clock);
        }
    });
}

#[test]
fn overrun_receiver_recovers() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(16, 8);
        for run in 0..3 {
            let mut frames = numbered(run, 200);
            for _ in 0..2000 {
                bench.cable.send(frames.next_frame());
            }
            // Nothing is read until nothing moves any more: what does not fit waits in QEMU, or is lost.
            std::thread::sleep(Duration::from_millis(50));
            let mut last = None;
            let mut count = 0;
            let mut buffer = [0; 2048];
            let mut idle = 0;
            while idle < 200 {
                let Some(length) = nic.rx().receive(&mut buffer) else {
                    idle += 1;
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                idle = 0;
                let number = number(&buffer[..length], run).expect("frames of this run");
                assert!(last < Some(number), "{number} after {last:?}");
                last = Some(number);
                count += 1;
            }
            assert!(count >= 15, "{count} frames: less than the ring holds");
            bench.push_in(&mut nic, 100 + run, 60, 100);
        }
    });
}

#[test]
fn oversized_frames_are_dropped_whole() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(32, 8);
        let mut passed = Vec::new();
        let sizes = (1515..=1526).chain([1600, 2043, 2044, 2045, 2048, 2049, 4096, 9014, 16_383, 16_384]);
        for (seed, size) in sizes.enumerate() {
            let (large, next) = (frame(MAC, size, seed as u8), frame(MAC, 60, seed as u8));
            bench.cable.send(&large);
            bench.cable.send(&next);
            let mut received = receive(&mut nic);
            if received == large {
                passed.push(size);
                received = receive(&mut nic);
            }
            assert_eq!(received, next, "after a frame of {size} bytes");
        }
        println!("{model}: frames of {passed:?} bytes pass");
        assert!(passed.iter().all(|size| *size <= 1522), "{passed:?}");
        assert!(
            (1515..=1518).all(|size| passed.contains(&size)),
            "VLAN-tagged frames fit"
        );
        bench.push_in(&mut nic, 1, 1514, 200);
    });
}

#[test]
fn broadcast_and_own_address_pass_and_nothing_else() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(32, 8);
        let near_miss = [MAC[0], MAC[1], MAC[2], MAC[3], MAC[4], MAC[5] ^ 1];
        let multicasts = [
            [0x01, 0x00, 0x5E, 0, 0, 1],
            [0x33, 0x33, 0, 0, 0, 1],
            [0x01, 0x80, 0xC2, 0, 0, 0],
        ];
        for (seed, dropped) in [OTHER, near_miss].into_iter().chain(multicasts).enumerate() {
            let seed = seed as u8;
            bench.cable.send(&frame(dropped, 60, seed));
            for passed in [BROADCAST, MAC] {
                bench.cable.send(&frame(passed, 60, seed));
                assert_eq!(receive(&mut nic), frame(passed, 60, seed), "after {dropped:02x?}");
            }
        }
    });
}

#[test]
fn link_changes_are_reported_and_frames_wait_for_the_link() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(32, 32);
        interrupt(&mut nic);
        nic.interrupts().enable();
        assert_eq!(nic.link().refresh(&bench.clock), None);
        for round in 0..2 {
            bench.machine.set_link(false).unwrap();
            wait_for_link_change(&bench, &mut nic);
            assert_eq!(nic.link().refresh(&bench.clock), Some(Link::Down));
            nic.tx().send(&frame(OTHER, 100, round)).unwrap();
            nic.tx().post();
            assert_eq!(nic.state().pending_frames(), 1);

            bench.machine.set_link(true).unwrap();
            let link = wait_for("link", || {
                wait_for_link_change(&bench, &mut nic);
                nic.link().refresh(&bench.clock)
            });
            assert!(link.is_up());
            assert_eq!(nic.state().pending_frames(), 0);
            assert_eq!(bench.cable.receive(), frame(OTHER, 100, round));
            bench.push_in(&mut nic, round.into(), 60, 100);
            interrupt(&mut nic);
        }
    });
}

/// Waits for an interrupt that says that the link changed.
fn wait_for_link_change(bench: &Bench, nic: &mut common::ModelNic) {
    wait_for("LSC", || {
        bench.wait_line(true);
        match interrupt(nic) {
            Interrupt::Causes(causes) => causes.contains(Causes::LSC).then_some(()),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn frame_that_comes_while_the_link_negotiates_does_not_stop_reception() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(32, 8);
        bench.machine.set_link(false).unwrap();
        wait_for("link down", || nic.link().refresh(&bench.clock));
        bench.machine.set_link(true).unwrap();
        // QEMU negotiates for half a second (`e1000x_restart_autoneg` in its hw/net/e1000x_common.c). A frame that
        // comes in that time waits in QEMU, and all later ones behind it: its `e1000` looks for them when RDT is
        // written (`set_rdt` in hw/net/e1000.c), not when the link is there.
        bench.cable.send(&frame(MAC, 60, 1));
        wait_for("link up", || nic.link().refresh(&bench.clock));
        bench.cable.send(&frame(MAC, 60, 2));
        while receive(&mut nic) != frame(MAC, 60, 2) {}
        bench.push_in(&mut nic, 1, 60, 100);
    });
}

#[test]
fn full_ring_without_link_drops_and_does_not_block() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up(8, 8);
        bench.machine.set_link(false).unwrap();
        wait_for("link down", || nic.link().refresh(&bench.clock));
        for seed in 0..20 {
            assert_eq!(nic.tx().send(&frame(OTHER, 60, seed)), Ok(()));
            nic.tx().post();
        }
        assert_eq!(
            (nic.state().pending_frames(), nic.state().tx_counters().dropped),
            (7, 13)
        );
        bench.machine.set_link(true).unwrap();
        wait_for("link up", || nic.link().refresh(&bench.clock));
        for seed in 0..7 {
            assert_eq!(bench.cable.receive(), frame(OTHER, 60, seed));
        }
        bench.push_out(&mut nic, 1, 60, 100, 7);
    });
}

#[test]
fn second_bring_up_works_like_the_first() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        for run in 0..2 {
            let mut nic = bench.bring_up_receiving(64, 64);
            assert_eq!(nic.state().mac().0, MAC);
            bench.push_in(&mut nic, 2 * run, 100, 100);
            bench.push_out(&mut nic, 2 * run + 1, 100, 100, 10);
            nic.stop(&bench.clock);
        }
    });
}

#[test]
fn device_left_running_is_taken_over_and_leaves_the_old_memory_alone() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut old = bench.bring_up_receiving(64, 64);
        old.interrupts().enable();
        bench.push_in(&mut old, 1, 100, 10);
        // The end of a daemon that was killed: nothing is stopped, nothing is freed.
        std::mem::forget(old);
        let left = std::mem::take(&mut bench.dma.given);
        for seed in 0..10 {
            bench.cable.send(&frame(MAC, 100, seed));
        }

        let mut nic = bench.bring_up_receiving(64, 64);
        bench.machine.qtest().inb(0x80);
        assert!(!bench.is_raised(), "the old driver's interrupts are masked");
        let ram = bench.machine.ram().unwrap();
        let contents = || -> Vec<Vec<u8>> {
            let read = |&(address, length): &(u64, usize)| {
                let mut bytes = vec![0; length];
                ram.read_exact_at(&mut bytes, address).unwrap();
                bytes
            };
            left.iter().map(read).collect()
        };
        let before = contents();
        bench.push_in(&mut nic, 2, 1514, 500);
        bench.push_out(&mut nic, 3, 1514, 500, 32);
        assert!(
            before == contents(),
            "the device wrote to memory of the old driver"
        );
    });
}

#[test]
fn interrupt_is_raised_by_a_frame_and_lowered_by_one_register_read() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(64, 64);
        interrupt(&mut nic);
        assert!(!bench.is_raised(), "causes are masked");
        nic.interrupts().enable();
        for run in 0..3 {
            bench.wait_line(false);
            bench.cable.send(&frame(MAC, 60, run));
            bench.wait_line(true);
            let before = bench.registers.counts();
            let Interrupt::Causes(causes) = interrupt(&mut nic) else {
                panic!("no causes")
            };
            let after = bench.registers.counts();
            assert_eq!((after.reads - before.reads, after.writes - before.writes), (1, 0));
            assert!(causes.contains(Causes::RXT0), "{causes:?}");
            bench.wait_line(false);
            assert_eq!(receive(&mut nic), frame(MAC, 60, run));
        }
        // Sending makes none, unless it is asked for.
        bench.push_out(&mut nic, 1, 60, 10, 1);
        assert!(!bench.is_raised());
        interrupt(&mut nic);
        nic.interrupts().set_transmit(true);
        bench.push_out(&mut nic, 2, 60, 10, 10);
        bench.wait_line(true);
        assert!(matches!(interrupt(&mut nic), Interrupt::Causes(causes) if causes.contains(Causes::TXDW)));
        bench.wait_line(false);
        nic.interrupts().set_transmit(false);
        bench.push_out(&mut nic, 3, 60, 10, 10);
        assert!(!bench.is_raised());
    });
}
