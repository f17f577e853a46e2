//! Databases, as the host offers them.

use starcell_contract::{Connection, HostError, Position, Rows, SqlValue, Statement};

/// The databases of one app.
pub trait Sql {
    /// Runs a statement that only reads.
    fn query(&self, connection: &Connection, statement: &Statement, at: &Position) -> Result<Rows, HostError>;
    /// Runs a statement that may write, with each list of parameters behind the first: all of them or none.
    fn exec(
        &self,
        connection: &Connection,
        statement: &Statement,
        more: &[Vec<SqlValue>],
        at: &Position,
    ) -> Result<Rows, HostError>;
    /// Begins a transaction; returns its number.
    fn begin(&self, connection: &Connection, read_only: bool, at: &Position) -> Result<u32, HostError>;
    /// Ends it and keeps what it changed.
    fn commit(&self, transaction: u32) -> Result<(), HostError>;
    /// Ends it and undoes what it changed.
    fn rollback(&self, transaction: u32) -> Result<(), HostError>;
}
