//! `starcell completions`: what a shell needs to complete the command line.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};
use crate::exit::Exit;
use crate::run::fail;

/// Writes the completions of a shell to standard output.
pub fn completions(arguments: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "starcell", &mut script);
    match std::io::stdout().lock().write_all(&script) {
        Ok(()) => Exit::Ok,
        Err(error) => fail(Exit::Host, &format!("cannot write: {error}")),
    }
}
