//! A script with its grants and limits, and the life of its top level.
//!
//! An app is a value: a process holds as many as it likes, and nothing about one is global. Its top level runs once, in
//! a parent instance that stays suspended inside `serve()` while forks answer requests, and goes on afterwards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starcell_audit::{Audit, AuditApp, Subject};
use starcell_policy::{CanonicalPath, Grants, Profile, Roots};
use tokio::sync::Semaphore;
use wasmtime::Store;

use crate::bindings::Guest;
use crate::bindings::starcell::guest::types::Script;
use crate::client::Client;
use crate::edge::Edge;
use crate::failure::{Failure, Limit};
use crate::gate::Mode;
use crate::interpreter::Interpreter;
use crate::k8s::Kubernetes;
use crate::kv::{self, Kv};
use crate::limits::Limits;
use crate::meter::Metered;
use crate::state::{Role, State, store};
use crate::tool::Tool;

/// Most threads that one app may block at a time; the runtime has 512.
const MAX_BLOCKING: usize = 32;

/// What an app is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppConfig {
    /// Name of the script as it shall stand in messages.
    pub script: String,
    /// What the script may do.
    pub grants: Grants,
    /// What becomes of a call that the grants do not cover.
    pub mode: Mode,
    /// Where privileged calls are recorded.
    pub audit: AuditApp,
    /// Whether time, waiting and randomness are recorded too, for which no permission is needed.
    pub record_pure: bool,
    /// Where its handlers keep state.
    pub kv: Kv,
    /// What it speaks to other servers with.
    pub client: Client,
    /// Its Kubernetes clusters.
    pub kubernetes: Kubernetes,
    /// The environment that scripts may ask for: names and values.
    pub environment: BTreeMap<String, String>,
    /// The folder that relative paths start at: `$CWD` of the rules.
    pub cwd: CanonicalPath,
    /// What it may use.
    pub limits: Limits,
    /// The folder that `load()` reads from; none for a script without files.
    pub folder: Option<PathBuf>,
    /// Port for the script's first server, over whatever the script asks for.
    pub port: Option<u16>,
    /// The operator's tool that runs it, if one does.
    pub tool: Option<Arc<dyn Tool>>,
}

impl AppConfig {
    /// An app with the default limits, whose calls are recorded nowhere.
    #[must_use]
    pub fn new(script: String, grants: Grants, cwd: CanonicalPath) -> Self {
        Self {
            script,
            grants,
            mode: Mode::default(),
            audit: Audit::off().subject(&nobody()),
            record_pure: false,
            kv: Kv::memory(kv::DEFAULT_QUOTA),
            client: Client::default(),
            kubernetes: Kubernetes::default(),
            environment: BTreeMap::new(),
            cwd,
            limits: Limits::default(),
            folder: None,
            port: None,
            tool: None,
        }
    }
}

/// An app of this process.
#[derive(Debug)]
pub struct App {
    pub(crate) config: AppConfig,
    pub(crate) interpreter: Arc<Interpreter>,
    pub(crate) edge: Arc<dyn Edge>,
    /// Grants that allow everything: what count mode acts under.
    pub(crate) permissive: Grants,
    /// Places for work that blocks a thread, so that one app's slow disk leaves threads to the others.
    pub(crate) blocking: Semaphore,
    /// Whether a server was ever up: from then on the wall time of the top level is its own business.
    serving: AtomicBool,
    loaded: Mutex<Vec<PathBuf>>,
}

impl App {
    /// An app that has not run yet.
    pub fn new(interpreter: Arc<Interpreter>, config: AppConfig, edge: Arc<dyn Edge>) -> Arc<Self> {
        let permissive = permissive(&config);
        let blocking = Semaphore::new(MAX_BLOCKING);
        let (serving, loaded) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { config, interpreter, edge, permissive, blocking, serving, loaded })
    }

    /// An app that is like this one but for what `change` changes, and for its edge. None of its forks can touch what
    /// this one keeps, unless both were given the same.
    #[must_use]
    pub fn variant(&self, change: impl FnOnce(&mut AppConfig), edge: Arc<dyn Edge>) -> Arc<Self> {
        let mut config = self.config.clone();
        change(&mut config);
        Self::new(Arc::clone(&self.interpreter), config, edge)
    }

    /// Runs the top level of the script. Returns when it has ended, which for a script that serves is after shutdown.
    ///
    /// # Errors
    /// What the script raised, the limit it hit, or what the host could not do.
    pub async fn run(self: &Arc<Self>, source: Vec<u8>) -> Result<(), Failure> {
        let limits = &self.config.limits;
        let meter = self.interpreter.meter(limits.setup_cpu);
        let mut store = store(&self.interpreter, Role::Setup(Arc::clone(self)), limits, Arc::clone(&meter));
        let script = self.script(source);
        let run = Box::pin(async {
            let guest = self.begin(&mut store).await?;
            let result = guest.starcell_guest_interpreter().call_run(&mut store, &script).await;
            result.map_err(|error| store.data().failure(&error, limits))?.map_err(Failure::from)
        });
        tokio::select! {
            result = Metered::new(meter, run) => result,
            () = self.setup_overdue(limits.setup_wall) => Err(Failure::Limit(Limit::Wall(limits.setup_wall))),
        }
    }

    /// Evaluates what the app's tool gives it, piece by piece, until it has no more. Each piece has the CPU time of a
    /// setup.
    ///
    /// # Errors
    /// The limit that was hit, or what the host could not do. What a piece raises is told to the tool.
    pub async fn interact(self: &Arc<Self>) -> Result<(), Failure> {
        let limits = &self.config.limits;
        let meter = self.interpreter.meter(limits.setup_cpu);
        let mut store = store(&self.interpreter, Role::Setup(Arc::clone(self)), limits, Arc::clone(&meter));
        let run = Box::pin(async {
            let guest = self.begin(&mut store).await?;
            let result = guest.starcell_guest_interpreter().call_interact(&mut store).await;
            result.map_err(|error| store.data().failure(&error, limits))?.map_err(Failure::from)
        });
        Metered::new(meter, run).await
    }

    /// An instance that has run nothing yet.
    pub(crate) async fn begin(&self, store: &mut Store<State>) -> Result<Guest, Failure> {
        let guest = self.interpreter.base().instantiate_async(store).await;
        guest.map_err(|error| self.interpreter.instantiation_failure(&error, &self.config.limits))
    }

    /// A source under the name of the script.
    pub(crate) fn script(&self, source: Vec<u8>) -> Script {
        Script { name: self.config.script.clone(), source }
    }

    /// Ends when the setup has taken too long; never, once a server is up.
    async fn setup_overdue(&self, wall: Duration) {
        tokio::time::sleep(wall).await;
        if self.serving.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// The files that the script has asked for with `load()`, there or not.
    pub fn loaded(&self) -> Vec<PathBuf> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a file was asked for.
    pub(crate) fn note_loaded(&self, file: PathBuf) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }

    /// Notes that a server is up.
    pub(crate) fn note_serving(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }
}

/// The grants of `allow-all`, with no rule against anything. No rule of it has a variable, so making it cannot fail.
fn permissive(config: &AppConfig) -> Grants {
    let everything = Profile::named("allow-all").unwrap_or_default();
    Grants::new(&everything, &[], &[], &Roots::new(config.cwd.clone())).unwrap_or_else(|_| config.grants.clone())
}

/// Whom an audit log that is off records.
fn nobody() -> Subject {
    let none = String::new;
    Subject { node: none(), tenant: none(), app: none(), script_digest: none(), policy_digest: none() }
}
