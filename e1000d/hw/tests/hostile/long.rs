//! Case after case for as long as one likes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longest time that one case may take; it takes some 100 us.
const LIMIT: Duration = Duration::from_secs(20);
/// Most bytes of a case.
const MAX_LEN: u64 = 600;

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

/// Ends the process when a case does not end: a loop without end would never fail otherwise.
fn watch(done: &'static AtomicU64) {
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        loop {
            let now = done.load(Ordering::Relaxed);
            if now == last {
                eprintln!("case {now} after HOSTILE_SEED does not end");
                std::process::abort();
            }
            last = now;
            std::thread::sleep(LIMIT);
        }
    });
}

/// Plays random cases: `HOSTILE_CASES` of them, or for `HOSTILE_SECONDS` (60 if neither is set), from
/// `HOSTILE_SEED` on.
pub fn run(play: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    static DONE: AtomicU64 = AtomicU64::new(0);
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |value| value.parse::<u64>().expect("a number"))
    };
    let limit = number("HOSTILE_CASES", u64::MAX);
    let seconds = number("HOSTILE_SECONDS", if limit == u64::MAX { 60 } else { u64::MAX });
    let mut random = Random(number("HOSTILE_SEED", 1) | 1);
    let (start, mut cases, mut bytes) = (Instant::now(), 0u64, vec![]);
    watch(&DONE);
    while cases < limit && start.elapsed().as_secs() < seconds {
        let seed = random.0;
        bytes.clear();
        let len = random.next() % MAX_LEN;
        bytes.extend((0..len).map(|_| (random.next() >> 32) as u8));
        let result = std::panic::catch_unwind(|| play(&bytes));
        assert!(result.is_ok(), "case {cases}, HOSTILE_SEED={seed}: {bytes:?}");
        cases += 1;
        DONE.store(cases, Ordering::Relaxed);
    }
    println!("{cases} cases in {} s", start.elapsed().as_secs());
}
