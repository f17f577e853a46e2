//! The arguments of `starcell repl`.

use clap::Args;

use super::{GrantFlags, LimitFlags, LogFlags, VarFlags, WallFlags};

/// Arguments of `starcell repl`.
#[derive(Args, Debug)]
pub struct Repl {
    /// Permissions for the code you type.
    #[command(flatten)]
    pub grants: GrantFlags,

    /// Limits for the code you type; each input has the CPU time of a top level.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Variables for the code you type.
    #[command(flatten)]
    pub vars: VarFlags,

    /// The log of the session.
    #[command(flatten)]
    pub log: LogFlags,

    /// Walls that this machine may lack.
    #[command(flatten)]
    pub walls: WallFlags,
}
