//! What to do on a machine that lacks a wall, as flags.

use clap::{Args, ValueEnum};
use starcell_runtime::ExecWalls;
use starcell_runtime::node_walls::NodeWalls;

/// Arguments about walls: those around programs, and those around the host itself.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct WallFlags {
    /// Whether a program of os.exec runs on a machine that cannot stop all it must not do; see `starcell doctor`.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Demand::Strict)]
    pub exec_walls: Demand,

    /// Whether the host runs where a wall around itself cannot be put up.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Demand::Strict)]
    pub node_walls: Demand,
}

/// What to do where a wall is lacking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Demand {
    /// Refuse.
    #[default]
    Strict,
    /// Go on behind what there is.
    BestEffort,
}

impl From<Demand> for ExecWalls {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::Strict => Self::Strict,
            Demand::BestEffort => Self::BestEffort,
        }
    }
}

impl From<Demand> for NodeWalls {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::Strict => Self::Strict,
            Demand::BestEffort => Self::BestEffort,
        }
    }
}
