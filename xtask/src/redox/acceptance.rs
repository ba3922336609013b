//! `cargo xtask redox --report`

use std::fs;

use anyhow::{Context, Result, bail};
use lab_host::program::Architecture;
use lab_host::report::{self, Header, Matrix, Options};
use lab_host::system::accelerator::Accelerator;

use super::Arguments;
use crate::process::{sources, target};
use crate::programs::{self, Programs};
use crate::steps::Steps;
use crate::tools;

/// Makes the report. That a driver fails is a result and no error.
pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::new(false);
    steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
    let accelerator = Accelerator::choose(arguments.accel, steps.lab())?;
    let place = target().join("redox/report");
    let kind = programs::inspect(&arguments.image, &place.join("scratch.img"), &steps)?;
    if kind.target.architecture != Architecture::X86_64 {
        bail!(
            "--report boots images for x86_64, this one is for {}",
            kind.target.architecture
        );
    }
    let programs = Programs::new(kind.target, &steps);
    let driver = programs.get("e1000d", arguments.driver.as_deref())?;
    let agent = programs.get("lab-agent", arguments.agent.as_deref())?;
    let (header, matrix) = report::run(&Options {
        image: &arguments.image,
        kind,
        driver: &driver,
        agent: &agent,
        accelerator,
        place,
        only: &arguments.only,
        soak: arguments.soak,
        load_repeats: arguments.load_repeats,
        jobs: arguments.jobs,
        command: arguments.report_command(),
        sources: sources(),
    })?;
    finish(arguments, &header, &matrix)
}

/// Writes what was asked for and says how it went.
fn finish(arguments: &Arguments, header: &Header, matrix: &Matrix) -> Result<()> {
    let markdown = matrix.markdown(header);
    if let Some(path) = &arguments.markdown {
        fs::write(path, &markdown).with_context(|| format!("writing {}", path.display()))?;
    }
    match &arguments.json {
        Some(Some(path)) => {
            fs::write(path, matrix.json(header)?).with_context(|| format!("writing {}", path.display()))?
        }
        Some(None) => println!("{}", matrix.json(header)?),
        None if arguments.markdown.is_none() => println!("{markdown}"),
        None => {}
    }
    let worse = matrix.worse();
    if worse.is_empty() {
        eprintln!("  nothing is worse than with the stock driver");
        return Ok(());
    }
    for line in &worse {
        eprintln!("  WORSE than the stock driver: {line}");
    }
    bail!("{} result(s) are worse than the stock driver's", worse.len())
}
