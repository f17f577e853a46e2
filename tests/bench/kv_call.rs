//! The calls that are measured.

/// A value of a usual size.
pub(crate) const VALUE: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

/// A call of `kv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    Increment,
    Set,
}

impl Call {
    /// In an order in which what is read was written before.
    pub(crate) const ALL: [Self; 3] = [Self::Set, Self::Get, Self::Increment];

    /// The name of the function.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Increment => "incr",
            Self::Set => "set",
        }
    }

    /// The key of a caller. Callers do not wait for each other's keys.
    pub(crate) fn key(self, caller: usize) -> String {
        match self {
            Self::Get | Self::Set => format!("value{caller}"),
            Self::Increment => format!("count{caller}"),
        }
    }
}
