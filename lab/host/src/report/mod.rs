//! The acceptance report: what a driver has to survive is played through on real systems, with the stock driver and
//! with ours on every NIC that QEMU has, and put into one table.

mod again;
mod load;
mod matrix;
mod plan;
mod play;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressStyle};

use crate::date::date;
use crate::error::{Error, Result};
use crate::file::FileError;
use crate::image::{Copied, Kind};
use crate::system::accelerator::Accelerator;
use crate::system::boot;
use load::Loader;
pub use matrix::{Header, Matrix};
use plan::Job;
use play::{Played, Player};

/// Seconds of frames between two NICs; with a soak also once for [`SOAK`].
const PAIR_TIME: Duration = Duration::from_secs(20);
const SOAK: Duration = Duration::from_secs(600);

/// Contents of the report.
pub struct Options<'a> {
    /// The image. It is only read.
    pub image: &'a Path,
    /// Its kind.
    pub kind: Kind,
    /// Our driver.
    pub driver: &'a [u8],
    /// The lab's agent, for the image.
    pub agent: &'a [u8],
    /// Accelerator of all systems.
    pub accelerator: Accelerator,
    /// Where copies and consoles go.
    pub place: PathBuf,
    /// Only parts with names that contain one of these; all if there is none.
    pub only: &'a [String],
    /// Also ten minutes of frames between two NICs.
    pub soak: bool,
    /// Boots of each driver and NIC for the part on load.
    pub load_repeats: u32,
    /// Machines at the same time.
    pub jobs: usize,
    /// The command, for the header.
    pub command: String,
    /// Which sources our driver is built from, for the header.
    pub sources: String,
}

/// Carries everything out. That a driver fails is a result and no error.
pub fn run(options: &Options<'_>) -> Result<(Header, Matrix)> {
    let start = Instant::now();
    let place = &options.place;
    let image = |number: usize| place.join(format!("{number}.img"));
    let soak = options.soak.then_some(SOAK);
    let mut jobs = plan::jobs(PAIR_TIME, soak);
    jobs.retain(|job| job.is_meant_by(options.only));
    let loads = load::jobs(options.only, options.load_repeats);
    if jobs.is_empty() && loads.is_empty() {
        return Err(Error::NothingToDo);
    }
    // The longest one first; results do not depend on the order.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.time));
    let (measured, others): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.is_measured());
    let bar = bar(jobs.len());
    let player = |number: usize| {
        let image = image(number);
        Ok(Player {
            copied: Copied::make(options.image, &image)?,
            image,
            driver: options.driver,
            agent: options.agent,
            accelerator: options.accelerator,
            logs: place.clone(),
        })
    };
    let mut results = play_all(&others, options.jobs, &player, &bar)?;
    // What is compared by its pace has this machine for itself.
    let mut paced = play_all(&measured, 1, &player, &bar)?;
    let again = again::jobs(&paced);
    bar.inc_length(again.len() as u64 * u64::from(again::BOOTS));
    for _ in 0..again::BOOTS {
        paced.extend(play_all(&again, 1, &player, &bar)?);
    }
    results.extend(again::of_boots(paced));
    bar.finish_and_clear();
    let loader = Loader {
        original: options.image,
        driver: options.driver,
        agent: options.agent,
        accelerator: options.accelerator,
        place: place.clone(),
        repeats: options.load_repeats,
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
        command: options.command.clone(),
        image: image_text(&options.kind, kernel.as_deref()),
        qemu: boot::version()
            .map(|version| format!("{version}, {}", options.accelerator))
            .unwrap_or_default(),
        sources: options.sources.clone(),
        minutes: start.elapsed().as_secs().div_ceil(60),
    };
    Ok((header, matrix))
}

/// The image in a few words.
fn image_text(kind: &Kind, kernel: Option<&str>) -> String {
    let mut words = vec![
        kind.target.architecture.to_string(),
        kind.place.layout.name().to_owned(),
    ];
    words.extend(kind.target.abi.map(|abi| format!("system {abi}")));
    words.push(kernel.unwrap_or("kernel unknown").to_owned());
    words.join(", ")
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
        fs::remove_file(&player.image).map_err(FileError::new("remove", &player.image))?;
        Ok(())
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
            .try_for_each(|thread| thread.join().unwrap_or(Err(Error::Panicked)))
    })?;
    Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
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
