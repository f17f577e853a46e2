//! The text of each kind of line, without its seal: a JSON object that lacks its closing brace.
//!
//! Written by hand instead of through serde: the caller's thread does it for every call, most of a line is the same for
//! all calls of an app, and every value passes through the one function that bounds and escapes it. Reading the lines
//! is `record`'s job; the two are tested against each other.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use starcell_text::push_json_bounded;

use crate::{
    call::{Call, Outcome, Subject},
    chain::Hash,
    redact::redacted,
};

/// The version of the schema, in every line.
pub(crate) const VERSION: u32 = 1;

/// Bytes of a resource or a rule: what the policy takes as the longest path and the longest rule.
const MAX_RESOURCE: usize = 4096;

/// Bytes of any other value.
const MAX_VALUE: usize = 512;

/// Bytes of a line no longer than any that is written; a reader refuses to hold more.
pub(crate) const MAX_LINE: usize = 32 << 10;

/// What comes before an opening line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum After {
    /// A writer that ended as it should.
    #[serde(rename = "close")]
    Close,
    /// A writer that was killed, or a machine that went down.
    #[serde(rename = "kill")]
    Kill,
    /// Nothing: the log begins here.
    #[serde(rename = "nothing")]
    Nothing,
    /// The same writer, which began a new file.
    #[serde(rename = "rotation")]
    Rotation,
}

impl After {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Kill => "kill",
            Self::Nothing => "nothing",
            Self::Rotation => "rotation",
        }
    }
}

fn begin(kind: &str, time: SystemTime) -> String {
    let time = humantime::format_rfc3339_micros(time);
    // Long enough for nearly every line of a call.
    let mut out = String::with_capacity(768);
    // Writing to a String cannot fail.
    let _ = write!(out, "{{\"v\":{VERSION},\"kind\":\"{kind}\",\"time\":\"{time}\"");
    out
}

/// The fields of a subject, ready to stand in each line of it. Whether one was cut.
pub(crate) fn subject(subject: &Subject) -> (String, bool) {
    let mut out = String::new();
    let mut cut = false;
    let Subject { node, tenant, app, script_digest, policy_digest } = subject;
    for (name, value) in
        [("node", node), ("tenant", tenant), ("app", app), ("script", script_digest), ("policy", policy_digest)]
    {
        cut |= push_field(&mut out, name, value, MAX_VALUE);
    }
    (out, cut)
}

/// An intent, or a denial. `was_cut` says that a value had been cut before.
pub(crate) fn call(time: SystemTime, id: u64, subject: &str, call: &Call<'_>, was_cut: bool) -> String {
    let mut out = begin("call", time);
    let mut cut = was_cut;
    let _ = write!(out, ",\"id\":{id}{subject}");
    if let Some(request) = call.request {
        cut |= push_field(&mut out, "request", request, MAX_VALUE);
    }
    let _ = write!(out, ",\"phase\":\"{}\"", call.phase);
    cut |= push_field(&mut out, "capability", call.capability, MAX_VALUE);
    cut |= push_field(&mut out, "category", call.category, MAX_VALUE);
    cut |= push_field(&mut out, "resource", &redacted(call.category, call.resource), MAX_RESOURCE);
    let _ = write!(out, ",\"decision\":\"{}\"", call.decision);
    if let Some(rule) = call.rule {
        cut |= push_field(&mut out, "rule", rule, MAX_RESOURCE);
    }
    if let Some(needed) = call.needed {
        cut |= push_field(&mut out, "needed", needed, MAX_VALUE);
    }
    cut |= push_field(&mut out, "file", call.file, MAX_VALUE);
    let _ = write!(out, ",\"line\":{}", call.line);
    if cut {
        out.push_str(",\"cut\":true");
    }
    out
}

/// What came of the call with this id.
pub(crate) fn outcome(time: SystemTime, id: u64, outcome: Outcome, duration: Duration, bytes: u64) -> String {
    let mut out = begin("outcome", time);
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let _ = write!(out, ",\"id\":{id},\"outcome\":\"{outcome}\",\"duration_us\":{micros},\"bytes\":{bytes}");
    out
}

/// The start of a file or of a writer: what it follows, where in the file it stands, how much of a torn line before it
/// was removed.
pub(crate) fn open(time: SystemTime, previous: Hash, at: u64, after: After, torn_bytes: u64) -> String {
    let mut out = begin("open", time);
    let after = after.label();
    let _ = write!(out, ",\"prev\":\"{previous}\",\"at\":{at},\"after\":\"{after}\",\"torn_bytes\":{torn_bytes}");
    out
}

/// Lines that could not be written for a while: how many calls were refused for it and how many outcomes lost.
pub(crate) fn gap(time: SystemTime, refused: u64, lost: u64) -> String {
    let mut out = begin("gap", time);
    let _ = write!(out, ",\"refused\":{refused},\"lost\":{lost}");
    out
}

/// The end of a writer that was not killed.
pub(crate) fn close(time: SystemTime) -> String {
    begin("close", time)
}

fn push_field(out: &mut String, name: &str, value: &str, limit: usize) -> bool {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    push_json_bounded(out, value, limit)
}
