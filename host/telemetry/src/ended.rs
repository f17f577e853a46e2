//! A span that has ended, as it is queued and written.

use std::sync::Arc;

use crate::ids::SpanId;
use crate::parent::TraceParent;

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Text(String),
}

/// A span that has ended.
#[derive(Debug)]
pub(crate) struct SpanData {
    pub(crate) own: TraceParent,
    pub(crate) parent: Option<SpanId>,
    pub(crate) kind: u8,
    pub(crate) name: String,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// The attributes of the app.
    pub(crate) common: Option<Arc<[(&'static str, String)]>>,
    pub(crate) is_error: bool,
}
