//! What `kv` is compared with: the client libraries of the host alone, which send a server the same commands with the same
//! arguments, over as many connections.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd};
use starcell_tests::servers::{PASSWORD, Server};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::kv_call::{Call, VALUE};

/// The script that the host changes a key with.
const CHANGE: &str = include_str!("../../host/runtime/src/kv/redis/change.lua");

/// The statements that the host asks with.
const CHANGE_STATEMENT: &str = "SELECT word, present, total FROM \
    starcell.kv_change_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const GET_STATEMENT: &str = "SELECT value FROM starcell.kv \
    WHERE tenant = $1 AND app = $2 AND key = $3 AND (ends IS NULL OR ends > clock_timestamp())";

/// Connections to Redis that all callers share, as in the host.
const LINKS: usize = 4;

/// The quota of an app in bytes, as without one of its tenant.
const QUOTA: i64 = 64 << 20;

/// Connections of a library to a server.
pub(crate) struct Bare {
    runtime: Runtime,
    callers: Vec<Caller>,
}

/// One of those that call at the same time.
#[derive(Clone)]
enum Caller {
    Postgres(Arc<Session>),
    Redis(MultiplexedConnection, Arc<str>),
}

struct Session {
    client: Client,
    get: Statement,
    change: Statement,
}

impl Bare {
    /// Connects to Redis for so many callers.
    pub(crate) fn redis(server: &Server, callers: usize) -> Self {
        let runtime = runtime();
        let callers = runtime.block_on(async {
            let password = PASSWORD.replace(' ', "%20");
            let client = redis::Client::open(format!("redis://:{password}@127.0.0.1:{}/0", server.port)).unwrap();
            let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
            let mut links = Vec::new();
            for _ in 0..LINKS {
                links.push(client.get_multiplexed_async_connection_with_config(&config).await.unwrap());
            }
            let digest: String = redis::cmd("SCRIPT").arg("LOAD").arg(CHANGE).query_async(&mut links[0]).await.unwrap();
            let digest: Arc<str> = digest.into();
            (0..callers).map(|place| Caller::Redis(links[place % LINKS].clone(), Arc::clone(&digest))).collect()
        });
        Self { runtime, callers }
    }

    /// Connects to PostgreSQL, a session for each caller. The tables are there: a node has made them.
    pub(crate) fn postgres(server: &Server, callers: usize) -> Self {
        let runtime = runtime();
        let callers = runtime.block_on(async {
            let mut config = tokio_postgres::Config::new();
            config.user("starcell").dbname("starcell").password(PASSWORD);
            let mut sessions = Vec::new();
            for _ in 0..callers {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).await.unwrap();
                // Without it small requests wait for acknowledgements.
                stream.set_nodelay(true).unwrap();
                let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
                tokio::spawn(connection);
                let (get, change) = tokio::join!(client.prepare(GET_STATEMENT), client.prepare(CHANGE_STATEMENT));
                sessions.push(Caller::Postgres(Arc::new(Session {
                    client,
                    get: get.unwrap(),
                    change: change.unwrap(),
                })));
            }
            sessions
        });
        Self { runtime, callers }
    }

    /// Has each caller make so many calls, one after the other; how long each of them took.
    pub(crate) fn run(&self, call: Call, count: usize) -> Vec<Duration> {
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for (place, caller) in self.callers.iter().enumerate() {
                let caller = caller.clone();
                running.spawn(async move { caller.work(call, &call.key(place), count).await });
            }
            running.join_all().await.concat()
        })
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

impl Caller {
    async fn work(self, call: Call, key: &str, count: usize) -> Vec<Duration> {
        let mut times = Vec::with_capacity(count);
        match self {
            Self::Redis(mut link, digest) => {
                for _ in 0..count {
                    let began = Instant::now();
                    let answer: redis::Value = command(call, key, &digest).query_async(&mut link).await.unwrap();
                    times.push(began.elapsed());
                    assert_ne!(answer, redis::Value::Nil);
                }
            }
            Self::Postgres(session) => {
                for _ in 0..count {
                    let began = Instant::now();
                    session.ask(call, key).await;
                    times.push(began.elapsed());
                }
            }
        }
        times
    }
}

fn command(call: Call, key: &str, digest: &str) -> Cmd {
    let name = |part: &str| format!("starcell:{{bench}}:bare:{part}");
    if call == Call::Get {
        let mut command = redis::cmd("HGET");
        command.arg(name("values")).arg(key);
        return command;
    }
    let mut command = redis::cmd("EVALSHA");
    command.arg(digest).arg(6);
    for part in ["values", "names", "ends", "used"] {
        command.arg(name(part));
    }
    command.arg("starcell:{bench}:used").arg(name("sum"));
    let operation = if call == Call::Set { "set" } else { "add" };
    command.arg(operation).arg(key).arg(QUOTA).arg("");
    match call {
        Call::Set => command.arg(stored()).arg("forever"),
        _ => command.arg(1).arg("forever"),
    };
    command
}

impl Session {
    async fn ask(&self, call: Call, key: &str) {
        let (tenant, app, key) = ("bench", "bare", key.as_bytes());
        if call == Call::Get {
            let rows = self.client.query(&self.get, &[&tenant, &app, &key]).await.unwrap();
            assert_eq!(rows.len(), 1);
            return;
        }
        let value = stored();
        let (operation, value) = if call == Call::Set { ("set", Some(value.as_bytes())) } else { ("add", None) };
        let by = i64::from(call == Call::Increment);
        // The shard of a key is a number below 16; callers have different ones, as their keys mostly do.
        let shard = i16::from(key.last().copied().unwrap_or_default() % 16);
        let (expected, share): (Option<&[u8]>, Option<i64>) = (None, None);
        let parameters: [&(dyn ToSql + Sync); 11] =
            [&tenant, &app, &key, &shard, &operation, &value, &-1_i64, &by, &expected, &QUOTA, &share];
        let rows = self.client.query(&self.change, &parameters).await.unwrap();
        let word: &str = rows[0].get(0);
        assert!(["done", "sum"].contains(&word), "{word}");
    }
}

/// A text as the host stores it, behind its tag.
fn stored() -> String {
    format!("t{VALUE}")
}
