//! The arguments of `starcell run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{EdgeFlags, GrantFlags, RecordFlags, duration};

/// Arguments of `starcell run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The script to run.
    pub script: PathBuf,

    /// What the script may do.
    #[command(flatten)]
    pub grants: GrantFlags,

    /// What is recorded of it.
    #[command(flatten)]
    pub record: RecordFlags,

    /// Keeps what the script stores in kv in this folder, so that it survives the process. Without it, kv is in memory.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

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

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of `key=value` pairs.
    Text,
    /// One JSON object.
    Json,
}
