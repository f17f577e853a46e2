//! A script with its grants and limits, and the life of its top level.
//!
//! An app is a value: a process holds as many as it likes, and nothing about one is global. Its top level runs once, in
//! a parent instance that stays suspended inside `serve()` while forks answer requests, and goes on afterwards.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starcell_policy::Grants;

use crate::bindings::starcell::guest::types::Script;
use crate::edge::Edge;
use crate::failure::{Failure, Limit};
use crate::interpreter::Interpreter;
use crate::limits::Limits;
use crate::meter::{Meter, Metered};
use crate::state::{Role, store};

/// What an app is made of.
#[derive(Debug)]
pub struct AppConfig {
    /// Name of the script as it shall stand in messages.
    pub script: String,
    /// What the script may do.
    pub grants: Grants,
    /// What it may use.
    pub limits: Limits,
    /// The folder that `load()` reads from; none for a script without files.
    pub folder: Option<PathBuf>,
    /// Port for the script's first server, over whatever the script asks for.
    pub port: Option<u16>,
}

/// An app of this process.
#[derive(Debug)]
pub struct App {
    pub(crate) config: AppConfig,
    pub(crate) interpreter: Arc<Interpreter>,
    pub(crate) edge: Arc<dyn Edge>,
    /// Whether a server was ever up: from then on the wall time of the top level is its own business.
    serving: AtomicBool,
    loaded: Mutex<Vec<PathBuf>>,
}

impl App {
    /// An app that has not run yet.
    pub fn new(interpreter: Arc<Interpreter>, config: AppConfig, edge: Arc<dyn Edge>) -> Arc<Self> {
        Arc::new(Self { config, interpreter, edge, serving: AtomicBool::new(false), loaded: Mutex::default() })
    }

    /// Runs the top level of the script. Returns when it has ended, which for a script that serves is after shutdown.
    ///
    /// # Errors
    /// What the script raised, the limit it hit, or what the host could not do.
    pub async fn run(self: &Arc<Self>, source: Vec<u8>) -> Result<(), Failure> {
        let limits = &self.config.limits;
        let meter = Meter::new(limits.setup_cpu);
        let mut store = store(&self.interpreter, Role::Setup(Arc::clone(self)), limits, Arc::clone(&meter));
        let script = Script { name: self.config.script.clone(), source };
        let base = self.interpreter.base();
        let run = Box::pin(async {
            let guest = base
                .instantiate_async(&mut store)
                .await
                .map_err(|e| self.interpreter.instantiation_failure(&e, limits))?;
            let result = guest.starcell_guest_interpreter().call_run(&mut store, &script).await;
            result.map_err(|error| store.data().failure(&error, limits))?.map_err(Failure::from)
        });
        tokio::select! {
            result = Metered::new(meter, run) => result,
            () = self.setup_overdue(limits.setup_wall) => Err(Failure::Limit(Limit::Wall(limits.setup_wall))),
        }
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
