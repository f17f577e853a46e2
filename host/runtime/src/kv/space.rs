//! The part of a server that one app has.

/// The store of one app on a server, which keeps those of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvSpace {
    /// The owner of the app.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// Bytes that the app may keep.
    pub quota: usize,
    /// Bytes that all apps of the tenant may keep together.
    pub share: Option<usize>,
}
