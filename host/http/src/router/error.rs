//! The errors of patterns, in words for the author of the script that registered the pattern.

/// A pattern that cannot become a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Some request matches this pattern and an earlier one, and neither is more specific.
    #[error("route pattern {new:?} conflicts with {old:?}, which is already registered: {why}")]
    Conflict {
        /// The refused pattern.
        new: String,
        /// The pattern that is already registered.
        old: String,
        /// One sentence with a request that both match.
        why: String,
    },
    /// The pattern does not have the form `[METHOD ][HOST]/[PATH]`.
    #[error("invalid route pattern {pattern:?}: {reason} (at byte {position})")]
    Invalid {
        /// The refused pattern.
        pattern: String,
        /// Where in the pattern the fault is, in bytes from 0.
        position: usize,
        /// What is wrong there.
        reason: String,
    },
}
