//! Programs and environment, as the host offers them.

use starcell_contract::{Command, HostError, Output, Position};

/// Programs and environment of the host.
pub trait Programs {
    /// The value of a variable.
    fn env(&self, name: &str, at: &Position) -> Result<Option<String>, HostError>;
    /// The name of the machine.
    fn hostname(&self, at: &Position) -> Result<String, HostError>;
    /// Runs a program to its end.
    fn exec(&self, command: &Command, at: &Position) -> Result<Output, HostError>;
    /// The path of a program.
    fn which(&self, name: &str, at: &Position) -> Result<Option<String>, HostError>;
}
