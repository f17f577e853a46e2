//! What is recorded of a run, and where.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

/// The audit log of a run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Audit")]
pub struct RecordFlags {
    /// Records every privileged call in this file, allowed and denied, before it is done.
    #[arg(long = "audit", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Records what needs no permission as well: reading the time, waiting, and randomness.
    #[arg(long = "audit-pure", requires = "file")]
    pub pure: bool,

    /// Size at which the file is renamed to FILE.1, FILE.2 and so on and a new one begins, in MiB.
    #[arg(long = "audit-rotate", value_name = "MIB", requires = "file", default_value = "256")]
    pub rotate: NonZeroU32,

    /// How many of the renamed files are kept; the oldest are deleted. All of them are kept when not given.
    #[arg(long = "audit-keep", value_name = "N", requires = "file")]
    pub keep: Option<u32>,
}
