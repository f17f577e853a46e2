//! `Programs` over the component's import `os`.

use starcell_interp::{Command, HostError, Output, Position, Programs};

use crate::bindings::starcell::guest::os;
use crate::bindings::starcell::guest::types::Field;
use crate::{Imports, host_error, position};

impl Programs for Imports {
    fn env(&self, name: &str, at: &Position) -> Result<Option<String>, HostError> {
        os::env(name, &position(at)).map_err(host_error)
    }

    fn exec(&self, command: &Command, at: &Position) -> Result<Output, HostError> {
        let field = |(name, value): &(String, String)| Field { name: name.clone(), value: value.clone() };
        let command = os::Command {
            argv: command.argv.clone(),
            environment: command.environment.as_ref().map(|pairs| pairs.iter().map(field).collect()),
            folder: command.folder.clone(),
            stdin: command.stdin.clone(),
            timeout: command.timeout,
        };
        let output = os::exec(&command, &position(at)).map_err(host_error)?;
        Ok(Output { code: output.code, stdout: output.stdout, stderr: output.stderr })
    }

    fn which(&self, name: &str, at: &Position) -> Result<Option<String>, HostError> {
        os::which(name, &position(at)).map_err(host_error)
    }
}
