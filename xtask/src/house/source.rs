//! The files that git knows, and what a Rust file says where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::process::output;

/// The text files of the repository: path, with slashes, to content.
pub struct Tree {
    paths: Vec<String>,
    texts: Vec<Text>,
    /// All words of Rust files.
    words: BTreeSet<String>,
    rust: BTreeMap<String, RustFile>,
}

/// A text file.
pub struct Text {
    /// Path in the repository.
    pub path: String,
    /// All of it.
    pub content: String,
}

impl Tree {
    /// Reads what git tracks or would add, in `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut list = Command::new("git");
        list.current_dir(root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]);
        let paths = output(&mut list)?.lines().map(str::to_owned).collect::<Vec<_>>();
        let mut texts = Vec::new();
        for path in &paths {
            if !matches!(extension(path), "rs" | "md" | "toml") {
                continue;
            }
            match std::fs::read_to_string(root.join(path)) {
                Ok(content) => texts.push((path.clone(), content)),
                // Deleted, and git has not been told.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
            }
        }
        Self::new(paths, texts)
    }

    /// The tree of these files.
    pub fn new(paths: Vec<String>, texts: Vec<(String, String)>) -> Result<Self> {
        let mut rust = BTreeMap::new();
        for (path, content) in texts.iter().filter(|(path, _)| extension(path) == "rs") {
            rust.insert(path.clone(), RustFile::parse(path, content)?);
        }
        // A module that only tests see is declared with #[cfg(test)] elsewhere, and so are all below it.
        let mut tests: Vec<String> = rust.values().flat_map(RustFile::test_modules).collect();
        while let Some(path) = tests.pop() {
            if let Some(file) = rust.get_mut(&path)
                && !std::mem::replace(&mut file.is_test, true)
            {
                tests.extend(file.test_modules());
            }
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let words = texts
            .iter()
            .filter(|(path, _)| extension(path) == "rs")
            .flat_map(|(_, content)| content.split(|c| !is_part(c)))
            .map(str::to_owned)
            .collect();
        let texts = texts
            .into_iter()
            .map(|(path, content)| Text { path, content })
            .collect();
        Ok(Self {
            paths,
            texts,
            words,
            rust,
        })
    }

    /// All `.rs`, `.md` and `.toml` files.
    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Content of that file.
    pub fn text(&self, path: &str) -> Option<&str> {
        let text = self.texts.iter().find(|text| text.path == path)?;
        Some(&text.content)
    }

    /// Returns true if git knows that file, or one below it.
    pub fn contains(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.paths
            .iter()
            .any(|known| known == path || known.starts_with(&folder))
    }

    /// Returns true if Rust files say all words of a path.
    pub fn says(&self, path: &str) -> bool {
        path.split("::").all(|word| self.words.contains(word))
    }

    /// All Rust files.
    pub fn rust_files(&self) -> impl Iterator<Item = &RustFile> {
        self.rust.values()
    }

    /// That Rust file.
    pub fn rust_file(&self, path: &str) -> Option<&RustFile> {
        self.rust.get(path)
    }
}

/// A Rust file, parsed.
pub struct RustFile {
    /// Path in the repository.
    pub path: String,
    /// Number of its lines.
    pub lines: usize,
    /// True if only tests, examples or fuzzers are made of it.
    pub is_test: bool,
    /// Its items.
    pub syntax: syn::File,
    tests: Vec<(usize, usize)>,
}

impl RustFile {
    /// Parses the text of a file.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let syntax = syn::parse_file(text).with_context(|| format!("{path} cannot be parsed"))?;
        let mut tests = TestRanges(Vec::new());
        tests.visit_file(&syntax);
        Ok(Self {
            path: path.to_owned(),
            lines: text.lines().count(),
            is_test: path
                .split('/')
                .any(|part| matches!(part, "tests" | "examples" | "benches" | "fuzz")),
            syntax,
            tests: tests.0,
        })
    }

    /// Returns true if the line is compiled for tests only.
    pub fn in_test(&self, line: usize) -> bool {
        self.is_test
            || self
                .tests
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// Returns true if the file stands below that folder.
    pub fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Number of lines that are not for tests only.
    pub fn product_lines(&self) -> usize {
        (1..=self.lines).filter(|line| !self.in_test(*line)).count()
    }

    /// All tokens, groups opened, with their lines; doc comments are tokens of an attribute.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        flatten(self.syntax.to_token_stream(), &mut tokens);
        tokens
    }

    /// Paths at which files of modules that only tests see may stand: those whose `mod` line carries
    /// `#[cfg(test)]`, and all of a file for tests.
    fn test_modules(&self) -> Vec<String> {
        let declared = self.syntax.items.iter().filter_map(|item| match item {
            syn::Item::Mod(module) if module.content.is_none() => Some(module),
            _ => None,
        });
        let declared = declared.filter(|module| self.is_test || is_for_tests(&module.attrs));
        declared
            .flat_map(|module| module_files(&self.path, &module.ident.to_string()))
            .collect()
    }
}

