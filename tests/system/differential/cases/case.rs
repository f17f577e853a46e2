//! One case, and how its parts are written.

use starcell_interp::Request;

/// A script, and requests to its routes.
pub(in super::super) struct Case {
    pub(in super::super) source: String,
    pub(in super::super) requests: Vec<(u32, Request)>,
}

pub(in super::super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
