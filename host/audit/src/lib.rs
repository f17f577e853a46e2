//! The audit log: what scripts were allowed and denied, written before it is done.
//!
//! An effect without a record is the one thing an audit log must not allow, so a call is written down before it is done
//! (the *intent*), and the call is refused where that fails. What came of it follows in a line of its own; where that is
//! missing the host died in between and nobody knows. Lines are JSON, one schema with a version, every value bounded,
//! escaped and free of secrets, and a hash chain runs through them so that a changed, removed or moved line shows.
//!
//! | module | job |
//! |---|---|
//! | `call`, `error` | What is recorded; why it cannot be |
//! | `redact`, `escape`, `line` | A call as a line: no secrets, nothing that acts on a terminal, no more than so long |
//! | `audit`, `writer` | Callers wait in bounded queues for one thread, which writes many lines at once |
//! | `chain`, `file`, `tail` | Sealed lines in a file that is locked, mended, gone on with and renamed when full |
//! | `record` | Lines as a reader sees them |

#![forbid(unsafe_code)]

mod audit;
mod call;
mod chain;
mod error;
mod escape;
mod file;
mod line;
mod record;
mod redact;
mod tail;
mod writer;

pub use audit::{Audit, AuditApp, Options, Ticket};
pub use call::{Call, Decision, Outcome, Phase, Subject};
pub use chain::{Hash, NotAHash};
pub use error::AuditError;
pub use line::After;
pub use record::{CallRecord, Open, OutcomeRecord, Record, RecordError, RecordKind};
pub use redact::connection;
pub use writer::Writer;
