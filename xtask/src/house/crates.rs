//! The arrows between the crates of the workspace: those of the table in docs/design.md and no others, one way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Rule, Violation};
use crate::process::{cargo, output};

/// File with the table of arrows.
pub const TABLE_FILE: &str = "docs/design.md";

/// First row of that table.
const TABLE_HEAD: &str = "| crate | uses | its tests use, too |";

/// The crates that a Redox system is built from, named as their folders: they know neither home nor lab.
pub const PRODUCTS: [&str; 5] = [
    "e1000-hw",
    "frame-ring",
    "pcid-config",
    "e1000d",
    "netstack-client",
];

/// The crates of the workspace, as cargo knows them.
pub struct Crates(Vec<Crate>);

struct Crate {
    name: String,
    /// Path of its folder in the repository.
    folder: String,
    uses: BTreeSet<String>,
    tests_use: BTreeSet<String>,
    targets: Vec<Target>,
}

/// A library or a program.
#[derive(Clone, Debug)]
pub struct Target {
    /// Path of its root file in the repository.
    pub root: String,
    /// True for a program.
    pub is_binary: bool,
}

impl Target {
    /// Path of the folder of its root file.
    pub fn folder(&self) -> &str {
        self.root.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

impl Crates {
    /// Asks cargo, in `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut metadata = cargo();
        metadata
            .current_dir(root)
            .args(["metadata", "--locked", "--no-deps", "--format-version", "1"]);
        Self::parse(&output(&mut metadata)?)
    }

    /// Reads cargo's answer.
    fn parse(json: &str) -> Result<Self> {
        let metadata: Metadata = serde_json::from_str(json).context("cargo metadata cannot be understood")?;
        let local = |path: &Path| -> Result<String> {
            let path = path
                .strip_prefix(&metadata.workspace_root)
                .with_context(|| format!("{} is outside of the workspace", path.display()))?;
            Ok(path.to_string_lossy().into_owned())
        };
        let mut crates = Vec::new();
        for package in &metadata.packages {
            let folder = package
                .manifest_path
                .parent()
                .context("a manifest has a folder")?;
            let arrows = |dev: bool| {
                let kinds = move |kind: Option<&str>| (kind == Some("dev")) == dev;
                let local = package
                    .dependencies
                    .iter()
                    .filter(|dependency| dependency.path.is_some());
                local
                    .filter(|dependency| kinds(dependency.kind.as_deref()) && dependency.name != package.name)
                    .map(|dependency| dependency.name.clone())
                    .collect::<BTreeSet<_>>()
            };
            let uses = arrows(false);
            let mut targets = Vec::new();
            for target in &package.targets {
                let is_binary = target.kind.iter().any(|kind| kind == "bin");
                if is_binary || target.kind.iter().any(|kind| kind == "lib") {
                    targets.push(Target {
                        root: local(&target.src_path)?,
                        is_binary,
                    });
                }
            }
            crates.push(Crate {
                name: package.name.clone(),
                folder: local(folder)?,
                tests_use: arrows(true).difference(&uses).cloned().collect(),
                uses,
                targets,
            });
        }
        Ok(Self(crates))
    }

    /// All libraries and programs.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.0.iter().flat_map(|krate| &krate.targets)
    }

    /// Folders of all crates.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|krate| krate.folder.as_str())
    }

    /// Checks the arrows against the table in that text.
    pub fn check(&self, text: &str) -> Vec<Violation> {
        let Some(table) = Table::find(text) else {
            let message = format!("has no table of arrows: {TABLE_HEAD}");
            return vec![Violation::new(Rule::Arrow, TABLE_FILE, 1, message)];
        };
        let mut found = table.circles();
        for krate in &self.0 {
            let manifest = format!("{}/Cargo.toml", krate.folder);
            let mut tell = |path: &str, line, message: String| {
                found.push(Violation::new(Rule::Arrow, path, line, message));
            };
            for scaffold in krate
                .uses
                .iter()
                .filter(|used| !PRODUCTS.contains(&used.as_str()))
            {
                if PRODUCTS.contains(&krate.name.as_str()) {
                    let message = format!("{} is a product and uses {scaffold}, which is none", krate.name);
                    tell(&manifest, 1, message);
                }
            }
            let Some(row) = table.rows.get(&krate.name) else {
                tell(
                    &manifest,
                    1,
                    format!("{} has no row in the table of {TABLE_FILE}", krate.name),
                );
                continue;
            };
            for (real, drawn, verb) in [
                (&krate.uses, &row.uses, "uses"),
                (&krate.tests_use, &row.tests_use, "for its tests uses"),
            ] {
                for used in real.difference(drawn) {
                    let message = format!("{} {verb} {used}: no arrow of {TABLE_FILE}", krate.name);
                    tell(&manifest, 1, message);
                }
                for used in drawn.difference(real) {
                    let message = format!("no arrow: {} no longer {verb} {used}", krate.name);
                    tell(TABLE_FILE, row.line, message);
                }
            }
        }
        for (name, row) in &table.rows {
            if !self.0.iter().any(|krate| krate.name == *name) {
                let message = format!("the workspace has no crate {name}");
                found.push(Violation::new(Rule::Arrow, TABLE_FILE, row.line, message));
            }
        }
        found
    }
}

