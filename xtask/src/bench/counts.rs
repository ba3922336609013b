//! `cargo xtask bench --hosted`: what frames cost the driver's core against QEMU's models of the NICs, on any Linux
//! machine: register accesses, and with valgrind instructions. Counts, never times.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use e1000_hosted::machine::NicModel;
use serde::{Deserialize, Serialize};

use crate::process::{cargo, output, root, run, target};
use crate::tools;

/// The program that is measured, in the package `e1000-hosted`.
const EXAMPLE: &str = "frame_costs";
/// Measures: options of the program, and name of the result.
const MEASURES: [(&str, &str, &str); 5] = [
    ("send", "60", "a frame of 60 B out"),
    ("send", "1514", "a frame of 1514 B out"),
    ("receive", "60", "a frame of 60 B in"),
    ("receive", "1514", "a frame of 1514 B in"),
    ("interrupt", "60", "an interrupt with a frame"),
];
/// Part above the baseline that is no change for the worse: a burst may be cut where a ring is full.
const TOLERANCE: f64 = 0.05;
/// Keeps the C library from choosing its memcpy by the processor: counts are to be the same on every machine.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX,-AVX512F,-AVX512VL,-ERMS,-FSRM";

/// Cost of one frame, or of one interrupt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Cost {
    /// Register accesses.
    reads: f64,
    writes: f64,
    /// The core's own, without those of register accesses; none without valgrind.
    instructions: Option<f64>,
}

/// Costs, by QEMU's name of the NIC and by measure.
type Costs = BTreeMap<String, BTreeMap<String, Cost>>;

/// Everything that was measured, and the baseline's file.
#[derive(Debug, Deserialize, Serialize)]
pub struct Counts {
    /// Another compiler makes other instructions: they are compared only if it is the same one.
    compiler: String,
    costs: Costs,
}

/// Output of the program.
#[derive(Deserialize)]
struct Printed {
    count: u32,
    reads: u64,
    writes: u64,
}

/// The file of this workspace.
pub fn baseline() -> PathBuf {
    root().join("xtask/bench-baseline.json")
}

/// Counts for all models.
fn measure(valgrind: bool) -> Result<Counts> {
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "e1000-hosted",
    ]);
    run(build.args(["--example", EXAMPLE]))?;
    let program = target().join("release/examples").join(EXAMPLE);
    let measure_model = |model: NicModel| {
        let measure = |(what, size, title): (&str, &str, &str)| {
            let cost = count(&program, &[model.name(), what, size], valgrind);
            Ok((
                title.to_owned(),
                cost.with_context(|| format!("{model}: {title}"))?,
            ))
        };
        MEASURES.into_iter().map(measure).collect::<Result<_>>()
    };
    let costs = thread::scope(|scope| {
        let threads = NicModel::ALL.map(|model| (model, scope.spawn(move || measure_model(model))));
        threads
            .into_iter()
            .map(|(model, thread)| {
                let costs = thread
                    .join()
                    .map_err(|_| anyhow!("{model}: the measurement failed"))?;
                Ok((model.name().to_owned(), costs?))
            })
            .collect::<Result<_>>()
    })?;
    let compiler = output(Command::new("rustc").arg("--version"))?;
    Ok(Counts {
        compiler: compiler.trim().to_owned(),
        costs,
    })
}

/// Runs the program once.
fn count(program: &Path, arguments: &[&str], valgrind: bool) -> Result<Cost> {
    let profile = tempfile::NamedTempFile::new()?;
    let mut command = if valgrind {
        let mut command = Command::new(tools::VALGRIND);
        command.args(["--quiet", "--tool=callgrind"]);
        command.args(["--toggle-collect=*measured*", "--toggle-collect=*uncounted*"]);
        command.arg(format!("--callgrind-out-file={}", profile.path().display()));
        command.arg(program).env("GLIBC_TUNABLES", TUNABLES);
        command
    } else {
        Command::new(program)
    };
    let printed: Printed = serde_json::from_str(&output(command.args(arguments))?)?;
    let each = |count: u64| count as f64 / f64::from(printed.count);
    let instructions = if valgrind {
        let text = fs::read_to_string(profile.path())?;
        Some(each(total(&text).context("valgrind counted nothing")?))
    } else {
        None
    };
    Ok(Cost {
        reads: each(printed.reads),
        writes: each(printed.writes),
        instructions,
    })
}

/// All instructions of a profile that callgrind wrote; `None` if there are none.
fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok().filter(|total| *total > 0)
}

