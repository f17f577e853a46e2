//! The surroundings of an app under test: it has routes and serving images as in production, and binds nothing.

use std::sync::Arc;

use parking_lot::Mutex;
use starcell_http::router::Routes;
use starcell_log::{LogChoice, said};
use starcell_node::remark::remark;
use starcell_node::routes::add_route;
use starcell_policy::{Permit, ServerAddress};
use starcell_runtime::host::BoxFuture;
use starcell_runtime::{AppHost, ListenError, LogRecord, Serve, ServerOptions, Serving, TlsSource};
use tokio_util::sync::CancellationToken;

/// Bytes of what is kept of what a script says.
const MAX_SAID: usize = 256 << 10;

/// What a server that asks for any port is told.
const FIRST_PORT: u16 = 49_152;

/// The host of an app, without a network.
#[derive(Debug, Default)]
pub(super) struct Stage {
    servers: Arc<Mutex<Vec<Server>>>,
    /// True if the app is done with its setup: what it does now is done for one test.
    set_up: bool,
    /// Cancelled when the app waits for a server.
    waits: CancellationToken,
    /// The operator's choice about what scripts log.
    choice: LogChoice,
    said: Mutex<Said>,
}

/// A server of the app.
#[derive(Debug, Default)]
struct Server {
    routes: Arc<Routes>,
    options: Option<ServerOptions>,
    serving: Option<Serving>,
    port: Option<u16>,
}

/// What a script said, up to a bound.
#[derive(Debug, Default)]
struct Said {
    text: String,
    left_out: u64,
}

/// A server that answers.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) routes: Arc<Routes>,
    pub(super) options: ServerOptions,
    pub(super) serving: Serving,
}

impl Stage {
    /// A stage without servers.
    pub(super) fn new(choice: LogChoice) -> Self {
        Self { choice, ..Self::default() }
    }

    /// The servers of this stage, for one test, whose log is its own.
    pub(super) fn for_test(&self) -> Arc<Self> {
        let (servers, choice) = (Arc::clone(&self.servers), self.choice);
        Arc::new(Self { servers, choice, set_up: true, ..Self::default() })
    }

    /// Ends when the app waits for a server.
    pub(super) async fn waits(&self) {
        self.waits.cancelled().await;
    }

    /// What was said.
    pub(super) fn said(&self) -> String {
        let said = self.said.lock();
        match said.left_out {
            0 => said.text.clone(),
            lines => format!("{}({lines} more left out)\n", said.text),
        }
    }

    /// Adds to what was said.
    pub(super) fn note(&self, text: &str) {
        let mut said = self.said.lock();
        match said.text.len() + text.len() <= MAX_SAID {
            true => said.text.push_str(text),
            false => said.left_out += 1,
        }
    }

    /// A server that was started; the error is a sentence.
    pub(super) fn served(&self, number: u32) -> Result<Served, String> {
        let servers = self.servers.lock();
        let server = servers.get(number as usize);
        let served = server.and_then(|server| {
            let (options, serving) = (server.options.clone()?, server.serving.clone()?);
            Some(Served { routes: Arc::clone(&server.routes), options, serving })
        });
        served.ok_or_else(|| {
            let started = servers.iter().filter(|server| server.serving.is_some()).count();
            match started {
                0 => "the app has started no server".into(),
                _ => format!("the app has not started server {number}; servers are numbered from 0"),
            }
        })
    }

    fn server<T>(&self, number: u32, f: impl FnOnce(&mut Server) -> T) -> Result<T, String> {
        let mut servers = self.servers.lock();
        servers.get_mut(number as usize).map(f).ok_or_else(|| format!("there is no server {number}"))
    }
}

impl AppHost for Stage {
    fn add_route(&self, server: u32, pattern: &str) -> Result<u32, String> {
        add_route(&mut self.servers.lock(), server, pattern, |server| &mut server.routes)
    }

    fn listen<'a>(
        &'a self,
        server: u32,
        options: ServerOptions,
        permit: Permit<ServerAddress>,
        _tls: Option<TlsSource>,
    ) -> BoxFuture<'a, Result<u16, ListenError>> {
        let port = match permit.resource().port() {
            0 => FIRST_PORT.saturating_add(u16::try_from(server).unwrap_or_default()),
            port => port,
        };
        let listening = self.server(server, |slot| {
            slot.options = Some(options);
            slot.port = Some(port);
            port
        });
        Box::pin(std::future::ready(listening.map_err(ListenError::Failed)))
    }

    fn abandon(&self, server: u32) {
        // A server that does not exist has nothing to give up.
        let _ = self.server(server, |slot| slot.serving = None);
    }

    fn wait(&self, server: u32) -> BoxFuture<'_, ()> {
        let stopped = self.server(server, |slot| slot.serving.is_none()).unwrap_or(true);
        Box::pin(async move {
            if !stopped {
                self.waits.cancel();
                // The app is left inside of `serve()` until its tests are done.
                std::future::pending::<()>().await;
            }
        })
    }

    fn stop(&self, server: u32) {
        // What a handler stops is stopped for its own test, which sees its answer first.
        if !self.set_up {
            let _ = self.server(server, |slot| slot.serving = None);
        }
    }

    fn port(&self, server: u32) -> Option<u16> {
        self.server(server, |slot| slot.port).ok().flatten()
    }

    fn log<'a>(&'a self, record: &'a LogRecord<'a>) -> BoxFuture<'a, ()> {
        self.note(&said(self.choice, &remark(record)));
        Box::pin(std::future::ready(()))
    }
}

impl Serve for Stage {
    fn serve(&self, server: u32, serving: Serving) -> Result<(), String> {
        self.server(server, |slot| slot.serving = Some(serving))
    }
}
