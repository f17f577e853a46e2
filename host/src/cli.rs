//! The command line, parsed into types. Nothing behind it sees a raw argument again.
//!
//! One file for each command, and one for each set of flags that several commands share.

mod audit;
mod check;
mod completions;
mod docs;
mod doctor;
mod duration;
mod edge;
mod forks;
mod grants;
mod host;
mod kv;
mod limits;
mod log;
mod new;
mod operate;
mod permissions;
mod record;
mod repl;
mod run;
mod telemetry;
mod test;
mod vars;
mod walls;

use clap::{Parser, Subcommand};

use crate::worker;

pub use self::audit::{AuditCommand, AuditLogFlags, Verify, Widening};
pub use self::check::Check;
pub use self::completions::Completions;
pub use self::docs::Docs;
pub use self::doctor::Doctor;
pub use self::edge::EdgeFlags;
pub use self::forks::ForkFlags;
pub use self::grants::{CallMode, GrantFlags, RuleFlags};
pub use self::host::HostCommand;
pub use self::kv::KvFlags;
pub use self::limits::LimitFlags;
pub use self::log::{DEFAULT_LOG_RATE, LogFlags, LogFormat, LogLevel, LogRateFlags};
pub use self::new::New;
pub use self::operate::{AppCommand, NodeFlags, OneApp, TenantCommand, Top};
pub use self::permissions::{Permissions, PermissionsCommand};
pub use self::record::RecordFlags;
pub use self::repl::Repl;
pub use self::run::Run;
pub use self::telemetry::TelemetryFlags;
pub use self::test::Test;
pub use self::vars::VarFlags;
pub use self::walls::{Demand, WallFlags};

