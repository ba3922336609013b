//! The table of emulators: what was seen on each with each NIC, kept in a file from run to run.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::hosted::nics;

/// The column of the demo.
pub const DEMO: &str = "demo";
/// The column of the hosted tests.
pub const TESTS: &str = "hosted tests";
/// Known facts about the emulators, which the document repeats.
const NOTES: &str = include_str!("notes.md");

/// One cell of the table.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Cell {
    /// The emulator with its version.
    pub emulator: String,
    /// QEMU's name of the NIC.
    pub nic: String,
    /// [`DEMO`], [`TESTS`], or the name of an image.
    pub column: String,
    /// True if all is well.
    pub good: bool,
    /// The result in words.
    pub text: String,
    /// The sources of the driver.
    pub sources: String,
}

/// All that was seen.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Table {
    cells: Vec<Cell>,
    /// Commands that have filled it.
    commands: Vec<String>,
    /// Emulators that could not be had, and why.
    missing: Vec<(String, String)>,
}

impl Table {
    /// The table in a file. One that does not exist is empty.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no table", path.display()))
    }

    /// Changes the table in the file. Several commands may do so at the same time.
    pub fn change(path: &Path, change: impl FnOnce(&mut Self)) -> Result<Self> {
        let lock = path.with_extension("lock");
        let guard = File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
        guard.lock().context("cannot lock the table")?;
        let mut table = Self::read(path)?;
        change(&mut table);
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(&table)?)
            .and_then(|()| fs::rename(&new, path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(table)
    }

    /// Puts a cell in its place.
    pub fn set(&mut self, cell: Cell) {
        self.cells.retain(|old| {
            (&old.emulator, &old.nic, &old.column) != (&cell.emulator, &cell.nic, &cell.column)
        });
        self.cells.push(cell);
    }

    /// The cell in a place.
    pub fn get(&self, emulator: &str, nic: &str, column: &str) -> Option<&Cell> {
        let here = |cell: &&Cell| cell.emulator == emulator && cell.nic == nic && cell.column == column;
        self.cells.iter().find(here)
    }

    /// Remembers a command that fills it.
    pub fn add_command(&mut self, command: String) {
        if !self.commands.contains(&command) {
            self.commands.push(command);
        }
    }

    /// Remembers that an emulator could not be had.
    pub fn add_missing(&mut self, name: &str, reason: String) {
        self.missing.retain(|(old, _)| old != name);
        self.missing.push((name.to_owned(), reason));
    }

    /// Places in which something is wrong.
    pub fn failures(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| !cell.good)
    }

    /// The emulators, each kind by its version.
    fn emulators(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.cells.iter().map(|cell| cell.emulator.as_str()).collect();
        names.sort_by_key(|name| (!is_qemu(name), version(name), *name));
        names.dedup();
        names
    }

    /// The columns: first those that are always there.
    fn columns(&self) -> Vec<&str> {
        let mut columns = vec![DEMO, TESTS];
        for cell in &self.cells {
            if !columns.contains(&cell.column.as_str()) {
                columns.push(&cell.column);
            }
        }
        columns[2..].sort_unstable();
        columns
    }

    /// The rows, as Markdown.
    pub fn rows(&self) -> String {
        let columns = self.columns();
        let title = |column: &&str| match *column {
            DEMO | TESTS => (*column).to_owned(),
            image => format!("Redox, {image}"),
        };
        let titles: Vec<_> = columns.iter().map(title).collect();
        let mut rows = format!("| emulator | NIC | {} |\n", titles.join(" | "));
        rows += &format!("|{}\n", "---|".repeat(columns.len() + 2));
        for emulator in self.emulators() {
            for nic in nics() {
                let text = |column: &&str| self.get(emulator, nic, column).map(|cell| cell.text.as_str());
                let texts: Vec<_> = columns.iter().map(text).collect();
                if texts.iter().any(Option::is_some) {
                    let texts: Vec<_> = texts.into_iter().map(Option::unwrap_or_default).collect();
                    rows += &format!("| {emulator} | `{nic}` | {} |\n", texts.join(" | "));
                }
            }
        }
        rows
    }

    /// Major versions of QEMU between the oldest and the newest in the table that are not in it.
    fn untried(&self) -> Vec<u32> {
        let emulators = self.emulators();
        let tried = || {
            emulators
                .iter()
                .filter(|name| is_qemu(name))
                .filter_map(|name| version(name).first().copied())
        };
        let (oldest, newest) = (tried().min().unwrap_or(0), tried().max().unwrap_or(0));
        (oldest..=newest)
            .filter(|major| !tried().any(|tried| tried == *major))
            .collect()
    }

    /// The document.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "# Emulators\n\nWhat was seen of this driver on each emulator with each NIC. This file is the output of a \
             command,\nwhich fetches the emulators; do not edit it.\n\n",
        );
        text += "```console\n";
        for command in &self.commands {
            text += &format!("$ {command}\n");
        }
        text += "```\n";
        let mut sources: Vec<_> = self.cells.iter().map(|cell| cell.sources.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        text += &format!(
            "\nCommits at which it ran: {}. A driver given by `--driver` may be of another one.\n\n{}\n",
            sources.join("; "),
            self.rows()
        );
        let untried: Vec<_> = self.untried().iter().map(|major| format!("{major}.x")).collect();
        if !untried.is_empty() {
            text += &format!(
                "Not tried: QEMU {}, which no suite of Debian has that was asked.\n",
                untried.join(", ")
            );
        }
        text +=
            "Nor were other versions and emulators than those of the table. An empty cell was not tried.\n\n";
        for (name, reason) in &self.missing {
            text += &format!("* {name} could not be had: {reason}\n");
        }
        if !self.missing.is_empty() {
            text.push('\n');
        }
        text + NOTES
    }
}

