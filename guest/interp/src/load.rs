//! `load()`: a script of several files.
//!
//! All files are found before any of them is evaluated, each is evaluated once and frozen, and those it loads come first.
//! Nothing recurses along the chain of files, so a long one cannot overflow the native stack. A path is relative to the
//! folder of the script that was started and cannot leave it: the host checks that again, with the file system's help.

use std::collections::{HashMap, HashSet};

use starlark::codemap::FileSpan;
use starlark::environment::{FrozenModule, Module};
use starlark::eval::{Evaluator, FileLoader};
use starlark::syntax::AstModule;
use starlark::values::structs::AllocStruct;
use starlark::{Error, ErrorKind};

use crate::error::usage;
use crate::host::Host;
use crate::session::{Session, surround};
use crate::source::syntax;
use crate::{globals, source, unneeded};

/// Files of one script.
pub const MAX_FILES: usize = 500;

/// A file as it was parsed.
pub(crate) struct File {
    /// Path in the script's folder, as `load()` names it once it is normal.
    path: String,
    pub(crate) ast: AstModule,
    /// Whether a file that loads this one wants all of it as one struct, named like the file.
    whole: bool,
}

/// The files of a script, those first that others load, the script itself last.
pub(crate) fn resolve(host: &dyn Host, script: &str, source: &str) -> starlark::Result<Vec<File>> {
    let mut files =
        Files { host, folder: folder(script), asked: HashSet::new(), whole: HashSet::new(), done: Vec::new() };
    // Files that are being looked through, each with the loads of it that are still to come.
    let mut open = vec![Open::new(parse(script, String::new(), source)?)];
    while let Some(top) = open.last_mut() {
        let Some(load) = top.loads.pop() else {
            files.done.extend(open.pop().map(|open| open.file));
            continue;
        };
        let path = normal(&load.path).map_err(|why| missing(&load, why))?;
        if let Some(first) = open.iter().position(|open| open.file.path == path && !path.is_empty()) {
            return Err(refused(&load, &cycle(&open, first, &path)));
        }
        if load.names.iter().any(|name| name == stem(&path)) {
            files.whole.insert(path.clone());
        }
        if files.asked.insert(path.clone()) {
            let file = files.read(path, &load)?;
            open.push(Open::new(file));
        }
    }
    let Files { whole, mut done, .. } = files;
    for file in &mut done {
        file.whole = whole.contains(&file.path);
    }
    Ok(done)
}

/// The name of a file without its folders and its suffix.
pub(crate) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".star").unwrap_or(name)
}

/// A file whose loads are being followed.
struct Open {
    file: File,
    /// In reverse.
    loads: Vec<Load>,
}

/// One `load()` in a source.
struct Load {
    path: String,
    at: FileSpan,
    /// What is loaded, by the names that it has in the file.
    names: Vec<String>,
}

impl Open {
    fn new(file: File) -> Self {
        let mut loads: Vec<_> = file
            .ast
            .loads()
            .iter()
            .map(|load| Load {
                path: load.module_id.to_owned(),
                at: load.span.clone(),
                names: load.symbols.values().map(|name| (*name).to_owned()).collect(),
            })
            .collect();
        loads.reverse();
        Self { file, loads }
    }
}

struct Files<'h> {
    host: &'h dyn Host,
    /// Of the script, as messages show it.
    folder: String,
    asked: HashSet<String>,
    /// Files that others want as one struct.
    whole: HashSet<String>,
    done: Vec<File>,
}

impl Files<'_> {
    fn read(&self, path: String, load: &Load) -> starlark::Result<File> {
        if self.asked.len() > MAX_FILES {
            return Err(refused(load, &format!("a script may load {MAX_FILES} files at most")));
        }
        let bytes = self.host.read_source(&path).map_err(|why| missing(load, why))?;
        let name = format!("{}{path}", self.folder);
        let text = source::text(&name, &bytes)?;
        parse(&name, path, text)
    }
}

fn parse(name: &str, path: String, source: &str) -> starlark::Result<File> {
    Ok(File { path, ast: syntax(name, source)?, whole: false })
}

