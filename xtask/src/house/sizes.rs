//! Lines of each crate: neither blank nor comment, product code apart from tests.

use std::collections::BTreeMap;
use std::fmt;

use super::source::{RustFile, Tree};

/// Lines of one crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lines {
    files: usize,
    product: usize,
    tests: usize,
}

/// Lines of all crates, by folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Sizes(BTreeMap<String, Lines>);

impl Sizes {
    /// Counts the files below those folders; a file counts for the innermost one.
    pub fn of<'a>(tree: &Tree, folders: impl Iterator<Item = &'a str>) -> Self {
        let mut sizes: BTreeMap<String, Lines> = folders
            .map(|folder| (folder.to_owned(), Lines::default()))
            .collect();
        for file in tree.rust_files() {
            let Some(text) = tree.text(&file.path) else {
                continue;
            };
            let innermost = sizes
                .iter_mut()
                .filter(|(folder, _)| file.is_in(folder))
                .max_by_key(|(folder, _)| folder.len());
            if let Some((_, lines)) = innermost {
                lines.add(file, text);
            }
        }
        Self(sizes)
    }
}

impl Lines {
    fn add(&mut self, file: &RustFile, text: &str) {
        self.files += 1;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with("//") {
                continue;
            }
            match file.in_test(number) {
                true => self.tests += 1,
                false => self.product += 1,
            }
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24} {:>6} {:>8} {:>8}", "crate", "files", "product", "tests")?;
        let mut sum = Lines::default();
        for (folder, lines) in &self.0 {
            sum.files += lines.files;
            sum.product += lines.product;
            sum.tests += lines.tests;
            let Lines {
                files,
                product,
                tests,
            } = lines;
            writeln!(f, "{folder:24} {files:6} {product:8} {tests:8}")?;
        }
        let Lines {
            files,
            product,
            tests,
        } = sum;
        write!(f, "{:24} {files:6} {product:8} {tests:8}", "all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_blank_lines_nor_comments_count() {
        let texts = [
            (
                "a/src/lib.rs",
                "//! A.\n\nfn a() {\n    // why\n}\n#[cfg(test)]\nmod tests {}\n",
            ),
            ("a/tests/t.rs", "fn t() {}\n"),
            ("a/b/src/lib.rs", "fn b() {}\n"),
        ];
        let texts = texts
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .into();
        let tree = Tree::new(Vec::new(), texts).unwrap();
        let sizes = Sizes::of(&tree, ["a", "a/b"].into_iter());
        let lines = |files, product, tests| Lines {
            files,
            product,
            tests,
        };
        assert_eq!(
            sizes.0.into_iter().collect::<Vec<_>>(),
            [
                ("a".to_owned(), lines(2, 2, 3)),
                ("a/b".to_owned(), lines(1, 1, 0))
            ]
        );
    }
}
