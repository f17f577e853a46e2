//! A command as a script gave it, checked before anything is asked of anyone.

use std::time::Duration;

use starcell_policy::{CanonicalPath, PathError, ProgramPath};

use super::Command;

/// How long a program may run that was given no time.
const DEFAULT_TIME: Duration = Duration::from_secs(60);

/// Most arguments, and most variables.
const MAX_WORDS: usize = 4096;

/// Bytes of all arguments and variables; the kernel takes a few times as many.
const MAX_BYTES: usize = 256 << 10;

/// The `PATH` of every program.
const FOLDERS: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a program that was given no environment finds in it.
const CLEAN: [(&str, &str); 2] = [("LANG", "C.UTF-8"), (PATH, FOLDERS)];

/// Variables that change the language, the clock and the colours of what a program writes, and nothing of what it runs.
/// A list of those that do harm would have no end: each shell, interpreter, library and tool has its own.
const HARMLESS: [&str; 4] = ["LANG", "NO_COLOR", "TERM", "TZ"];

/// The beginning of the other names that are about language.
const LANGUAGE: &str = "LC_";

/// The variable that is the host's alone: with it a script would choose which programs a program runs.
const PATH: &str = "PATH";

/// The beginnings of names with which the system's loader runs code of whoever sets them. Nobody grants these.
const LOADER: [&str; 3] = ["LD_", "DYLD_", "GLIBC_TUNABLES"];

/// What of a command is left to say once it is checked.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    /// The program.
    pub(super) program: ProgramPath,
    /// All that it finds in its environment.
    pub(super) environment: Vec<(String, String)>,
    /// How long it may run.
    pub(super) time: Duration,
}

/// Refuses what names no program, and what no program should be given. `granted` tells whether the operator lets a script
/// set a variable of this name.
pub(super) fn checked(
    command: &Command,
    cwd: &CanonicalPath,
    granted: impl Fn(&str) -> bool,
) -> Result<Checked, String> {
    let name = command.argv.first().filter(|name| !name.is_empty()).ok_or("the command is empty")?;
    let given = command.environment.iter().flatten().map(|(name, value)| (name, value));
    bounded(command.argv.iter().chain(given.clone().flat_map(|(name, value)| [name, value])))?;
    for (name, _) in given {
        variable(name, &granted)?;
    }
    let program = ProgramPath::resolve(name, cwd).map_err(|error| match error {
        PathError::BareName => format!("{error}; os.which({name:?}) may tell its path"),
        error => error.to_string(),
    })?;
    let time = command.timeout.map_or(DEFAULT_TIME, Duration::from_nanos);
    Ok(Checked { program, environment: environment(command), time })
}

/// Refuses more than a process can be started with, and what ends a text for the system.
fn bounded<'a>(words: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let (mut count, mut bytes) = (0, 0);
    for word in words {
        count += 1;
        bytes += word.len();
        if count > MAX_WORDS || bytes > MAX_BYTES {
            return Err(format!("more than {MAX_WORDS} arguments and variables, or {} KiB of them", MAX_BYTES >> 10));
        }
        if word.contains('\0') {
            return Err("an argument or a variable holds a NUL byte".to_owned());
        }
    }
    Ok(())
}

/// Refuses a variable that a script may not set.
fn variable(name: &str, granted: impl Fn(&str) -> bool) -> Result<(), String> {
    if name.is_empty() || name.contains('=') {
        return Err(format!("{name:?} cannot name a variable"));
    }
    if LOADER.iter().any(|prefix| name.to_ascii_uppercase().starts_with(prefix)) {
        return Err(format!("{name} cannot be set: it makes a program load other code than its own"));
    }
    if name == PATH {
        return Err(format!("{PATH} cannot be set: programs find others in the folders of the host ({FOLDERS})"));
    }
    if HARMLESS.contains(&name) || name.starts_with(LANGUAGE) || granted(name) {
        return Ok(());
    }
    Err(format!(
        "{name} cannot be set: a script may set {}, {LANGUAGE}* and what the operator grants; --env {name} grants it",
        HARMLESS.join(", ")
    ))
}

/// All that a program finds in its environment. One that is given as empty is left empty.
fn environment(command: &Command) -> Vec<(String, String)> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    match command.environment.as_deref() {
        None => CLEAN.map(own).into(),
        Some([]) => Vec::new(),
        Some(fields) => {
            let given = fields.iter().cloned();
            given.chain([own((PATH, FOLDERS))]).collect()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_script_sets_only_what_changes_no_code() {
        for name in ["LANG", "LC_ALL", "LC_", "NO_COLOR", "TERM", "TZ"] {
            assert_eq!(variable(name, |_| false), Ok(()), "{name}");
        }
        for name in [
            "BASH_ENV",
            "ENV",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "PERL5LIB",
            "RUBYOPT",
            "NODE_OPTIONS",
            "JAVA_TOOL_OPTIONS",
            "GCONV_PATH",
            "LOCPATH",
            "NLSPATH",
            "TAR_OPTIONS",
            "GIT_SSH_COMMAND",
            "IFS",
            "PS4",
            "SHELLOPTS",
            "BASHOPTS",
            "HOME",
            "TMPDIR",
            "EDITOR",
            "PAGER",
            "LESSOPEN",
            "LANGUAGE",
            "lang",
            "LC",
            "A",
            "BASH_FUNC_x%%",
            "TERMINFO",
            "TZDIR",
            "MALLOC_CHECK_",
            "path",
        ] {
            let error = variable(name, |_| false).unwrap_err();
            assert!(error.starts_with(name) && error.contains(&format!("--env {name} grants it")), "{error}");
            assert_eq!(variable(name, |granted| granted == name), Ok(()), "{name}");
        }
        for name in ["LD_PRELOAD", "ld_preload", "DYLD_INSERT_LIBRARIES", "GLIBC_TUNABLES", "PATH", "", "A=B"] {
            assert!(variable(name, |_| true).is_err(), "{name}");
        }
    }
}
