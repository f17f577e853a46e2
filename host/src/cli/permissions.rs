//! The arguments of `starcell permissions`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RuleFlags;

/// Arguments of `starcell permissions`; without a question it shows the ladder.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Permissions {
    /// The question.
    #[command(subcommand)]
    pub question: Option<PermissionsCommand>,

    /// A file whose profiles are shown after the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Answers in JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// A question about permissions.
#[derive(Debug, Subcommand)]
pub enum PermissionsCommand {
    /// Shows what the second profile grants beyond the first, and the first beyond the second.
    Diff {
        /// The profile to start from.
        from: String,
        /// The profile to compare it with.
        to: String,
        /// A file with profiles of your own.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },

    /// Says which profile or rule decides about a call or a rule, and why: for each profile, or for the one named.
    Explain {
        /// A call, such as 'fs.read_text(data.txt)', or a rule, such as 'fs.read($CWD/**)'.
        question: String,
        /// The profile to decide by. The answer is about every profile if nothing but --config is given.
        #[command(flatten)]
        rules: RuleFlags,
    },

    /// Prints the JSON schema of starcell.toml, from which editors complete and check it.
    Schema,
}