/// Costs above the baseline.
fn worse(counts: &Counts, baseline: &Counts) -> Vec<String> {
    let mut worse = Vec::new();
    let same_compiler = counts.compiler == baseline.compiler;
    for (model, known) in &baseline.costs {
        for (title, known) in known {
            let Some(now) = counts.costs.get(model).and_then(|costs| costs.get(title)) else {
                worse.push(format!("{model}: {title} was not measured"));
                continue;
            };
            let mut compare = |name: &str, now: f64, known: f64| {
                if now > known * (1.0 + TOLERANCE) {
                    worse.push(format!(
                        "{model}: {title} takes {now:.4} {name}, {known:.4} in the baseline"
                    ));
                }
            };
            compare("register reads", now.reads, known.reads);
            compare("register writes", now.writes, known.writes);
            if let (true, Some(now), Some(known)) = (same_compiler, now.instructions, known.instructions) {
                compare("instructions", now, known);
            }
        }
    }
    worse
}

/// Measures, prints a table and compares with a baseline, or makes a new one.
pub fn check(file: &Path, write: bool) -> Result<()> {
    let valgrind = tools::valgrind();
    let counts = measure(valgrind.is_ok())?;
    println!(
        "{:<41} reads  writes  instructions",
        "register accesses and instructions for"
    );
    for (model, costs) in &counts.costs {
        for (title, cost) in costs {
            let instructions = cost
                .instructions
                .map_or_else(|| "-".to_owned(), |count| format!("{count:.1}"));
            println!(
                "{model:<14} {title:<26} {:>5.3} {:>7.4} {instructions:>13}",
                cost.reads, cost.writes
            );
        }
    }
    if let Err(error) = valgrind {
        println!("instructions: SKIPPED ({error:#})");
    }
    if write {
        let text = serde_json::to_string_pretty(&counts)? + "\n";
        return fs::write(file, text).with_context(|| format!("cannot write {}", file.display()));
    }
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let known: Counts = serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?;
    if known.compiler != counts.compiler {
        println!(
            "instructions are not compared with the baseline: it is of {}, this is {}",
            known.compiler, counts.compiler
        );
    }
    let worse = worse(&counts, &known);
    if !worse.is_empty() {
        bail!("more than in {}: {}", file.display(), worse.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(compiler: &str, writes: f64, instructions: Option<f64>) -> Counts {
        let cost = Cost {
            reads: 0.0,
            writes,
            instructions,
        };
        let costs = [("a frame".to_owned(), cost)].into();
        Counts {
            compiler: compiler.to_owned(),
            costs: [("e1000".to_owned(), costs)].into(),
        }
    }

    #[test]
    fn only_more_accesses_are_worse() {
        let writes = |now, known| worse(&counts("a", now, None), &counts("a", known, None)).len();
        assert_eq!(writes(0.125, 0.125), 0);
        assert_eq!(writes(0.1, 0.125), 0);
        assert_eq!(writes(0.13, 0.125), 0, "within the tolerance");
        assert_eq!(writes(0.2, 0.125), 1);
        let nothing = Counts {
            costs: Costs::new(),
            ..counts("a", 0.0, None)
        };
        assert_eq!(worse(&nothing, &counts("a", 0.125, None)).len(), 1);
    }

    #[test]
    fn instructions_are_compared_for_the_same_compiler() {
        let known = counts("a", 0.0, Some(200.0));
        assert_eq!(worse(&counts("a", 0.0, Some(205.0)), &known).len(), 0);
        assert_eq!(worse(&counts("a", 0.0, Some(220.0)), &known).len(), 1);
        assert_eq!(worse(&counts("b", 0.0, Some(220.0)), &known).len(), 0);
        assert_eq!(
            worse(&counts("a", 0.0, None), &known).len(),
            0,
            "without valgrind"
        );
    }

    #[test]
    fn total_of_a_profile_is_found() {
        assert_eq!(total("version: 1\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("totals: 0\n"), None, "the patterns matched nothing");
        assert_eq!(total(""), None);
    }

    #[test]
    fn baseline_of_the_workspace_is_readable() {
        let text = fs::read_to_string(baseline()).unwrap();
        let counts: Counts = serde_json::from_str(&text).unwrap();
        assert_eq!(counts.costs.len(), NicModel::ALL.len());
        let complete = |costs: &BTreeMap<_, Cost>| {
            costs.len() == MEASURES.len() && costs.values().all(|cost| cost.instructions.is_some())
        };
        assert!(counts.costs.values().all(complete));
    }
}
