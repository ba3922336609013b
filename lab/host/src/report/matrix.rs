//! The table: rows in groups, a column for each driver and NIC.

use std::fmt;

use serde::Serialize;

use crate::bench::measures::{CLOCK_TOLERANCE, COUNT_TOLERANCE};

/// The column that others are compared with.
const STOCK: usize = 0;
/// Columns of a line that is no row of a table.
const WIDTH: usize = 120;
/// Longer texts are cut.
const LONGEST: usize = 160;

/// Grade of a result, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    Ok,
    /// Something else that clients can live with.
    Differs,
    /// Not a result.
    Untried,
    Fail,
}

impl Mark {
    pub fn is_bad(self) -> bool {
        self == Self::Fail
    }
}

/// The number of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub value: f64,
    pub lower_is_better: bool,
    /// Differences up to this part of the other value mean nothing.
    pub tolerance: f64,
}

impl Figure {
    fn is_worse_than(&self, other: &Self) -> bool {
        let Self {
            value,
            lower_is_better,
            tolerance,
        } = *self;
        if lower_is_better {
            value > other.value * (1.0 + tolerance)
        } else {
            value < other.value * (1.0 - tolerance)
        }
    }
}

/// The observation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    pub mark: Mark,
    pub text: String,
    /// Number by which it is compared with a cell that is marked alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figure: Option<Figure>,
}

impl Cell {
    pub fn new(mark: Mark, text: &str) -> Self {
        let mut text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        Self {
            mark,
            text,
            figure: None,
        }
    }

    /// With a number that is compared.
    pub fn with(self, figure: Option<Figure>) -> Self {
        Self { figure, ..self }
    }

    /// The cell for several boots: the worst one if they are marked differently, else that with the median of their
    /// figures, and all of them. `None` if there is none.
    pub fn of_boots(mut cells: Vec<Self>) -> Option<Self> {
        cells.sort_by_key(|cell| cell.mark);
        let worst = cells.last()?.mark;
        let figures = cells
            .iter()
            .map(|cell| cell.figure.filter(|_| cell.mark == worst));
        let Some(mut figures) = figures.collect::<Option<Vec<_>>>().filter(|all| all.len() > 1) else {
            return cells.pop();
        };
        figures.sort_by(|one, other| one.value.total_cmp(&other.value));
        let median = figures.get(figures.len() / 2).copied();
        let all: Vec<_> = figures.iter().map(|figure| figure.value.to_string()).collect();
        let mut cell = cells.into_iter().find(|cell| cell.figure == median)?;
        cell.text
            .push_str(&format!(" ({} boots: {})", all.len(), all.join(", ")));
        Some(cell)
    }

    fn is_worse_than(&self, other: &Self) -> bool {
        if self.mark == Mark::Untried || other.mark == Mark::Untried {
            return false;
        }
        self.mark > other.mark || self.has_worse_figure_than(other)
    }

