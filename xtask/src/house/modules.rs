//! Circles of modules inside a library or a program.
//!
//! A module uses another if it names something of it: by a path from `crate`, `self` or `super`, by a `use`, or through
//! a name that a `use` brought in or handed on. Tests do not count, nor does a method that is called without its type
//! being named. Modules are compared with those beside them; a parent may use its children, and they it. Only the root
//! is compared with its children, too: apart from `mod` and `pub use` it has no business with them both ways.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result};
use quote::ToTokens;
use syn::spanned::Spanned;

use super::crates::Target;
use super::source::{RustFile, Token, Tree, flatten, module_files};
use super::{Rule, Violation};

/// Finds the circles of one library or program.
pub fn check(tree: &Tree, target: &Target) -> Result<Vec<Violation>> {
    let Some(root) = tree.rust_file(&target.root) else {
        return Ok(Vec::new());
    };
    let mut house = House::default();
    house.read(tree, root, &root.syntax.items, Vec::new(), None)?;
    Ok(house.circles())
}

/// Place of a module in the list of all.
type Index = usize;

/// The modules of a library or a program.
#[derive(Default)]
struct House(Vec<Module>);

struct Module {
    /// Names from the root to it.
    path: Vec<String>,
    file: String,
    parent: Option<Index>,
    children: BTreeMap<String, Index>,
    /// Names of what it defines itself.
    items: BTreeSet<String>,
    /// Names that a `use` brings in, with the path of each.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths of which a `use` brings in everything.
    globs: Vec<Vec<String>>,
    mentions: Vec<Mention>,
}

/// A path that a module names.
struct Mention {
    path: Vec<String>,
    line: usize,
}

/// Meaning of a path.
#[derive(Clone, Copy)]
enum Meaning {
    /// A module.
    Module(Index),
    /// Something that the module defines.
    Item(Index),
}

impl Meaning {
    fn module(self) -> Index {
        match self {
            Self::Module(index) | Self::Item(index) => index,
        }
    }
}

/// A use of one module by another, with the place of its first mention.
struct Edge {
    file: String,
    line: usize,
    path: String,
}

