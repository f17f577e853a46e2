//! Errors of SQLite for a script: with the place in the statement, and without the statement and the values.

use rusqlite::{Error, ErrorCode};

use super::engine::STATEMENT;
use super::settings::MAX_VALUE;
use crate::sql::words::{place, without_values};

/// The sentence about what the guard refused.
const NOT_AUTHORIZED: &str = "the statement asks for what no script may (other files, extensions, pragmas, a transaction of \
    its own), or writes where it must only read; use exec to write, and db.tx(fn) for a transaction";

/// An error of a statement with this text.
pub(super) fn sentence(error: &Error, text: &str) -> String {
    match error {
        // Of a statement that does not compile, so it quotes the statement at most.
        Error::SqlInputError { msg, offset, .. } => {
            let at = usize::try_from(*offset).map(|offset| format!(" at {}", place(text, offset))).unwrap_or_default();
            format!("{}{at}", explained(&without_values(msg)))
        }
        Error::SqliteFailure(code, message) => {
            let message = message.as_deref().unwrap_or("SQLite failed");
            match code.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    "the database is locked by another request; try again, or keep transactions shorter".to_owned()
                }
                ErrorCode::DiskFull => "the database is full, or the disk is".to_owned(),
                ErrorCode::OutOfMemory => {
                    format!("the statement needs more than {} MiB of memory; select or sort less", STATEMENT >> 20)
                }
                ErrorCode::NotADatabase => "the file is not a database of SQLite".to_owned(),
                ErrorCode::TooBig => format!("a value or row is larger than {} MiB", MAX_VALUE >> 20),
                ErrorCode::AuthorizationForStatementDenied => NOT_AUTHORIZED.to_owned(),
                // It names the constraint.
                ErrorCode::ConstraintViolation => without_values(message),
                _ => explained(&of_a_run(message)),
            }
        }
        error => without_values(&error.to_string()),
    }
}

/// A message of a statement that runs, which may quote a parameter: a search in a text index does.
fn of_a_run(message: &str) -> String {
    match message.starts_with("fts5") {
        true => "the text index cannot read what it is to search for".to_owned(),
        false => without_values(message.split(['"', '\'', ':']).next().unwrap_or_default().trim_end()),
    }
}

/// A message with the fix, where there is one.
fn explained(message: &str) -> String {
    match message {
        "not authorized" => NOT_AUTHORIZED.to_owned(),
        message => message.to_owned(),
    }
}
