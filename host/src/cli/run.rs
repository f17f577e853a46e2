//! The arguments of `starcell run`.

use std::path::PathBuf;

use clap::Args;

use super::{
    EdgeFlags, ForkFlags, GrantFlags, KvFlags, LimitFlags, LogFlags, LogRateFlags, RecordFlags, TelemetryFlags,
    VarFlags, WallFlags,
};

/// Arguments of `starcell run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The script to run.
    pub script: PathBuf,

    /// Arguments for the script, which finds them in the list args.
    #[arg(last = true, value_name = "ARGS")]
    pub arguments: Vec<String>,

    /// Variables for the script.
    #[command(flatten)]
    pub vars: VarFlags,

    /// Permissions for the script.
    #[command(flatten)]
    pub grants: GrantFlags,

    /// The audit log of the run.
    #[command(flatten)]
    pub record: RecordFlags,

    /// Keeps what the script stores in kv in this folder, so that it survives the process. Without it, kv is in memory.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Where kv is kept.
    #[command(flatten)]
    pub kv: KvFlags,

    /// Goes on beside an audit log or a store that is damaged: the damaged file keeps its bytes under another name, and a
    /// new one begins. Without this flag the start fails.
    #[arg(long)]
    pub set_aside_damaged: bool,

    /// Port of the script's first server, over what the script says; 0 lets the system choose.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Limits of each instance.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// How forks are reused.
    #[command(flatten)]
    pub forks: ForkFlags,
    /// Walls that this machine may lack.
    #[command(flatten)]
    pub walls: WallFlags,

    /// Sends the traceback of a failing handler to the client. For development only.
    #[arg(long)]
    pub dev: bool,

    /// The log of the run.
    #[command(flatten)]
    pub log: LogFlags,

    /// The rate of the log.
    #[command(flatten)]
    pub log_rate: LogRateFlags,

    /// Sets a changed script up beside the running one and swaps it in if that succeeds.
    #[arg(long)]
    pub watch: bool,

    /// Limits for clients.
    #[command(flatten)]
    pub edge: EdgeFlags,

    /// Where traces, metrics and logs are sent.
    #[command(flatten)]
    pub telemetry: TelemetryFlags,
}
