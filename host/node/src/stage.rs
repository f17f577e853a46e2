//! The one server of an app of a node, as its script sees it.
//!
//! The script asks for an address like any other; the check is made as ever, and no socket is bound for it: what it serves
//! answers at the hosts and the path of the app. An app has one server, since there is nothing to tell a second one by.
//!
//! A stage hands what was made on it to whoever waits for that, and keeps none of it: the app of a serving image has the
//! stage as its host, so a stage that kept the image would keep itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use starcell_http::router::Routes;
use starcell_log::{Level, Logs};
use starcell_policy::{Permit, ServerAddress};
use starcell_runtime::host::BoxFuture;
use starcell_runtime::{AppHost, ListenError, LogRecord, Serve, ServerOptions, Serving, TlsSource};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::lowered::{RequestTime, lowered};
use crate::remark::remark;
use crate::routes::add_route;
use crate::terms::AppTerms;

/// How long requests in flight may go on when the script does not say.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The server of one revision.
#[derive(Debug)]
pub(crate) struct Stage {
    terms: Arc<AppTerms>,
    servers: Mutex<Servers>,
    served: Mutex<Option<Serving>>,
    /// Cancelled once it serves.
    ready: CancellationToken,
    /// Cancelled once its script waits for the server to stop, and has nothing else to do; also where no script runs.
    settled: CancellationToken,
    /// Cancelled when it shall stop.
    stop: CancellationToken,
    /// Whether its script has ended.
    over: AtomicBool,
    /// Its requests that are not answered yet.
    present: TaskTracker,
}

#[derive(Debug, Default)]
struct Servers {
    routes: Vec<Arc<Routes>>,
    /// The one that answers.
    first: Option<First>,
}

#[derive(Debug)]
struct First {
    number: u32,
    port: u16,
    options: ServerOptions,
}

/// A server that was started, without what answers its requests.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    /// Its number.
    pub(crate) number: u32,
    /// Its routes.
    pub(crate) routes: Arc<Routes>,
    /// Its options.
    pub(crate) options: ServerOptions,
}

impl Started {
    /// The patterns of its routes, in their order.
    pub(crate) fn patterns(&self) -> Vec<String> {
        (0..self.routes.len()).filter_map(|index| self.routes.pattern(index)).map(str::to_owned).collect()
    }

    /// Whether another start made the same server: the same routes with the same numbers, and the same options.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.number, &self.options) == (other.number, &other.options) && self.patterns() == other.patterns()
    }
}

impl Stage {
    pub(crate) fn new(terms: Arc<AppTerms>) -> Arc<Self> {
        let (ready, settled, stop) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let (servers, served, over, present) =
            (Mutex::default(), Mutex::default(), AtomicBool::new(false), TaskTracker::new());
        Arc::new(Self { terms, servers, served, ready, settled, stop, over, present })
    }

    /// The server and what answers its requests, once the script serves. For one caller.
    pub(crate) async fn ready(&self) -> Option<(Started, Serving)> {
        self.ready.cancelled().await;
        let serving = self.served.lock().take()?;
        Some((self.started()?, serving))
    }

    /// The server that was started.
    pub(crate) fn started(&self) -> Option<Started> {
        let servers = self.servers();
        let First { number, options, .. } = servers.first.as_ref()?;
        let routes = servers.routes.get(*number as usize).cloned().unwrap_or_default();
        Some(Started { number: *number, routes, options: options.clone() })
    }

    /// Ends when its script waits for the server to stop.
    pub(crate) async fn settled(&self) {
        self.settled.cancelled().await;
    }

