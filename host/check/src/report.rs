//! Everything a check found, as text or as JSON.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use starcell_interp::tools;
use starcell_policy::nearest;

use crate::builtins::builtins;
use crate::capabilities::{self, Reach, ReachRecord};
use crate::diagnostic::{Diagnostic, Severity};
use crate::facts::Facts;
use crate::frozen::{self, Outside};
use crate::program::{File, Program, ScriptFiles};
use crate::{calls, names, routes};

/// Most diagnostics that are told of one script. Who has more of them has one cause.
const MAX_TOLD: usize = 500;

/// Most places that are told of one capability. That it is reached is always told.
const MAX_PLACES: usize = 100;

/// The findings in a script and the files it loads.
#[derive(Debug, Default)]
pub struct Report {
    /// The names of the files.
    pub files: Vec<String>,
    /// What is wrong, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// What the script can ask the host for.
    pub capabilities: Vec<Reach>,
    /// True if a file does not parse; then the rest is as much as could be seen.
    pub broken: bool,
    /// Diagnostics that are left out.
    pub left_out: usize,
    /// Places of capabilities that are left out.
    pub places_left_out: usize,
}

/// What the check of names and types says when it was cut.
const UNFINISHED: &str = "the check of names and types was not finished: the script needs more time or memory than a \
                          check may take; everything else was checked";

/// Checks a script: `script` is how messages call it, `text` what it says, `source` where the files it loads are.
///
/// Nothing is evaluated. It needs as much stack as the interpreter: run it on a thread with some megabytes.
pub fn check(source: &dyn ScriptFiles, script: &str, text: &[u8]) -> Report {
    let mut last = Report::default();
    check_in_steps(source, script, text, |report| last = report);
    last
}

/// Checks a script, and hands over a report after each step: first everything whose cost grows with the text alone,
/// with an advice that names and types are missing; then the whole.
///
/// The type checker has no bound of its own: a script of a kilobyte can keep it for ever. Whoever runs this under
/// limits, and is cut by them, still has the report of the first step.
pub fn check_in_steps(source: &dyn ScriptFiles, script: &str, text: &[u8], mut step: impl FnMut(Report)) {
    let program = Program::find(source, script, text);
    let modules = builtins().modules();
    let files: Vec<_> = program.files.iter().map(|file| (file, Facts::read(&file.ast, &modules))).collect();
    let mut diagnostics = Vec::new();
    for (file, facts) in &files {
        diagnostics.extend(calls::check(&file.ast, facts));
        diagnostics.extend(frozen::check(&file.ast, facts, &outside(file, &files, program.is_test())));
        diagnostics.extend(routes::check(&file.ast, facts));
    }
    // Enough of them: more are not told.
    let known = diagnostics.len().min(MAX_TOLD);
    diagnostics.extend(unexported(&files));
    diagnostics.extend(program.diagnostics.iter().cloned());
    let mut capabilities = capabilities::reached(&files);
    capabilities.sort_by(|one, other| {
        let place = |reach: &Reach| (reach.capability, reach.at.filename().to_owned(), reach.at.span.begin());
        place(one).cmp(&place(other))
    });
    let places_left_out = shorten(&mut capabilities);
    drop(files);
    let report = |diagnostics: Vec<Diagnostic>| {
        let (files, broken, capabilities) = (program.names.clone(), program.broken, capabilities.clone());
        let (diagnostics, left_out) = in_order(diagnostics);
        Report { files, diagnostics, capabilities, broken, left_out, places_left_out }
    };
    let cut = program.files.last().map(|file| {
        let begin = file.ast.statement().span.begin();
        let start = file.ast.file_span(starlark::codemap::Span::new(begin, begin));
        Diagnostic::new(Severity::Advice, "unfinished", UNFINISHED, start)
    });
    step(report(diagnostics.iter().cloned().chain(cut).collect()));
    let (told, mut all) = (diagnostics.get(..known).unwrap_or_default().to_vec(), diagnostics);
    // The type checker says it again where a call or a member is told about already.
    all.extend(names::check(&program).into_iter().filter(|found| !told.iter().any(|known| same_place(known, found))));
    step(report(all));
}

/// Diagnostics by file and place, each once, and how many are left out.
fn in_order(mut diagnostics: Vec<Diagnostic>) -> (Vec<Diagnostic>, usize) {
    diagnostics.sort_by(Diagnostic::order);
    diagnostics.dedup_by(|one, other| one.at == other.at && one.message == other.message);
    let left_out = diagnostics.len().saturating_sub(MAX_TOLD);
    // What ends a check comes first whatever else there is.
    if left_out > 0 {
        diagnostics.sort_by_key(|found| (found.code != "syntax", found.severity));
        diagnostics.truncate(MAX_TOLD);
        diagnostics.sort_by(Diagnostic::order);
    }
    (diagnostics, left_out)
}

