//! `starcell check`: scripts, looked at without running them.
//!
//! A folder is looked at as its owner made it: a link that leads out of it is refused, and so is everything that is not
//! a file. What strangers sent cannot make the report show a file of the machine, or make the command wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use starcell_check::Checked;

use crate::cli::Check;
use crate::exit::Exit;
use crate::folder;
use crate::say::{Said, fail, say};
use crate::worker;

/// Processor time for the check of one script. A program of 9,000 typed lines takes a tenth of it.
const CPU: Duration = Duration::from_secs(5);

/// Checks the scripts that the command line names and tells what was found.
pub fn check(arguments: &Check) -> Exit {
    let scripts = match scripts(&arguments.path) {
        Ok(scripts) => scripts,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let mut exit = Exit::Ok;
    for script in scripts {
        let outcome = match worker::check(&script.folder, &script.name, &script.text, CPU) {
            Ok(outcome) => outcome,
            Err(error) => return fail(Exit::Host, &format!("cannot check {}: {error}", script.name)),
        };
        let verdict = verdict(&outcome, arguments.deny_warnings);
        let answer = if arguments.json { Said::Json(outcome.json) } else { Said::Text(outcome.text) };
        if say(Exit::Ok, &answer) != Exit::Ok {
            return Exit::Host;
        }
        exit = worse(exit, verdict);
    }
    exit
}

/// A script that is to be checked.
struct Script {
    /// Where the files that it loads are.
    folder: PathBuf,
    name: String,
    text: Vec<u8>,
}

/// The scripts that a path stands for.
fn scripts(path: &Path) -> Result<Vec<Script>, String> {
    let inside = |name: &str| {
        let text = folder::read(path, name)?;
        Ok(Script { folder: path.to_owned(), name: path.join(name).display().to_string(), text })
    };
    if !folder::is_folder(path) {
        let folder = path.parent().map(|folder| folder.join(".")).unwrap_or_default();
        return Ok(vec![Script { folder, name: path.display().to_string(), text: folder::read_named(path)? }]);
    }
    let names = folder::scripts(path)?;
    match names.iter().any(|name| name == folder::MAIN) {
        true => Ok(vec![inside(folder::MAIN)?]),
        false => names.iter().map(|name| inside(name)).collect(),
    }
}

fn verdict(outcome: &Checked, deny_warnings: bool) -> Exit {
    let warnings = deny_warnings && outcome.warnings > 0;
    match outcome.broken {
        true => Exit::Syntax,
        false if outcome.errors > 0 || warnings => Exit::Raised,
        false => Exit::Ok,
    }
}

/// A script that does not parse outweighs one that has errors.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Ok => 0,
        Exit::Raised => 1,
        _ => 2,
    };
    if rank(other) > rank(one) { other } else { one }
}
