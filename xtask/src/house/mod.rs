//! House rules: what docs/design.md promises about the tree and a compiler does not check.
//!
//! `cargo xtask test` checks every file that git knows, `cargo xtask house` does nothing else. No file is exempt; the
//! files that may say `unsafe` are listed in `xtask/house.toml`.

mod crates;
mod errors;
mod modules;
mod rust;
mod settings;
mod sizes;
mod source;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use crate::process::root;
use settings::Settings;
use sizes::Sizes;
use source::Tree;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    LongLine,
    ClosedSource,
    DeadLink,
    DeadName,
    DocOpening,
    PrivateWord,
    LongFile,
    UnsafePlace,
    ForbidUnsafe,
    ErrorTrait,
    BoxedError,
    Arrow,
    ModuleCircle,
    TestsBeside,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::LongLine => "long-line",
            Self::ClosedSource => "closed-source",
            Self::DeadLink => "dead-link",
            Self::DeadName => "dead-name",
            Self::DocOpening => "doc-opening",
            Self::PrivateWord => "private-word",
            Self::LongFile => "long-file",
            Self::UnsafePlace => "unsafe-place",
            Self::ForbidUnsafe => "forbid-unsafe",
            Self::ErrorTrait => "error-trait",
            Self::BoxedError => "boxed-error",
            Self::Arrow => "arrow",
            Self::ModuleCircle => "module-circle",
            Self::TestsBeside => "tests-beside",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    rule: Rule,
    message: String,
}

impl Violation {
    fn new(rule: Rule, path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            rule,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.message)
    }
}

/// Options of `cargo xtask house`.
#[derive(Args)]
pub struct Arguments {
    /// Print the lines of each crate instead, here or in another work tree.
    #[arg(long, value_name = "TREE")]
    sizes: Option<Option<PathBuf>>,
}

/// Checks the rules, or prints sizes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Some(other) = &arguments.sizes else {
        return check();
    };
    let root = other.clone().unwrap_or_else(root);
    let (tree, crates) = (Tree::read(&root)?, crates::Crates::read(&root)?);
    println!("{}", Sizes::of(&tree, crates.folders()));
    Ok(())
}

/// Checks the work tree against all rules, and prints each place that breaks one. The error has their number.
pub fn check() -> Result<()> {
    check_tree(&root())
}

fn check_tree(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let settings = Settings::read(root)?;
    let crates = crates::Crates::read(root)?;

    let mut found = Vec::new();
    for file in tree.texts() {
        found.extend(text::check(&tree, file));
    }
    for file in tree.rust_files() {
        found.extend(rust::check(file, &settings));
    }
    found.extend(rust::forbid_unsafe(&tree, &crates));
    found.extend(rust::tests_beside(&tree));
    found.extend(errors::check(&tree, &crates));
    found.extend(crates.check(tree.text(crates::TABLE_FILE).unwrap_or_default()));
    for target in crates.targets() {
        found.extend(modules::check(&tree, target)?);
    }

    let says_unsafe = tree
        .rust_files()
        .filter(|file| rust::first_unsafe(file).is_some());
    let stale = settings.stale(&says_unsafe.map(|file| file.path.clone()).collect());
    found.sort();
    for violation in &found {
        eprintln!("{violation}");
    }
    for entry in &stale {
        eprintln!("{entry}");
    }
    match found.len() + stale.len() {
        0 => Ok(()),
        count => bail!("{count} places break the house rules (docs/design.md, xtask/house.toml)"),
    }
}
