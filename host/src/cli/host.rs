//! The arguments of `starcell host`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration::duration_or_none;
use super::{EdgeFlags, ForkFlags, LimitFlags, LogFlags, LogRateFlags, RecordFlags, WallFlags};

/// Arguments of `starcell host`.
#[derive(Args, Debug)]
pub struct HostCommand {
    /// The configuration of the node: its listeners, its tenants, the folder of its apps.
    pub config: PathBuf,

    /// Reads the configuration and sets every app up, says what each may do, and ends. Nothing is listened on, and no
    /// store is opened.
    #[arg(long)]
    pub check: bool,

    /// Takes over from the node that runs with the same state folder: its listening sockets at once, its stores once it has
    /// answered the requests that it has. No connection is refused, and a failure of this process leaves the other one
    /// serving. Where no node runs, this one starts as usual.
    #[arg(long, conflicts_with = "check")]
    pub take_over: bool,

    /// How long requests are still taken and answered after the first signal to stop. `/readyz` says at once that the node
    /// is not ready, and each response says that its connection ends, so that load balancers send elsewhere before the
    /// drain begins. A second signal ends the wait.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration_or_none)]
    pub drain_delay: Duration,

    /// The audit log of the apps.
    #[command(flatten)]
    pub record: RecordFlags,

    /// Goes on beside an audit log or a store that is damaged: the damaged file keeps its bytes under another name, and a
    /// new one begins. Without this flag the start fails, or the app whose store it is.
    #[arg(long)]
    pub set_aside_damaged: bool,

    /// Limits of each instance, for apps whose app.toml sets none.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// How forks are reused.
    #[command(flatten)]
    pub forks: ForkFlags,

    /// Walls that this machine may lack.
    #[command(flatten)]
    pub walls: WallFlags,

    /// The log of the node.
    #[command(flatten)]
    pub log: LogFlags,

    /// The rate of the log, for all apps of a tenant together, unless the tenant has a quota for it.
    #[command(flatten)]
    pub log_rate: LogRateFlags,

    /// Limits for clients.
    #[command(flatten)]
    pub edge: EdgeFlags,
}
