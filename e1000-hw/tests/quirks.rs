//! Each quirk has a consumer.

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
