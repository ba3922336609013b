//! Every public error implements `Error`, and no function of a library hides its errors in a `Box<dyn Error>`.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::crates::Crates;
use super::source::{RustFile, Tree};
use super::{Rule, Violation};

/// Checks all crates.
pub fn check(tree: &Tree, crates: &Crates) -> Vec<Violation> {
    let mut found = Vec::new();
    for folder in crates.folders() {
        let prefix = format!("{folder}/src/");
        let files = tree.rust_files().filter(|file| file.path.starts_with(&prefix));
        found.extend(check_crate(files));
    }
    found
}

fn check_crate<'a>(files: impl Iterator<Item = &'a RustFile>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut public = Vec::new();
    let mut returned = BTreeSet::new();
    let mut implemented = BTreeSet::new();
    for file in files {
        let mut reader = Reader {
            file,
            public: &mut public,
            returned: &mut returned,
            implemented: &mut implemented,
            boxed: &mut found,
        };
        reader.visit_file(&file.syntax);
    }
    for (name, path, line) in public {
        let is_error = name.ends_with("Error") || returned.contains(&name);
        if is_error && !implemented.contains(&name) {
            let message = format!("`{name}` is an error and does not implement Error");
            found.push(Violation::new(Rule::ErrorTrait, path, line, message));
        }
    }
    found
}

/// Collects what a file defines, returns and implements.
struct Reader<'a> {
    file: &'a RustFile,
    /// Public types: name, file, line.
    public: &'a mut Vec<(String, String, usize)>,
    /// Types that stand as the error of a `Result`.
    returned: &'a mut BTreeSet<String>,
    /// Types that implement `Error`.
    implemented: &'a mut BTreeSet<String>,
    boxed: &'a mut Vec<Violation>,
}

impl Reader<'_> {
    fn definition(
        &mut self,
        visibility: &syn::Visibility,
        ident: &syn::Ident,
        attributes: &[syn::Attribute],
    ) {
        let line = ident.span().start().line;
        if matches!(visibility, syn::Visibility::Public(_)) && !self.file.in_test(line) {
            self.public
                .push((ident.to_string(), self.file.path.clone(), line));
        }
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("derive"))
        {
            // A derive that cannot be read is not one of Error.
            let _ = attribute.parse_nested_meta(|meta| {
                if last(&meta.path) == "Error" {
                    self.implemented.insert(ident.to_string());
                }
                Ok(())
            });
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.definition(&item.vis, &item.ident, &item.attrs);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.definition(&item.vis, &item.ident, &item.attrs);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some((of, _)) = &item.trait_
            && last(of) == "Error"
            && let syn::Type::Path(of) = &*item.self_ty
        {
            self.implemented.insert(last(&of.path));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        let line = signature.ident.span().start().line;
        if let syn::ReturnType::Type(_, returned) = &signature.output
            && !self.file.in_test(line)
            && let Some(error) = error_of(returned)
        {
            // A program may print any error that ends it.
            let is_program = self.file.path.contains("/bin/") || self.file.path.ends_with("/main.rs");
            if last(error) == "Box" && !is_program {
                let message = format!(
                    "`{}` hides its errors in a box: give them a type",
                    signature.ident
                );
                self.boxed
                    .push(Violation::new(Rule::BoxedError, &self.file.path, line, message));
            }
            self.returned.insert(last(error));
        }
        visit::visit_signature(self, signature);
    }
}

/// The error's path in `Result<_, E>`.
fn error_of(returned: &syn::Type) -> Option<&syn::Path> {
    let syn::Type::Path(returned) = returned else {
        return None;
    };
    let result = returned
        .path
        .segments
        .last()
        .filter(|segment| segment.ident == "Result")?;
    let syn::PathArguments::AngleBracketed(arguments) = &result.arguments else {
        return None;
    };
    match arguments.args.iter().nth(1)? {
        syn::GenericArgument::Type(syn::Type::Path(error)) => Some(&error.path),
        _ => None,
    }
}

/// Last name of a path.
fn last(path: &syn::Path) -> String {
    path.segments
        .last()
        .map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Rule, usize)> {
        let file = RustFile::parse("a/src/lib.rs", text).unwrap();
        let found = check_crate([&file].into_iter()).into_iter();
        found.map(|violation| (violation.rule, violation.line)).collect()
    }

    #[test]
    fn error_by_name_or_by_use_implements_error() {
        assert_eq!(found("pub struct OpenError;"), [(Rule::ErrorTrait, 1)]);
        assert_eq!(
            found("pub struct Gone;\npub fn a() -> Result<(), Gone> { Err(Gone) }"),
            [(Rule::ErrorTrait, 1)]
        );
        assert!(found("pub struct Gone;\npub fn a() -> Option<Gone> { None }").is_empty());
        assert!(found("struct OpenError;\npub(crate) struct CloseError;").is_empty());
    }

    #[test]
    fn implementation_by_hand_or_derived_counts() {
        assert!(found("pub struct OpenError;\nimpl core::error::Error for OpenError {}").is_empty());
        assert!(found("#[derive(Debug, thiserror::Error)]\npub struct OpenError;").is_empty());
    }

    #[test]
    fn boxed_error_is_told_outside_of_tests() {
        assert_eq!(
            found("fn a() -> Result<(), Box<dyn Error>> { Ok(()) }"),
            [(Rule::BoxedError, 1)]
        );
        assert!(
            found("#[cfg(test)]\nmod t {\n fn a() -> Result<(), Box<dyn Error>> { Ok(()) }\n}").is_empty()
        );
    }
}