    /// Returns true if both are marked alike, and the figure of this one is worse.
    pub fn has_worse_figure_than(&self, other: &Self) -> bool {
        match (&self.figure, &other.figure) {
            (Some(own), Some(other_figure)) => self.mark == other.mark && own.is_worse_than(other_figure),
            _ => false,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.mark {
            Mark::Ok => "ok",
            Mark::Differs => "differs",
            Mark::Untried => "not tried",
            Mark::Fail => "FAIL",
        };
        match self.text.as_str() {
            "" => formatter.write_str(mark),
            text => write!(formatter, "{mark}: {text}"),
        }
    }
}

/// Subject of the report.
#[derive(Serialize)]
pub struct Header {
    /// The day, in UTC.
    pub date: String,
    /// The command that made it.
    pub command: String,
    /// Architecture, partitions and kernel of the image.
    pub image: String,
    /// QEMU's version and accelerator.
    pub qemu: String,
    /// The sources of our driver.
    pub sources: String,
    /// Time that it took.
    pub minutes: u64,
}

#[derive(Serialize)]
struct Row {
    title: String,
    /// One for each column; `None` where there is nothing to try.
    cells: Vec<Option<Cell>>,
}

#[derive(Serialize)]
struct Group {
    title: String,
    rows: Vec<Row>,
}

/// All results.
#[derive(Serialize)]
pub struct Matrix {
    columns: Vec<&'static str>,
    groups: Vec<Group>,
    /// Boots that had to be repeated, since the system never got as far as a driver: names of jobs, and how many.
    repeated: Vec<(String, usize)>,
}

impl Matrix {
    /// An empty table.
    pub(super) fn new(columns: Vec<&'static str>) -> Self {
        Self {
            columns,
            groups: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// Takes note of boots that ended before the system had started a driver.
    pub fn note_repeated(&mut self, job: String, boots: usize) {
        if boots > 0 {
            self.repeated.push((job, boots));
        }
    }

    /// Puts a cell in; groups and rows are made as they come. Of two for the same place the worse one counts.
    pub fn insert(&mut self, column: usize, group: &str, row: &str, cell: Cell) {
        let group = find_or_add(
            &mut self.groups,
            |known| known.title == group,
            || Group {
                title: group.to_owned(),
                rows: Vec::new(),
            },
        );
        let row = find_or_add(
            &mut group.rows,
            |known| known.title == row,
            || Row {
                title: row.to_owned(),
                cells: vec![None; self.columns.len()],
            },
        );
        let place = &mut row.cells[column];
        if place.as_ref().is_none_or(|present| cell.mark >= present.mark) {
            *place = Some(cell);
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.groups.iter().flat_map(|group| &group.rows)
    }

    /// Results that are worse than with the stock driver, in words.
    pub fn worse(&self) -> Vec<String> {
        let mut worse = Vec::new();
        for row in self.rows() {
            for (column, cell) in self.columns.iter().zip(&row.cells) {
                if let (Some(cell), Some(stock)) = (cell, &row.cells[STOCK])
                    && cell.is_worse_than(stock)
                {
                    worse.push(format!("{column}, {}: {cell}; stock: {stock}", row.title));
                }
            }
        }
        worse
    }

    fn count(&self, column: usize, mark: Mark) -> usize {
        self.rows()
            .filter(|row| row.cells[column].as_ref().is_some_and(|cell| cell.mark == mark))
            .count()
    }

    /// For programs.
    pub fn json(&self, header: &Header) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            header: &'a Header,
            #[serde(flatten)]
            matrix: &'a Matrix,
            worse: Vec<String>,
        }
        let whole = Whole {
            header,
            matrix: self,
            worse: self.worse(),
        };
        serde_json::to_string(&whole)
    }

    /// For people: docs/compatibility.md.
    pub fn markdown(&self, header: &Header) -> String {
        let mut text = format!(
            "# Compatibility\n\n\
             What was seen on real Redox systems in QEMU, with the stock `e1000d` and with this driver in its \
             place. This file is the output of a command, which boots the systems; do not edit it. Other QEMUs, and \
             Bochs, are in [emulators.md](emulators.md).\n\n    {}\n\n\
             | | |\n|---|---|\n\
             | date | {} |\n| sources of this driver | {} |\n| image | {} |\n| QEMU | {} |\n\
             | time it took | {} min |\n\n\
             * **ok**: as it should be. **differs**: something else that clients can live with. **FAIL**: what is \
             wrong. An empty cell: nothing to try.\n\
             * Where cells have a figure of which it is clear whether more or less is better, that is compared as \
             well: figures are worse if they are so by more than {:.0} % (instructions: {:.0} %). One that is worse at \
             first is measured again, with two more boots of both drivers; the medians of all boots count.\n\
             * The stock driver knows two of QEMU's models; the others do not work with it at all.\n\
             * A driver that does not survive a check is started again (the stock driver's stale scheme name is \
             removed for that), or the system is booted again, before the next one.\n\n",
            header.command,
            header.date,
            header.sources,
            header.image,
            header.qemu,
            header.minutes,
            CLOCK_TOLERANCE * 100.0,
            COUNT_TOLERANCE * 100.0,
        );
        let worse = self.worse();
        if worse.is_empty() {
            text.push_str("No result is worse than the stock driver's.\n\n");
        } else {
            text.push_str("**Worse than the stock driver:**\n\n");
            text.extend(worse.iter().map(|line| format!("* {}\n", escape(line))));
            text.push('\n');
        }
        let cells = |mark| {
            let counts = (0..self.columns.len()).map(|column| self.count(column, mark).to_string());
            counts.collect::<Vec<_>>().join(" | ")
        };
        text.push_str(&self.head("results"));
        for (word, mark) in [
            ("ok", Mark::Ok),
            ("differs", Mark::Differs),
            ("FAIL", Mark::Fail),
            ("not tried", Mark::Untried),
        ] {
            text.push_str(&format!("| {word} | {} |\n", cells(mark)));
        }
        for group in &self.groups {
            text.push_str(&format!("\n## {}\n\n{}", group.title, self.head("")));
            for row in &group.rows {
                text.push_str(&self.line(row));
            }
        }
        if !self.repeated.is_empty() {
            text.push_str(
                "\n## Boots that were repeated\n\n\
                 The system came to a standstill before it started a driver, and was booted again.\n\n",
            );
            let line = |(job, boots): &(String, usize)| format!("* {}: {boots}\n", escape(job));
            text.extend(self.repeated.iter().map(line));
        }
        wrapped(&text)
    }

    fn head(&self, first: &str) -> String {
        format!(
            "| {first} | {} |\n|---|{}\n",
            self.columns.join(" | "),
            "---|".repeat(self.columns.len())
        )
    }

    fn line(&self, row: &Row) -> String {
        let stock = &row.cells[STOCK];
        let cell = |cell: &Option<Cell>| match (cell, stock) {
            (Some(cell), Some(stock)) if cell.is_worse_than(stock) => {
                format!("**worse** {}", escape(&cell.to_string()))
            }
            (Some(cell), _) => escape(&cell.to_string()),
            (None, _) => String::new(),
        };
        let cells: Vec<_> = row.cells.iter().map(cell).collect();
        format!("| {} | {} |\n", escape(&row.title), cells.join(" | "))
    }
}

fn find_or_add<T>(items: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let position = items.iter().position(is_it).unwrap_or_else(|| {
        items.push(new());
        items.len() - 1
    });
    &mut items[position]
}

/// Breaks paragraphs and items of lists into lines of at most [`WIDTH`] columns. Tables and commands stay as they are.
fn wrapped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for line in text.lines() {
        let indent = if line.starts_with("* ") { "  " } else { "" };
        let mut column = 0;
        for (n, word) in line.split(' ').enumerate() {
            let len = word.chars().count();
            if n > 0 && column + 1 + len > WIDTH && !line.starts_with(['|', ' ']) {
                result.push('\n');
                result.push_str(indent);
                column = indent.len();
            } else if n > 0 {
                result.push(' ');
                column += 1;
            }
            result.push_str(word);
            column += len;
        }
        result.push('\n');
    }
    result
}

/// Escapes text that would end a cell or be taken for markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '|' | '*' | '_' | '<' | '`' | '[') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Matrix {
        let mut matrix = Matrix::new(vec!["stock", "ours"]);
        matrix.insert(1, "Group", "a", Cell::new(Mark::Ok, ""));
        matrix.insert(1, "Group", "b | c", Cell::new(Mark::Fail, "x_y\n  z"));
        matrix.insert(0, "Group", "a", Cell::new(Mark::Fail, "hangs"));
        matrix.insert(0, "Group", "b | c", Cell::new(Mark::Differs, "other"));
        matrix
    }

    fn header() -> Header {
        Header {
            date: "2026-11-20".to_owned(),
            command: "cargo xtask redox --image x --report".to_owned(),
            image: "x86_64".to_owned(),
            qemu: "QEMU".to_owned(),
            sources: "0123456".to_owned(),
            minutes: 3,
        }
    }

    #[test]
    fn table_has_a_line_for_each_row() {
        let markdown = matrix().markdown(&header());
        for line in [
            "| | stock | ours |".replace("| |", "|  |").as_str(),
            "| a | FAIL: hangs | ok |",
            "| b \\| c | differs: other | **worse** FAIL: x\\_y z |",
            "| FAIL | 1 | 1 |",
            "* ours, b \\| c: FAIL: x\\_y z; stock: differs: other",
            "    cargo xtask redox --image x --report",
        ] {
            assert!(markdown.lines().any(|found| found == line), "{line}\n{markdown}");
        }
    }

    #[test]
    fn paragraphs_are_broken_and_tables_are_not() {
        let word = "a".repeat(50);
        let line = format!("{word} {word} {word}");
        assert_eq!(wrapped(&line), format!("{word} {word}\n{word}\n"));
        assert_eq!(
            wrapped(&format!("* {line}")),
            format!("* {word} {word}\n  {word}\n")
        );
        for line in [format!("| {line} |"), format!("    {line}")] {
            assert_eq!(wrapped(&line), format!("{line}\n"));
        }
    }

    #[test]
    fn cell_of_several_boots_has_the_median_or_the_worst() {
        let cell = |(mark, value): &(Mark, f64)| {
            let figure = Figure {
                value: *value,
                lower_is_better: false,
                tolerance: 0.1,
            };
            Cell::new(*mark, &format!("{value} pings")).with(Some(figure))
        };
        let text = |cells: &[(Mark, f64)]| {
            let cell = Cell::of_boots(cells.iter().map(cell).collect());
            cell.map(|cell| cell.to_string())
        };
        assert_eq!(text(&[]), None);
        assert_eq!(text(&[(Mark::Ok, 7.0)]).as_deref(), Some("ok: 7 pings"));
        assert_eq!(
            text(&[(Mark::Ok, 483.0), (Mark::Ok, 151.0), (Mark::Ok, 341.0)]).as_deref(),
            Some("ok: 341 pings (3 boots: 151, 341, 483)")
        );
        assert_eq!(
            text(&[(Mark::Fail, 483.0), (Mark::Ok, 151.0)]).as_deref(),
            Some("FAIL: 483 pings")
        );
    }

    #[test]
    fn figures_are_compared_in_the_direction_that_is_better() {
        let figure = |value: f64, lower_is_better| {
            Some(Figure {
                value,
                lower_is_better,
                tolerance: 0.1,
            })
        };
        for (stock, ours, lower_is_better, worse) in [
            (100.0, 90.0, false, false),
            (100.0, 89.0, false, true),
            (100.0, 200.0, false, false),
            (100.0, 110.0, true, false),
            (100.0, 111.0, true, true),
            (100.0, 1.0, true, false),
            (0.0, 0.0, true, false),
            (0.0, 1.0, true, true),
            (0.0, 0.0, false, false),
        ] {
            let cell = |value| Cell::new(Mark::Ok, "x").with(figure(value, lower_is_better));
            assert_eq!(
                cell(ours).is_worse_than(&cell(stock)),
                worse,
                "{stock} {ours} {lower_is_better}"
            );
        }
        let mut matrix = Matrix::new(vec!["stock", "ours"]);
        matrix.insert(
            0,
            "Group",
            "a",
            Cell::new(Mark::Ok, "100").with(figure(100.0, false)),
        );
        matrix.insert(
            1,
            "Group",
            "a",
            Cell::new(Mark::Ok, "50").with(figure(50.0, false)),
        );
        assert_eq!(matrix.worse(), ["ours, a: ok: 50; stock: ok: 100"]);
        let markdown = matrix.markdown(&header());
        assert!(
            markdown.contains("| a | ok: 100 | **worse** ok: 50 |"),
            "{markdown}"
        );
        assert!(
            markdown.contains("by more than 10 % (instructions: 4 %)"),
            "{markdown}"
        );
    }

    #[test]
    fn figures_do_not_make_up_for_marks() {
        let cell = |mark, value| {
            Cell::new(mark, "x").with(Some(Figure {
                value,
                lower_is_better: false,
                tolerance: 0.1,
            }))
        };
        assert!(cell(Mark::Fail, 9.0).is_worse_than(&cell(Mark::Ok, 1.0)));
        assert!(!cell(Mark::Ok, 1.0).is_worse_than(&cell(Mark::Fail, 9.0)));
        assert!(!cell(Mark::Untried, 1.0).is_worse_than(&cell(Mark::Ok, 9.0)));
        assert!(
            !Cell::new(Mark::Ok, "").is_worse_than(&cell(Mark::Ok, 9.0)),
            "nothing to compare"
        );
    }

    #[test]
    fn repeated_boots_are_shown() {
        let mut matrix = matrix();
        matrix.note_repeated("ours/quiet".to_owned(), 0);
        assert!(!matrix.markdown(&header()).contains("repeated"));
        matrix.note_repeated("ours/boot".to_owned(), 2);
        assert!(matrix.markdown(&header()).ends_with("\n\n* ours/boot: 2\n"));
    }

    #[test]
    fn only_what_was_tried_in_both_is_compared() {
        let mut matrix = matrix();
        assert_eq!(matrix.worse().len(), 1);
        matrix.insert(1, "Group", "d", Cell::new(Mark::Fail, "alone"));
        matrix.insert(1, "Group", "e", Cell::new(Mark::Untried, ""));
        matrix.insert(0, "Group", "e", Cell::new(Mark::Ok, ""));
        assert_eq!(matrix.worse().len(), 1);
    }

    #[test]
    fn worse_of_two_results_counts() {
        let mut matrix = matrix();
        matrix.insert(1, "Group", "a", Cell::new(Mark::Fail, "later"));
        matrix.insert(1, "Group", "a", Cell::new(Mark::Ok, "again"));
        assert_eq!(matrix.groups[0].rows[0].cells[1].as_ref().unwrap().text, "later");
    }

    #[test]
    fn texts_are_one_short_line() {
        let cell = Cell::new(Mark::Ok, &"ä\n".repeat(200));
        assert!(!cell.text.contains('\n') && cell.text.chars().count() == LONGEST + 1);
    }

    #[test]
    fn json_has_header_and_table() {
        let json: serde_json::Value = serde_json::from_str(&matrix().json(&header()).unwrap()).unwrap();
        assert_eq!(json["date"], "2026-11-20");
        assert_eq!(json["groups"][0]["rows"][0]["cells"][0]["mark"], "fail");
        assert_eq!(json["worse"].as_array().unwrap().len(), 1);
    }
}
