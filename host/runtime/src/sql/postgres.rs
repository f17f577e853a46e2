//! Databases on servers of PostgreSQL.
//!
//! A call is one statement in a transaction of the host's: one that only reads runs in `BEGIN READ ONLY`, and the server
//! refuses whatever would write. The server also refuses a text of several statements. A statement that would end or change
//! the transaction is refused before (see [`words`](super::words)), and one that ended it all the same ends the session:
//! each answer of a server says whether it is in a transaction. A session belongs to one app and one user, was connected
//! to an address that was granted to that app, and begins each transaction without what the one before left behind.

mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join;
use parking_lot::Mutex;
use starcell_policy::{Endpoint, Permit, SqlSource};
use tokio::time::{Instant, timeout};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Row, Statement};

use self::value::{Bound, Returned, is_known};
use super::value::{Gathered, MAX_TEXT, SqlRows, SqlText, SqlValue};
use super::words::{check, place, without_values};
use crate::client::tls::server_name;
use crate::holding::Holding;
use crate::remote::dial;
use crate::remote::postgres::{Borrowed, Session, Sessions, words};

/// Sessions of one app with one database, and databases of one app that sessions are kept for.
const SESSIONS: usize = 8;
const MAX_DATABASES: usize = 16;

/// How long a session waits for the next call.
const IDLE: Duration = Duration::from_secs(60);

/// How long a call takes at most, on the server and here.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take to be made, and how long a call waits for a session that others use.
const CONNECT: Duration = Duration::from_secs(10);

/// Undoes what the calls before have left in a session: settings, temporary tables, locks.
const RESET: &str = "DISCARD ALL";

/// The bounds are set again for each transaction, whatever the one before set.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '10s'; \
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL TIME ZONE 'UTC'";
const BEGIN_READING: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '10s'; \
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL TIME ZONE 'UTC'";

/// Who uses which database.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    /// The database as it was judged.
    pub(crate) database: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) plain: bool,
}

/// Without the password.
impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {:?}", self.database, self.user)
    }
}

/// The servers of one app.
#[derive(Debug, Default)]
pub(crate) struct Servers(Mutex<BTreeMap<Who, Arc<Sessions<()>>>>);

/// A session in a transaction. Dropped without an end, it is closed, which undoes the transaction.
pub(crate) struct OpenSession {
    session: Option<Borrowed<()>>,
    reads: bool,
    /// Whether a statement failed, after which the server keeps nothing of the transaction.
    failed: bool,
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSession").field("reads", &self.reads).finish_non_exhaustive()
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.end();
        }
    }
}

impl Servers {
    /// A session with a database: one that waits, or one that `connect` makes. `busy` makes the error where there is none.
    pub(crate) async fn session<E, F>(
        &self,
        who: &Who,
        connect: impl FnOnce() -> F,
        busy: impl FnOnce(String) -> E,
    ) -> Result<Borrowed<()>, E>
    where
        F: Future<Output = Result<Session<()>, E>>,
    {
        let sessions = {
            let mut all = self.0.lock();
            if !all.contains_key(who) && all.len() >= MAX_DATABASES {
                all.clear();
            }
            Arc::clone(all.entry(who.clone()).or_insert_with(|| Arc::new(Sessions::new(SESSIONS))))
        };
        let place = timeout(CONNECT, sessions.place()).await.unwrap_or_else(|_elapsed| {
            Err(format!("all {SESSIONS} sessions of the app are in use; keep transactions shorter"))
        });
        let (place, waiting) = match place {
            Ok(place) => place,
            Err(text) => return Err(busy(text)),
        };
        let session = match waiting {
            Some(session) => session,
            None => connect().await?,
        };
        Ok(sessions.lend(place, session))
    }

    /// Ends sessions that have not been used for a while.
    pub(crate) fn end_idle(&self) {
        let Some(moment) = Instant::now().checked_sub(IDLE) else { return };
        self.0.lock().retain(|_, sessions| {
            sessions.end_before(moment);
            !sessions.is_unused(SESSIONS)
        });
    }

    /// Returns whether there is any session.
    pub(crate) fn has_any(&self) -> bool {
        !self.0.lock().is_empty()
    }
}

/// Connects to the address of the permit.
pub(crate) async fn connect(permit: &Permit<Endpoint<SqlSource>>, who: &Who) -> Result<Session<()>, String> {
    let endpoint = permit.resource();
    let server = endpoint.resource().server().ok_or("the database is on no server")?;
    let tls = if who.plain { None } else { Some(server_name(server.host())?) };
    let mut config = Config::new();
    config.application_name("starcell").dbname(server.database()).user(who.user.as_deref().unwrap_or("starcell"));
    config.ssl_mode(match who.plain {
        true => tokio_postgres::config::SslMode::Disable,
        false => tokio_postgres::config::SslMode::Require,
    });
    if let Some(password) = &who.password {
        config.password(password);
    }
    let begin = async {
        let stream = dial::to_address(endpoint.socket_addr()).await?;
        Session::begin(stream, tls, &config).await.map_err(|error| sentence(&error, ""))
    };
    let late = |_elapsed| Err(format!("no session within {} s", CONNECT.as_secs()));
    timeout(CONNECT, begin).await.unwrap_or_else(late)
}

impl OpenSession {
    /// Begins a transaction in a session.
    pub(crate) async fn begin(session: Borrowed<()>, reads: bool) -> Result<Self, String> {
        let open = Self { session: Some(session), reads, failed: false };
        let client = open.client()?;
        let begin = if reads { BEGIN_READING } else { BEGIN };
        // One way there and back for both: they are sent in this order, and answered in it.
        let begun = timeout(TIMEOUT, try_join(client.batch_execute(RESET), client.batch_execute(begin))).await;
        match begun {
            Ok(Ok(_)) => Ok(open),
            Ok(Err(error)) => Err(sentence(&error, "")),
            Err(_elapsed) => Err("the server did not begin a transaction in time".to_owned()),
        }
    }

