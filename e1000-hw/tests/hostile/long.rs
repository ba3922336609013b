//! Case after case for as long as one likes.

use std::sync::Once;
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

/// Cases that have ended.
static DONE: AtomicU64 = AtomicU64::new(0);

/// Ends the process when a case does not end: a loop without end would never fail otherwise.
fn watch() {
    let mut last = u64::MAX;
    loop {
        let now = DONE.load(Ordering::Relaxed);
        if now == last {
            eprintln!("case {now} (counted from 0) does not end");
            std::process::abort();
        }
        last = now;
        std::thread::sleep(LIMIT);
    }
}

/// Plays one case, which has to end.
pub fn play_watched(play: impl Fn(&[u8]), bytes: &[u8]) {
    static WATCHER: Once = Once::new();
    WATCHER.call_once(|| drop(std::thread::spawn(watch)));
    play(bytes);
    DONE.fetch_add(1, Ordering::Relaxed);
}

/// Plays random cases: `HOSTILE_CASES` of them, or for `HOSTILE_SECONDS` (60 if neither is set), from
/// `HOSTILE_SEED` on.
pub fn run(play: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |value| value.parse::<u64>().expect("a number"))
    };
    let limit = number("HOSTILE_CASES", u64::MAX);
    let seconds = number("HOSTILE_SECONDS", if limit == u64::MAX { 60 } else { u64::MAX });
    let mut random = Random(number("HOSTILE_SEED", 1).max(1));
    let (start, mut cases, mut bytes) = (Instant::now(), 0u64, vec![]);
    while cases < limit && start.elapsed().as_secs() < seconds {
        let seed = random.0;
        bytes.clear();
        let len = random.next() % MAX_LEN;
        bytes.extend((0..len).map(|_| (random.next() >> 32) as u8));
        let result = std::panic::catch_unwind(|| play_watched(&play, &bytes));
        assert!(result.is_ok(), "case {cases}, HOSTILE_SEED={seed}: {bytes:?}");
        cases += 1;
    }
    println!("{cases} cases in {} s", start.elapsed().as_secs());
}
