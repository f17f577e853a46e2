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
    action::Action,
    call::{Arguments, AuditedCall, Outcome, Subject},
    chain::Hash,
    redact::{redacted, without_userinfo},
};

/// The version of the schema, in every line.
pub(crate) const VERSION: u32 = 1;

/// Bytes of a resource or a rule: what the policy takes as the longest path and the longest rule.
const MAX_RESOURCE: usize = 4096;

/// Bytes of any other value.
const MAX_VALUE: usize = 512;

/// Bytes of all words of a command together, as they are written.
const MAX_ARGV: usize = 32 << 10;

/// Bytes of all names of variables together, as they are written.
const MAX_ENV: usize = 8 << 10;

/// Bytes of a line with its newline: the bound of every record, kept by the bounds above, which come to less than
/// 60 KiB together. A reader refuses to hold more.
pub(crate) const MAX_LINE: usize = 64 << 10;

/// The end of the lines before an opening line.
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
    /// A new file of one writer, since the old one was full.
    #[serde(rename = "rotation")]
    Rotation,
    /// A new file of one writer, since the old one was no longer at its path: another program had removed, renamed or
    /// emptied it.
    #[serde(rename = "moved")]
    Moved,
    /// A file whose end was no sound chain; it was set aside under another name.
    #[serde(rename = "damage")]
    Damage,
}

impl After {
    /// True when the writer of the lines before is also the writer of the lines after, so that ids go on.
    pub(crate) const fn is_same_writer(self) -> bool {
        matches!(self, Self::Moved | Self::Rotation)
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Kill => "kill",
            Self::Nothing => "nothing",
            Self::Rotation => "rotation",
            Self::Moved => "moved",
            Self::Damage => "damage",
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
    let Subject { node, tenant, app, revision, script_digest, policy_digest } = subject;
    for (name, value) in [("node", node), ("tenant", tenant), ("app", app)] {
        cut |= push_field(&mut out, name, value, MAX_VALUE);
    }
    if let Some(revision) = revision {
        let _ = write!(out, ",\"revision\":{revision}");
    }
    for (name, value) in [("script", script_digest), ("policy", policy_digest)] {
        cut |= push_field(&mut out, name, value, MAX_VALUE);
    }
    (out, cut)
}

/// An intent, or a denial. `was_cut` says that a value had been cut before.
pub(crate) fn call(time: SystemTime, id: u64, subject: &str, call: &AuditedCall<'_>, was_cut: bool) -> String {
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
    cut |= push_arguments(&mut out, call.arguments);
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

/// An action of an operator. `was_cut` says that a value had been cut before.
pub(crate) fn action(time: SystemTime, id: u64, action: &Action<'_>, was_cut: bool) -> String {
    let Action { node, tenant, app, actor, role, action, detail, decision, reason } = *action;
    let mut out = begin("action", time);
    let _ = write!(out, ",\"id\":{id}");
    let mut cut = was_cut | push_field(&mut out, "node", node, MAX_VALUE);
    for (name, value) in [("tenant", tenant), ("app", app), ("actor", Some(actor)), ("role", role)] {
        if let Some(value) = value {
            cut |= push_field(&mut out, name, value, MAX_VALUE);
        }
    }
    cut |= push_field(&mut out, "action", action, MAX_VALUE);
    if let Some(detail) = detail {
        cut |= push_field(&mut out, "detail", detail, MAX_RESOURCE);
    }
    let _ = write!(out, ",\"decision\":\"{decision}\"");
    if let Some(reason) = reason {
        cut |= push_field(&mut out, "reason", reason, MAX_RESOURCE);
    }
    if cut {
        out.push_str(",\"cut\":true");
    }
    out
}

/// The outcome of the call or action with this id.
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

/// Adds the arguments of a call. Returns true when one was cut.
fn push_arguments(out: &mut String, arguments: &Arguments) -> bool {
    let Arguments { argv, env, cwd, object, method, store, statement, parameters, dry_run } = arguments;
    let mut cut = false;
    for (name, list, limit) in [("argv", argv, MAX_ARGV), ("env", env, MAX_ENV)] {
        if let Some(list) = list {
            cut |= push_list(out, name, list, limit);
        }
    }
    for (name, value, limit) in [
        ("cwd", cwd, MAX_RESOURCE),
        ("object", object, MAX_VALUE),
        ("method", method, MAX_VALUE),
        ("store", store, MAX_VALUE),
        ("statement", statement, MAX_RESOURCE),
    ] {
        if let Some(value) = value {
            cut |= push_field(out, name, value, limit);
        }
    }
    if let Some(parameters) = parameters {
        cut |= push_list(out, "parameters", parameters, MAX_RESOURCE);
    }
    if *dry_run {
        out.push_str(",\"dry_run\":true");
    }
    cut
}

/// Adds a list of at most `limit` bytes between its brackets. Returns true when the list or a word of it was cut.
fn push_list(out: &mut String, name: &str, list: &[String], limit: usize) -> bool {
    let _ = write!(out, ",\"{name}\":[");
    let start = out.len();
    let mut cut = false;
    for (index, word) in list.iter().enumerate() {
        // The comma, two quotes and an ellipsis.
        let left = limit.saturating_sub(out.len() - start + 6);
        if cut || left == 0 {
            cut = true;
            break;
        }
        if index > 0 {
            out.push(',');
        }
        cut |= push_json_bounded(out, &without_userinfo(word), left);
    }
    out.push(']');
    cut
}

fn push_field(out: &mut String, name: &str, value: &str, limit: usize) -> bool {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    push_json_bounded(out, value, limit)
}
