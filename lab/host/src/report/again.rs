//! Second measurement of what was compared by its pace and seemed worse than with the stock driver.
//!
//! One boot of each says little: the pings that are answered while a link flaps, for one, vary by a factor of three.

use super::matrix::Cell;
use super::plan::Job;
use super::play::Played;

/// Further boots of both drivers.
pub const BOOTS: u32 = 2;

/// Jobs that have a row with a worse figure than the stock driver's, and the stock driver's jobs beside them.
pub fn jobs<'a>(results: &[(&'a Job, Played)]) -> Vec<&'a Job> {
    let mut again: Vec<&Job> = Vec::new();
    for (job, played) in results.iter().filter(|(job, _)| !job.stock) {
        let stock = results
            .iter()
            .find(|(other, _)| other.stock && job.is_alike(other));
        if let Some((stock, compared)) = stock
            && has_worse_figure(&played.rows, &compared.rows)
        {
            for job in [*stock, *job] {
                if !again.iter().any(|known| std::ptr::eq(*known, job)) {
                    again.push(job);
                }
            }
        }
    }
    again
}

/// One result for each job, of all its boots.
pub fn of_boots(results: Vec<(&Job, Played)>) -> Vec<(&Job, Played)> {
    let mut all: Vec<(&Job, Vec<Played>)> = Vec::new();
    for (job, played) in results {
        match all.iter_mut().find(|(known, _)| std::ptr::eq(*known, job)) {
            Some((_, boots)) => boots.push(played),
            None => all.push((job, vec![played])),
        }
    }
    all.into_iter().map(|(job, boots)| (job, merge(boots))).collect()
}

fn has_worse_figure(rows: &[(String, Cell)], stock: &[(String, Cell)]) -> bool {
    rows.iter().any(|(title, cell)| {
        let of_stock = stock.iter().find(|(other, _)| other == title);
        of_stock.is_some_and(|(_, of_stock)| cell.has_worse_figure_than(of_stock))
    })
}

fn merge(boots: Vec<Played>) -> Played {
    let mut merged = Played {
        rows: Vec::new(),
        system: boots.iter().find_map(|played| played.system.clone()),
        repeated: boots.iter().map(|played| played.repeated).sum(),
    };
    let mut rows: Vec<(String, Vec<Cell>)> = Vec::new();
    for (title, cell) in boots.into_iter().flat_map(|played| played.rows) {
        match rows.iter_mut().find(|(known, _)| *known == title) {
            Some((_, cells)) => cells.push(cell),
            None => rows.push((title, vec![cell])),
        }
    }
    let row = |(title, cells)| Some((title, Cell::of_boots(cells)?));
    merged.rows = rows.into_iter().filter_map(row).collect();
    merged
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::matrix::{Figure, Mark};
    use super::super::plan;
    use super::*;

    fn played(title: &str, value: f64) -> Played {
        let figure = Figure {
            value,
            lower_is_better: false,
            tolerance: 0.1,
        };
        let cell = Cell::new(Mark::Ok, &value.to_string()).with(Some(figure));
        Played {
            rows: vec![(title.to_owned(), cell)],
            system: None,
            repeated: 1,
        }
    }

    #[test]
    fn worse_ones_are_measured_again_beside_the_stock_driver() {
        let all = plan::jobs(Duration::from_secs(20), None);
        let job = |name: &str| all.iter().find(|job| job.name() == name).unwrap();
        let (stock, pair) = (job("stock/link"), job("stock/pair/the-same-model-20-s"));
        let (good, bad) = (job("e1000/link"), job("e1000e/link"));
        let results = [
            (stock, played("flaps", 100.0)),
            (pair, played("the same model", 100.0)),
            (good, played("flaps", 91.0)),
            (bad, played("flaps", 89.0)),
            (
                job("e1000/pair/the-same-model-20-s"),
                played("the same model", 100.0),
            ),
        ];
        let names = |jobs: Vec<&Job>| jobs.iter().map(|job| job.name()).collect::<Vec<_>>();
        assert_eq!(names(jobs(&results)), ["stock/link", "e1000e/link"]);
        assert!(jobs(&results[2..]).is_empty(), "there is nothing to compare with");
    }

    #[test]
    fn boots_of_a_job_make_one_result() {
        let all = plan::jobs(Duration::from_secs(20), None);
        let results = [(0, 3.0), (1, 7.0), (0, 1.0), (0, 2.0)];
        let merged = of_boots(
            results
                .iter()
                .map(|(job, value)| (&all[*job], played("flaps", *value)))
                .collect(),
        );
        let texts: Vec<_> = merged
            .iter()
            .map(|(_, played)| (played.repeated, played.rows[0].1.to_string()))
            .collect();
        assert_eq!(
            texts,
            [
                (3, "ok: 2 (3 boots: 1, 2, 3)".to_owned()),
                (1, "ok: 7".to_owned())
            ]
        );
    }
}
