//! `starcell docs`: the reference of the modules, the manual pages of the commands, and the description of a node's API.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use starcell_check::reference;

use crate::api::openapi;
use crate::cli::{Cli, Docs};
use crate::exit::Exit;
use crate::say::{Said, fail, say};

/// Writes what the command line asks for.
#[expect(clippy::disallowed_methods, reason = "writes the file that the command line names")]
pub fn docs(arguments: &Docs) -> Exit {
    if let Some(folder) = &arguments.manual {
        return match manual(folder) {
            Ok(()) => Exit::Ok,
            Err(error) => fail(Exit::Usage, &format!("cannot write into {}: {error}", folder.display())),
        };
    }
    let text = if arguments.openapi { openapi::text() } else { reference::markdown() };
    let Some(file) = &arguments.output else { return say(Exit::Ok, &Said::Text(text)) };
    match std::fs::write(file, text) {
        Ok(()) => Exit::Ok,
        Err(error) => fail(Exit::Usage, &format!("cannot write {}: {error}", file.display())),
    }
}

/// Writes a page for the program, and one for each of its commands and their commands.
fn manual(folder: &Path) -> io::Result<()> {
    clap_mangen::generate_to(Cli::command(), folder)
}
