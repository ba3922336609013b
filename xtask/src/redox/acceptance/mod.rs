//! `cargo xtask redox --report`: what has to survive is played through on real systems, with the stock driver and with
//! ours on every NIC that QEMU has, and put into one table.

mod load;
mod matrix;
mod plan;
mod play;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::accelerator::Accelerator;
use super::boot::QEMU;
use super::elf::Architecture;
use super::error::mebibytes;
use super::locate;
use super::volume::Volume;
use super::{Arguments, Programs, copy, swap};
use crate::process::{output, root, target};
use crate::steps::Steps;
use crate::tools;
use load::Loader;
use matrix::{Header, Matrix};
use plan::Job;
use play::{Played, Player};

/// Seconds of frames between two NICs; with `--soak` also once for [`SOAK`].
const PAIR_TIME: Duration = Duration::from_secs(20);
const SOAK: Duration = Duration::from_secs(600);

/// Carries everything out. That a driver fails is a result and no error.
pub fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let steps = Steps::new(false);
    steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
    let accelerator = Accelerator::choose(arguments.accel, QEMU, &steps)?;
    let place = target().join("redox/report");
    let image = |number: usize| place.join(format!("{number}.img"));
    let (layout, architecture) = steps.step("RedoxFS", || {
        // A file system is changed by being opened.
        let copy = prepare(&arguments.image, &image(0))?;
        let place = locate::locate(&copy)?;
        let architecture = swap::architecture(&mut Volume::open(copy, &place)?)?;
        let word = format!(
            "at {}, {}, {architecture}",
            mebibytes(place.start),
            place.layout.name()
        );
        Ok(((place.layout.name(), architecture), word))
    })?;
    if architecture != Architecture::X86_64 {
        bail!("--report boots images for x86_64, this one is for {architecture}");
    }
    let programs = Programs::get(arguments, &steps, architecture)?;
    let (Some(driver), Some(client)) = (&programs.driver, &programs.client) else {
        bail!("--report needs netstack-client: give one built elsewhere with --client");
    };

    let soak = arguments.soak.then_some(SOAK);
    let mut jobs = plan::jobs(PAIR_TIME, soak);
    jobs.retain(|job| job.is_meant_by(&arguments.only));
    let loads = load::jobs(&arguments.only, arguments.load_repeats);
    if jobs.is_empty() && loads.is_empty() {
        bail!("--only leaves nothing to do");
    }
    // The longest one first; results do not depend on the order.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.time));
    let (measured, others): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.is_measured());
    let bar = bar(jobs.len());
    let player = |number: usize| {
        let image = image(number);
        Ok(Player {
            copy: prepare(&arguments.image, &image)?,
            image,
            driver,
            client,
            accelerator,
            logs: place.clone(),
        })
    };
    let mut results = play_all(&others, arguments.jobs, &player, &bar)?;
    // What is compared by its pace has this machine for itself.
    results.extend(play_all(&measured, 1, &player, &bar)?);
    bar.finish_and_clear();
    let loader = Loader {
        original: &arguments.image,
        driver,
        client,
        accelerator,
        place: place.clone(),
        repeats: arguments.load_repeats,
    };
    let loaded = loader.run(&loads)?;

    results.sort_by_key(|(job, _)| plan::position(job));
    let kernel = results.iter().find_map(|(_, played)| played.system.clone());
    let mut matrix = Matrix::new(plan::columns());
    for (job, played) in results {
        matrix.note_repeated(job.name(), played.repeated);
        for (title, cell) in played.rows {
            matrix.insert(job.column, job.group.title(), &title, cell);
        }
    }
    for (column, title, cell) in loaded {
        matrix.insert(column, plan::Group::Load.title(), &title, cell);
    }
    let header = Header {
        date: date(SystemTime::now()),
        command: arguments.report_command(),
        image: format!(
            "{architecture}, {layout}, {}",
            kernel.as_deref().unwrap_or("kernel unknown")
        ),
        qemu: output(Command::new("qemu-system-x86_64").arg("--version"))
            .ok()
            .and_then(|text| text.lines().next().map(|line| format!("{line}, {accelerator}")))
            .unwrap_or_default(),
        sources: sources(),
        minutes: start.elapsed().as_secs().div_ceil(60),
    };
    finish(arguments, &header, &matrix)
}

/// Plays jobs, so many at the same time, each player on an image of its own.
fn play_all<'a, 'p>(
    jobs: &[&'a Job],
    workers: usize,
    player: &(impl Fn(usize) -> Result<Player<'p>> + Sync),
    bar: &ProgressBar,
) -> Result<Vec<(&'a Job, Played)>> {
    let queue = Mutex::new(jobs.iter());
    let results = Mutex::new(Vec::new());
    let work = |number: usize| {
        let player = player(number)?;
        loop {
            let Some(job) = queue.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                break;
            };
            let began = Instant::now();
            let played = player.play(job)?;
            bar.inc(1);
            bar.suspend(|| show(job, &played, began.elapsed()));
            results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((*job, played));
        }
        fs::remove_file(&player.image).with_context(|| format!("removing {}", player.image.display()))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.min(jobs.len()))
            .map(|number| {
                let work = &work;
                scope.spawn(move || work(number))
            })
            .collect();
        // The first error ends the command; results of the others would make half a table.
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })?;
    Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
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

/// An own copy of the image, on which nobody else works.
fn prepare(original: &Path, image: &Path) -> Result<fs::File> {
    let file = copy::open_original(original)?;
    Ok(copy::copy(&file, original, image, &ProgressBar::hidden())?)
}

fn bar(length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("  {wide_bar} {pos} of {len}, {elapsed}");
    let bar = ProgressBar::new(length as u64).with_style(style.unwrap_or(ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

/// A line about a job that is over.
fn show(job: &Job, played: &Played, time: Duration) {
    let failed: Vec<_> = played
        .rows
        .iter()
        .filter(|(_, cell)| cell.mark.is_bad())
        .collect();
    let again = match played.repeated {
        0 => String::new(),
        boots => format!(", {boots} boot(s) repeated"),
    };
    let word = match failed.as_slice() {
        [] => format!("{} ok", played.rows.len()),
        [(title, cell), ..] => format!(
            "{} of {} failed; {title}: {cell}",
            failed.len(),
            played.rows.len()
        ),
    };
    let mark = if failed.is_empty() { "ok  " } else { "FAIL" };
    eprintln!(
        "  {mark} {:<34} {:>7.1} s  {word}{again}",
        job.name(),
        time.as_secs_f64()
    );
}

/// Which sources the driver is built from.
fn sources() -> String {
    let mut git = Command::new("git");
    git.current_dir(root())
        .args(["describe", "--always", "--dirty=, with changes"]);
    output(&mut git).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Year, month and day, in UTC.
fn date(time: SystemTime) -> String {
    let days = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    // Years begin in March here, so that the day that is not always there is the last one.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_777, "2026-11-20"),
        ] {
            assert_eq!(
                date(UNIX_EPOCH + Duration::from_secs(days * 86_400 + 5)),
                expected
            );
        }
    }
}
