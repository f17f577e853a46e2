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

    /// Runs only tests whose name has this in it, a text or a regular expression.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub run: Option<Regex>,

    /// Also writes the results to this file, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// What scripts and tests may do. Serving is always allowed, since nothing is bound.
    #[command(flatten)]
    pub grants: GrantFlags,

    /// What they may use; a test has the CPU time of a top level.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Values for scripts and tests.
    #[command(flatten)]
    pub vars: VarFlags,

    /// What is shown of the log of a test that fails.
    #[command(flatten)]
    pub log: LogFlags,

    /// Walls that this machine may lack.
    #[command(flatten)]
    pub walls: WallFlags,
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}
