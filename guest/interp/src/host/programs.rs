//! Programs and environment, as the host offers them.

use super::{HostError, Position};

/// A program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its path, then its arguments.
    pub argv: Vec<String>,
    /// All of its environment; `None` is a clean one.
    pub environment: Option<Vec<(String, String)>>,
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

/// Programs and environment of the host.
pub trait Programs {
    /// The value of a variable.
    fn env(&self, name: &str, at: &Position) -> Result<Option<String>, HostError>;
    /// Runs a program to its end.
    fn exec(&self, command: &Command, at: &Position) -> Result<Output, HostError>;
    /// The path of a program.
    fn which(&self, name: &str, at: &Position) -> Result<Option<String>, HostError>;
}
