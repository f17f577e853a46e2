//! `starcell check`: scripts, looked at without running them.

use std::path::{Path, PathBuf};
use std::thread;

use starcell_check::{Report, Severity, check as check_script};

use crate::cli::Check;
use crate::exit::Exit;
use crate::folder::Folder;
use crate::say::{Said, fail, say};

/// What parsing and checking recurse on. The interpreter's own bounds fit 1 MiB; the type checker takes more a level.
const STACK_BYTES: usize = 64 << 20;

/// Bytes of a script that are read: enough to see that it is too large.
const MAX_BYTES: u64 = starcell_interp::MAX_SOURCE_BYTES as u64 + 1;

/// Checks the scripts that the command line names and tells what was found.
pub fn check(arguments: &Check) -> Exit {
    let scripts = match scripts(&arguments.path) {
        Ok(scripts) => scripts,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let mut exit = Exit::Ok;
    for script in scripts {
        let text = match read(&script) {
            Ok(text) => text,
            Err(error) => return fail(Exit::Usage, &format!("cannot read {}: {error}", script.display())),
        };
        let Some(report) = checked(&script, text) else {
            return fail(Exit::Host, &format!("the check of {} failed", script.display()));
        };
        let answer = if arguments.json { Said::Json(report.json()) } else { Said::Text(report.text()) };
        if say(Exit::Ok, &answer) != Exit::Ok {
            return Exit::Host;
        }
        exit = worse(exit, verdict(&report, arguments.deny_warnings));
    }
    exit
}

/// Checks one script on a thread with a large stack; none if that thread did not live to tell.
#[expect(clippy::disallowed_methods, reason = "joined at once")]
fn checked(script: &Path, text: Vec<u8>) -> Option<Report> {
    let name = script.display().to_string();
    let folder = Folder(script.parent().map(|folder| folder.join(".")).unwrap_or_default());
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(move || check_script(&folder, &name, &text)).ok()?.join().ok()
}

/// The scripts that a path stands for.
#[expect(clippy::disallowed_methods, reason = "looks at what the command line names")]
fn scripts(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !std::fs::metadata(path).is_ok_and(|about| about.is_dir()) {
        return Ok(vec![path.to_owned()]);
    }
    let main = path.join("main.star");
    if std::fs::metadata(&main).is_ok() {
        return Ok(vec![main]);
    }
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let file = entry.map_err(cannot)?.path();
        if file.extension().is_some_and(|extension| extension == "star") {
            scripts.push(file);
        }
    }
    scripts.sort_unstable();
    match scripts.is_empty() {
        true => Err(format!("there is no script in {}: none of its files ends in .star", path.display())),
        false => Ok(scripts),
    }
}

#[expect(clippy::disallowed_types, reason = "reads the script that the command line names")]
fn read(script: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::fs::File::open(script)?.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

fn verdict(report: &Report, deny_warnings: bool) -> Exit {
    let warnings = deny_warnings && report.count(Severity::Warning) > 0;
    match report.broken {
        true => Exit::Syntax,
        false if report.count(Severity::Error) > 0 || warnings => Exit::Raised,
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