/// Runs untrusted Starlark scripts as HTTP servers, each inside a WebAssembly guest it cannot leave.
#[derive(Debug, Parser)]
#[command(name = "starcell", version, arg_required_else_help = true)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Speaks to a node about its apps: lists, deploys, rolls back, stops and follows them. Packs and pushes bundles.
    #[command(subcommand)]
    App(AppCommand),
    /// Reads an audit log: counts calls, finds the least profile for them, tries another profile on them, verifies the
    /// log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Checks scripts without running them, and lists what they can ask the host for.
    Check(Check),
    /// Checks one script for `check` and `lsp`, in a process that ends when it has used up its time or memory.
    #[command(hide = true, name = worker::SUBCOMMAND)]
    CheckWorker {
        /// Seconds of processor time.
        cpu: u64,
    },
    /// Writes the script with which a shell completes the command line.
    Completions(Completions),
    /// Writes the reference of the modules, as Markdown.
    Docs(Docs),
    /// Shows what this machine can stop programs from, and by which means; fails where os.exec would be refused.
    Doctor(Doctor),
    /// Runs the apps of a folder, each at its own hosts and path, in one process.
    Host(Box<HostCommand>),
    /// Speaks the Language Server Protocol on standard input and output, for editors.
    Lsp,
    /// Makes a folder with a working script, its test and its permissions.
    New(New),
    /// Shows the grants of the profiles, explains the decision about a call or a rule, and compares two profiles.
    Permissions(Permissions),
    /// Evaluates Starlark that you type, line by line.
    Repl(Repl),
    /// Runs a script. If the script starts a server, each request runs in a fork of it until you stop the process.
    Run(Box<Run>),
    /// Speaks to a node about its tenants.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Runs the tests of scripts, without a socket.
    Test(Test),
    /// Shows the apps of a node that use most, again and again.
    Top(Top),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use starcell_runtime::Forks;

    use super::*;

    fn run(arguments: &[&str]) -> Result<Run, clap::Error> {
        let line = ["starcell", "run", "a.star"].iter().chain(arguments);
        Cli::try_parse_from(line).map(|cli| {
            let Command::Run(run) = cli.command else { panic!("another command than run") };
            *run
        })
    }

    #[test]
    fn each_alias_names_its_profile() {
        for name in ["deny-all", "allow-fs", "allow-net", "allow-local", "allow-all"] {
            assert_eq!(run(&[&format!("--{name}")]).unwrap().grants.rules.profile(), Some(name));
            assert_eq!(run(&["--permissions", name]).unwrap().grants.rules.profile(), Some(name));
        }
        assert_eq!(run(&[]).unwrap().grants.rules.profile(), None);
    }

    #[test]
    fn two_profiles_are_a_usage_error() {
        let error = run(&["--allow-fs", "--allow-all"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = run(&["--permissions", "deny-all", "--allow-local"]).unwrap_err();
        assert!(error.to_string().contains("cannot be used with"), "{error}");
    }

    #[test]
    fn forks_are_parked_unless_said_otherwise() {
        assert_eq!(run(&[]).unwrap().forks.forks(), Forks::default());
        assert_eq!(run(&["--fresh"]).unwrap().forks.forks(), Forks::Fresh);
        assert_eq!(run(&["--compare-every", "1"]).unwrap().forks.forks(), Forks::Parked { compare_every: 1 });
        assert!(run(&["--compare-every", "0"]).is_err() && run(&["--fresh", "--compare-every", "1"]).is_err());
    }

    #[test]
    fn what_stands_behind_two_dashes_is_the_scripts() {
        assert_eq!(run(&[]).unwrap().arguments, Vec::<String>::new());
        let arguments = run(&["--port", "0", "--", "--port", "a b", "", "--"]).unwrap().arguments;
        assert_eq!(arguments, ["--port", "a b", "", "--"]);
        assert_eq!(run(&["stray"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_variable_is_a_name_and_a_value() {
        let vars = run(&["--var", "a=1", "--var", "db.host=x=y", "--var", "a="]).unwrap().vars.vars;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(vars, [pair("a", "1"), pair("db.host", "x=y"), pair("a", "")]);
        for (text, message) in [
            ("a", "write NAME=VALUE"),
            ("=1", "the name before = is missing"),
            ("", "write NAME=VALUE"),
            ("a b=1", "has a space"),
            ("a..b=1", "a dot beside no part"),
            (".a=1", "a dot beside no part"),
            (&format!("{}a=1", "a.".repeat(32)), "more than 32 parts"),
        ] {
            let error = run(&["--var", text]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn the_log_is_the_scripts_to_choose_unless_a_flag_says_so() {
        use starcell_log::{Format, Level, LogChoice};
        assert_eq!(run(&[]).unwrap().log.choice(), LogChoice::default());
        let choice = run(&["--log-level", "warn", "--log-format", "json"]).unwrap().log.choice();
        assert_eq!(choice, LogChoice { format: Some(Format::Json), least: Some(Level::Warn) });
        assert!(run(&["--log-level", "loud"]).unwrap_err().to_string().contains("debug, info, warn, error"));
    }

    #[test]
    fn nested_calls_have_a_limit_within_what_the_stack_carries() {
        let depth = |flags: &[&str]| run(flags).map(|run| run.limits.limits().call_depth);
        assert_eq!(depth(&[]).unwrap(), 200);
        assert_eq!(depth(&["--call-depth", "1000"]).unwrap(), 1000);
        for wrong in ["0", "1001", "-1", "many"] {
            assert_eq!(depth(&["--call-depth", wrong]).unwrap_err().exit_code(), 2, "{wrong}");
        }
        assert!(depth(&["--call-depth", "1001"]).unwrap_err().to_string().contains("1..=1000"));
    }

    #[test]
    fn wrong_durations_and_sizes_name_what_is_accepted() {
        let error = run(&["--request-cpu", "fast"]).unwrap_err().to_string();
        assert!(error.contains("250ms"), "{error}");
        assert!(run(&["--request-cpu", "0s"]).unwrap_err().to_string().contains("longer than 0"));
        assert!(run(&["--memory", "1"]).unwrap_err().to_string().contains("8..=256"));
    }
}
