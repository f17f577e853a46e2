//! Keys and values of one app.

/// A value as a script gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A str.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Anything else: one JSON text.
    Json(String),
}

/// How long a value stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is replaced or deleted.
    Forever,
    /// As long as the value it replaces would have stayed.
    Keep,
    /// So many nanoseconds.
    Last(u64),
}

/// Which keys to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What they start with.
    pub prefix: String,
    /// The key they come behind.
    pub after: Option<String>,
    /// Most of them; `None` for as many as there may be, and an error if there are more.
    pub limit: Option<u32>,
}
