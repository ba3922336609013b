//! Costs of frames in register accesses, on QEMU's device models.

mod common;

use common::{Bench, for_each_model, number, numbered};
use e1000_hw::RingSize;

/// The usual ring.
const RING: u32 = RingSize::DEFAULT.get();

#[test]
fn burst_of_32_frames_out_is_one_register_write_and_no_read() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up(RING, RING);
        for run in 0..40 {
            let mut frames = numbered(run, 100);
            let before = bench.registers.counts();
            for _ in 0..32 {
                nic.tx().send(frames.next_frame()).unwrap();
            }
            nic.tx().post();
            nic.tx().post();
            let after = bench.registers.counts();
            assert_eq!((after.reads - before.reads, after.writes - before.writes), (0, 1));
            for sequence in 0..32 {
                assert_eq!(number(&bench.cable.receive(), run), Some(sequence));
            }
        }
    });
}

#[test]
fn frames_in_cost_no_register_read_and_a_write_for_every_8() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up_receiving(RING, RING);
        const FRAMES: u64 = 2000;
        let before = bench.registers.counts();
        bench.push_in(&mut nic, 1, 100, FRAMES);
        let after = bench.registers.counts();
        assert_eq!(after.reads - before.reads, 0);
        let writes = after.writes - before.writes;
        assert!(writes <= FRAMES / 8, "{writes} writes for {FRAMES} frames");
    });
}