fn is_qemu(name: &str) -> bool {
    name.starts_with("QEMU ")
}

/// The numbers of the version in a name: `QEMU 10.0.13 (trixie)`.
fn version(name: &str) -> Vec<u32> {
    let word = name.split_whitespace().nth(1).unwrap_or_default();
    word.split('.').map_while(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(emulator: &str, nic: &str, column: &str, text: &str) -> Cell {
        Cell {
            emulator: emulator.to_owned(),
            nic: nic.to_owned(),
            column: column.to_owned(),
            good: !text.starts_with("FAIL"),
            text: text.to_owned(),
            sources: "abc".to_owned(),
        }
    }

    #[test]
    fn table_is_kept_and_a_newer_result_replaces_an_older_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("table.json");
        Table::change(&path, |table| {
            table.set(cell("QEMU 7.2.22", "e1000", DEMO, "FAIL: x"))
        })
        .unwrap();
        let table = Table::change(&path, |table| {
            table.set(cell("QEMU 7.2.22", "e1000e", DEMO, "ok"));
            table.set(cell("QEMU 7.2.22", "e1000", DEMO, "ok"));
            table.add_command("a".to_owned());
            table.add_command("a".to_owned());
        })
        .unwrap();
        assert_eq!(table, Table::read(&path).unwrap());
        assert_eq!((table.cells.len(), table.commands.len()), (2, 1));
        assert_eq!(table.failures().count(), 0);
        assert_eq!(table.get("QEMU 7.2.22", "e1000", DEMO).unwrap().text, "ok");
    }

    #[test]
    fn rows_are_by_version_and_columns_begin_with_demo_and_tests() {
        let mut table = Table::default();
        table.set(cell("Bochs 3.0 (trixie)", "e1000", "June", "ok: lease"));
        table.set(cell("QEMU 10.0.13 (trixie)", "e1000e", TESTS, "ok, 9 passed"));
        table.set(cell("QEMU 7.2.22", "e1000e", "August", "FAIL: no lease"));
        table.set(cell("QEMU 7.2.22", "e1000", DEMO, "ok"));
        assert_eq!(
            table.rows(),
            "| emulator | NIC | demo | hosted tests | Redox, August | Redox, June |\n\
             |---|---|---|---|---|---|\n\
             | QEMU 7.2.22 | `e1000` | ok |  |  |  |\n\
             | QEMU 7.2.22 | `e1000e` |  |  | FAIL: no lease |  |\n\
             | QEMU 10.0.13 (trixie) | `e1000e` |  | ok, 9 passed |  |  |\n\
             | Bochs 3.0 (trixie) | `e1000` |  |  |  | ok: lease |\n"
        );
        assert_eq!(table.failures().count(), 1);
        let text = table.markdown();
        assert!(text.contains("Not tried: QEMU 8.x, 9.x, which"), "{text}");
    }

    #[test]
    fn file_that_is_no_table_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("table.json");
        fs::write(&path, "no table").unwrap();
        assert!(Table::read(&path).is_err());
    }
}
