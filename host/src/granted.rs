//! What the command line and the configuration file grant to a script.

use std::env;
use std::path::{Path, PathBuf};

use starcell_config::Config;
use starcell_policy::{CanonicalPath, Grants, Profile, Roots, Rule};

use crate::cli::{GrantFlags, RuleFlags};

/// Bytes of a configuration file; one that is longer is refused by its reader with a place.
const MAX_BYTES: u64 = (1 << 20) + 1;

/// How a configuration file is called by custom.
const WELL_KNOWN: &str = "starcell.toml";

/// What a script may do.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The decision about each of its calls.
    pub grants: Grants,
    /// The folder that its relative paths start at.
    pub cwd: CanonicalPath,
    /// All that decides in one text, of which the audit log keeps the digest.
    pub policy: String,
}

impl Granted {
    /// Reads the configuration file, if one is named, and compiles profile and rules.
    ///
    /// # Errors
    /// The sentence for whoever typed the command.
    pub fn new(flags: &GrantFlags) -> Result<Self, String> {
        let Chosen { profile, allow, deny, .. } = Chosen::new(&flags.rules)?;
        let roots = roots()?;
        let grants = Grants::new(&profile, &allow, &deny, &roots).map_err(|error| error.to_string())?;
        let RuleFlags { allow, deny, .. } = &flags.rules;
        let policy = format!("{:?}", (&profile, allow, deny, &roots, flags.mode));
        Ok(Self { grants, cwd: roots.cwd().clone(), policy })
    }
}

/// A profile and rules as they were given, every name of them known.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The named profile, or the one that applies when none is.
    pub profile: Profile,
    /// Rules to allow on top of it.
    pub allow: Vec<Rule>,
    /// Rules to deny.
    pub deny: Vec<Rule>,
    /// What the configuration file says.
    pub config: Config,
}

impl Chosen {
    /// Reads what the flags name.
    ///
    /// # Errors
    /// The sentence for whoever typed the command.
    pub fn new(flags: &RuleFlags) -> Result<Self, String> {
        let config = config(flags.config.as_deref())?;
        let profile = match flags.profile() {
            Some(name) => config.profile(name).map_err(|error| error.to_string())?,
            None => config.default_profile(),
        };
        let (allow, deny) = (rules("--allow", &flags.allow)?, rules("--deny", &flags.deny)?);
        Ok(Self { profile, allow, deny, config })
    }
}

/// Reads the configuration file that the command line names.
///
/// A file is read only where it is named. One that lies in the working folder under a well-known name could be the
/// script's own: it came with a stranger's folder, or was written by a script that may write there.
///
/// # Errors
/// The sentence for whoever typed the command, with the line and the column of a mistake.
pub fn config(file: Option<&Path>) -> Result<Config, String> {
    file.map_or_else(|| Ok(Config::default()), read)
}

/// The name of a configuration file that lies in the working folder and is not read.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "looks for a file that is not read, to say so")]
pub fn passed_over(flags: &RuleFlags) -> Option<&'static str> {
    (flags.config.is_none() && std::fs::symlink_metadata(WELL_KNOWN).is_ok()).then_some(WELL_KNOWN)
}

#[expect(clippy::disallowed_types, reason = "reads the file that the command line names")]
fn read(path: &Path) -> Result<Config, String> {
    use std::io::Read as _;
    let name = path.display().to_string();
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| format!("cannot read {name}: {error}"))?;
    Config::parse(&text, &name).map_err(|error| error.to_string())
}

fn rules(flag: &str, texts: &[String]) -> Result<Vec<Rule>, String> {
    texts.iter().map(|text| Rule::parse(text).map_err(|error| format!("{flag}: {error}"))).collect()
}

/// What `$CWD` and `$HOME` stand for in rules.
///
/// # Errors
/// The sentence for whoever typed the command.
#[expect(clippy::disallowed_methods, reason = "the only reader of the environment, with run.rs")]
pub fn roots() -> Result<Roots, String> {
    let path = |path: PathBuf| {
        let text = path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
        CanonicalPath::absolute(text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let cwd = env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
    let roots = Roots::new(path(cwd)?);
    match env::var_os("HOME") {
        Some(home) if !home.is_empty() => Ok(roots.with_home(path(home.into())?)),
        _ => Ok(roots),
    }
}
