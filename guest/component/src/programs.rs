//! `Programs` over the component's import `os`.

use starcell_interp::{Command, HostError, Output, Position, Programs};

use crate::bindings::starcell::guest::os;
use crate::imports::Imports;

impl Programs for Imports {
    fn env(&self, name: &str, at: &Position) -> Result<Option<String>, HostError> {
        os::env(name, at)
    }

    fn hostname(&self, at: &Position) -> Result<String, HostError> {
        os::hostname(at)
    }

    fn exec(&self, command: &Command, at: &Position) -> Result<Output, HostError> {
        os::exec(command, at)
    }

    fn which(&self, name: &str, at: &Position) -> Result<Option<String>, HostError> {
        os::which(name, at)
    }
}
