//! The flags about permissions, for every command that runs or judges a script.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use starcell_runtime::Mode;

/// Permissions of a script while it runs.
#[derive(Args, Clone, Debug)]
pub struct GrantFlags {
    /// The profile and the rules.
    #[command(flatten)]
    pub rules: RuleFlags,

    /// Refuses calls that nothing allows, or does them and records that they would have been refused.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = CallMode::Enforce)]
    pub mode: CallMode,
}

/// A profile, and rules on top of it.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("profile").multiple(false))]
pub struct RuleFlags {
    /// The profile that says what the script may do.
    #[arg(long, value_name = "NAME", group = "profile")]
    pub permissions: Option<String>,

    /// Short for --permissions deny-all, which is the default: pure computation, print and log.
    #[arg(long, group = "profile")]
    pub deny_all: bool,

    /// Short for --permissions allow-fs: files and databases below the working directory, state in kv, and the variables of --env.
    #[arg(long, group = "profile")]
    pub allow_fs: bool,

    /// Short for --permissions allow-net: allow-fs, and HTTP requests and databases at public addresses.
    #[arg(long, group = "profile")]
    pub allow_net: bool,

    /// Short for --permissions allow-local: allow-net, and serving on this machine, local programs and Kubernetes.
    #[arg(long, group = "profile")]
    pub allow_local: bool,

    /// Short for --permissions allow-all: everything.
    #[arg(long, group = "profile")]
    pub allow_all: bool,

    /// A file with profiles of your own; the one called default applies when none is named. Nothing is read unless named.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A rule to allow on top of the profile, such as 'http.server(127.0.0.1:8080)'. May be repeated.
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,

    /// A rule to deny whatever else allows it. May be repeated.
    #[arg(long, value_name = "RULE")]
    pub deny: Vec<String>,

    /// Gives the script an environment variable: with this value, or with the value of starcell's own. May be repeated.
    /// Profiles from allow-fs on let the script read the variables that are given this way, and no others.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// The address that the script's first server listens on, over what the script says. allow-local, which grants
    /// loopback addresses, grants this one too.
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
}

/// How a call is treated that nothing allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CallMode {
    /// It is refused.
    Enforce,
    /// It is done and counted. For learning what a script needs, never for running one that is not trusted.
    Count,
}

impl From<CallMode> for Mode {
    fn from(mode: CallMode) -> Self {
        match mode {
            CallMode::Enforce => Self::Enforce,
            CallMode::Count => Self::Count,
        }
    }
}

impl RuleFlags {
    /// The profile that was named, by name or by its alias.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        let aliases = [
            (self.deny_all, "deny-all"),
            (self.allow_fs, "allow-fs"),
            (self.allow_net, "allow-net"),
            (self.allow_local, "allow-local"),
            (self.allow_all, "allow-all"),
        ];
        let alias = aliases.iter().find(|(set, _)| *set).map(|(_, name)| *name);
        self.permissions.as_deref().or(alias)
    }
}
