//! Which files of a crate import which, and the circles among them.
//!
//! A file imports another when it names something that the other defines: in a `use`, in a path, or in the tokens of a
//! macro. A name that is handed on by a `pub use` counts for the file that defines it. `mod child;` alone is no import: a
//! parent that only declares its child does not know what is in it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, Macro, UseTree};

use crate::names::is_of_tests;
use crate::sources::{Crate, File};

type Module = Vec<String>;

/// The circles of a crate, each as the arrows that tie it.
pub(crate) fn circles(source: &Crate) -> Vec<String> {
    let arrows = arrows(source);
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for module in source.files.keys() {
        let circle: BTreeSet<&Module> =
            reachable(&arrows, module).into_iter().filter(|other| reachable(&arrows, other).contains(module)).collect();
        if circle.is_empty() || !seen.insert(circle.clone()) {
            continue;
        }
        let mut text = format!("{} ({} files)", source.name, circle.len());
        for from in &circle {
            for (to, names) in arrows.get(*from).into_iter().flatten().filter(|(to, _)| circle.contains(to)) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let (from, to) = (&source.files[*from].path, &source.files[to].path);
                text.push_str(&format!("\n  {from} -> {to}: {}", names.join(", ")));
            }
        }
        circles.push(text);
    }
    circles
}

type Arrows = BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>;

fn reachable<'a>(arrows: &'a Arrows, from: &Module) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&Module> = arrows.get(from).into_iter().flatten().map(|(to, _)| to).collect();
    while let Some(module) = next.pop() {
        if found.insert(module) {
            next.extend(arrows.get(module).into_iter().flatten().map(|(to, _)| to));
        }
    }
    found
}

/// The names that each file imports, with their absolute paths.
type Imports = BTreeMap<Module, BTreeMap<String, Option<Module>>>;

fn arrows(source: &Crate) -> Arrows {
    let imported: Imports =
        source.files.iter().map(|(module, file)| (module.clone(), imports(module, &file.syntax.items))).collect();
    let mut arrows = Arrows::new();
    for (module, file) in &source.files {
        for path in paths(module, file, &imported[module]) {
            let Some((target, name)) = defining(&imported, &path, 0) else { continue };
            if target != *module {
                arrows.entry(module.clone()).or_default().entry(target).or_default().insert(name);
            }
        }
    }
    arrows
}

/// The file that defines what an absolute path names, and the name in it.
fn defining(imported: &Imports, path: &[String], depth: usize) -> Option<(Module, String)> {
    let length = (0..path.len()).rev().find(|length| imported.contains_key(&path[..*length]))?;
    let (module, name) = (path[..length].to_vec(), path[length].clone());
    // A module as a whole is no name that a file defines.
    if imported.contains_key(path) || depth > 8 {
        return None;
    }
    match imported[&module].get(&name) {
        Some(target) => defining(imported, target.as_ref()?, depth + 1),
        None => Some((module, name)),
    }
}

/// Every absolute path that a file names within its crate.
fn paths(module: &Module, file: &File, imported: &BTreeMap<String, Option<Module>>) -> Vec<Module> {
    let aliases = imported.iter().filter_map(|(alias, target)| Some((alias.clone(), target.clone()?))).collect();
    let children = children(&file.syntax.items);
    let mut reader = Reader { module: module.clone(), children, aliases, found: Vec::new() };
    reader.visit_file(&file.syntax);
    reader.found
}

/// The names that a file imports, each with its absolute path if that is in this crate.
fn imports(module: &Module, items: &[Item]) -> BTreeMap<String, Option<Module>> {
    let children = children(items);
    let mut found = BTreeMap::new();
    for item in items {
        if let Item::Use(item) = item
            && !is_of_tests(&item.attrs)
        {
            leaves(&item.tree, &mut Vec::new(), &mut |alias, path| {
                found.insert(alias, absolute(module, &children, &BTreeMap::new(), &path));
            });
        }
    }
    found
}

/// The modules that a file declares, whose files lie below it.
fn children(items: &[Item]) -> BTreeSet<String> {
    let declared = items.iter().filter_map(|item| match item {
        Item::Mod(item) if item.content.is_none() => Some(item.ident.to_string()),
        _ => None,
    });
    declared.collect()
}

/// Calls `found` for each name that a `use` brings, with its path.
fn leaves(tree: &UseTree, prefix: &mut Module, found: &mut impl FnMut(String, Module)) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            leaves(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found(prefix.last().cloned().unwrap_or_default(), prefix.clone());
        }
        UseTree::Name(name) => found(name.ident.to_string(), [&prefix[..], &[name.ident.to_string()]].concat()),
        UseTree::Rename(name) => found(name.rename.to_string(), [&prefix[..], &[name.ident.to_string()]].concat()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, prefix, found)),
        UseTree::Glob(_) => found("*".into(), [&prefix[..], &["*".into()]].concat()),
    }
}

/// A path from the root of the crate; none for what lies in another crate, or in the file itself.
fn absolute(
    module: &Module,
    children: &BTreeSet<String>,
    aliases: &BTreeMap<String, Module>,
    path: &[String],
) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let (_, parent) = module.split_last()?;
            match rest.first().is_some_and(|next| next == "super") {
                true => absolute(&parent.to_vec(), children, aliases, rest),
                false => Some([parent, rest].concat()),
            }
        }
        name if children.contains(name) => Some([module, path].concat()),
        name => aliases.get(name).map(|target| [target, rest].concat()),
    }
}

struct Reader {
    module: Module,
    children: BTreeSet<String>,
    aliases: BTreeMap<String, Module>,
    found: Vec<Module>,
}

impl Reader {
    fn note(&mut self, path: &[String]) {
        if path.len() > 1 || self.aliases.contains_key(&path[0]) {
            self.found.extend(absolute(&self.module, &self.children, &self.aliases, path));
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Module = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() && colons < 2 => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    self.end(&mut path);
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.end(&mut path);
            colons = 0;
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Module) {
        if path.len() > 1 {
            self.note(path);
        }
        path.clear();
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        if !is_of_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        let mut found = Vec::new();
        leaves(&item.tree, &mut Vec::new(), &mut |_, path| found.push(path));
        found.iter().for_each(|path| self.note(path));
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Module = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.note(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'a Macro) {
        // What a procedural macro writes out is code of another crate: its `crate::` is not the crate that is looked at.
        if item.path.segments.last().is_some_and(|last| last.ident == "quote" || last.ident == "parse_quote") {
            return;
        }
        self.visit_path(&item.path);
        self.tokens(item.tokens.clone());
    }
}
