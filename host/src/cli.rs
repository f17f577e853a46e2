//! The command line, parsed into types. Nothing behind it sees a raw argument again.

mod edge;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub use self::edge::EdgeFlags;

/// Runs untrusted Starlark scripts as HTTP servers, each inside a WebAssembly guest it cannot leave.
#[derive(Debug, Parser)]
#[command(name = "starcell", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a script; a script that serves is answered by forks of it until it is stopped.
    Run(Run),
}

/// Arguments of `starcell run`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("profile").multiple(false))]
pub struct Run {
    /// The script to run.
    pub script: PathBuf,

    /// What the script may do: the name of a profile.
    #[arg(long, value_name = "NAME", group = "profile")]
    pub permissions: Option<String>,

    /// Short for --permissions deny-all, which is the default: pure computation, print and log.
    #[arg(long, group = "profile")]
    pub deny_all: bool,

    /// Short for --permissions allow-fs: reads files, writes below the working directory, keeps state in kv.
    #[arg(long, group = "profile")]
    pub allow_fs: bool,

    /// Short for --permissions allow-net: allow-fs, and HTTP requests to public addresses.
    #[arg(long, group = "profile")]
    pub allow_net: bool,

    /// Short for --permissions allow-local: allow-net, and serving, local programs and Kubernetes.
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

    /// Records every privileged call in this file, allowed and denied, before it is done.
    #[arg(long, value_name = "FILE")]
    pub audit: Option<PathBuf>,

    /// Keeps what the script stores in kv in this folder, so that it survives the process. Without it, kv is in memory.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// What becomes of a call that nothing allows: refused, or done and recorded as one that would have been refused.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = CallMode::Enforce)]
    pub mode: CallMode,

    /// Port of the script's first server, over what the script says; 0 lets the system choose.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Memory of each instance, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=256))]
    pub memory: u32,

    /// CPU time that one request may use, such as 1s or 250ms.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub request_cpu: Duration,

    /// Time that one request may take, waiting included.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub request_time: Duration,

    /// CPU time that the script's top level may use before and between serving.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub setup_cpu: Duration,

    /// Sends the traceback of a failing handler to the client. For development only.
    #[arg(long)]
    pub dev: bool,

    /// How log lines are written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Sets a changed script up beside the running one and swaps it in if that succeeds.
    #[arg(long)]
    pub watch: bool,

    /// What clients may use.
    #[command(flatten)]
    pub edge: EdgeFlags,
}

/// What becomes of a call that nothing allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CallMode {
    /// It is refused.
    Enforce,
    /// It is done and counted. For learning what a script needs, never for running one that is not trusted.
    Count,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of `key=value` pairs.
    Text,
    /// One JSON object.
    Json,
}

impl Run {
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

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than 0".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it like 250ms, 10s or 1m 30s")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<Run, clap::Error> {
        let line = ["starcell", "run", "a.star"].iter().chain(arguments);
        Cli::try_parse_from(line).map(|cli| {
            let Command::Run(run) = cli.command;
            run
        })
    }

    #[test]
    fn each_alias_names_its_profile() {
        for name in ["deny-all", "allow-fs", "allow-net", "allow-local", "allow-all"] {
            assert_eq!(run(&[&format!("--{name}")]).unwrap().profile(), Some(name));
            assert_eq!(run(&["--permissions", name]).unwrap().profile(), Some(name));
        }
        assert_eq!(run(&[]).unwrap().profile(), None);
    }

    #[test]
    fn two_profiles_are_a_usage_error() {
        let error = run(&["--allow-fs", "--allow-all"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = run(&["--permissions", "deny-all", "--allow-local"]).unwrap_err();
        assert!(error.to_string().contains("cannot be used with"), "{error}");
    }

    #[test]
    fn wrong_durations_and_sizes_name_what_is_accepted() {
        let error = run(&["--request-cpu", "fast"]).unwrap_err().to_string();
        assert!(error.contains("250ms"), "{error}");
        assert!(run(&["--request-cpu", "0s"]).unwrap_err().to_string().contains("longer than 0"));
        assert!(run(&["--memory", "1"]).unwrap_err().to_string().contains("8..=256"));
    }
}
