//! The lines of a log as a reader sees them. Schema version 1, each line a JSON object:
//!
//! | kind | fields beside `v`, `kind`, `time` and `hash` |
//! |---|---|
//! | `open` | `prev` (hash before it), `at` (its offset in the file), `after` (close, damage, kill, moved, nothing, rotation), `torn_bytes` |
//! | `call` | `id`, `node`, `tenant`, `app`, `revision`?, `script`, `policy`, `request`?, `phase`, `capability`, `category`, `resource`, `argv`?, `env`?, `cwd`?, `object`?, `method`?, `store`?, `statement`?, `parameters`?, `dry_run`?, `decision`, `rule`?, `needed`?, `file`, `line`, `cut`? |
//! | `action` | `id`, `node`, `tenant`?, `app`?, `actor`, `role`?, `action`, `detail`?, `decision`, `reason`?, `cut`? |
//! | `outcome` | `id` (of the call or action), `outcome`, `duration_us`, `bytes` |
//! | `gap` | `refused` calls and `lost` outcomes that could not be written before it |
//! | `close` | |
//!
//! Ids count from 1 in each run of a writer, so from one `open` that follows neither a rotation nor a move to the next.
//! `argv` to `dry_run` are the arguments that decide what a call does; logs of older versions lack them. `revision` is that
//! of an app that a node has deployed more than once or could. A field that is
//! not of the schema is an error: a reader that skips what it does not know would tell less than the log does.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use thiserror::Error;

use crate::{
    action::ActionRecord,
    call::{Arguments, AuditedCall, Decision, Outcome, Phase, Subject},
    chain::Hash,
    line::{self, After, VERSION},
};

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was asked for or written.
    pub time: SystemTime,
    /// The content.
    pub kind: RecordKind,
}

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// An action of an operator that was about to be done, or was denied.
    Action(Box<ActionRecord>),
    /// A call that was about to be done, or was denied.
    Call(Box<CallRecord>),
    /// The writer ended.
    Close,
    /// Lines are missing because they could not be written.
    Gap {
        /// Calls that were refused for it.
        refused: u64,
        /// Outcomes that were lost.
        lost: u64,
    },
    /// A writer or a file begins.
    Open(Open),
    /// The outcome of a call.
    Outcome(OutcomeRecord),
}

/// A call in the log; see [`AuditedCall`] and [`Subject`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of Call")]
pub struct CallRecord {
    /// Ties it to its outcome.
    pub id: u64,
    /// The caller.
    pub subject: Subject,
    pub request: Option<String>,
    pub phase: Phase,
    pub capability: String,
    pub category: String,
    pub resource: String,
    pub arguments: Arguments,
    pub decision: Decision,
    pub rule: Option<String>,
    pub needed: Option<String>,
    pub file: String,
    pub line: u32,
    /// True if a value was too long and ends in an ellipsis.
    pub cut: bool,
}

/// An outcome in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The id of the call or action.
    pub id: u64,
    /// The end of the call.
    pub outcome: Outcome,
    /// The time from intent to outcome.
    pub duration: Duration,
    /// The bytes that the call moved.
    pub bytes: u64,
}

/// The start of a writer or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The hash of the line before it, which may be in another file.
    pub previous: Hash,
    /// The offset of the line in its file.
    pub at: u64,
    /// The end of the lines before it.
    pub after: After,
    /// Bytes of an unfinished line before it that were cut off.
    pub torn_bytes: u64,
}

/// A line is not a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a record of an audit log: {0}")]
pub struct RecordError(String);

impl RecordError {
    pub(crate) fn new(problem: &str) -> Self {
        Self(problem.to_owned())
    }
}

impl Record {
    /// Reads a line, with or without its hash, which is not checked here.
    pub fn parse(line: &str) -> Result<Self, RecordError> {
        let Head { v, kind } = read(line)?;
        if v != VERSION {
            return Err(RecordError(format!("version {v} of the schema; this reader knows {VERSION}")));
        }
        match kind.as_str() {
            "action" => ActionLine::record(line),
            "call" => CallLine::record(line),
            "close" => read(line).map(|CloseLine { time, .. }| Self { time: time.0, kind: RecordKind::Close }),
            "gap" => read(line).map(|GapLine { time, refused, lost, .. }| Self {
                time: time.0,
                kind: RecordKind::Gap { refused, lost },
            }),
            "open" => OpenLine::record(line),
            "outcome" => OutcomeLine::record(line),
            other => Err(RecordError(format!("unknown kind {other:?}"))),
        }
    }
}

/// The line, without a hash.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.kind {
            RecordKind::Action(action) => line::action(self.time, action.id, &action.action(), action.cut),
            RecordKind::Call(call) => call.body(self.time),
            RecordKind::Close => line::close(self.time),
            RecordKind::Gap { refused, lost } => line::gap(self.time, *refused, *lost),
            RecordKind::Open(open) => line::open(self.time, open.previous, open.at, open.after, open.torn_bytes),
            RecordKind::Outcome(OutcomeRecord { id, outcome, duration, bytes }) => {
                line::outcome(self.time, *id, *outcome, *duration, *bytes)
            }
        };
        write!(f, "{body}}}")
    }
}

