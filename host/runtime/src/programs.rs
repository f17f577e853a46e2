//! The operator's terms for the programs of an app.

use std::collections::BTreeSet;

/// How the programs of an app run.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// What to do where the machine cannot confine them.
    pub walls: ExecWalls,
    /// Variables of the environment that the script may set for them, besides those that change no code.
    pub variables: BTreeSet<String>,
}

/// What to do where the machine cannot stop all that a program must not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecWalls {
    /// No program runs.
    #[default]
    Strict,
    /// Programs run behind what there is.
    BestEffort,
}
