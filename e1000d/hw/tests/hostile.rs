//! A device that does anything at any time does no harm: a bounded share of what the fuzz target does.
//!
//! More: `cargo test --release -p e1000-hw --test hostile -- --ignored` for a while, or the fuzz target in `fuzz/`.

#[path = "hostile/mod.rs"]
mod hostile;

use std::time::{Duration, Instant};

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn device_that_does_anything_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        hostile::play(&bytes);
    }
}

/// Numbers that look random (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// Runs for `HOSTILE_SECONDS` (60 if not set) from `HOSTILE_SEED`.
#[test]
#[ignore = "runs as long as it is told to"]
fn device_that_does_anything_does_no_harm_for_long() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |value| value.parse::<u64>().expect("a number"))
    };
    let seconds = number("HOSTILE_SECONDS", 60);
    let mut random = Random(number("HOSTILE_SEED", 1) | 1);
    let (start, mut cases, mut bytes) = (Instant::now(), 0u64, vec![]);
    while start.elapsed() < Duration::from_secs(seconds) {
        let seed = random.0;
        bytes.clear();
        let len = random.next() % 400;
        bytes.extend((0..len).map(|_| (random.next() >> 32) as u8));
        let result = std::panic::catch_unwind(|| hostile::play(&bytes));
        assert!(result.is_ok(), "case {cases}, HOSTILE_SEED={seed}: {bytes:?}");
        cases += 1;
    }
    println!("{cases} cases in {seconds} s");
}
