//! Plays random scripts of the core's operations on the fake and on QEMU's models, side by side, and compares all that
//! there is to see: frames, interrupts, counters, registers.

mod compare;
mod driver;
mod fake;
mod frames;
mod oddities;
mod random;
mod script;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use e1000_hosted::machine::NicModel;

use driver::Driver;
use fake::FakeWorld;
use oddities::Oddities;
use script::{Script, Step};
use world::{QemuWorld, World as _};

/// Scripts for each model in the usual test.
const CASES: u64 = 60;

/// Reason why a script failed.
struct Failure {
    /// The step.
    at: usize,
    text: String,
}

/// Plays a script in both worlds.
fn play(script: &Script, qemu: &mut QemuWorld, oddities: Oddities) -> Result<(), Failure> {
    qemu.set_link(true);
    qemu.settle();
    if qemu.keeps_frames {
        let all = Script {
            rx: 256,
            tx: 8,
            steps: vec![],
        };
        Driver::new(qemu, &all).drain();
        qemu.keeps_frames = false;
    }
    let mut fake = FakeWorld::like(qemu, oddities);
    let mut at = 0;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut fake = Driver::new(&mut fake, script);
        let mut qemu = Driver::new(qemu, script);
        for (n, step) in script.steps.iter().enumerate() {
            at = n;
            let mut fake = fake.step(step);
            let mut qemu = match step {
                Step::Arrive(frames) => qemu.step(&Step::Arrive(frames[..fake.arrived].to_vec())),
                step => qemu.step(step),
            };
            oddities.overlook(step, &mut fake);
            oddities.overlook(step, &mut qemu);
            let lines = compare::differences(&fake, &qemu);
            if !lines.is_empty() {
                return Err(lines.join("\n  "));
            }
        }
        fake.stop();
        qemu.stop();
        Ok(())
    }));
    qemu.keeps_frames = !matches!(result, Ok(Ok(()))) || fake.keeps_frames();
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(text)) => Err(Failure { at, text }),
        Err(_) => Err(Failure {
            at,
            text: "panicked; see above".into(),
        }),
    }
}

/// Leaves out of a script that fails whatever it also fails without.
fn shrink(script: Script, failure: Failure, qemu: &mut QemuWorld, oddities: Oddities) -> (Script, Failure) {
    let mut best = (script, failure);
    best.0.steps.truncate(best.1.at + 1);
    let mut is_better = |shorter: Script, best: &mut (Script, Failure)| {
        let Err(failure) = play(&shorter, qemu, oddities) else {
            return false;
        };
        *best = (shorter, failure);
        best.0.steps.truncate(best.1.at + 1);
        true
    };
    let mut chunk = best.0.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        while start < best.0.steps.len() {
            let mut shorter = best.0.clone();
            let end = (start + chunk).min(shorter.steps.len());
            shorter.steps.drain(start..end);
            if !is_better(shorter, &mut best) {
                start = end;
            }
        }
        chunk /= 2;
    }
    // The same with the frames of a step.
    for n in 0..best.0.steps.len() {
        let frames = |script: &Script| match script.steps.get(n) {
            Some(Step::Arrive(frames)) => frames.len(),
            _ => 0,
        };
        let mut chunk = frames(&best.0).div_ceil(2);
        while chunk > 0 {
            let mut start = 0;
            while start < frames(&best.0) {
                let mut shorter = best.0.clone();
                let end = (start + chunk).min(frames(&shorter));
                if let Some(Step::Arrive(frames)) = shorter.steps.get_mut(n) {
                    frames.drain(start..end);
                }
                if !is_better(shorter, &mut best) {
                    start = end;
                }
            }
            chunk /= 2;
        }
    }
    best
}

/// Plays so many scripts on a model; the seed of the first is `seed`.
fn run(model: NicModel, seed: u64, cases: u64) {
    let mut qemu = QemuWorld::new(model);
    let oddities = Oddities::find(&mut qemu);
    println!("{model}: {oddities:?}");
    let (mut steps, start) = (0, Instant::now());
    for seed in seed..seed + cases {
        let script = Script::random(seed);
        steps += script.steps.len();
        let Err(failure) = play(&script, &mut qemu, oddities) else {
            continue;
        };
        println!("{model}, seed {seed}: step {}, {}", failure.at, failure.text);
        let (script, failure) = shrink(script, failure, &mut qemu, oddities);
        let steps: String = script.steps.iter().map(|step| format!("  {step:?}\n")).collect();
        panic!(
            "{model}, seed {seed}, rings of {} and {}, at the last step of\n{steps}{}",
            script.rx, script.tx, failure.text
        );
    }
    println!(
        "{model}: {cases} scripts, {steps} steps, all the same, {:?}",
        start.elapsed()
    );
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Plays so many scripts on each model. DIFFERENTIAL_SEED is the seed of the first; DIFFERENTIAL_MODEL names the only
/// one.
fn run_all(cases: u64) {
    let seed = number("DIFFERENTIAL_SEED", 0);
    let only = std::env::var("DIFFERENTIAL_MODEL").ok();
    let is_meant = |model: &NicModel| only.as_deref().is_none_or(|only| only == model.name());
    thread::scope(|scope| {
        for model in NicModel::ALL.into_iter().filter(is_meant) {
            scope.spawn(move || run(model, seed, cases));
        }
    });
}

#[test]
fn fake_and_models_do_the_same() {
    run_all(CASES);
}

/// DIFFERENTIAL_CASES says how many, of each model.
#[test]
#[ignore = "as long as one likes"]
fn fake_and_models_do_the_same_for_long() {
    run_all(number("DIFFERENTIAL_CASES", 25_000));
}
