//! Programs and environment of the host.

use crate::Field;

/// A program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its path, then its arguments.
    pub argv: Vec<String>,
    /// All of its environment; `None` is a clean one.
    pub environment: Option<Vec<Field>>,
    /// The folder it runs in; `None` is `$CWD`.
    pub folder: Option<String>,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Nanoseconds until it is killed; `None` is for the host to say.
    pub timeout: Option<u64>,
}

/// What a program that ended left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code, or the number of the signal that ended it, negative.
    pub code: i32,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}
