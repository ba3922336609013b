//! Rules for every text: width of lines, sources that a reader can open.

use super::crates::TABLE_FILE;
use super::source::{Text, Tree};
use super::{Rule, Violation};

/// Columns of the longest line.
const WIDTH: usize = 120;

/// Checks one file.
pub fn check(tree: &Tree, file: &Text) -> Vec<Violation> {
    let markdown = file.path.ends_with(".md");
    let mut found = Vec::new();
    let mut in_block = false;
    for (line, text) in (1..).zip(file.content.lines()) {
        if markdown && text.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        // A row of a table and the target of a link cannot be broken; what a program printed stays as it is.
        let is_target = text.starts_with('[') && text.contains("]: http");
        let comment = text.trim_start().trim_start_matches(['/', '!']).trim_start();
        let unbreakable = comment.starts_with('|') || markdown && (in_block || is_target);
        let columns = text.chars().count();
        if columns > WIDTH && !unbreakable {
            let message = format!("{columns} columns; a line has at most {WIDTH}");
            found.push(Violation::new(Rule::LongLine, &file.path, line, message));
        }
        if let Some(source) = closed_source(text) {
            let message =
                format!("{source:?} is not in this repository: name a source that a reader can open");
            found.push(Violation::new(Rule::ClosedSource, &file.path, line, message));
        }
        // Other documents name functions of emulators and of other drivers, too.
        if file.path == TABLE_FILE && !in_block {
            for name in functions(text).filter(|name| !tree.says(name)) {
                let message = format!("no Rust file says both words of `{name}`");
                found.push(Violation::new(Rule::DeadName, &file.path, line, message));
            }
        }
        if markdown && !in_block {
            for name in places(text).filter(|name| !is_defined(tree, name)) {
                let message = format!("`{name}` is not in this repository");
                found.push(Violation::new(Rule::DeadName, &file.path, line, message));
            }
            for target in links(text).filter(|target| !is_known(tree, &file.path, target)) {
                let message = format!("the link leads to {target}, which git does not know");
                found.push(Violation::new(Rule::DeadLink, &file.path, line, message));
            }
        }
    }
    found
}

/// The first name in the line of a document that is not in the repository.
fn closed_source(line: &str) -> Option<&str> {
    // In two parts each, for this file is checked, too.
    let documents = [concat!("hardware", "-facts"), concat!("redox", "-contract")];
    if let Some(name) = documents.into_iter().find(|name| line.contains(name)) {
        return Some(name);
    }
    ["HF ", "RC "].into_iter().find_map(|prefix| {
        line.match_indices(prefix).find_map(|(at, _)| {
            let before = line[..at].chars().next_back();
            let begins = !before.is_some_and(char::is_alphanumeric);
            let rest = &line[at + prefix.len()..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            (begins && digits > 0).then(|| &line[at..at + prefix.len() + digits])
        })
    })
}

/// Targets of a line's Markdown links.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let (target, _) = rest.split_once(')')?;
        Some(target)
    })
}

/// Names in a line of functions of types: `Type::function`.
fn functions(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|span| {
        let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
        span.split_once("::").is_some_and(|(ty, function)| {
            ty.starts_with(char::is_uppercase) && is_name(ty) && !function.is_empty() && is_name(function)
        })
    })
}

/// Names in a line of places in Rust files: `folder/file.rs`, or with a word of that file, `folder/file.rs word`.
/// Linked ones are elsewhere.
fn places(line: &str) -> impl Iterator<Item = &str> {
    let spans = line.split('`').skip(1).step_by(2);
    let after = line.split('`').skip(2).step_by(2).chain(std::iter::once(""));
    spans.zip(after).filter_map(|(span, after)| {
        let path = span.split(' ').next().unwrap_or_default();
        let path = path.rsplit_once(':').map_or(path, |(path, _)| path);
        let is_path = path.contains('/') && path.ends_with(".rs") && !path.contains('*');
        (is_path && !after.starts_with("](")).then_some(span)
    })
}