/// Categories that are recorded only on request, since every script may use them and no rule is about them.
const PURE: [&str; 2] = ["random", "time"];

impl CallRecord {
    /// True for a call that needs no permission: reading the time, waiting, randomness.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        PURE.contains(&self.category.as_str())
    }

    fn body(&self, time: SystemTime) -> String {
        let call = AuditedCall {
            request: self.request.as_deref(),
            phase: self.phase,
            capability: &self.capability,
            category: &self.category,
            resource: &self.resource,
            decision: self.decision,
            rule: self.rule.as_deref(),
            needed: self.needed.as_deref(),
            file: &self.file,
            line: self.line,
            arguments: &self.arguments,
        };
        let (subject, cut) = line::subject(&self.subject);
        line::call(time, self.id, &subject, &call, cut || self.cut)
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, RecordError> {
    serde_json::from_str(line).map_err(|error| RecordError(error.to_string()))
}

#[derive(Deserialize)]
struct Head {
    v: u32,
    kind: String,
}

/// A time as the log spells it, and in no other way.
struct Time(SystemTime);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)?;
        if humantime::format_rfc3339_micros(time).to_string() == text {
            Ok(Self(time))
        } else {
            Err(serde::de::Error::custom("a time has microseconds"))
        }
    }
}

/// Declares the shape of a line: the fields all kinds have, which only have to be known here, and its own.
macro_rules! line {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            #[serde(rename = "v")]
            _v: u32,
            #[serde(rename = "kind")]
            _kind: String,
            time: Time,
            $($field: $type,)*
            #[serde(default, rename = "hash")]
            _hash: Option<String>,
        }
    };
}

line!(ActionLine {
    id: u64,
    node: String,
    tenant: Option<String>,
    app: Option<String>,
    actor: String,
    role: Option<String>,
    action: String,
    detail: Option<String>,
    decision: Decision,
    reason: Option<String>,
    cut: Option<bool>,
});
line!(CloseLine {});
line!(GapLine { refused: u64, lost: u64 });
line!(OpenLine { prev: String, at: u64, after: After, torn_bytes: u64 });
line!(OutcomeLine { id: u64, outcome: Outcome, duration_us: u64, bytes: u64 });
line!(CallLine {
    id: u64,
    node: String,
    tenant: String,
    app: String,
    revision: Option<u64>,
    script: String,
    policy: String,
    request: Option<String>,
    phase: Phase,
    capability: String,
    category: String,
    resource: String,
    argv: Option<Vec<String>>,
    env: Option<Vec<String>>,
    cwd: Option<String>,
    object: Option<String>,
    method: Option<String>,
    store: Option<String>,
    statement: Option<String>,
    parameters: Option<Vec<String>>,
    dry_run: Option<bool>,
    decision: Decision,
    rule: Option<String>,
    needed: Option<String>,
    file: String,
    line: u32,
    cut: Option<bool>,
});

impl ActionLine {
    fn record(line: &str) -> Result<Record, RecordError> {
        let Self { time, id, node, tenant, app, actor, role, action, detail, decision, reason, cut, .. } = read(line)?;
        let cut = cut.unwrap_or_default();
        let found = ActionRecord { id, node, tenant, app, actor, role, action, detail, decision, reason, cut };
        Ok(Record { time: time.0, kind: RecordKind::Action(Box::new(found)) })
    }
}

impl OpenLine {
    fn record(line: &str) -> Result<Record, RecordError> {
        let Self { time, prev, at, after, torn_bytes, .. } = read(line)?;
        let previous = prev.parse().map_err(|error| RecordError(format!("`prev`: {error}")))?;
        Ok(Record { time: time.0, kind: RecordKind::Open(Open { previous, at, after, torn_bytes }) })
    }
}

impl OutcomeLine {
    fn record(line: &str) -> Result<Record, RecordError> {
        let Self { time, id, outcome, duration_us, bytes, .. } = read(line)?;
        let duration = Duration::from_micros(duration_us);
        Ok(Record { time: time.0, kind: RecordKind::Outcome(OutcomeRecord { id, outcome, duration, bytes }) })
    }
}

impl CallLine {
    fn record(line: &str) -> Result<Record, RecordError> {
        let found: Self = read(line)?;
        let subject = Subject {
            node: found.node,
            tenant: found.tenant,
            app: found.app,
            revision: found.revision,
            script_digest: found.script,
            policy_digest: found.policy,
        };
        let call = CallRecord {
            id: found.id,
            subject,
            request: found.request,
            phase: found.phase,
            capability: found.capability,
            category: found.category,
            resource: found.resource,
            arguments: Arguments {
                argv: found.argv,
                env: found.env,
                cwd: found.cwd,
                object: found.object,
                method: found.method,
                store: found.store,
                statement: found.statement,
                parameters: found.parameters,
                dry_run: found.dry_run.unwrap_or_default(),
            },
            decision: found.decision,
            rule: found.rule,
            needed: found.needed,
            file: found.file,
            line: found.line,
            cut: found.cut.unwrap_or_default(),
        };
        Ok(Record { time: found.time.0, kind: RecordKind::Call(Box::new(call)) })
    }
}
