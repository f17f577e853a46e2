//! A privileged call on its way to a decision: a function and the canonical resource it acts on.
//!
//! The function names the type of its resource, so a call that pairs `fs.read` with a URL cannot be written.

use std::fmt;

use crate::capability::{AnyCall, Capability, Function, Judged};

/// Bytes of a resource in messages and records.
const MAX_SHOWN: usize = 1024;

/// A privileged call to be decided or explained.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    capability: Capability,
    function: &'static str,
    resource: &'a dyn Judged,
    /// True if it acts on everything beneath the resource.
    beneath: bool,
}

impl<'a> Call<'a> {
    /// A function and what it acts on.
    pub fn new<F: Function>(function: F, resource: &'a F::Resource) -> Self {
        Self {
            capability: function.capability(),
            function: function.name(),
            resource,
            beneath: function.takes_beneath(),
        }
    }

    /// A call that was read from a text.
    pub(crate) fn of(any: &'a AnyCall) -> Self {
        let (capability, function, beneath) =
            any.with(|capability, function, beneath, _| (capability, function, beneath));
        Self { capability, function, resource: any.resource(), beneath }
    }

    /// A request whose method was named before, for the check of its address.
    pub(crate) fn again(capability: Capability, function: &'static str, resource: &'a dyn Judged) -> Self {
        Self { capability, function, resource, beneath: false }
    }

    /// The capability it needs.
    pub const fn capability(&self) -> Capability {
        self.capability
    }

    /// The script function, or the method of a request.
    pub const fn function(&self) -> &'static str {
        self.function
    }

    /// The canonical resource as text: without credentials or query, at most 1024 bytes.
    pub fn resource_text(&self) -> String {
        let mut text = self.resource.to_string();
        if text.len() > MAX_SHOWN {
            text.truncate(text.floor_char_boundary(MAX_SHOWN));
            text.push('…');
        }
        text
    }

    pub(crate) const fn resource(&self) -> &'a dyn Judged {
        self.resource
    }

    pub(crate) const fn takes_beneath(&self) -> bool {
        self.beneath
    }

    /// The resource as a rule spells it, when a rule can name it and nothing else.
    pub(crate) fn in_rule(&self) -> Option<String> {
        self.resource.in_rule()
    }
}

/// `module.category("resource")`, control and bidirectional characters escaped.
impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.capability, self.resource_text())
    }
}
