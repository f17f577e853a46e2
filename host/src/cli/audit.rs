//! The arguments of `starcell audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use starcell_audit::Hash;

use super::RuleFlags;

/// The subcommands of `starcell audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Prints the least profile that would have allowed all that was done, a rule a line; each can be given to --allow.
    Least {
        /// The log.
        #[command(flatten)]
        log: AuditLogFlags,
        /// Looks at the calls of this app alone, as the summary names it.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
        /// Calls that the profile may allow although nobody made them.
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
        log: AuditLogFlags,
        /// Looks at the calls of this app alone, as the summary names it.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
        /// The profile that the calls are judged by.
        #[command(flatten)]
        rules: RuleFlags,
    },

    /// Counts the calls, by app, function, resource and outcome.
    Summary {
        /// The log.
        #[command(flatten)]
        log: AuditLogFlags,
        /// Looks at the calls of this app alone.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
    },

    /// Says whether the log is as it was written. Exits with 8 when a line was changed, removed, added or moved, and when
    /// the log does not fit what was kept elsewhere about it.
    Verify(Verify),
}

/// Arguments of `starcell audit verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The files that --audit wrote, in any order; the full ones beside each, FILE.1 and on, are read too.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Answers in JSON.
    #[arg(long)]
    pub json: bool,

    /// Exits with 8 unless a line of the log has this hash, such as the last one that an earlier verify printed.
    /// Repeatable.
    #[arg(long, value_name = "HASH")]
    pub expect: Vec<Hash>,

    /// Exits with 8 unless the log holds the line of each anchor in this file, which --audit-anchor wrote.
    #[arg(long, value_name = "FILE")]
    pub anchor: Option<PathBuf>,

    /// Exits with 8 unless each anchor is signed with the private key of this public one, in PEM.
    #[arg(long, value_name = "FILE", requires = "anchor")]
    pub key: Option<PathBuf>,
}

/// The log, and how to answer.
#[derive(Args, Debug)]
pub struct AuditLogFlags {
    /// The file that --audit wrote; the full ones beside it, FILE.1 and on, are read before it.
    pub file: PathBuf,

    /// Answers in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Calls that the least profile may allow although nobody made them.
#[derive(Args, Clone, Copy, Debug)]
pub struct Widening {
    /// Allows all names in the folder of each file that was used.
    #[arg(long)]
    pub widen_paths: bool,

    /// Allows all paths of each server that was asked.
    #[arg(long)]
    pub widen_hosts: bool,
}
