//! The arguments of `starcell doctor`.

use clap::Args;

/// Arguments of `starcell doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Writes JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}