impl House {
    /// Reads a module and all below it.
    fn read(
        &mut self,
        tree: &Tree,
        file: &RustFile,
        items: &[syn::Item],
        path: Vec<String>,
        parent: Option<Index>,
    ) -> Result<Index> {
        let index = self.0.len();
        self.0.push(Module {
            path: path.clone(),
            file: file.path.clone(),
            parent,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            mentions: Vec::new(),
        });
        for item in items {
            if file.in_test(item.span().start().line) {
                continue;
            }
            match item {
                syn::Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let mut inner = path.clone();
                    inner.push(name.clone());
                    let child = match &module.content {
                        Some((_, items)) => self.read(tree, file, items, inner, Some(index))?,
                        None => {
                            let candidates = module_files(&file.path, &name);
                            let child = candidates
                                .iter()
                                .find_map(|path| tree.rust_file(path))
                                .with_context(|| format!("{}: no file for module {name}", file.path))?;
                            self.read(tree, child, &child.syntax.items, inner, Some(index))?
                        }
                    };
                    self.0[index].children.insert(name, child);
                }
                syn::Item::Use(item) => self.import(index, item),
                _ => {
                    if let Some(name) = item_name(item) {
                        self.0[index].items.insert(name);
                    }
                    let mut tokens = Vec::new();
                    flatten(item.to_token_stream(), &mut tokens);
                    let mentions = paths(&tokens).filter(|mention| !file.in_test(mention.line));
                    self.0[index].mentions.extend(mentions);
                }
            }
        }
        Ok(index)
    }

    fn import(&mut self, index: Index, item: &syn::ItemUse) {
        let line = item.span().start().line;
        let module = &mut self.0[index];
        // What the root hands on is its face, not its business.
        let hands_on = module.parent.is_none() && !matches!(item.vis, syn::Visibility::Inherited);
        let mut leaves = Vec::new();
        use_leaves(&item.tree, Vec::new(), &mut leaves);
        for (path, name) in leaves {
            match name {
                Some(name) => {
                    module.imports.insert(name, path.clone());
                }
                None => module.globs.push(path.clone()),
            }
            if !hands_on {
                module.mentions.push(Mention { path, line });
            }
        }
    }

    /// Finds out the meaning of a path in a module; `None` if it leads out of the crate.
    fn resolve(&self, from: Index, path: &[String], depth: usize) -> Option<Meaning> {
        // Two modules may hand on each other's names.
        if depth == 0 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut meaning = match first.as_str() {
            "crate" => Meaning::Module(0),
            "self" => Meaning::Module(from),
            "super" => Meaning::Module(self.0[from].parent?),
            name => self.lookup(from, name, depth)?,
        };
        while let (Meaning::Module(module), Some((name, after))) = (meaning, rest.split_first()) {
            meaning = match name.as_str() {
                "super" => Meaning::Module(self.0[module].parent?),
                "self" => Meaning::Module(module),
                name => match self.lookup(module, name, depth) {
                    Some(meaning) => meaning,
                    // A name from another crate that the module hands on, or one that a macro made.
                    None if self.0[module].imports.contains_key(name) => return None,
                    None => Meaning::Item(module),
                },
            };
            rest = after;
        }
        Some(meaning)
    }

    /// Finds a name in a module.
    fn lookup(&self, module: Index, name: &str, depth: usize) -> Option<Meaning> {
        let this = &self.0[module];
        if let Some(child) = this.children.get(name) {
            return Some(Meaning::Module(*child));
        }
        if this.items.contains(name) {
            return Some(Meaning::Item(module));
        }
        if let Some(path) = this.imports.get(name) {
            // `use name` and `use name as name` of another crate lead nowhere in this one.
            return match path.first().map(String::as_str) {
                Some(first) if first == name => None,
                _ => self.resolve(module, path, depth - 1),
            };
        }
        this.globs.iter().find_map(|glob| {
            let from = self.resolve(module, glob, depth - 1)?.module();
            (from != module).then(|| self.lookup(from, name, depth - 1))?
        })
    }

    /// Uses between modules that stand side by side, by the path of their parent; between root and children, too.
    fn edges(&self) -> BTreeMap<Vec<String>, BTreeMap<(String, String), Edge>> {
        let mut edges: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (index, module) in self.0.iter().enumerate() {
            for mention in &module.mentions {
                let Some(meaning) = self.resolve(index, &mention.path, 16) else {
                    continue;
                };
                let target = &self.0[meaning.module()];
                let common = module
                    .path
                    .iter()
                    .zip(&target.path)
                    .take_while(|(a, b)| a == b)
                    .count();
                let ends = match (module.path.get(common), target.path.get(common)) {
                    (Some(from), Some(to)) => (from.clone(), to.clone()),
                    (Some(from), None) if common == 0 && matches!(meaning, Meaning::Item(_)) => {
                        (from.clone(), "crate".to_owned())
                    }
                    (None, Some(to)) if common == 0 => ("crate".to_owned(), to.clone()),
                    _ => continue,
                };
                let level: &mut BTreeMap<_, _> = edges.entry(module.path[..common].to_vec()).or_default();
                level.entry(ends).or_insert_with(|| Edge {
                    file: module.file.clone(),
                    line: mention.line,
                    path: mention.path.join("::"),
                });
            }
        }
        edges
    }

    /// The shortest circle through each module that stands in one, each circle once.
    fn circles(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (parent, edges) in self.edges() {
            let mut seen = BTreeSet::new();
            let modules: BTreeSet<&String> = edges.keys().map(|(from, _)| from).collect();
            for module in modules {
                let Some(circle) = shortest_circle(&edges, module) else {
                    continue;
                };
                let mut members: Vec<&String> = circle.iter().collect();
                members.sort();
                if !seen.insert(members.into_iter().cloned().collect::<Vec<_>>()) {
                    continue;
                }
                let steps: Vec<String> = circle
                    .iter()
                    .zip(circle.iter().cycle().skip(1))
                    .map(|(from, to)| {
                        let edge = &edges[&(from.clone(), to.clone())];
                        format!("{from} -> {to} ({}:{} {})", edge.file, edge.line, edge.path)
                    })
                    .collect();
                let next = circle.get(1).unwrap_or(module);
                let first = &edges[&(module.clone(), next.clone())];
                let place = if parent.is_empty() {
                    String::new()
                } else {
                    format!("in {}: ", parent.join("::"))
                };
                let message = format!("modules in a circle: {place}{}", steps.join(", "));
                found.push(Violation::new(
                    Rule::ModuleCircle,
                    &first.file,
                    first.line,
                    message,
                ));
            }
        }
        found
    }
}

