//! The audit log: what scripts were allowed and denied, written before it is done.
//!
//! An effect without a record is the one thing an audit log must not allow, so a call is written down before it is done
//! (the *intent*), and the call is refused where that fails. What came of it follows in a line of its own; where that is
//! missing the host died in between and nobody knows. Lines are JSON, one schema with a version, every value bounded,
//! escaped and free of secrets, and a hash chain runs through them so that a changed, removed or moved line shows.
//!
//! | module | job |
//! |---|---|
//! | `call`, `action`, `error` | The fields of a record; the reasons why a record cannot be written |
//! | `redact`, `line`, `clock` | A call as a line without secrets, bounded, with its time |
//! | `audit`, `writer`, `options` | Callers wait in bounded queues for one thread, which writes many lines at once |
//! | `chain`, `file`, `tail` | Sealed lines in a file: locked, mended after a crash, continued, renamed when full |
//! | `record`, `read`, `event` | Lines as a reader sees them, checked against the chain; calls with their outcomes |
//! | `summary`, `least`, `replay`, `verify`, `shown` | Answers about a log, safe to print |
//! | `anchor`, `anchoring`, `anchor_file`, `anchor_server`, `signing` | The head of the chain, kept in a second place |
//! | `evidence` | A log held against what was kept elsewhere |
//! | `asked` | A recorded call as the policy judges it |

#![forbid(unsafe_code)]

mod action;
mod allowance;
mod anchor;
mod anchor_file;
mod anchor_server;
mod anchoring;
mod asked;
mod audit;
mod call;
mod chain;
mod clock;
mod error;
mod event;
mod evidence;
mod file;
mod files;
mod least;
mod line;
mod options;
mod read;
mod record;
mod redact;
mod replay;
mod reserve;
mod shares;
mod shown;
mod signing;
mod summary;
mod tail;
mod verify;
mod writer;

pub use action::{Action, ActionRecord};
pub use asked::Unjudged;
pub use audit::{Audit, AuditActions, AuditApp, Ticket};
pub use call::{Arguments, AuditedCall, Decision, Outcome, Phase, Subject};
pub use chain::{Hash, NotAHash};
pub use error::AuditError;
pub use event::{Event, Events, events};
pub use evidence::{AnchorError, Anchors, Evidence, EvidenceError};
pub use files::files_of;
pub use least::{Least, LeastError, Widen, least};
pub use line::After;
pub use options::{AnchorOptions, AnchorPlace, BadAnchorPlace, Options, Rate};
pub use read::{ReadError, ReadProblem, Records, Seen};
pub use record::{CallRecord, Open, OutcomeRecord, Record, RecordError, RecordKind};
pub use replay::{Replay, WouldDeny, replay};
pub use signing::{KeyError, SignedKind, SigningKey, VerifyingKey};
pub use summary::{Counts, Row, Summary, summary};
pub use verify::{Verified, VerifyError, verify, verify_against};
pub use writer::Writer;
