//! Structure of the sources: quirks that are consulted, modules without circles, sources that a reader can open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Source files below `directory`.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Text of product code outside the chip table: no comments, no tests, no fake.
fn product_code() -> String {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    sources(&core.join("src"), &mut files);
    sources(&core.join("../e1000d/src"), &mut files);
    let mut code = String::new();
    for path in files {
        let name = path.strip_prefix(core).unwrap_or(&path);
        let skipped = ["src/chip.rs", "src/chip", "src/fake.rs", "src/fake"];
        if skipped.iter().any(|skip| name.starts_with(skip)) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for line in product
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

#[test]
fn every_quirk_is_consulted_outside_the_chip_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/chip/quirks.rs");
    let flags = fs::read_to_string(path).expect("quirks.rs");
    let names: Vec<&str> = flags
        .lines()
        .filter_map(|line| line.trim().strip_prefix("const ")?.split_once(" = 1 <<"))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 20, "the flags are not found: {names:?}");
    let code = product_code();
    let is_word = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
    let unused: Vec<&str> = names
        .into_iter()
        .filter(|name| {
            let flag = format!("Quirks::{name}");
            !code.split(&flag).skip(1).any(is_word)
        })
        .collect();
    assert_eq!(unused, Vec::<&str>::new(), "nobody consults these");
}

/// Modules of the crate's root that a line of code names.
fn named<'a>(line: &'a str, modules: &BTreeSet<String>) -> Vec<&'a str> {
    let paths = line.split("crate::").skip(1);
    paths
        .filter_map(|path| {
            path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next()
        })
        .filter(|name| modules.contains(*name))
        .collect()
}

/// Modules of the crate's root, and the others that each uses in product code.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&src, &mut files);
    let of = |path: &Path| {
        let first = path.strip_prefix(&src).expect("below src").components().next();
        let name = first.expect("a name").as_os_str().to_string_lossy().into_owned();
        name.trim_end_matches(".rs").to_owned()
    };
    // Support for tests may use everything.
    let is_product = |path: &PathBuf| !["lib", "fake", "recorder"].contains(&of(path).as_str());
    files.retain(|path| is_product(path) && !path.ends_with("tests.rs"));
    let modules: BTreeSet<String> = files.iter().map(|path| of(path)).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &files {
        let text = fs::read_to_string(path).expect("a source file");
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = product
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let used = uses.entry(of(path)).or_default();
        used.extend(code.flat_map(|line| named(line, &modules)).map(str::to_owned));
    }
    for (module, used) in &mut uses {
        used.remove(module);
    }
    uses
}

#[test]
fn modules_of_the_core_form_no_circle() {
    let mut left = uses();
    assert!(left.len() > 25, "the modules are not found: {left:?}");
    // A module that uses none of those left can go.
    loop {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, used| used.iter().any(|name| names.contains(name)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "in circles, or used by them: {left:#?}");
}

/// All sources of the core, with their tests.
fn all_lines() -> Vec<(PathBuf, usize, String)> {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    sources(&core.join("src"), &mut files);
    sources(&core.join("tests"), &mut files);
    let lines = files.into_iter().flat_map(|path| {
        let text = fs::read_to_string(&path).expect("a source file");
        let name = path.strip_prefix(core).unwrap_or(&path).to_owned();
        let numbered = (1..).zip(text.lines().map(str::to_owned)).collect::<Vec<_>>();
        numbered.into_iter().map(move |(n, line)| (name.clone(), n, line))
    });
    lines.collect()
}

#[test]
fn comments_cite_what_a_reader_can_open_and_begin_with_a_noun_or_a_verb() {
    let mut wrong = vec![];
    for (path, n, line) in all_lines() {
        let comment = line.trim_start();
        if !comment.starts_with("//") {
            continue;
        }
        // The names of notes that are not in this repository.
        let hidden = comment.contains(concat!("hardware", "-facts"))
            || comment
                .split(concat!("H", "F "))
                .skip(1)
                .any(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
        let doc = comment
            .strip_prefix("///")
            .or_else(|| comment.strip_prefix("//!"));
        let question = ["What ", "Whether ", "How "]
            .iter()
            .any(|word| doc.is_some_and(|doc| doc.trim_start().starts_with(word)));
        if hidden || question || line.chars().count() > 120 {
            wrong.push(format!("{}:{n}: {line}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