    /// Whether its script waits for the server to stop.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.is_cancelled()
    }

    /// Notes that no script runs here.
    pub(crate) fn settle(&self) {
        self.settled.cancel();
    }

    /// Whether a request is not answered yet.
    pub(crate) fn is_busy(&self) -> bool {
        !self.present.is_empty()
    }

    /// Waits until its requests are answered, for as long as they may go on.
    pub(crate) async fn drained(&self) {
        self.present.close();
        // Those that take longer go on: their forks need nothing of the script that waits here.
        let _ = timeout(self.grace(), self.present.wait()).await;
    }

    /// What is held for each request until its response is sent.
    pub(crate) fn enter(&self) -> TaskTrackerToken {
        self.present.token()
    }

    /// Has it stop: its script goes on once its requests are answered.
    pub(crate) fn stop_all(&self) {
        self.stop.cancel();
    }

    /// Whether it shall stop, or its script has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.stop.is_cancelled()
    }

    /// Notes that the script has ended; says whether nobody had asked for that.
    pub(crate) fn end(&self) -> bool {
        self.over.store(true, Ordering::Release);
        !self.stop.is_cancelled()
    }

    /// How long its requests may go on once it shall stop.
    pub(crate) fn grace(&self) -> Duration {
        let asked = self.servers().first.as_ref().and_then(|first| first.options.shutdown_timeout);
        asked.unwrap_or(SHUTDOWN_TIMEOUT)
    }

    /// Ends when there is no request in flight, or the time for them is over. Says whether there is none.
    pub(crate) async fn quiet(&self) -> bool {
        self.present.close();
        let quiet = timeout(self.grace(), self.present.wait()).await.is_ok();
        if !self.is_over() {
            self.present.reopen();
        }
        quiet
    }

    /// The log of the app.
    pub(crate) fn logs(&self) -> &Logs {
        &self.terms.logs
    }

    /// The name of the app.
    pub(crate) fn name(&self) -> Arc<str> {
        self.terms.script.as_str().into()
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock()
    }

    /// Tells which options of a script the listeners of the node decide instead, and which are lowered.
    fn tell(&self, options: &ServerOptions) {
        let of_node = [
            ("idle_timeout", options.idle_timeout.is_some()),
            ("max_header_bytes", options.max_header_bytes.is_some()),
        ];
        for (name, _) in of_node.into_iter().filter(|(_, given)| *given) {
            let text =
                format!("{name} is the node's: its listeners serve all apps, so what the script says does not count");
            self.terms.logs.say(Level::Warn, &text);
        }
        let of_script = ServerOptions { idle_timeout: None, max_header_bytes: None, ..options.clone() };
        let request = RequestTime { time: self.terms.request_time, set_by: "limits.time" };
        for sentence in lowered(&of_script, &self.terms.edge.config, request) {
            self.terms.logs.say(Level::Warn, &sentence);
        }
    }
}

impl AppHost for Stage {
    fn add_route(&self, server: u32, pattern: &str) -> Result<u32, String> {
        add_route(&mut self.servers().routes, server, pattern, |routes| routes)
    }

    fn listen<'a>(
        &'a self,
        server: u32,
        options: ServerOptions,
        permit: Permit<ServerAddress>,
        tls: Option<TlsSource>,
    ) -> BoxFuture<'a, Result<u16, ListenError>> {
        let failed = |text: &str| Err(ListenError::Failed(text.to_owned()));
        let result = match &self.servers().first {
            _ if tls.is_some() => {
                failed("the listeners of the node hold the certificates; leave tls_cert and tls_key out")
            }
            Some(_) => failed("an app of a node has one server, and serves it once: the first that it starts"),
            None => Ok(permit.resource().port()),
        };
        if let Ok(port) = result {
            self.tell(&options);
            self.servers().first = Some(First { number: server, port, options });
        }
        Box::pin(std::future::ready(result))
    }

    fn abandon(&self, server: u32) {
        let mut servers = self.servers();
        if !self.ready.is_cancelled() && servers.first.as_ref().is_some_and(|first| first.number == server) {
            servers.first = None;
        }
    }

    fn wait(&self, _server: u32) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.settle();
            self.stop.cancelled().await;
            self.drained().await;
        })
    }

    fn stop(&self, _server: u32) {
        self.stop_all();
    }

    fn port(&self, server: u32) -> Option<u16> {
        self.servers().first.as_ref().filter(|first| first.number == server).map(|first| first.port)
    }

    fn log<'a>(&'a self, record: &'a LogRecord<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.terms.logs.script(&remark(record)).await })
    }
}

impl Serve for Stage {
    fn serve(&self, server: u32, serving: Serving) -> Result<(), String> {
        let is_bound = self.servers().first.as_ref().is_some_and(|first| first.number == server);
        match (is_bound, self.ready.is_cancelled()) {
            (false, _) => Err("the server is not bound".to_owned()),
            (true, true) => Err("the server is served already".to_owned()),
            (true, false) => {
                *self.served.lock() = Some(serving);
                self.ready.cancel();
                Ok(())
            }
        }
    }
}