/// The table of arrows, by crate.
struct Table {
    rows: BTreeMap<String, Row>,
}

struct Row {
    line: usize,
    uses: BTreeSet<String>,
    tests_use: BTreeSet<String>,
}

impl Table {
    /// Finds the table in a Markdown text.
    fn find(text: &str) -> Option<Self> {
        let mut lines = (1..)
            .zip(text.lines())
            .skip_while(|(_, line)| *line != TABLE_HEAD);
        lines.next()?;
        let mut rows = BTreeMap::new();
        for (line, text) in lines.skip(1).take_while(|(_, text)| text.starts_with('|')) {
            let cells: Vec<&str> = text.trim_matches('|').split('|').collect();
            let names = |at: usize| -> BTreeSet<String> {
                let cell = cells.get(at).copied().unwrap_or_default();
                cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
            };
            for name in names(0) {
                let row = Row {
                    line,
                    uses: names(1),
                    tests_use: names(2),
                };
                rows.insert(name, row);
            }
        }
        Some(Self { rows })
    }

    /// Rows that use a crate of a later row: an order of rows without one has no circle.
    fn circles(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (name, row) in &self.rows {
            for used in &row.uses {
                if self.rows.get(used).is_some_and(|used| used.line >= row.line) {
                    let message = format!("{name} uses {used}, which stands below it: arrows point up only");
                    found.push(Violation::new(Rule::Arrow, TABLE_FILE, row.line, message));
                }
            }
        }
        found
    }
}

/// The part of cargo's answer that is of interest.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct CargoTarget {
    kind: Vec<String>,
    src_path: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The workspace of those crates: name, the crates it uses, those its tests use.
    fn crates(packages: &[(&str, &[&str], &[&str])]) -> Crates {
        let packages: Vec<_> = packages
            .iter()
            .map(|(name, uses, tests_use)| {
                let normal = uses.iter().map(|name| (name, None));
                let dev = tests_use.iter().map(|name| (name, Some("dev")));
                let dependencies: Vec<_> = normal
                    .chain(dev)
                    .map(|(name, kind)| serde_json::json!({"name": name, "kind": kind, "path": "/w/x"}))
                    .collect();
                serde_json::json!({
                    "name": name,
                    "manifest_path": format!("/w/{name}/Cargo.toml"),
                    "dependencies": dependencies,
                    "targets": [{"kind": ["lib"], "src_path": format!("/w/{name}/src/lib.rs")}],
                })
            })
            .collect();
        let metadata = serde_json::json!({"workspace_root": "/w", "packages": packages});
        Crates::parse(&metadata.to_string()).unwrap()
    }

    fn messages(crates: &Crates, rows: &str) -> Vec<String> {
        let text = format!("# Design\n\n{TABLE_HEAD}\n|---|---|---|\n{rows}\nEnd\n");
        let found = crates.check(&text).into_iter();
        found.map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn arrows_of_the_table_are_the_arrows_of_the_workspace() {
        let crates = crates(&[
            ("e1000-hw", &[], &[]),
            ("e1000d", &["e1000-hw"], &["redox-shim"]),
            ("redox-shim", &[], &[]),
        ]);
        let table = "| `e1000-hw` | | |\n| `redox-shim` | | |\n| `e1000d` | `e1000-hw` | `redox-shim` |";
        assert_eq!(messages(&crates, table), Vec::<String>::new());
    }

    #[test]
    fn arrow_that_is_not_drawn_and_one_that_is_gone_are_told() {
        let crates = crates(&[("a", &[], &[]), ("b", &[], &[]), ("c", &["a"], &[])]);
        assert_eq!(
            messages(&crates, "| `a` | | |\n| `b` | | |\n| `c` | `b` | |"),
            [
                "c/Cargo.toml:1: arrow: c uses a: no arrow of docs/design.md",
                "docs/design.md:7: arrow: no arrow: c no longer uses b",
            ]
        );
    }

    #[test]
    fn crate_and_row_belong_together() {
        let crates = crates(&[("a", &[], &[])]);
        assert_eq!(
            messages(&crates, "| `b` | | |"),
            [
                "a/Cargo.toml:1: arrow: a has no row in the table of docs/design.md",
                "docs/design.md:5: arrow: the workspace has no crate b",
            ]
        );
        assert!(crates.check("# Design")[0].message.starts_with("has no table"));
    }

    #[test]
    fn arrow_down_the_table_is_a_circle() {
        let crates = crates(&[("a", &["b"], &[]), ("b", &["a"], &[])]);
        let found = messages(&crates, "| `a` | `b` | |\n| `b` | `a` | |");
        assert_eq!(
            found,
            ["docs/design.md:5: arrow: a uses b, which stands below it: arrows point up only"]
        );
    }

    #[test]
    fn product_uses_products_only() {
        let crates = crates(&[("redox-shim", &[], &[]), ("e1000d", &["redox-shim"], &[])]);
        assert_eq!(
            messages(&crates, "| `redox-shim` | | |\n| `e1000d` | `redox-shim` | |"),
            ["e1000d/Cargo.toml:1: arrow: e1000d is a product and uses redox-shim, which is none"]
        );
    }
}
