//! `starcell:guest/sql`: databases, the capability `sql.open`.
//!
//! Each call is judged by the database and by whether it only reads; a server is judged again for the address that its name
//! leads to. Records hold the database and the function, and neither statements nor parameters unless the operator asks for
//! them: a log must not become a second place for what is in a database.
//!
//! - [`calling`]: one call, and how it fails
//! - [`file`](mod@file): calls on files of SQLite
//! - [`server`]: calls on servers of PostgreSQL
//! - [`convert`]: values of the guest and of the host

mod calling;
mod convert;
mod file;
mod server;

use std::sync::Arc;

use parking_lot::Mutex;
use starcell_policy::{SqlFunction as Function, SqlSource};

use crate::Position;
use crate::bindings::starcell::guest::sql::{Connection as Described, Host, Rows, Statement as Asked, Value as Given};
use crate::call_error::HostCallError;
use crate::sql::value::{SqlRows, SqlText};
use crate::sql::{Transaction, Transactions};
use crate::state::State;
use calling::Calling;
use convert::{returned, text_of};

/// Most calls on databases of one request.
const MAX_CALLS: u32 = 10_000;

/// The result of a function of the host.
type Answer<T> = Result<T, HostCallError>;

/// The calls of a request on databases, and its transactions, which end with it.
#[derive(Clone, Debug, Default)]
struct OfRequest {
    calls: u32,
    transactions: Arc<Mutex<Transactions>>,
}

impl Host for State {
    async fn query(&mut self, connection: Described, statement: Asked, at: Position) -> Answer<Rows> {
        let transaction = statement.transaction;
        let text = text_of(statement, Vec::new(), true);
        self.statement(("sql.query", Function::Query), &connection, (text, transaction), &at).await
    }

    async fn exec(
        &mut self,
        connection: Described,
        statement: Asked,
        more: Vec<Vec<Given>>,
        at: Position,
    ) -> Answer<Rows> {
        let transaction = statement.transaction;
        let text = text_of(statement, more, false);
        self.statement(("sql.exec", Function::Exec), &connection, (text, transaction), &at).await
    }

    async fn begin(&mut self, connection: Described, read_only: bool, at: Position) -> Answer<u32> {
        let function = if read_only { Function::Query } else { Function::Exec };
        let call = Calling { caller: self.caller()?, name: "sql.tx", function, connection: &connection, at: &at };
        let transactions = self.transactions();
        let room = transactions.lock().room().err();
        if let Some(text) = room.or_else(|| self.too_many()) {
            return Err(call.refused(text).await);
        }
        let source = call.judged().await?;
        let begun = match &source {
            SqlSource::Sqlite(path) => call.begin_on_file(path.clone(), read_only).await?,
            SqlSource::Postgres(_) => call.begin_on_server(source.clone(), read_only).await?,
        };
        Ok(transactions.lock().keep(source, begun))
    }

    async fn commit(&mut self, transaction: u32) -> Answer<()> {
        self.end(transaction, true).await
    }

    async fn rollback(&mut self, transaction: u32) -> Answer<()> {
        self.end(transaction, false).await
    }
}

impl State {
    fn transactions(&mut self) -> Arc<Mutex<Transactions>> {
        let OfRequest { transactions, .. } = self.kept();
        Arc::clone(transactions)
    }

    /// Counts a call; says why it is refused if there were too many before it.
    fn too_many(&mut self) -> Option<String> {
        let OfRequest { calls, .. } = self.kept();
        *calls = calls.saturating_add(1);
        let is_over = *calls > MAX_CALLS && self.is_request();
        is_over.then(|| format!("more than {MAX_CALLS} calls on databases for one request to the script"))
    }

    async fn statement(
        &mut self,
        (name, function): (&'static str, Function),
        connection: &Described,
        (text, transaction): (SqlText, Option<u32>),
        at: &Position,
    ) -> Answer<Rows> {
        let mut call = Calling { caller: self.caller()?, name, function, connection, at };
        if let Some(refusal) = self.too_many() {
            return Err(call.refused(refusal).await);
        }
        let source = call.judged().await?;
        if call.caller.app.config.state.sql.records_statements() {
            call.caller.gate = call.caller.gate.about(convert::recorded(&text));
        }
        // Until the statement is over.
        let sent = call.caller.holding.take(text.size()).await;
        let _sent = sent.map_err(|text| call.failed(text))?;
        let rows = match (transaction, &source) {
            (None, SqlSource::Sqlite(path)) => call.run_on_file(path.clone(), text).await?,
            (None, SqlSource::Postgres(_)) => call.run_on_server(source, text).await?,
            (Some(number), _) => within(&call, &self.transactions(), (number, source), text).await?,
        };
        Ok(returned(rows))
    }

    async fn end(&mut self, number: u32, keep: bool) -> Answer<()> {
        let caller = self.caller()?;
        let taken = self.transactions().lock().take(number);
        let ended = match taken {
            Err(text) => Err(text),
            Ok((_, Transaction::Postgres(open))) => open.end(keep).await,
            Ok((_, Transaction::Sqlite(open))) => file::end(&caller, *open, keep).await,
        };
        caller.app.config.state.sql.tidy();
        ended.map_err(|text| HostCallError::of("sql.tx", text))
    }
}

/// Runs a statement in a transaction that was begun on the same database.
async fn within(
    call: &Calling<'_>,
    transactions: &Mutex<Transactions>,
    (number, source): (u32, SqlSource),
    text: SqlText,
) -> Answer<SqlRows> {
    let taken = transactions.lock().take(number);
    let (begun_on, transaction) = taken.map_err(|text| call.failed(text))?;
    if begun_on != source {
        return Err(call.refused("the transaction was begun on another database").await);
    }
    let run = |_permit| async move {
        let (done, transaction) = match transaction {
            Transaction::Postgres(mut open) => {
                let limit = call.caller.app.config.limits.io_bytes;
                let done = open.run(&text, limit, &call.caller.holding).await;
                (done, Transaction::Postgres(open))
            }
            Transaction::Sqlite(open) => {
                let (done, open) = call.run_in(open, text).await?;
                (done, Transaction::Sqlite(open))
            }
        };
        transactions.lock().put_back(number, begun_on, transaction);
        done.map_err(|text| call.failed(text))
    };
    call.caller.gate.pass(call.at, call.function, source, run).await
}
