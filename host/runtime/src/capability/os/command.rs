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

/// What a program finds in its environment that was given none.
const CLEAN: [(&str, &str); 2] = [("LANG", "C.UTF-8"), ("PATH", "/usr/local/bin:/usr/bin:/bin")];

/// Variables with which the system's loader runs code of whoever sets them.
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

/// Refuses what names no program, and what no program should be given.
pub(super) fn checked(command: &Command, cwd: &CanonicalPath) -> Result<Checked, String> {
    let name = command.argv.first().filter(|name| !name.is_empty()).ok_or("the command is empty")?;
    let environment = match &command.environment {
        None => CLEAN.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        Some(fields) => fields.iter().map(|field| (field.name.clone(), field.value.clone())).collect::<Vec<_>>(),
    };
    let words = command.argv.iter().chain(environment.iter().flat_map(|(name, value)| [name, value]));
    let (mut count, mut bytes) = (0, 0);
    for word in words {
        if word.contains('\0') {
            return Err("an argument or a variable holds a NUL byte".to_owned());
        }
        count += 1;
        bytes += word.len();
    }
    if count > MAX_WORDS || bytes > MAX_BYTES {
        return Err(format!("more than {MAX_WORDS} arguments and variables, or {} KiB of them", MAX_BYTES >> 10));
    }
    for (name, _) in &environment {
        if name.is_empty() || name.contains('=') {
            return Err(format!("{name:?} cannot name a variable"));
        }
        if LOADER.iter().any(|prefix| name.to_ascii_uppercase().starts_with(prefix)) {
            return Err(format!("{name} cannot be set: it makes a program load other code than its own"));
        }
    }
    let program = ProgramPath::resolve(name, cwd).map_err(|error| match error {
        PathError::BareName => format!("{error}; os.which({name:?}) may tell its path"),
        error => error.to_string(),
    })?;
    Ok(Checked { program, environment, time: command.timeout.map_or(DEFAULT_TIME, Duration::from_nanos) })
}
