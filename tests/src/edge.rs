//! An edge without a network: it takes what a script serves and hands it to the test.

use std::fs;
use std::sync::{Arc, Mutex, OnceLock};

use starcell_policy::{CanonicalPath, Grants, Permit, Profile, Roots, ServerAddress};
use starcell_runtime::artifact::Artifact;
use starcell_runtime::host::BoxFuture;
use starcell_runtime::{
    App, AppConfig, AppHost, Failure, Forks, Interpreter, Level, Limits, ListenError, LogRecord, Request, Serve,
    ServerOptions, Serving,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::process::target;

/// Room for a thousand suspended apps and some requests.
pub const INSTANCES: u32 = 1200;

/// The guest of this process. Its code is executed where it lies, so it is loaded once, whoever asks.
#[must_use]
pub fn interpreter() -> Arc<Interpreter> {
    static INTERPRETER: OnceLock<Arc<Interpreter>> = OnceLock::new();
    Arc::clone(INTERPRETER.get_or_init(|| Interpreter::load(&guest(), INSTANCES).expect("the guest loads")))
}

/// The guest as it was built, from the files that the binary has it from. It lives as long as the process.
fn guest() -> Artifact {
    let folder = target().join("guest");
    let read = |name: &str| -> &'static [u8] {
        let path = folder.join(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make guest`", path.display())).leak()
    };
    Artifact {
        component: read("starcell_guest.cwasm"),
        memory: read("starcell_guest.memory.cwasm"),
        base: read("starcell_guest.image"),
    }
}

/// Every way to keep forks: parked, parked with each reset compared, and thrown away.
pub const ALL_FORKS: [Forks; 3] =
    [Forks::Parked { compare_every: 1000 }, Forks::Parked { compare_every: 1 }, Forks::Fresh];

/// A script whose first server is served to the test.
#[derive(Debug)]
pub struct Deployed {
    /// What answers requests.
    pub serving: Serving,
    edge: Arc<TestEdge>,
    run: JoinHandle<Result<(), Failure>>,
}

impl Deployed {
    /// Runs a script under a profile until it serves.
    pub async fn start(interpreter: &Arc<Interpreter>, source: &str, limits: Limits) -> Result<Self, Failure> {
        Self::start_with(interpreter, source, |config| config.limits = limits).await
    }

    /// The same, with whatever else an app can be given.
    pub async fn start_with(
        interpreter: &Arc<Interpreter>,
        source: &str,
        give: impl FnOnce(&mut AppConfig),
    ) -> Result<Self, Failure> {
        let (sender, receiver) = oneshot::channel();
        let (app, edge) = prepare(interpreter, Some(sender), give);
        let source = source.as_bytes().to_vec();
        let mut run = tokio::spawn(async move { app.run(source).await });
        tokio::select! {
            serving = receiver => Ok(Self { serving: serving.expect("the edge lives"), edge, run }),
            result = &mut run => Err(result.expect("no panic").err().unwrap_or(Failure::Stopped)),
        }
    }

    /// What the script and its requests have said so far: `print` or a level, the message, attributes and the place.
    #[must_use]
    pub fn said(&self) -> Vec<Said> {
        self.edge.said.lock().expect("no panic").clone()
    }

    /// What answers requests, without the script inside `serve()`, as a node keeps it.
    pub async fn settle(self) -> Result<Serving, Failure> {
        self.edge.stopped.notify_one();
        self.run.await.expect("no panic")?;
        Ok(self.serving)
    }

    /// Stops the server; the script goes on and ends.
    pub async fn stop(self) -> Result<(), Failure> {
        self.edge.stopped.notify_one();
        self.run.await.expect("no panic")
    }
}

/// An app that runs nothing yet, under a profile.
#[must_use]
pub fn app(interpreter: &Arc<Interpreter>, give: impl FnOnce(&mut AppConfig)) -> Arc<App> {
    prepare(interpreter, None, give).0
}

fn prepare(
    interpreter: &Arc<Interpreter>,
    served: Option<oneshot::Sender<Serving>>,
    give: impl FnOnce(&mut AppConfig),
) -> (Arc<App>, Arc<TestEdge>) {
    let served = Mutex::new(served);
    let edge = Arc::new(TestEdge { served, stopped: Notify::new(), said: Mutex::default(), routes: Mutex::default() });
    let cwd = CanonicalPath::absolute("/srv").expect("absolute");
    let mut config = AppConfig::new("test.star".into(), grants("allow-local"), cwd);
    give(&mut config);
    (App::new(Arc::clone(interpreter), config, Arc::clone(&edge) as Arc<dyn Serve>), edge)
}

/// One `print` or log call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `None` for `print`.
    pub level: Option<Level>,
    /// The message.
    pub message: String,
    /// Names with one JSON text each.
    pub attributes: Vec<(String, String)>,
    /// File, line and column.
    pub at: (String, u32, u32),
}

/// The grants of a built-in profile.
#[must_use]
pub fn grants(profile: &str) -> Grants {
    let roots = Roots::new(CanonicalPath::absolute("/srv").expect("absolute"));
    Grants::new(&Profile::named(profile).expect("built in"), &[], &[], &roots).expect("built in")
}

/// A request for a path, as the host would hand it over.
#[must_use]
pub fn request(target: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method: "GET".into(),
        path: path.into(),
        url: format!("http://localhost{target}"),
        params: Vec::new(),
        query: starcell_http::query::parse(query),
        headers: "User-Agent: test\nAccept: */*\n".into(),
        body: Vec::new(),
        remote_addr: "127.0.0.1:1".into(),
        host: "localhost".into(),
        tls: false,
        id: "test".into(),
        proto: "HTTP/1.1".into(),
    }
}

#[derive(Debug)]
struct TestEdge {
    served: Mutex<Option<oneshot::Sender<Serving>>>,
    stopped: Notify,
    said: Mutex<Vec<Said>>,
    /// The server of each route.
    routes: Mutex<Vec<u32>>,
}

impl AppHost for TestEdge {
    fn add_route(&self, server: u32, _pattern: &str) -> Result<u32, String> {
        let mut routes = self.routes.lock().unwrap();
        let number = routes.iter().filter(|of| **of == server).count();
        routes.push(server);
        Ok(number.try_into().unwrap())
    }

    fn listen<'a>(
        &'a self,
        _server: u32,
        _options: ServerOptions,
        permit: Permit<ServerAddress>,
        _tls: Option<starcell_runtime::TlsSource>,
    ) -> BoxFuture<'a, Result<u16, ListenError>> {
        Box::pin(async move { Ok(permit.resource().port()) })
    }

    fn abandon(&self, _server: u32) {}

    fn wait(&self, _server: u32) -> BoxFuture<'_, ()> {
        Box::pin(self.stopped.notified())
    }

    fn stop(&self, _server: u32) {
        self.stopped.notify_one();
    }

    fn port(&self, _server: u32) -> Option<u16> {
        None
    }

    fn log<'a>(&'a self, record: &'a LogRecord<'a>) -> BoxFuture<'a, ()> {
        let said = Said {
            level: record.level,
            message: record.message.to_owned(),
            attributes: record.attributes.to_vec(),
            at: (record.at.file.clone(), record.at.line, record.at.column),
        };
        self.said.lock().expect("no panic").push(said);
        Box::pin(std::future::ready(()))
    }
}

impl Serve for TestEdge {
    fn serve(&self, _server: u32, serving: Serving) -> Result<(), String> {
        let sender = self.served.lock().expect("no panic").take().ok_or("this edge serves once")?;
        sender.send(serving).map_err(|_| "the test is gone".to_owned())
    }
}
