//! Calls on servers of PostgreSQL.
//!
//! A server is judged as that of an HTTP request is: by its name before that is looked up, and by each address. What was
//! granted is what is connected to. A connection counts against the tenant's quota of requests to other machines.

use std::net::IpAddr;

use starcell_policy::{Endpoint, Host as ServerHost, Permit, SqlSource};

use super::calling::Calling;
use crate::bindings::starcell::guest::sql::Connection as Described;
use crate::call_error::HostCallError;
use crate::remote::postgres::{Borrowed, Session};
use crate::sql::Transaction;
use crate::sql::postgres::{self, OpenSession, Who};
use crate::sql::value::{SqlRows, SqlText};

/// Addresses of one name that are tried.
const MAX_TRIED: usize = 4;

impl Calling<'_> {
    /// Runs a statement by itself.
    pub(super) async fn run_on_server(&self, source: SqlSource, text: SqlText) -> Result<SqlRows, HostCallError> {
        let limit = self.caller.app.config.limits.io_bytes;
        let run = |permit: Permit<SqlSource>| async move {
            let session = self.session(&permit).await?;
            let begun = OpenSession::begin(session, text.reads).await;
            let mut open = begun.map_err(|text| self.failed(text))?;
            let done = open.run(&text, limit, &self.caller.holding).await;
            let ended = open.end(done.is_ok()).await;
            let done = done.map_err(|text| self.failed(text))?;
            ended.map_err(|text| self.failed(text))?;
            Ok(done)
        };
        self.caller.gate.pass(self.at, self.function, source, run).await
    }

    /// Begins a transaction.
    pub(super) async fn begin_on_server(&self, source: SqlSource, reads: bool) -> Result<Transaction, HostCallError> {
        let begin = |permit: Permit<SqlSource>| async move {
            let session = self.session(&permit).await?;
            let begun = OpenSession::begin(session, reads).await.map_err(|text| self.failed(text))?;
            Ok((Transaction::Postgres(Box::new(begun)), 0))
        };
        self.caller.gate.pass(self.at, self.function, source, begin).await
    }

    /// A session with the server, at an address that is granted.
    async fn session(&self, permit: &Permit<SqlSource>) -> Result<Borrowed<()>, HostCallError> {
        let who = self.who(permit.resource());
        let databases = &self.caller.app.config.state.sql;
        databases.tidy();
        let connect = || async {
            // Behind the decision: a connection that is refused costs its tenant nothing.
            self.caller.app.config.state.client.pay().await.map_err(|text| self.failed(text))?;
            self.connect(permit, &who).await
        };
        databases.servers().session(&who, connect, |text| self.failed(text)).await
    }

    /// Looks the name up, has each address judged, and connects to the first that is granted and answers.
    async fn connect(&self, permit: &Permit<SqlSource>, who: &Who) -> Result<Session<()>, HostCallError> {
        let server = permit.resource().server().ok_or_else(|| self.failed("the database is on no server"))?;
        let addresses: Vec<IpAddr> = match server.host() {
            ServerHost::Address(address) => vec![*address],
            ServerHost::Name(name) => {
                let found = self.caller.app.config.state.client.resolver().resolve(name).await;
                found.map_err(|_| self.failed(format!("cannot resolve {name}")))?
            }
        };
        let covered = |address: &IpAddr| self.caller.gate.covers_address(permit, *address);
        let mut granted: Vec<IpAddr> = addresses.iter().copied().filter(covered).collect();
        if granted.is_empty() {
            // The denial names it.
            granted.extend(addresses.first());
        }
        let mut last = self.failed("the name has no address");
        for address in granted.into_iter().take(MAX_TRIED) {
            let connect = |endpoint: Permit<Endpoint<SqlSource>>| async move {
                let connected = postgres::connect(&endpoint, who).await;
                connected.map(|session| (session, 0)).map_err(HostCallError::failed)
            };
            match self.caller.gate.address(permit, address, self.at, connect).await {
                Ok(session) => return Ok(session),
                Err(HostCallError::Failed(failed)) => last = self.failed(failed.cause),
                Err(refused) => return Err(refused),
            }
        }
        Err(last)
    }

    fn who(&self, source: &SqlSource) -> Who {
        let Described { user, password, plain, .. } = self.connection;
        Who { database: source.to_string(), user: user.clone(), password: password.clone(), plain: *plain }
    }
}
