//! `starcell docs`: the reference of the modules.

use std::io::Write as _;

use starcell_check::reference;

use crate::cli::Docs;
use crate::exit::Exit;
use crate::run::fail;

/// Writes the reference to the file that the command line names, or to standard output.
#[expect(clippy::disallowed_methods, reason = "writes the file that the command line names")]
pub fn docs(arguments: &Docs) -> Exit {
    let text = reference::markdown();
    let (written, to) = match &arguments.output {
        Some(file) => (std::fs::write(file, text), file.display().to_string()),
        None => (std::io::stdout().lock().write_all(text.as_bytes()), "standard output".to_owned()),
    };
    match written {
        Ok(()) => Exit::Ok,
        Err(error) => fail(Exit::Usage, &format!("cannot write {to}: {error}")),
    }
}
