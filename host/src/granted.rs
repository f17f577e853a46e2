//! What the command line and the configuration file grant to a script.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use starcell_config::Config;
use starcell_policy::{CanonicalPath, EnvName, Grants, Profile, Roots, Rule, ServerAddress};
use starcell_runtime::{ExecWalls, Programs};

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
    /// The variables that it may be granted: those of this process, and over them those that the command line gives.
    pub environment: BTreeMap<String, String>,
    /// The variables that the command line gives: those a script may set for its programs.
    pub variables: BTreeSet<String>,
    /// The address that its first server listens on, over what it says.
    pub host: Option<IpAddr>,
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
        let roots = roots_of(&flags.rules)?;
        let grants = Grants::new(&profile, &allow, &deny, &roots).map_err(|error| error.to_string())?;
        let RuleFlags { allow, deny, .. } = &flags.rules;
        let policy = format!("{:?}", (&profile, allow, deny, &roots, flags.mode));
        let given = given(&flags.rules)?;
        let variables = given.iter().map(|(name, _)| name.to_string()).collect();
        let mut environment = environment();
        environment.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))));
        Ok(Self { grants, cwd: roots.cwd().clone(), environment, variables, host: roots.host(), policy })
    }

    /// How programs of the script run.
    #[must_use]
    pub fn programs(&self, walls: ExecWalls) -> Programs {
        Programs { walls, variables: self.variables.clone() }
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

/// What the variables of rules stand for, those included that the command line gives a meaning.
///
/// # Errors
/// The sentence for whoever typed the command.
pub fn roots_of(flags: &RuleFlags) -> Result<Roots, String> {
    let roots = roots()?.with_env(given(flags)?.into_iter().map(|(name, _)| name).collect());
    let Some(host) = &flags.host else { return Ok(roots) };
    let address = ServerAddress::new(host, 0).map_err(|error| format!("--host: {host:?}: {error}"))?;
    Ok(roots.with_host(address.host()))
}

/// The variables that the command line gives, with the values that it spells out.
fn given(flags: &RuleFlags) -> Result<Vec<(EnvName, Option<String>)>, String> {
    let read = |text: &String| {
        let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
        let name = EnvName::new(name).map_err(|error| format!("--env: {name:?}: {error}"))?;
        Ok((name, value.map(str::to_owned)))
    };
    flags.env.iter().map(read).collect()
}

/// The variables of this process that are text.
#[expect(clippy::disallowed_methods, reason = "read once, for the scripts that may ask for it")]
pub(crate) fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    env::vars_os().filter_map(text).collect()
}

/// The variables of this process whose names begin with a prefix.
///
/// # Errors
/// The sentence for whoever set one to what is no text.
#[expect(clippy::disallowed_methods, reason = "read once, for the scripts that are given them")]
pub(crate) fn environment_beginning(prefix: &str) -> Result<Vec<(String, String)>, String> {
    let begins = |name: &OsString| name.as_encoded_bytes().starts_with(prefix.as_bytes());
    let text = |(name, value): (OsString, OsString)| match (name.into_string(), value.into_string()) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        (Ok(name), Err(_)) => Err(format!("the environment variable {name} is not UTF-8")),
        (Err(name), _) => Err(format!("the name of the environment variable {} is not UTF-8", name.display())),
    };
    env::vars_os().filter(|(name, _)| begins(name)).map(text).collect()
}

/// What `$CWD` and `$HOME` stand for in rules, links followed.
///
/// # Errors
/// The sentence for whoever typed the command.
#[expect(clippy::disallowed_methods, reason = "the only reader of the environment, with surroundings.rs")]
pub fn roots() -> Result<Roots, String> {
    let cwd = env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
    roots_in(canonical(cwd)?)
}

/// The same for scripts that start in another folder.
///
/// # Errors
/// The sentence for whoever typed the command.
#[expect(clippy::disallowed_methods, reason = "the only reader of the environment, with surroundings.rs")]
pub(crate) fn roots_in(cwd: CanonicalPath) -> Result<Roots, String> {
    let roots = Roots::new(cwd).following(starcell_links::follow);
    match env::var_os("HOME") {
        Some(home) if !home.is_empty() => Ok(roots.with_home(canonical(home.into())?)),
        _ => Ok(roots),
    }
}

/// A path of this machine as rules speak of it.
pub(crate) fn canonical(path: PathBuf) -> Result<CanonicalPath, String> {
    let text = path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
    CanonicalPath::absolute(text).map_err(|error| format!("{}: {error}", path.display()))
}