/// The folder of a script as a prefix.
fn folder(script: &str) -> String {
    script.rfind('/').and_then(|at| script.get(..=at)).unwrap_or_default().to_owned()
}

/// A path in one spelling; the error is a sentence.
pub(crate) fn normal(path: &str) -> Result<String, String> {
    if path.is_empty() || path.contains(['\\', '\0']) || path.starts_with('/') {
        return Err("a path is relative to the script's folder, such as \"lib/util.star\"".into());
    }
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "." | "")) {
        match part {
            ".." if parts.pop().is_none() => return Err("a path cannot leave the script's folder".into()),
            ".." => {}
            part => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => Err("a path names a file, such as \"lib/util.star\"".into()),
        false => Ok(parts.join("/")),
    }
}

/// No file can be read for a load, perhaps because none is needed.
fn missing(load: &Load, why: String) -> Error {
    refused(load, &hinted(&load.path, why))
}

/// Why there is no file for a load of `path`, with what to do when the script needs none.
pub(crate) fn hinted(path: &str, why: String) -> String {
    match unneeded::load(path) {
        Some(hint) => format!("{why}; {hint}"),
        None => why,
    }
}

fn refused(load: &Load, why: &str) -> Error {
    let text = anyhow::Error::msg(format!("cannot load {:?}: {why}", load.path));
    Error::new_spanned(ErrorKind::Parser(text), load.at.span, &load.at.file)
}

fn cycle(open: &[Open], first: usize, path: &str) -> String {
    let names = open.iter().skip(first).map(|open| open.file.path.as_str()).chain([path]);
    format!("the files load each other: {}", names.collect::<Vec<_>>().join(" -> "))
}

/// Files that are evaluated and frozen.
#[derive(Debug, Default)]
pub(crate) struct Loaded(HashMap<String, FrozenModule>);

impl Loaded {
    /// Evaluates a file whose own loads are here already.
    pub(crate) fn evaluate(&mut self, file: File, session: &Session<'_>) -> starlark::Result<()> {
        let frozen = Module::with_temp_heap(|module| {
            {
                let mut eval = Evaluator::new(&module);
                surround(&mut eval, session)?;
                eval.set_loader(self);
                eval.eval_module(file.ast, globals::of(session))?;
            }
            if file.whole {
                bind_whole(&module, stem(&file.path));
            }
            module.freeze().map_err(|error| usage(format!("cannot freeze {:?}: {}", file.path, error.err_msg)))
        })?;
        self.0.insert(file.path, frozen);
        Ok(())
    }
}

/// Gives a module a struct of all that it has to offer, unless it has a meaning for the name itself.
fn bind_whole(module: &Module<'_>, name: &str) {
    if module.get(name).is_some() {
        return;
    }
    let public = |name: &&str| !name.starts_with('_');
    let names: Vec<String> = module.names().map(|name| name.as_str().to_owned()).collect();
    let fields = names.iter().map(String::as_str).filter(public).filter_map(|name| Some((name, module.get(name)?)));
    let whole = module.heap().alloc(AllocStruct(fields.collect::<Vec<_>>()));
    module.set(name, whole);
}

