//! `starcell completions`: what a shell needs to complete the command line.

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};
use crate::exit::Exit;
use crate::say::{Said, say};

/// Writes the completions of a shell to standard output.
pub fn completions(arguments: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "starcell", &mut script);
    say(Exit::Ok, &Said::Text(String::from_utf8_lossy(&script).into_owned()))
}
