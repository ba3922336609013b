//! The result of a comparison, as a table or as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::follow::Results;
use super::measures::{BEFORE, Kind, Measure, References, Values, Verdict};
use super::statistics::Summary;
use super::subject::STOCK;
use super::table::MEASURES;

/// Everything, as it goes into the JSON file.
#[derive(Serialize)]
pub struct Report {
    /// The day, in UTC.
    pub date: String,
    /// QEMU's version.
    pub qemu: String,
    /// QEMU's name of the NIC.
    pub nic: String,
    /// True if calls were measured in instructions.
    pub icount: bool,
    /// Processors of the machine.
    pub smp: u32,
    /// Boots of each driver.
    pub repeats: u32,
    /// The drivers that are compared.
    pub drivers: Vec<Driver>,
    /// A row for each measure.
    pub rows: Vec<Row>,
    /// Output of each boot, in the order of the boots.
    pub boots: Vec<Boot>,
}

#[derive(Serialize)]
pub struct Driver {
    pub label: String,
    pub sha256: String,
    #[serde(skip)]
    pub values: Values,
}

#[derive(Serialize)]
pub struct Boot {
    pub driver: String,
    pub results: Results,
}

/// One measure.
#[derive(Serialize)]
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub kind: Kind,
    pub lower_is_better: bool,
    /// By driver.
    pub cells: BTreeMap<String, Cell>,
}

/// Result of one driver.
#[derive(Serialize)]
pub struct Cell {
    #[serde(flatten)]
    pub summary: Summary,
    /// The median as a multiple of that of the reference driver.
    pub of_reference: Option<f64>,
    pub target: Option<Verdict>,
}

/// The reference driver: the stock one, or else the first.
pub fn reference(drivers: &[Driver]) -> Option<&Driver> {
    drivers
        .iter()
        .find(|driver| driver.label == STOCK)
        .or(drivers.first())
}

/// A row for everything that was measured.
pub fn rows(drivers: &[Driver], icount: bool, smp: u32) -> Vec<Row> {
    let Some(reference) = reference(drivers) else {
        return Vec::new();
    };
    let before = drivers.iter().find(|driver| driver.label == BEFORE);
    let references = References {
        stock: &reference.values,
        before: before.map(|driver| &driver.values),
        smp,
        icount,
    };
    let median = |driver: &Driver, measure: &Measure| Summary::of(driver.values.get(measure.name)?);
    MEASURES
        .iter()
        .map(|measure| {
            let cell = |driver: &Driver| {
                let summary = median(driver, measure)?;
                let of_reference = median(reference, measure)
                    .filter(|reference| reference.median > 0.0)
                    .map(|reference| summary.median / reference.median);
                let target = measure.verdict(&driver.values, &references);
                Some(Cell {
                    summary,
                    of_reference,
                    target: target.filter(|_| !std::ptr::eq(driver, reference)),
                })
            };
            Row {
                name: measure.name,
                title: measure.title,
                unit: measure.unit(icount),
                kind: measure.kind,
                lower_is_better: measure.lower_is_better,
                cells: drivers
                    .iter()
                    .filter_map(|driver| Some((driver.label.clone(), cell(driver)?)))
                    .collect(),
            }
        })
        .filter(|row| !row.cells.is_empty())
        .collect()
}

impl Report {
    /// A Markdown table, which is readable as it is.
    pub fn table(&self) -> String {
        let mut head = vec!["".to_owned(), "load".to_owned()];
        head.extend(self.drivers.iter().map(|driver| driver.label.clone()));
        head.extend(["target", "reached", "met"].map(str::to_owned));
        let mut lines = vec![head];
        for row in &self.rows {
            let mut line = vec![row.title.to_owned(), row.kind.word().to_owned()];
            line.extend(self.drivers.iter().map(|driver| {
                row.cells
                    .get(&driver.label)
                    .map_or_else(|| "-".to_owned(), |cell| summary_text(&cell.summary, row.unit))
            }));
            line.extend(verdicts(row, &self.drivers));
            lines.push(line);
        }
        markdown(&lines)
    }