/// What of a file runs in requests although the file itself does not say so.
fn outside<'f>(file: &File, files: &'f [(&File, Facts<'_>)], is_test: bool) -> Outside<'f> {
    let loaded = files.iter().flat_map(|(other, _)| {
        let loads = other.ast.loads().into_iter();
        let loads = loads.filter(|load| other.loads.get(load.module_id).is_some_and(|path| *path == file.path));
        loads.flat_map(|load| load.symbols.into_values())
    });
    Outside { loaded: loaded.collect(), is_test: is_test && file.path.is_empty() }
}

/// Names that `load()` asks for and the other file does not have.
fn unexported(files: &[(&File, Facts<'_>)]) -> Vec<Diagnostic> {
    let exports: HashMap<&str, &HashSet<&str>> =
        files.iter().map(|(file, facts)| (file.path.as_str(), facts.exports())).collect();
    let mut found = Vec::new();
    for (file, _) in files {
        for load in file.ast.loads() {
            let Some(path) = file.loads.get(load.module_id) else { continue };
            let Some(exports) = exports.get(path.as_str()) else { continue };
            let is_there = |name: &str| exports.contains(name) || tools::is_whole_file(path, name);
            for (_, name) in load.symbols.iter().filter(|(_, name)| !is_there(name)) {
                let hint = match name.starts_with('_') {
                    true => "; what begins with _ stays in its file".to_owned(),
                    false => nearest(name, exports.iter().copied())
                        .map(|name| format!("; did you mean {name}?"))
                        .unwrap_or_default(),
                };
                let text = format!("{path} has no {name} to load{hint}");
                found.push(Diagnostic::error("unknown-name", text, load.span.clone()));
            }
        }
    }
    found
}

/// Leaves out all but the first places of each capability; gives how many.
fn shorten(capabilities: &mut Vec<Reach>) -> usize {
    let before = capabilities.len();
    let mut counts: HashMap<_, usize> = HashMap::new();
    capabilities.retain(|reach| {
        let count = counts.entry(reach.capability).or_default();
        *count += 1;
        *count <= MAX_PLACES
    });
    before - capabilities.len()
}

/// Returns whether two errors are about the same piece of text.
fn same_place(one: &Diagnostic, other: &Diagnostic) -> bool {
    let within = |inner: &Diagnostic, outer: &Diagnostic| {
        outer.at.span.begin() <= inner.at.span.begin() && inner.at.span.end() <= outer.at.span.end()
    };
    other.code == "type"
        && one.severity == Severity::Error
        && one.at.file == other.at.file
        && (within(one, other) || within(other, one))
}

impl Report {
    /// The number of findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == severity).count()
    }

    /// The report for a terminal; it ends with a line that counts.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for found in &self.diagnostics {
            text += &found.text();
            text += "\n\n";
        }
        if self.left_out > 0 {
            text += &format!("{} more are left out\n\n", self.left_out);
        }
        text += &self.capabilities_text();
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        text + &format!(
            "{} checked: {}, {}\n",
            many(self.files.len(), "file"),
            many(errors, "error"),
            many(warnings, "warning")
        )
    }

    fn capabilities_text(&self) -> String {
        if self.capabilities.is_empty() {
            return "capabilities: none, runs under deny-all\n".to_owned();
        }
        let mut text = "capabilities:\n".to_owned();
        let rows: Vec<[String; 4]> = self.capabilities.iter().map(row).collect();
        let width =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let (name, place, via) = (width(0).unwrap_or(0), width(1).unwrap_or(0), width(2).unwrap_or(0));
        for [capability, at, through, profile] in &rows {
            text += &format!("  {capability:name$}  {at:place$}  {through:via$}  from {profile}\n");
        }
        if self.places_left_out > 0 {
            text += &format!("  and {} more places\n", self.places_left_out);
        }
        text + &format!("lowest profile: {}\n", capabilities::lowest_of(&self.capabilities))
    }

    /// The report as one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let record = Json {
            version: 1,
            files: &self.files,
            diagnostics: &self.diagnostics,
            left_out: self.left_out,
            capabilities: self.capabilities.iter().map(Reach::record).collect(),
            places_left_out: self.places_left_out,
            profile: capabilities::lowest_of(&self.capabilities),
        };
        // Texts, numbers and lists of them: nothing that JSON cannot hold.
        serde_json::to_string(&record).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Json<'r> {
    version: u32,
    files: &'r [String],
    diagnostics: &'r [Diagnostic],
    left_out: usize,
    capabilities: Vec<ReachRecord<'r>>,
    places_left_out: usize,
    profile: &'static str,
}

fn row(reach: &Reach) -> [String; 4] {
    let begin = reach.at.resolve_span().begin;
    let at = format!("{}:{}:{}", reach.at.filename(), begin.line + 1, begin.column + 1);
    [reach.capability.to_string(), at, reach.via.clone(), capabilities::lowest(reach.capability).to_owned()]
}

fn many(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}
