//! A server that keeps the stores of many apps.

use std::sync::Arc;

use starcell_log::Logs;

use super::postgres::Postgres;
use super::redis::Redis;
use super::space::KvSpace;
use super::store::Store;
use crate::remote::server::RemoteServer;

/// A server that keeps the stores of many apps. Its connections are shared by all of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KvServer(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Postgres(Postgres),
    Redis(Redis),
}

impl KvServer {
    /// A server of PostgreSQL. It is connected to when it is first needed.
    #[must_use]
    pub fn postgres(server: RemoteServer, logs: Logs) -> Self {
        Self(Kind::Postgres(Postgres::new(server, logs)))
    }

    /// A server of Redis or Valkey. It is connected to when it is first needed.
    #[must_use]
    pub fn redis(server: RemoteServer, logs: Logs) -> Self {
        Self(Kind::Redis(Redis::new(server, logs)))
    }

    /// The store of an app.
    pub(super) fn store(&self, space: &KvSpace) -> Arc<dyn Store> {
        match &self.0 {
            Kind::Postgres(postgres) => Arc::new(postgres.store(space)),
            Kind::Redis(redis) => Arc::new(redis.store(space)),
        }
    }

    /// Finds out whether the server answers, within a few seconds. The log is told when it does not, and a node goes on:
    /// the server may come.
    pub async fn probe(&self) -> bool {
        let answer = match &self.0 {
            Kind::Postgres(postgres) => postgres.probe(),
            Kind::Redis(redis) => redis.probe(),
        };
        answer.await.is_ok()
    }
}
