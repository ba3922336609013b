//! Rules for a Rust file by itself: its length, its words, the first word of its comments, its `unsafe`.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::crates::{Crates, PRODUCTS};
use super::settings::{FILE, Settings};
use super::source::{RustFile, Tree};
use super::{Rule, Violation};

/// Lines of the longest file, tests apart.
const LENGTH: usize = 400;

/// Words with which a doc comment does not begin.
const OPENINGS: [&str; 5] = ["What", "Whether", "How", "Why", "Who"];

/// Words that no name of product code has in it, and the field's words for them.
const PRIVATE_WORDS: [(&str, &str); 9] = [
    ("claim", "guard"),
    ("finding", "outcome"),
    ("lest", "unless"),
    ("pace", "read_budget"),
    ("screen", "validate"),
    ("settle", "the steps it takes"),
    ("shed", "drop"),
    ("tell", "notify"),
    ("upkeep", "maintenance"),
];

/// Checks one file.
pub fn check(file: &RustFile, settings: &Settings) -> Vec<Violation> {
    let mut found = Vec::new();
    let lines = file.product_lines();
    if lines > LENGTH {
        let message = format!("{lines} lines without tests; a file has at most {LENGTH}");
        found.push(Violation::new(Rule::LongFile, &file.path, 1, message));
    }
    if !settings.allows_unsafe(&file.path)
        && let Some(line) = first_unsafe(file)
    {
        let message = format!("unsafe in a file that is not in the list of {FILE}");
        found.push(Violation::new(Rule::UnsafePlace, &file.path, line, message));
    }
    let mut reader = Reader {
        file,
        found: &mut found,
        last_doc: None,
    };
    reader.visit_file(&file.syntax);
    found
}

/// Modules of the chip core that have their unit tests in their own file or folder.
const TESTED: [&str; 5] = ["bring_up", "reset", "ring", "rx", "tx"];

/// Checks that the heart of the chip core has its unit tests beside it.
pub fn tests_beside(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for module in TESTED {
        let file = format!("e1000-hw/src/{module}.rs");
        let folder = format!("e1000-hw/src/{module}");
        let mut files = tree
            .rust_files()
            .filter(|other| other.path == file || other.is_in(&folder));
        if !files.any(|file| (1..=file.lines).any(|line| file.in_test(line))) {
            let message = "no unit test here, nor in the folder of the module";
            found.push(Violation::new(Rule::TestsBeside, file, 1, message));
        }
    }
    found
}

/// Line of the first `unsafe` that is no part of an attribute.
pub fn first_unsafe(file: &RustFile) -> Option<usize> {
    let tokens = file.tokens();
    let mut unsafes = (0..tokens.len()).filter(|at| tokens[*at].text == "unsafe");
    unsafes.next().map(|at| tokens[at].line)
}

/// Checks that a program or library without any `unsafe` says so to the compiler.
pub fn forbid_unsafe(tree: &Tree, crates: &Crates) -> Vec<Violation> {
    let mut found = Vec::new();
    for target in crates.targets() {
        let Some(root) = tree.rust_file(&target.root) else {
            continue;
        };
        let is_alone = target.is_binary
            && crates
                .targets()
                .filter(|other| other.folder() == target.folder())
                .count()
                > 1;
        let says_unsafe = match is_alone {
            true => first_unsafe(root).is_some(),
            false => tree
                .rust_files()
                .filter(|file| file.path.starts_with(&format!("{}/", target.folder())))
                .any(|file| first_unsafe(file).is_some()),
        };
        let forbids = root.syntax.attrs.iter().any(|attribute| {
            attribute.path().is_ident("forbid")
                && attribute
                    .parse_args::<syn::Path>()
                    .is_ok_and(|lint| lint.is_ident("unsafe_code"))
        });
        if !says_unsafe && !forbids {
            let message = "nothing here is unsafe: say #![forbid(unsafe_code)]";
            found.push(Violation::new(Rule::ForbidUnsafe, &target.root, 1, message));
        }
    }
    found
}

/// Reads doc comments and the names of what is defined.
struct Reader<'a> {
    file: &'a RustFile,
    found: &'a mut Vec<Violation>,
    /// Last line of the comment read last.
    last_doc: Option<usize>,
}

