//! The arguments of `starcell repl`.

use clap::Args;

use super::{GrantFlags, LimitFlags, LogFlags, VarFlags, WallFlags};

/// Arguments of `starcell repl`.
#[derive(Args, Debug)]
pub struct Repl {
    /// What is typed may do this.
    #[command(flatten)]
    pub grants: GrantFlags,

    /// And use this; each input has the CPU time of a top level.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Values for what is typed.
    #[command(flatten)]
    pub vars: VarFlags,

    /// What is logged of it.
    #[command(flatten)]
    pub log: LogFlags,

    /// Walls that this machine may lack.
    #[command(flatten)]
    pub walls: WallFlags,
}
