//! A device that does anything at any time does no harm: a bounded share of what the fuzz target does.
//!
//! More: `cargo test --release -p e1000-hw --test hostile -- --ignored` for a while (`hostile/long.rs`), or the fuzz
//! target in `fuzz/`. Together with what clients do: `e1000d/tests/hostile.rs`.

#[path = "hostile/mod.rs"]
mod hostile;
#[path = "hostile/long.rs"]
mod long;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn device_that_does_anything_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        long::play_watched(hostile::play, &bytes);
    }
}

#[test]
#[ignore = "runs as long as it is told to"]
fn device_that_does_anything_does_no_harm_for_long() {
    long::run(hostile::play);
}