impl Reader<'_> {
    fn name(&mut self, ident: &syn::Ident) {
        let name = ident.to_string();
        let line = ident.span().start().line;
        if self.file.in_test(line) || !PRODUCTS.iter().any(|product| self.file.is_in(product)) {
            return;
        }
        let words = words(&name);
        for (private, field) in PRIVATE_WORDS {
            if words.iter().any(|word| word == private) {
                let message = format!("`{name}` says {private:?}; the field's word is {field:?}");
                self.found
                    .push(Violation::new(Rule::PrivateWord, &self.file.path, line, message));
            }
        }
    }

    fn doc(&mut self, text: &str, span: Span) {
        let line = span.start().line;
        // Only the first line of a comment is looked at; the others go on with a sentence.
        let continues = self.last_doc.is_some_and(|last| line == last + 1);
        self.last_doc = Some(span.end().line);
        let first = text.split_whitespace().next().unwrap_or_default();
        let first = first.trim_end_matches(|c: char| !c.is_alphanumeric());
        if !continues && OPENINGS.contains(&first) {
            let message = format!("the comment begins with {first:?}; begin with a noun or a verb");
            self.found
                .push(Violation::new(Rule::DocOpening, &self.file.path, line, message));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::NameValue(meta) = &attribute.meta
            && meta.path.is_ident("doc")
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) = &meta.value
        {
            self.doc(&text.value(), attribute.span());
        }
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Const(item) => self.name(&item.ident),
            syn::Item::Enum(item) => self.name(&item.ident),
            syn::Item::Mod(item) => self.name(&item.ident),
            syn::Item::Static(item) => self.name(&item.ident),
            syn::Item::Struct(item) => self.name(&item.ident),
            syn::Item::Trait(item) => self.name(&item.ident),
            syn::Item::Type(item) => self.name(&item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.name(&signature.ident);
        visit::visit_signature(self, signature);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.name(&variant.ident);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(ident) = &field.ident {
            self.name(ident);
        }
        visit::visit_field(self, field);
    }
}

/// Words of a name in any of Rust's cases, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split('_') {
        let mut word = String::new();
        let mut before = None;
        for letter in part.chars() {
            if letter.is_uppercase() && before.is_some_and(char::is_lowercase) {
                words.push(std::mem::take(&mut word));
            }
            word.extend(letter.to_lowercase());
            before = Some(letter);
        }
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Rule, usize)> {
        let settings = Settings::parse("[unsafe]\n\"allowed.rs\" = \"registers\"").unwrap();
        let file = RustFile::parse("e1000d/src/lib.rs", text).unwrap();
        let found = check(&file, &settings).into_iter();
        found.map(|violation| (violation.rule, violation.line)).collect()
    }

    #[test]
    fn comment_begins_with_a_noun_or_a_verb() {
        assert_eq!(found("/// Whether it is.\nfn a() {}"), [(Rule::DocOpening, 1)]);
        assert_eq!(found("//! What: this.\n"), [(Rule::DocOpening, 1)]);
        assert_eq!(
            found("struct S {\n    /// How long.\n    a: u8,\n}"),
            [(Rule::DocOpening, 2)]
        );
        assert!(found("/// Returns\n/// What it found.\nfn a() {}\n/// Whatever is.\nfn b() {}").is_empty());
    }

    #[test]
    fn two_comments_in_adjacent_lines_of_code_are_two() {
        let text = "enum E {\n    /// A thing.\n    A,\n    /// What it is.\n    B,\n}";
        assert_eq!(found(text), [(Rule::DocOpening, 4)]);
    }

    #[test]
    fn names_have_the_fields_words() {
        assert_eq!(found("fn tell_readers() {}"), [(Rule::PrivateWord, 1)]);
        assert_eq!(found("enum E {\n    LinkUpkeep,\n}"), [(Rule::PrivateWord, 2)]);
        assert!(found("fn intelligible() { let tell = 1; }").is_empty());
        assert!(found("#[test]\nfn two_looks_tell_a_hung_phy() {}").is_empty());
    }

    #[test]
    fn words_of_all_cases() {
        assert_eq!(words("fair_drop"), ["fair", "drop"]);
        assert_eq!(words("FairDrop"), ["fair", "drop"]);
        assert_eq!(words("FAIR_DROP"), ["fair", "drop"]);
    }

    #[test]
    fn long_file_is_told_and_its_tests_do_not_count() {
        let long = "fn a() {}\n".repeat(401);
        assert_eq!(found(&long), [(Rule::LongFile, 1)]);
        let tested = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(found(&tested).is_empty());
    }

    #[test]
    fn module_without_unit_tests_is_told() {
        let tested = "#[cfg(test)]\nmod tests;";
        let texts = ["bring_up.rs", "reset.rs", "ring.rs", "rx/ring.rs", "tx.rs"]
            .map(|file| (format!("e1000-hw/src/{file}"), tested.to_owned()));
        let tree = Tree::new(Vec::new(), texts.to_vec()).unwrap();
        assert!(tests_beside(&tree).is_empty());
        let tree = Tree::new(Vec::new(), texts[1..].to_vec()).unwrap();
        let paths: Vec<_> = tests_beside(&tree).into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["e1000-hw/src/bring_up.rs"]);
    }

    #[test]
    fn unsafe_outside_of_the_list_is_told() {
        let text =
            "/// unsafe in a comment\n#![deny(unsafe_op_in_unsafe_fn)]\nfn a() {\n    unsafe { b() }\n}";
        let settings = Settings::default();
        let text = text.trim_start_matches("/// unsafe in a comment\n");
        let file = RustFile::parse("a.rs", text).unwrap();
        let line = |violation: Violation| (violation.rule, violation.line);
        let found: Vec<_> = check(&file, &settings).into_iter().map(line).collect();
        assert_eq!(found, [(Rule::UnsafePlace, 3)]);
        let listed = Settings::parse("[unsafe]\n\"a.rs\" = \"registers\"").unwrap();
        assert!(check(&file, &listed).is_empty());
    }
}
