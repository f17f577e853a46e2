//! `Sql` over the component's import `sql`.

use starcell_interp::{Connection, HostError, Position, Rows, Sql, SqlValue, Statement};

use crate::bindings::starcell::guest::sql;
use crate::imports::Imports;

impl Sql for Imports {
    fn query(&self, connection: &Connection, statement: &Statement, at: &Position) -> Result<Rows, HostError> {
        sql::query(connection, statement, at)
    }

    fn exec(
        &self,
        connection: &Connection,
        statement: &Statement,
        more: &[Vec<SqlValue>],
        at: &Position,
    ) -> Result<Rows, HostError> {
        sql::exec(connection, statement, more, at)
    }

    fn begin(&self, connection: &Connection, read_only: bool, at: &Position) -> Result<u32, HostError> {
        sql::begin(connection, read_only, at)
    }

    fn commit(&self, transaction: u32) -> Result<(), HostError> {
        sql::commit(transaction)
    }

    fn rollback(&self, transaction: u32) -> Result<(), HostError> {
        sql::rollback(transaction)
    }
}
