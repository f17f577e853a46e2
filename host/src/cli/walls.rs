//! The flags for a machine that lacks a wall.

use clap::{Args, ValueEnum};
use starcell_runtime::ExecWalls;
use starcell_runtime::node_walls::NodeWalls;

/// Arguments about walls: those around programs, and those around the host itself.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct WallFlags {
    /// Refuses os.exec on a machine that cannot stop programs from all they must not do, or runs them behind the walls
    /// it has; see `starcell doctor`.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Demand::Strict)]
    pub exec_walls: Demand,

    /// Refuses to start the host where a wall around it cannot be put up, or starts it behind the walls there are.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Demand::Strict)]
    pub node_walls: Demand,
}

/// The choice where a wall is lacking.
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