/// A token that is no bracket.
pub struct Token {
    /// Its text.
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// Opens all groups of the stream; brackets become tokens of their own.
pub fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let token = |text: String, line| Token { text, line };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                into.push(token(open.to_owned(), line));
                flatten(group.stream(), into);
                into.push(token(close.to_owned(), group.span_close().start().line));
            }
            other => into.push(token(other.to_string(), line)),
        }
    }
}

/// Paths at which module `name`, declared in the file at `path`, may stand.
pub fn module_files(path: &str, name: &str) -> [String; 2] {
    let (folder, file) = path.rsplit_once('/').unwrap_or((".", path));
    let base = match file {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        // Each file in src/bin is the root of a program.
        _ if folder.ends_with("/bin") => folder.to_owned(),
        _ => format!("{folder}/{}", file.trim_end_matches(".rs")),
    };
    [format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")]
}

/// Returns true if one of the attributes is a `cfg` under which only tests are compiled: `test`, alone or among others.
pub fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        list.path.is_ident("cfg") && mentions_test(list.tokens.clone())
    })
}

/// Returns true if the condition names `test` outside of `not(...)`.
fn mentions_test(condition: TokenStream) -> bool {
    let mut negated = false;
    for tree in condition {
        match tree {
            TokenTree::Ident(ident) if ident == "test" => return true,
            TokenTree::Ident(ident) => negated = ident == "not",
            TokenTree::Group(group) if !negated && mentions_test(group.stream()) => return true,
            _ => negated = false,
        }
    }
    false
}

/// Lines of everything that stands under a `cfg` for tests.
struct TestRanges(Vec<(usize, usize)>);

impl TestRanges {
    fn note(&mut self, attributes: &[syn::Attribute], node: &impl Spanned) {
        if is_for_tests(attributes) {
            let span = node.span();
            self.0.push((span.start().line, span.end().line));
        }
    }
}

impl<'ast> Visit<'ast> for TestRanges {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.note(item_attributes(item), item);
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(item) => item.attrs.as_slice(),
            syn::ImplItem::Const(item) => item.attrs.as_slice(),
            syn::ImplItem::Type(item) => item.attrs.as_slice(),
            _ => &[],
        };
        self.note(attributes, item);
        visit::visit_impl_item(self, item);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.note(&field.attrs, field);
        visit::visit_field(self, field);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.note(&variant.attrs, variant);
        visit::visit_variant(self, variant);
    }
}

/// Attributes of an item of any kind.
pub fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::ForeignMod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::TraitAlias(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn extension(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> RustFile {
        RustFile::parse("a/src/lib.rs", text).unwrap()
    }

    #[test]
    fn lines_under_a_cfg_for_tests_are_known() {
        let file = file(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(not(test))]\nfn d() {}\n\
             #[cfg(any(test, feature = \"fake\"))]\nfn e() {}\n#[test]\nfn f() {}\n",
        );
        let tests: Vec<usize> = (1..=file.lines).filter(|line| file.in_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 9, 10, 11, 12]);
        assert_eq!(file.product_lines(), 4);
    }

    #[test]
    fn fields_variants_and_methods_can_be_for_tests() {
        let file = file(
            "struct S {\n    #[cfg(test)]\n    a: u8,\n}\nenum E {\n    #[cfg(test)]\n    A,\n    B,\n}\n\
             impl S {\n    #[cfg(test)]\n    fn a() {}\n}\n",
        );
        let tests: Vec<usize> = (1..=file.lines).filter(|line| file.in_test(*line)).collect();
        assert_eq!(tests, [2, 3, 6, 7, 11, 12]);
    }

    #[test]
    fn file_behind_a_module_for_tests_is_one() {
        let files = [
            ("a/src/lib.rs", "mod b;"),
            ("a/src/b.rs", "#[cfg(test)] mod tests; mod c;"),
            ("a/src/b/tests.rs", "mod d;"),
            ("a/src/b/tests/d.rs", "fn d() {}"),
            ("a/src/b/c.rs", "fn c() {}"),
        ];
        let texts: Vec<_> = files
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .into();
        let tree = Tree::new(Vec::new(), texts).unwrap();
        let is_test = |path| tree.rust_file(path).unwrap().is_test;
        assert!(is_test("a/src/b/tests.rs"));
        assert!(is_test("a/src/b/tests/d.rs"));
        assert!(!is_test("a/src/b/c.rs"));
    }

    #[test]
    fn modules_stand_beside_or_below_their_parent() {
        assert_eq!(
            module_files("a/src/lib.rs", "b"),
            ["a/src/b.rs", "a/src/b/mod.rs"]
        );
        assert_eq!(
            module_files("a/src/b.rs", "c"),
            ["a/src/b/c.rs", "a/src/b/c/mod.rs"]
        );
        assert_eq!(
            module_files("a/src/b/mod.rs", "c"),
            ["a/src/b/c.rs", "a/src/b/c/mod.rs"]
        );
    }

    #[test]
    fn folder_of_a_known_file_is_known() {
        let tree = Tree::new(vec!["docs/design.md".to_owned()], Vec::new()).unwrap();
        assert!(tree.contains("docs/design.md") && tree.contains("docs"));
        assert!(!tree.contains("doc"));
    }
}