/// Returns true if the file exists and says the words.
fn is_defined(tree: &Tree, place: &str) -> bool {
    let mut parts = place.split(' ');
    let path = parts.next().unwrap_or_default();
    let words: Vec<&str> = parts.filter_map(|word| word.rsplit("::").next()).collect();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    // A path may leave folders out at its beginning, a line number may follow it.
    let path = path.rsplit_once(':').map_or(path, |(path, _)| path);
    let below = format!("/{path}");
    let mut files = tree.texts().iter();
    files.any(|file| {
        (file.path == path || file.path.ends_with(&below))
            && words
                .iter()
                .all(|word| file.content.split(|c| !is_part(c)).any(|known| known == *word))
    })
}

/// Returns true if the target is a place elsewhere, in the same file, or a file that git knows.
fn is_known(tree: &Tree, from: &str, target: &str) -> bool {
    let target = target.split('#').next().unwrap_or_default();
    if target.is_empty() || target.contains(':') {
        return true;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    tree.contains(&parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, content: &str) -> Vec<(Rule, usize)> {
        let tree = Tree::new(
            vec!["docs/design.md".to_owned(), "README.md".to_owned()],
            Vec::new(),
        )
        .unwrap();
        let file = Text {
            path: path.to_owned(),
            content: content.to_owned(),
        };
        let found = check(&tree, &file).into_iter();
        found.map(|violation| (violation.rule, violation.line)).collect()
    }

    #[test]
    fn line_of_121_columns_is_too_long() {
        let text = format!("{}\n{}\n", "é".repeat(120), "x".repeat(121));
        assert_eq!(found("a.rs", &text), [(Rule::LongLine, 2)]);
    }

    #[test]
    fn tables_and_blocks_of_markdown_may_be_wide() {
        let wide = "x".repeat(130);
        let text = format!("| {wide} |\n```\n{wide}\n```\n[a]: https://{wide}\n{wide}\n");
        assert_eq!(found("a.md", &text), [(Rule::LongLine, 6)]);
        assert_eq!(found("a.rs", &format!("//! | {wide} |")), []);
        assert_eq!(found("a.rs", &format!("// {wide} |")), [(Rule::LongLine, 1)]);
    }

    #[test]
    fn documents_that_are_not_here_are_not_cited() {
        for (text, cited) in [
            (concat!("// see (HF", " 12)"), Some(concat!("HF", " 12"))),
            (concat!("// RC", " 3.4"), Some(concat!("RC", " 3"))),
            ("// HFC 12, ARC 3, HF next", None),
            (
                concat!("// hardware", "-facts.md"),
                Some(concat!("hardware", "-facts")),
            ),
            ("// 8254x manual 13.4.22", None),
        ] {
            assert_eq!(closed_source(text), cited, "{text}");
        }
    }

    #[test]
    fn functions_of_types_exist() {
        let files = [(
            "a/src/ring.rs".to_owned(),
            "impl Ring { fn fill() {} }".to_owned(),
        )];
        let tree = Tree::new(Vec::new(), files.into()).unwrap();
        assert!(tree.says("Ring::fill"));
        assert!(!tree.says("Ring::empty"));
        let line = "`Ring::fill` calls `Ring::empty`, `ring::fill`, `std::mem::swap` and `Ring`";
        assert_eq!(functions(line).collect::<Vec<_>>(), ["Ring::fill", "Ring::empty"]);
    }

    #[test]
    fn places_in_code_exist() {
        let files = [(
            "a/src/ring.rs".to_owned(),
            "impl Ring { fn fill() {} }".to_owned(),
        )];
        let tree = Tree::new(Vec::new(), files.into()).unwrap();
        for (place, known) in [
            ("a/src/ring.rs", true),
            ("src/ring.rs", true),
            ("rc/ring.rs", false),
            ("a/src/ring.rs:7 fill", true),
            ("a/src/ring.rs fill", true),
            ("a/src/ring.rs Ring::fill", true),
            ("a/src/ring.rs fil", false),
            ("a/src/rings.rs", false),
        ] {
            assert_eq!(is_defined(&tree, place), known, "{place}");
        }
        let line = "see `b/c.rs f`, [`d/e.rs`](https://d), `x.rs`, `cargo test`, `g/*.rs`";
        assert_eq!(places(line).collect::<Vec<_>>(), ["b/c.rs f"]);
    }

    #[test]
    fn links_lead_to_files_that_git_knows() {
        let text = "[a](../README.md) [b](design.md#arrows) [c](#d) [e](https://f.g)\n[h](../CHANGES.md)\n";
        assert_eq!(found("docs/x.md", text), [(Rule::DeadLink, 2)]);
    }
}