/// Modules of the shortest way from `start` back to it.
fn shortest_circle(edges: &BTreeMap<(String, String), Edge>, start: &String) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut visited = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = way.last()?;
        for (_, next) in edges.keys().filter(|(from, _)| from == last) {
            if next == start {
                return Some(way);
            }
            if visited.insert(next.clone()) {
                let mut longer = way.clone();
                longer.push(next.clone());
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Paths of two names or more, each with its line.
fn paths(tokens: &[Token]) -> impl Iterator<Item = Mention> {
    let is_name = |at: usize| {
        tokens.get(at).is_some_and(|token| {
            token.text.starts_with(|c: char| c.is_alphabetic() || c == '_') && !token.text.contains('"')
        })
    };
    let is_colons = |at: usize| {
        let is_colon = |at: usize| tokens.get(at).is_some_and(|token| token.text == ":");
        is_colon(at) && is_colon(at + 1)
    };
    let mut mentions = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !is_name(at) {
            at += 1;
            continue;
        }
        let line = tokens[at].line;
        let mut path = vec![tokens[at].text.clone()];
        at += 1;
        while is_colons(at) && is_name(at + 2) {
            path.push(tokens[at + 2].text.clone());
            at += 3;
        }
        if path.len() > 1 {
            mentions.push(Mention { path, line });
        }
    }
    mentions.into_iter()
}

/// Paths of a `use`, each with the name that it brings in; none for everything.
fn use_leaves(tree: &syn::UseTree, mut before: Vec<String>, into: &mut Vec<(Vec<String>, Option<String>)>) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            use_leaves(&path.tree, before, into);
        }
        syn::UseTree::Name(name) => {
            let name = name.ident.to_string();
            if name != "self" {
                before.push(name);
            }
            let last = before.last().cloned();
            into.push((before, last));
        }
        syn::UseTree::Rename(rename) => {
            let name = rename.ident.to_string();
            if name != "self" {
                before.push(name);
            }
            into.push((before, Some(rename.rename.to_string())));
        }
        syn::UseTree::Glob(_) => into.push((before, None)),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                use_leaves(tree, before.clone(), into);
            }
        }
    }
}

/// Name that an item defines.
fn item_name(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let texts = files
            .iter()
            .map(|(path, text)| (format!("a/src/{path}"), (*text).to_owned()))
            .collect();
        let tree = Tree::new(Vec::new(), texts).unwrap();
        let target = Target {
            root: "a/src/lib.rs".to_owned(),
            is_binary: false,
        };
        let found = check(&tree, &target).unwrap().into_iter();
        found.map(|violation| violation.message).collect()
    }

    #[test]
    fn two_modules_that_use_each_other_are_a_circle() {
        let found = circles(&[
            ("lib.rs", "mod link;\nmod pause;"),
            ("link.rs", "use crate::pause::Pause;\npub struct Link(Pause);"),
            ("pause.rs", "pub struct Pause;\nfn a(link: &super::link::Link) {}"),
        ]);
        assert_eq!(
            found,
            [
                "modules in a circle: link -> pause (a/src/link.rs:1 crate::pause::Pause), \
              pause -> link (a/src/pause.rs:2 super::link::Link)"
            ]
        );
    }

    #[test]
    fn arrows_one_way_are_none() {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "use crate::A;\npub struct B(A);"),
            ("c.rs", "use crate::b::B;\nuse crate::a;\npub struct C(B, a::A);"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn name_that_the_root_hands_on_leads_to_where_it_is_defined() {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;\npub use b::B;"),
            ("a.rs", "use crate::B;\npub struct A(B);"),
            ("b.rs", "pub struct B;\npub fn b() -> crate::a::A { todo!() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn paths_in_macros_and_in_bodies_count() {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;"),
            ("a.rs", "pub fn a() { println!(\"{}\", crate::b::b()) }"),
            ("b.rs", "pub fn b() -> u8 { use crate::a; a::a(); 1 }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn tests_do_not_count() {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;"),
            (
                "a.rs",
                "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\npub struct A;",
            ),
            ("b.rs", "use crate::a::A;\npub struct B(A);"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn children_may_use_their_parent_but_not_each_other_both_ways() {
        let found = circles(&[
            ("lib.rs", "mod p;"),
            ("p.rs", "mod a;\nmod b;\npub struct P(a::A);"),
            ("p/a.rs", "use super::P;\nuse super::b::B;\npub struct A(B);"),
            ("p/b.rs", "pub struct B;\nfn b(a: &crate::p::a::A) {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("modules in a circle: in p: a -> b"),
            "{found:?}"
        );
    }

    #[test]
    fn module_that_uses_what_the_root_defines_is_in_a_circle_with_it() {
        let found = circles(&[
            ("lib.rs", "mod a;\npub struct Root(a::A);"),
            ("a.rs", "pub struct A;\nfn a(root: &crate::Root) {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn globs_are_looked_through() {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;"),
            ("a.rs", "pub struct A;\nfn a(x: crate::c::B) {}"),
            ("b.rs", "use crate::a::A;\npub struct B(A);"),
            ("c.rs", "pub use crate::b::*;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