impl FileLoader for Loaded {
    fn load(&self, path: &str) -> starlark::Result<FrozenModule> {
        let module = normal(path).ok().and_then(|path| self.0.get(&path).cloned());
        module.ok_or_else(|| usage(format!("cannot load {path:?}: it was not found beforehand")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use crate::testing::NativeHost;

    /// Runs the first of some files; gives what was printed, or the report.
    fn run(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let mut host = NativeHost::new();
        host.sources = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
        let source = files.first().unwrap().1.as_bytes();
        crate::run(&host, "app/main.star", source).map_err(|failure| failure.report)?;
        Ok(host.prints())
    }

    #[test]
    fn a_whole_file_is_a_struct_named_like_it() {
        let util =
            ("lib/util.star", "load('other.star', 'there')\n_hidden = 1\nseen = 2\ndef twice(x):\n    return 2 * x");
        let other = ("other.star", "there = 7");
        for (main, expected) in [
            ("load('./lib/util.star', 'util')\nprint(util.twice(util.seen))", "4"),
            (
                "load('lib/util.star', u = 'util')\nprint(u.seen, hasattr(u, '_hidden'), hasattr(u, 'there'))",
                "2 False False",
            ),
            ("load('lib/util.star', 'util', 'seen')\nprint(util.seen + seen)", "4"),
        ] {
            assert_eq!(run(&[("main.star", main), util, other]).unwrap(), [expected], "{main}");
        }
        let own = ("util.star", "def util():\n    return 'its own'");
        assert_eq!(run(&[("main.star", "load('util.star', 'util')\nprint(util())"), own]).unwrap(), ["its own"]);
        let report = run(&[("main.star", "load('util.star', 'other')"), own]).unwrap_err();
        assert!(report.contains("other"), "{report}");
    }

    #[test]
    fn each_file_is_evaluated_once_and_before_those_that_load_it() {
        let printed = run(&[
            ("main.star", "load('a.star', 'a')\nload('./lib//b.star', c = 'b')\nprint(a(), c)"),
            ("a.star", "load('lib/b.star', 'b')\nprint('a')\ndef a():\n    return b + 1"),
            ("lib/b.star", "print('b')\nb = 41"),
        ]);
        assert_eq!(printed.unwrap(), ["b", "a", "42 41"]);
    }

    #[test]
    fn what_was_loaded_is_frozen() {
        let report = run(&[("main.star", "load('a.star', 'l')\nl.append(1)"), ("a.star", "l = []")]).unwrap_err();
        assert!(report.contains("main.star:2"), "{report}");
        assert!(report.contains("mmutable") || report.contains("frozen"), "{report}");
    }

    #[test]
    fn cycles_escapes_and_missing_files_are_told_with_their_place() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[("main.star", "load('main.star', 'x')"), ("main.star", "load('main.star', 'x')")], "load each other"),
            (
                &[
                    ("main.star", "load('a.star', 'x')"),
                    ("a.star", "load('b.star', 'x')"),
                    ("b.star", "load('a.star', 'x')"),
                ],
                "a.star -> b.star -> a.star",
            ),
            (&[("main.star", "y = 1\nload('../a.star', 'x')")], "app/main.star:2"),
            (&[("main.star", "load('lib/../../a.star', 'x')")], "cannot leave the script's folder"),
            (&[("main.star", "load('/etc/passwd', 'x')")], "relative to the script's folder"),
            (&[("main.star", "load('none.star', 'x')")], "none.star"),
            (&[("main.star", "load('a.star', 'nope')"), ("a.star", "x = 1")], "nope"),
            (&[("main.star", "load('a.star', 'x')"), ("a.star", "x = 1 +")], "app/a.star:1"),
        ];
        for (files, expected) in cases {
            let report = run(files).unwrap_err();
            assert!(report.contains(expected), "{files:?}: {report}");
        }
    }

    #[test]
    fn a_long_chain_of_files_is_no_deep_recursion() {
        let names: Vec<_> =
            (0..400).map(|n| (format!("{n}.star"), format!("load('{}.star', 'x')\ny = x\nx = y", n + 1))).collect();
        let mut files = vec![("main.star", "load('0.star', 'x')\nprint(x)")];
        files.extend(names.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        files.push(("400.star", "x = 7"));
        // A name that was loaded cannot be bound again, so each file renames it.
        let files: Vec<_> =
            files.iter().map(|(n, t)| (*n, t.replace("'x')\ny = x\nx = y", "y = 'x')\nx = y"))).collect();
        let files: Vec<_> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        assert_eq!(run(&files).unwrap(), ["7"]);
    }

    #[test]
    fn a_file_that_is_loaded_cannot_serve() {
        let report = run(&[
            ("main.star", "load('a.star', 'x')"),
            ("a.star", "x = 1\nhttp.serve({'GET /': lambda r: None}, port=0)"),
        ]);
        assert!(report.clone().unwrap_err().contains("only the script that was started can serve"), "{report:?}");
    }
}