    /// Ends the transaction.
    pub(crate) async fn end(mut self, keep: bool) -> Result<(), String> {
        if keep && self.failed {
            // The server would answer COMMIT by undoing everything, without an error.
            return Err("a statement in the transaction failed, so the server keeps nothing of it".to_owned());
        }
        let end = if keep { "COMMIT" } else { "ROLLBACK" };
        match timeout(TIMEOUT, self.client()?.batch_execute(end)).await {
            Ok(Ok(())) => {
                // Given back, for the next call.
                self.session = None;
                Ok(())
            }
            Ok(Err(error)) => Err(sentence(&error, "")),
            Err(_elapsed) => {
                Err("the server did not end the transaction in time, so nobody knows whether it was kept".to_owned())
            }
        }
    }

    /// Runs a statement, once for each list of parameters. The memory of its rows is kept for the guest.
    pub(crate) async fn run(
        &mut self,
        text: &SqlText,
        limit: usize,
        memory: &Holding,
    ) -> Result<(SqlRows, u64), String> {
        if text.text.len() > MAX_TEXT {
            return Err(format!("the statement is longer than {} MiB", MAX_TEXT >> 20));
        }
        check(&text.text, text.reads)?;
        if self.reads && !text.reads {
            return Err("the transaction only reads".to_owned());
        }
        let done = timeout(TIMEOUT, all(self.client()?, text, (limit, memory))).await;
        let done = done.unwrap_or_else(|_elapsed| Err(format!("the call took longer than {} s", TIMEOUT.as_secs())));
        self.failed |= done.is_err();
        let status = &self.borrowed()?.session()?.status;
        if done.is_ok() && !status.is_in_transaction() {
            // What comes next would be outside of any transaction, and might write.
            self.failed = true;
            if let Some(session) = self.session.take() {
                session.end();
            }
            return Err("the statement ended the transaction that it ran in; use db.tx(fn) for one".to_owned());
        }
        done
    }

    fn borrowed(&self) -> Result<&Borrowed<()>, String> {
        self.session.as_ref().ok_or_else(|| "the transaction has ended".to_owned())
    }

    fn client(&self) -> Result<&Client, String> {
        Ok(&self.borrowed()?.session()?.client)
    }
}

async fn all(client: &Client, text: &SqlText, (limit, memory): (usize, &Holding)) -> Result<(SqlRows, u64), String> {
    let failed = |error: tokio_postgres::Error| sentence(&error, &text.text);
    let statement = client.prepare(&text.text).await.map_err(failed)?;
    let columns = columns(&statement)?;
    let mut gathered = Gathered::new(columns, limit);
    let mut changed: u64 = 0;
    for parameters in text.lists() {
        let (wanted, given) = (statement.params().len(), parameters.len());
        if wanted != given {
            return Err(format!(
                "the statement has {wanted} placeholders ($1, $2 ..), and there are {given} parameters"
            ));
        }
        let bound: Vec<Bound<'_>> = parameters.iter().map(Bound).collect();
        let bound = bound.iter().map(|value| value as &(dyn ToSql + Sync));
        let mut rows = std::pin::pin!(client.query_raw(&statement, bound).await.map_err(failed)?);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            memory.keep(memory.take(gathered.add(read(&row)?)?).await?);
        }
        changed = changed.saturating_add(rows.rows_affected().unwrap_or_default());
    }
    Ok(gathered.finish(if text.reads { 0 } else { changed }, None))
}

/// The names of the columns, all of whose types have a value in scripts.
fn columns(statement: &Statement) -> Result<Vec<String>, String> {
    let name = |column: &tokio_postgres::Column| {
        let ty = column.type_();
        if is_known(ty) {
            return Ok(column.name().to_owned());
        }
        let name = without_values(column.name());
        let ty = match *ty == Type::INTERNAL {
            true => "a type of the database's own".to_owned(),
            false => format!("type {}", ty.name()),
        };
        Err(format!("the column {name:?} is of {ty}, which has no value in scripts; select {name}::text"))
    };
    statement.columns().iter().map(name).collect()
}

fn read(row: &Row) -> Result<Vec<SqlValue>, String> {
    let value = |index: usize| {
        let read = row.try_get::<_, Returned>(index).map(|returned| returned.0);
        read.map_err(|error| std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    };
    (0..row.len()).map(value).collect()
}

/// An error of the server for a script: without values, and with the place in the statement.
fn sentence(error: &tokio_postgres::Error, text: &str) -> String {
    let Some(database) = error.as_db_error() else { return without_values(&words(error)) };
    let code = database.code().code();
    let message = match code {
        "25006" => "the statement writes; use exec".to_owned(),
        "57014" => "the statement took longer than the server lets it".to_owned(),
        "42601" if database.message().contains("multiple commands") => {
            "there are several statements; run each of them by itself".to_owned()
        }
        "42P02" | "42P18" => format!("{}; the placeholders are $1, $2 and so on", without_values(database.message())),
        _ => without_values(database.message()),
    };
    let at = match database.position() {
        Some(ErrorPosition::Original(character)) => {
            let character = usize::try_from(*character).unwrap_or_default().saturating_sub(1);
            let byte = text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte);
            format!(" at {}", place(text, byte))
        }
        _ => String::new(),
    };
    format!("{message}{at} ({code})")
}