    /// Number of targets that are met, and number of targets.
    pub fn met(&self) -> (usize, usize) {
        let verdicts = self.rows.iter().flat_map(|row| row.cells.values());
        let met: Vec<bool> = verdicts.filter_map(|cell| cell.target.as_ref()?.met).collect();
        (met.iter().filter(|met| **met).count(), met.len())
    }
}

/// Target, value reached and verdict, for all drivers that have targets.
fn verdicts(row: &Row, drivers: &[Driver]) -> [String; 3] {
    let verdicts: Vec<&Verdict> = drivers
        .iter()
        .filter_map(|driver| row.cells.get(&driver.label)?.target.as_ref())
        .collect();
    let Some(first) = verdicts.first() else {
        return Default::default();
    };
    let join = |text: &dyn Fn(&Verdict) -> String| {
        let texts: Vec<_> = verdicts.iter().map(|verdict| text(verdict)).collect();
        texts.join(", ")
    };
    [
        first.target.clone(),
        join(&|verdict| verdict.reached.map_or_else(|| "?".to_owned(), ratio)),
        join(&|verdict| {
            match verdict.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "?",
            }
            .to_owned()
        }),
    ]
}

/// Median, and the range in brackets.
pub fn summary_text(summary: &Summary, unit: &str) -> String {
    let Summary {
        runs,
        median,
        lowest,
        highest,
    } = *summary;
    let text = format!("{} {unit}", number(median));
    if runs > 1 {
        format!("{} ({} - {})", text.trim_end(), number(lowest), number(highest))
    } else {
        text.trim_end().to_owned()
    }
}

/// A number with three significant digits, or all before the point: 12 345, 123, 12.3.
pub fn number(value: f64) -> String {
    if value.abs() < 10.0 && value != 0.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}").trim_end_matches(".0").to_owned();
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - index;
        if index > 0 && left.is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

fn ratio(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.3}")
    } else {
        number(value)
    }
}

fn markdown(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let cells = widths
            .iter()
            .zip(line)
            .map(|(width, cell)| format!(" {cell:<width$} |"));
        text.push_str(&format!("|{}\n", cells.collect::<String>()));
        if index == 0 {
            let rule = widths.iter().map(|width| format!("-{}-|", "-".repeat(*width)));
            text.push_str(&format!("|{}\n", rule.collect::<String>()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(label: &str, values: &[(&'static str, &[f64])]) -> Driver {
        Driver {
            label: label.to_owned(),
            sha256: String::new(),
            values: values
                .iter()
                .map(|(name, values)| (*name, values.to_vec()))
                .collect(),
        }
    }

    fn report() -> Report {
        let drivers = vec![
            driver("new", &[("ping", &[150.0, 100.0, 120.0]), ("tcp-in", &[99.0])]),
            driver("stock", &[("ping", &[200.0]), ("tcp-in", &[50.0])]),
        ];
        Report {
            date: String::new(),
            qemu: String::new(),
            nic: String::new(),
            icount: false,
            smp: 1,
            repeats: 3,
            rows: rows(&drivers, false, 1),
            drivers,
            boots: Vec::new(),
        }
    }

    #[test]
    fn drivers_are_compared_with_the_stock_one() {
        let report = report();
        assert_eq!(report.rows.len(), 2, "what was not measured has no row");
        let cell = &report.rows[0].cells["new"];
        assert_eq!((report.rows[0].name, cell.of_reference), ("ping", Some(0.6)));
        assert!(report.rows[0].cells["stock"].target.is_none());
        assert_eq!(report.met(), (1, 2));
    }

    #[test]
    fn table_has_a_line_for_each_row() {
        let table = report().table();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].contains("| 120 us (100 - 150) |"), "{table}");
        assert!(lines[2].contains("| at most 0.75 x stock "), "{table}");
        assert!(lines[3].trim_end().ends_with("| NO  |"), "{table}");
        assert!(lines[2].contains(" | single    | 120"), "{table}");
        assert!(lines[3].contains(" | sustained | 99"), "{table}");
    }

    #[test]
    fn numbers_are_readable() {
        let text = [0.0, 1.25, 12.34, 100.4, 1234.5, 1_234_567.0].map(number);
        assert_eq!(text, ["0", "1.25", "12.3", "100", "1 234", "1 234 567"]);
    }
}
