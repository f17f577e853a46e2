//! Lines from a terminal, with editing, history and completion; or from a pipe.
//!
//! Reading blocks, so it happens on a thread that may. The history is kept in the user's state folder, one entry for
//! each input, and is never worth failing for.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use starcell_runtime::slow::on_blocking_thread;

const PROMPT: &str = ">>> ";
const CONTINUED: &str = "... ";

/// Most inputs that are remembered.
const MAX_HISTORY: usize = 1000;

/// What begins a statement, or stands inside of one.
const KEYWORDS: [&str; 18] = [
    "False", "None", "True", "and", "break", "continue", "def", "elif", "else", "for", "if", "in", "lambda", "load",
    "not", "or", "pass", "return",
];

/// What is asked of the user.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    /// Whether the line belongs to the input before it.
    pub(super) continued: bool,
    /// What can be completed.
    pub(super) names: Vec<String>,
    /// An input that is over, for the history.
    pub(super) remember: Option<String>,
}

/// What the user did.
#[derive(Debug)]
pub(super) enum Typed {
    Line(String),
    Interrupted,
    End,
}

/// Where lines come from.
#[derive(Clone)]
pub(super) struct Terminal(Arc<Mutex<Source>>, bool);

enum Source {
    Editor(Box<Editor<Names, FileHistory>>, Option<PathBuf>),
    Pipe,
}

impl Terminal {
    /// Standard input.
    pub(super) fn open(environment: &BTreeMap<String, String>) -> Result<Self, ReadlineError> {
        if !io::stdin().is_terminal() {
            return Ok(Self(Arc::new(Mutex::new(Source::Pipe)), false));
        }
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(MAX_HISTORY)?
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Names::default()));
        let history = history(environment);
        if let Some(file) = &history {
            // There is none the first time.
            let _ = editor.load_history(file);
        }
        Ok(Self(Arc::new(Mutex::new(Source::Editor(Box::new(editor), history))), true))
    }

    /// Whether a person types.
    pub(super) fn is_interactive(&self) -> bool {
        self.1
    }

    /// Reads a line; the error is a sentence.
    pub(super) async fn read(&self, ask: Ask) -> Result<Typed, String> {
        let source = Arc::clone(&self.0);
        let read = move || source.lock().read(ask);
        let typed = on_blocking_thread(read).await.map_err(|error| error.to_string())?;
        typed.map_err(|error| format!("cannot read what is typed: {error}"))
    }
}

impl Source {
    fn read(&mut self, ask: Ask) -> Result<Typed, ReadlineError> {
        let Self::Editor(editor, history) = self else { return Ok(pipe()?) };
        if let Some(input) = ask.remember
            && editor.add_history_entry(input)?
            && let Some(file) = history
        {
            // A history that cannot be written is none.
            let _ = editor.append_history(file);
        }
        if let Some(names) = editor.helper_mut() {
            names.0 = ask.names;
        }
        match editor.readline(if ask.continued { CONTINUED } else { PROMPT }) {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error),
        }
    }
}

fn pipe() -> io::Result<Typed> {
    let mut line = String::new();
    match io::stdin().read_line(&mut line)? {
        0 => Ok(Typed::End),
        _ => Ok(Typed::Line(line.trim_end_matches(['\n', '\r']).to_owned())),
    }
}

/// The file of the history, in a folder that is made if it is not there; none where nobody types.
#[expect(clippy::disallowed_methods, reason = "makes the user's state folder")]
pub(super) fn history(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let absolute = |name: &str| environment.get(name).map(Path::new).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").map(Path::to_owned);
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let folder = state.join("starcell");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

/// Completes names, up to the next dot.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// What can stand for the word that ends at `at`, and where that begins.
    fn complete(&self, line: &str, at: usize) -> (usize, Vec<String>) {
        let before = line.get(..at).unwrap_or_default();
        if before.trim().is_empty() {
            return (at, vec!["    ".to_owned()]);
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let start = before.rfind(|c| !is_part(c)).map_or(0, |at| at + before.get(at..).map_or(1, first_len));
        let word = before.get(start..).unwrap_or_default();
        if word.is_empty() {
            return (at, Vec::new());
        }
        let names = self.0.iter().map(String::as_str).chain(KEYWORDS);
        let fits = |name: &&str| name.strip_prefix(word).is_some_and(|rest| !rest.contains('.'));
        let mut found: Vec<_> = names.filter(fits).map(str::to_owned).collect();
        found.sort();
        found.dedup();
        (start, found)
    }
}

fn first_len(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(Self::complete(self, line, at))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_completed_up_to_the_next_dot() {
        let names = ["json", "json.decode", "json.encode", "kv", "x", "x.jsonish"].map(str::to_owned);
        let names = Names(names.to_vec());
        let complete = |line: &str| names.complete(line, line.len());
        assert_eq!(complete("js"), (0, vec!["json".into()]));
        assert_eq!(complete("y = f(json."), (6, vec!["json.decode".into(), "json.encode".into()]));
        assert_eq!(complete("é=json.e"), (3, vec!["json.encode".into()]));
        assert_eq!(complete("de"), (0, vec!["def".into()]));
        assert_eq!(complete("json.x"), (0, Vec::new()));
        assert_eq!(complete("f("), (2, Vec::new()));
        assert_eq!(complete("  "), (2, vec!["    ".into()]), "a block is indented");
    }
}
