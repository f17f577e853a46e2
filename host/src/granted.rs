//! What the command line and the configuration file grant to a script.

use std::env;
use std::path::{Path, PathBuf};

use starcell_config::Config;
use starcell_policy::{CanonicalPath, Grants, Roots, Rule};

use crate::cli::GrantFlags;

/// Bytes of a configuration file; one that is longer is refused by its reader with a place.
const MAX_BYTES: u64 = (1 << 20) + 1;

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
    /// A file is read only where the command line names it: one that lay in the working folder could be a script's own.
    ///
    /// # Errors
    /// The sentence for whoever typed the command.
    pub fn new(flags: &GrantFlags) -> Result<Self, String> {
        let config = match &flags.config {
            Some(file) => self::config(file)?,
            None => Config::default(),
        };
        let profile = match flags.profile() {
            Some(name) => config.profile(name).map_err(|error| error.to_string())?,
            None => config.default_profile(),
        };
        let (allow, deny) = (rules("--allow", &flags.allow)?, rules("--deny", &flags.deny)?);
        let roots = roots()?;
        let grants = Grants::new(&profile, &allow, &deny, &roots).map_err(|error| error.to_string())?;
        let policy = format!("{:?}", (&profile, &flags.allow, &flags.deny, &roots, flags.mode));
        Ok(Self { grants, cwd: roots.cwd().clone(), policy })
    }
}

#[expect(clippy::disallowed_types, reason = "reads the file that the command line names")]
fn config(path: &Path) -> Result<Config, String> {
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
#[expect(clippy::disallowed_methods, reason = "the only reader of the environment, with run.rs")]
fn roots() -> Result<Roots, String> {
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
