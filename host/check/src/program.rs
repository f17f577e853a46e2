//! The files of a script: the one that is started, and those that `load()` names, as the interpreter would find them.
//!
//! Where the interpreter stops at the first thing that is wrong, everything is looked at here: one run of a check
//! should tell all there is.

use std::collections::{HashMap, HashSet};

use starcell_interp::{MAX_FILES, TEST_FILE_SUFFIX, tools};
use starlark::codemap::{CodeMap, FileSpan, Pos, Span};
use starlark::syntax::AstModule;

use crate::diagnostic::Diagnostic;

/// The source of the texts of a script's files.
pub trait ScriptFiles {
    /// Reads a file by its path in the script's folder; the error is a sentence.
    ///
    /// # Errors
    /// There is no such file, or it leads out of the folder.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// A file that was parsed.
#[derive(Debug)]
pub struct File {
    /// Path in the script's folder; `""` is the script itself.
    pub path: String,
    /// Its syntax tree.
    pub ast: AstModule,
    /// What it loads: the text of each `load()` and the path it means, where it means one.
    pub loads: HashMap<String, String>,
}

/// The files of a script, those first that others load, and what is wrong with finding them.
#[derive(Debug, Default)]
pub struct Program {
    /// Those that could be parsed.
    pub files: Vec<File>,
    /// The names of all, as diagnostics call them, in the order they were found.
    pub names: Vec<String>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// True if a file does not parse.
    pub broken: bool,
    test: bool,
}

impl Program {
    /// Finds the files of a script. `script` is how diagnostics call it, `text` what it says.
    pub fn find(source: &dyn ScriptFiles, script: &str, text: &[u8]) -> Self {
        let mut finder =
            Finder { source, folder: folder(script).to_owned(), asked: HashSet::new(), program: Self::default() };
        finder.program.test = script.ends_with(TEST_FILE_SUFFIX);
        finder.find(script, text);
        finder.program
    }

    /// Returns whether it is a test file, which has names that scripts do not have.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.test
    }
}

struct Finder<'s> {
    source: &'s dyn ScriptFiles,
    /// Of the script, as a prefix of names.
    folder: String,
    asked: HashSet<String>,
    program: Program,
}

/// A file whose loads are being followed.
struct Open {
    file: File,
    /// In reverse.
    left: Vec<(String, FileSpan)>,
}

impl Finder<'_> {
    /// Nothing recurses along the chain of files.
    fn find(&mut self, script: &str, text: &[u8]) {
        let mut open: Vec<Open> = self.parse(script, String::new(), text).into_iter().collect();
        while let Some(top) = open.last_mut() {
            let Some((path, at)) = top.left.pop() else {
                self.program.files.extend(open.pop().map(|open| open.file));
                continue;
            };
            let wanted = match tools::load_path(&path) {
                Ok(wanted) => wanted,
                Err(why) => {
                    self.refuse("load-path", &path, &tools::missing_load(&path, why), at);
                    continue;
                }
            };
            top.file.loads.insert(path.clone(), wanted.clone());
            if let Some(first) = open.iter().position(|open| open.file.path == wanted && !wanted.is_empty()) {
                let cycle = cycle(&open, first, &wanted);
                self.refuse("load-cycle", &path, &cycle, at);
            } else if self.asked.insert(wanted.clone()) {
                open.extend(self.read(&path, wanted, at));
            }
        }
    }

    fn read(&mut self, path: &str, wanted: String, at: FileSpan) -> Option<Open> {
        if self.asked.len() > MAX_FILES {
            self.refuse("load-limit", path, &format!("a script may load {MAX_FILES} files at most"), at);
            return None;
        }
        match self.source.read(&wanted) {
            Ok(text) => self.parse(&format!("{}{wanted}", self.folder), wanted, &text),
            Err(why) => {
                self.refuse("load-missing", path, &tools::missing_load(path, why), at);
                None
            }
        }
    }

    fn parse(&mut self, name: &str, path: String, text: &[u8]) -> Option<Open> {
        self.program.names.push(name.to_owned());
        let ast = match tools::parse(name, text) {
            Ok(ast) => ast,
            Err(error) => {
                self.program.broken = true;
                let at = error.span().cloned().unwrap_or_else(|| beginning(name));
                self.program.diagnostics.push(Diagnostic::error("syntax", tools::message(&error), at));
                return None;
            }
        };
        let mut left: Vec<_> = ast.loads().iter().map(|load| (load.module_id.to_owned(), load.span.clone())).collect();
        left.reverse();
        Some(Open { file: File { path, ast, loads: HashMap::new() }, left })
    }

    fn refuse(&mut self, code: &str, path: &str, why: &str, at: FileSpan) {
        self.program.diagnostics.push(Diagnostic::error(code, format!("cannot load {path:?}: {why}"), at));
    }
}

fn cycle(open: &[Open], first: usize, path: &str) -> String {
    let names = open.iter().skip(first).map(|open| open.file.path.as_str()).chain([path]);
    format!("the files load each other: {}", names.collect::<Vec<_>>().join(" -> "))
}

/// The folder of a script as a prefix.
fn folder(script: &str) -> &str {
    script.rfind('/').and_then(|at| script.get(..=at)).unwrap_or_default()
}

/// The place of an error that has none.
pub(crate) fn beginning(name: &str) -> FileSpan {
    let start = Pos::new(0);
    CodeMap::new(name.to_owned(), String::new()).file_span(Span::new(start, start))
}
