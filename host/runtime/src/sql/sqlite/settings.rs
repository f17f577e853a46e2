//! The bounds of a connection.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use super::guard::Guard;
use crate::sql::value::MAX_TEXT;

/// Bytes of one value or row.
pub(super) const MAX_VALUE: i32 = 16 << 20;

/// The settings of every connection. `FULL`: an acknowledged change survives a crash of the machine.
const SETTINGS: &str = "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048; \
    PRAGMA mmap_size = 0; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216; PRAGMA cell_size_check = ON;";

/// Bounds a new connection, and puts its guard in front.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<Guard> {
    for (config, on) in [
        // A file may have been made by anybody, so nothing in it is believed.
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        // Text in double quotes is a name and never a literal.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, i32::try_from(MAX_TEXT).unwrap_or(i32::MAX)),
        (Limit::SQLITE_LIMIT_COLUMN, 1000),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
        (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 50),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 20),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    let guard = Guard::before(connection)?;
    connection.execute_batch(SETTINGS)?;
    Ok(guard)
}

/// Sets a connection up for writing a file of at most so many bytes.
pub(super) fn for_writing(connection: &Connection, most: u64) -> rusqlite::Result<()> {
    let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let page = u64::try_from(page).unwrap_or(u64::MAX).max(1);
    connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA max_page_count = {}", most / page))
}
