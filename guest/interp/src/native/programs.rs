//! Programs that only say how they were called.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::host::{Command, HostError, Output, Position, Programs};

/// Programs that live in memory.
#[derive(Debug, Default)]
pub struct NativePrograms {
    /// What every call answers, when set.
    pub refuse: Option<HostError>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// What every program leaves.
    pub output: Output,
    commands: RefCell<Vec<Command>>,
}

impl NativePrograms {
    /// The commands that were run.
    pub fn commands(&self) -> Vec<Command> {
        self.commands.borrow().clone()
    }

    fn granted(&self) -> Result<(), HostError> {
        self.refuse.clone().map_or(Ok(()), Err)
    }
}

impl Programs for NativePrograms {
    fn env(&self, name: &str, _at: &Position) -> Result<Option<String>, HostError> {
        self.granted()?;
        Ok(self.environment.get(name).cloned())
    }

    fn hostname(&self, _at: &Position) -> Result<String, HostError> {
        self.granted()?;
        Ok("machine-1".to_owned())
    }

    fn exec(&self, command: &Command, _at: &Position) -> Result<Output, HostError> {
        self.granted()?;
        self.commands.borrow_mut().push(command.clone());
        Ok(self.output.clone())
    }

    fn which(&self, name: &str, _at: &Position) -> Result<Option<String>, HostError> {
        self.granted()?;
        Ok(Some(format!("/bin/{name}")))
    }
}
