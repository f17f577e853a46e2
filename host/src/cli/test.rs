//! The arguments of `starcell test`.

use std::path::PathBuf;

use clap::Args;
use regex_lite::Regex;

use super::{GrantFlags, LimitFlags, LogFlags, VarFlags, WallFlags};

/// Arguments of `starcell test`.
#[derive(Args, Debug)]
pub struct Test {
    /// Test files such as app_test.star, which tests app.star beside it; or folders, with all that is below them.
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,

    /// Runs only tests whose names contain this text, or match this regular expression.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub run: Option<Regex>,

    /// Also writes the results to this file, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Permissions for scripts and tests. Serving is always allowed, since nothing is bound.
    #[command(flatten)]
    pub grants: GrantFlags,

    /// Limits for scripts and tests; a test has the CPU time of a top level.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Variables for scripts and tests.
    #[command(flatten)]
    pub vars: VarFlags,

    /// The log that a failing test shows.
    #[command(flatten)]
    pub log: LogFlags,

    /// Walls that this machine may lack.
    #[command(flatten)]
    pub walls: WallFlags,
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}
