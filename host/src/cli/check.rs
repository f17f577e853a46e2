//! The arguments of `starcell check`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `starcell check`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 nothing but warnings, 1 errors (or warnings with --deny-warnings), \
    2 a file cannot be read, 3 a script does not parse.")]
pub struct Check {
    /// A script, or a folder: its main.star, or else every script in it.
    pub path: PathBuf,

    /// Writes the report as JSON: one line for each script.
    #[arg(long)]
    pub json: bool,

    /// Exits with 1 when there are warnings, too.
    #[arg(long)]
    pub deny_warnings: bool,
}
