//! The parts of a script's life.

/// Which half of a script's life this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The top level runs; servers can be made and started.
    Setup,
    /// A handler runs over a frozen module.
    Request,
    /// A test runs over a frozen module.
    Test,
}
