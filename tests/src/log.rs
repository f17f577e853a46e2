//! Audit logs as tests read them, and the commands that answer without running a script.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{Ended, Starcell, binary};

/// The lines of a log that are of one kind.
#[must_use]
pub fn lines(log: &Path, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(log).expect("a log");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.filter(|line| line["kind"] == kind).collect()
}

/// The calls of a log that were refused.
#[must_use]
pub fn denied(log: &Path) -> Vec<Value> {
    lines(log, "call").into_iter().filter(|call| call["decision"] == "deny").collect()
}

/// Runs `starcell` with these arguments in a folder.
#[must_use]
pub fn ask(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder);
    Starcell::spawn_command(command).wait()
}

/// The answer of `starcell`, which must be JSON and well.
#[must_use]
pub fn ask_json(folder: &Path, arguments: &[&str]) -> Value {
    let ended = ask(folder, arguments);
    assert_eq!(ended.code(), 0, "{arguments:?}: {}", ended.output);
    serde_json::from_str(&ended.stdout).expect("an answer in JSON")
}
