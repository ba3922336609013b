//! Clients and a device that do anything at any time, together, do no harm: a bounded share of the fuzz target's work.
//!
//! More: `cargo test --release -p e1000d --test hostile -- --ignored` (for the time that `hostile/long.rs` of
//! `e1000-hw` describes), or the fuzz target in `fuzz/`.

#[path = "hostile/mod.rs"]
mod hostile;
#[path = "../../e1000-hw/tests/hostile/long.rs"]
mod long;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn clients_and_device_that_do_anything_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        long::play_watched(hostile::play, &bytes);
    }
}

#[test]
#[ignore = "runs for HOSTILE_SECONDS or HOSTILE_CASES"]
fn clients_and_device_that_do_anything_do_no_harm_for_long() {
    long::run(hostile::play);
}
