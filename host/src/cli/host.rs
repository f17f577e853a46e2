//! The arguments of `starcell host`.

use std::path::PathBuf;

use clap::Args;

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

    /// What is recorded of the apps.
    #[command(flatten)]
    pub record: RecordFlags,

    /// Goes on beside an audit log or a store that is damaged: the damaged file keeps its bytes under another name, and a
    /// new one begins. Without this flag the start fails, or the app whose store it is.
    #[arg(long)]
    pub set_aside_damaged: bool,

    /// What each instance of an app may use that does not say so itself.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// What becomes of forks.
    #[command(flatten)]
    pub forks: ForkFlags,

    /// Walls that this machine may lack.
    #[command(flatten)]
    pub walls: WallFlags,

    /// What is logged.
    #[command(flatten)]
    pub log: LogFlags,

    /// How fast all apps of a tenant that has no quota of its own may log together.
    #[command(flatten)]
    pub log_rate: LogRateFlags,

    /// What clients may use.
    #[command(flatten)]
    pub edge: EdgeFlags,
}
