//! A database that always says the same, and keeps what it was asked.

use std::cell::{Cell, RefCell};

use crate::host::{Connection, HostError, Position, Rows, Sql, SqlValue, Statement};

/// A call of a database.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlCalled {
    /// A transaction was begun.
    Begin(Connection, bool),
    /// A transaction was kept.
    Commit(u32),
    /// A statement was run that may write, with more lists of parameters.
    Exec(Connection, Statement, Vec<Vec<SqlValue>>),
    /// A statement was run that only reads.
    Query(Connection, Statement),
    /// A transaction was undone.
    Rollback(u32),
}

/// A database that always returns one book, whatever it is asked.
#[derive(Debug)]
pub struct NativeSql {
    /// What every call answers, when set.
    pub refuse: Option<HostError>,
    /// What statements return.
    pub rows: Rows,
    calls: RefCell<Vec<SqlCalled>>,
    transactions: Cell<u32>,
}

impl Default for NativeSql {
    fn default() -> Self {
        let columns = ["title", "pages"].map(str::to_owned).to_vec();
        let book = vec![SqlValue::Text("Dune".to_owned()), SqlValue::Int(412)];
        let rows = Rows { columns, rows: vec![book], changed: 1, last_id: Some(1) };
        Self { refuse: None, rows, calls: RefCell::default(), transactions: Cell::default() }
    }
}

impl NativeSql {
    /// The calls so far.
    pub fn calls(&self) -> Vec<SqlCalled> {
        self.calls.borrow().clone()
    }

    fn note<T>(&self, called: SqlCalled, answer: T) -> Result<T, HostError> {
        self.calls.borrow_mut().push(called);
        self.refuse.clone().map_or(Ok(answer), Err)
    }
}

impl Sql for NativeSql {
    fn query(&self, connection: &Connection, statement: &Statement, _at: &Position) -> Result<Rows, HostError> {
        self.note(SqlCalled::Query(connection.clone(), statement.clone()), self.rows.clone())
    }

    fn exec(
        &self,
        connection: &Connection,
        statement: &Statement,
        more: &[Vec<SqlValue>],
        _at: &Position,
    ) -> Result<Rows, HostError> {
        self.note(SqlCalled::Exec(connection.clone(), statement.clone(), more.to_vec()), self.rows.clone())
    }

    fn begin(&self, connection: &Connection, read_only: bool, _at: &Position) -> Result<u32, HostError> {
        self.transactions.set(self.transactions.get() + 1);
        self.note(SqlCalled::Begin(connection.clone(), read_only), self.transactions.get())
    }

    fn commit(&self, transaction: u32) -> Result<(), HostError> {
        self.note(SqlCalled::Commit(transaction), ())
    }

    fn rollback(&self, transaction: u32) -> Result<(), HostError> {
        self.note(SqlCalled::Rollback(transaction), ())
    }
}
