//! `starcell docs`: the reference of the modules.

use starcell_check::reference;

use crate::cli::Docs;
use crate::exit::Exit;
use crate::say::{Said, fail, say};

/// Writes the reference to the file that the command line names, or to standard output.
#[expect(clippy::disallowed_methods, reason = "writes the file that the command line names")]
pub fn docs(arguments: &Docs) -> Exit {
    let text = reference::markdown();
    let Some(file) = &arguments.output else { return say(Exit::Ok, &Said::Text(text)) };
    match std::fs::write(file, text) {
        Ok(()) => Exit::Ok,
        Err(error) => fail(Exit::Usage, &format!("cannot write {}: {error}", file.display())),
    }
}
