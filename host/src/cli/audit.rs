//! The arguments of `starcell audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RuleFlags;

/// What to make of an audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Prints the least profile that would have allowed all that was done, a rule a line; each can be given to --allow.
    Least {
        /// The log.
        #[command(flatten)]
        log: LogFlags,
        /// Looks at the calls of this app alone, as the summary names it.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
        /// What may be allowed beyond what was done.
        #[command(flatten)]
        widen: Widening,
        /// Prints a profile of this name, to be put into starcell.toml.
        #[arg(long, value_name = "NAME", conflicts_with = "json")]
        profile: Option<String>,
    },

    /// Tells what a profile would have denied of the recorded calls. Exits with 5 when it would have denied any.
    Replay {
        /// The log.
        #[command(flatten)]
        log: LogFlags,
        /// Looks at the calls of this app alone, as the summary names it.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
        /// What to judge the calls by.
        #[command(flatten)]
        rules: RuleFlags,
    },

    /// Counts what was used, by app, function, resource and outcome.
    Summary {
        /// The log.
        #[command(flatten)]
        log: LogFlags,
        /// Looks at the calls of this app alone.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
    },

    /// Says whether the log is as it was written. Exits with 8 when a line was changed, removed, added or moved.
    Verify {
        /// The log.
        #[command(flatten)]
        log: LogFlags,
    },
}

/// The log, and how to answer.
#[derive(Args, Debug)]
pub struct LogFlags {
    /// The file that --audit wrote; the full ones beside it, FILE.1 and on, are read before it.
    pub file: PathBuf,

    /// Answers in JSON.
    #[arg(long)]
    pub json: bool,
}

/// What the least profile may allow beyond what was done.
#[derive(Args, Clone, Copy, Debug)]
pub struct Widening {
    /// Allows all names in the folder of each file that was used.
    #[arg(long)]
    pub widen_paths: bool,

    /// Allows all paths of each server that was asked.
    #[arg(long)]
    pub widen_hosts: bool,
}
