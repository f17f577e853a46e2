//! The place of a mistake in a configuration, and the name that was probably meant.

use std::ops::Range;

use starcell_policy::nearest;
use thiserror::Error;

/// The first mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {problem}{}", .suggestion.as_deref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
pub struct ConfigError {
    file: String,
    line: usize,
    column: usize,
    problem: String,
    suggestion: Option<String>,
}

impl ConfigError {
    /// The name the file was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The character in the line, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The mistake.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The known name that was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

/// A text and its name, to find places in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    pub(crate) file: &'a str,
}

impl Source<'_> {
    /// A mistake at a byte of the text.
    pub(crate) fn error(&self, at: usize, problem: impl Into<String>, suggestion: Option<&str>) -> ConfigError {
        let before = self.text.get(..self.text.floor_char_boundary(at)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            problem: problem.into(),
            suggestion: suggestion.map(str::to_owned),
        }
    }

    /// The mistake that the parser found, with a suggestion for an unknown name.
    pub(crate) fn toml_error(&self, error: &toml::de::Error) -> ConfigError {
        let at = error.span().map_or(0, |span: Range<usize>| span.start);
        let message = error.message();
        match message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
            Some((unknown, expected)) => {
                // Names are between backticks, so every second piece is one.
                let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
                let problem = format!("unknown key `{unknown}`, expected {}", listed(&known));
                self.error(at, problem, nearest(unknown, known.iter().copied()))
            }
            None => self.error(at, message.replace('\n', "; "), None),
        }
    }
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "none".to_owned(),
    }
}
