//! What an app is made of, and what all of its instances share.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use starcell_audit::{Audit, AuditApp, Subject};
use starcell_budget::MemoryBudget;
use starcell_log::{Format, Level, LogChoice};
use starcell_policy::{CanonicalPath, Grants, Roots};
use tokio::sync::Semaphore;

use crate::authority::{Authority, DenialWatch, Mode, Report};
use crate::bindings::starcell::guest::types::{Conditions, Level as GuestLevel, LogFormat, Position, Script};
use crate::capability_state::CapabilityState;
use crate::client::Client;
use crate::environment::Environment;
use crate::failure::{Failure, ScriptFailureKind};
use crate::host::{AppHost, LogRecord};
use crate::host_files::HostFiles;
use crate::k8s::Kubernetes;
use crate::kv::{self, Kv};
use crate::limits::Limits;
use crate::parking::Forks;
use crate::programs::Programs;
use crate::sql::Databases;
use crate::store_failure::StoreWatch;
use crate::tool::Tool;
use crate::variables::Variables;
use crate::witness::Witness;

/// Most threads that one app may block at a time; the runtime has 512.
const MAX_BLOCKING: usize = 32;

/// What an app is made of.
#[derive(Clone, Debug)]
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
    /// What its capabilities keep.
    pub state: CapabilityState,
    /// The folder that relative paths start at: `$CWD` of the rules.
    pub cwd: CanonicalPath,
    /// The arguments of the script.
    pub arguments: Vec<String>,
    /// The variables of the script.
    pub variables: Variables,
    /// The operator's choice about its log.
    pub log: LogChoice,
    /// What it may use.
    pub limits: Limits,
    /// How the forks that answer its requests are kept.
    pub forks: Forks,
    /// The bytes that the process may hold, of which guests and images take theirs.
    pub memory: MemoryBudget,
    /// The folder that `load()` reads from; none for a script without files.
    pub folder: Option<PathBuf>,
    /// Address for the script's first server, over whatever the script asks for.
    pub host: Option<IpAddr>,
    /// Port for the script's first server, over whatever the script asks for.
    pub port: Option<u16>,
    /// The files of the host, which no grant covers.
    pub host_files: HostFiles,
    /// The operator's tool that runs it, if one does.
    pub tool: Option<Arc<dyn Tool>>,
    /// Who counts the calls of it that were refused.
    pub denials: Option<Arc<dyn DenialWatch>>,
    /// Who counts the calls of it that its store did not do.
    pub stores: Option<Arc<dyn StoreWatch>>,
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
            state: CapabilityState {
                client: Client::default(),
                environment: Environment::default(),
                kubernetes: Kubernetes::default(),
                kv: Kv::memory(kv::DEFAULT_QUOTA),
                programs: Programs::default(),
                sql: Databases::default(),
            },
            cwd,
            arguments: Vec::new(),
            variables: Variables::default(),
            log: LogChoice::default(),
            limits: Limits::default(),
            forks: Forks::default(),
            memory: MemoryBudget::unlimited(),
            folder: None,
            host: None,
            port: None,
            host_files: HostFiles::new(),
            tool: None,
            denials: None,
            stores: None,
        }
    }
}

/// An app as its instances see it: nothing in it can run one.
#[derive(Debug)]
pub(crate) struct AppContext {
    pub(crate) config: AppConfig,
    /// Decides and records its calls.
    pub(crate) authority: Arc<Authority>,
    pub(crate) host: Arc<dyn AppHost>,
    /// Places for work that blocks a thread, so that one app's slow disk leaves threads to the others.
    pub(crate) blocking: Arc<Semaphore>,
    /// Whether a server was ever up: from then on the wall time of the top level is its own business.
    serving: AtomicBool,
    /// Whether a failure with a hint was shown.
    hinted: AtomicBool,
    /// What its top level asked for.
    pub(crate) witness: Witness,
    loaded: Mutex<Vec<PathBuf>>,
    /// Where the last call is that could not bind its address.
    unbound: Mutex<Option<Position>>,
}

impl AppContext {
    pub(crate) fn new(config: AppConfig, host: Arc<dyn AppHost>) -> Arc<Self> {
        let AppConfig { grants, mode, audit, cwd, .. } = config.clone();
        let report = Arc::new(ToLog(Arc::clone(&host)));
        let authority = Authority::new(grants, mode, audit, &Roots::new(cwd), report);
        let authority = Arc::new(authority.recording_pure(config.record_pure).watched_by(config.denials.clone()));
        let (serving, hinted) = (AtomicBool::new(false), AtomicBool::new(false));
        let (loaded, unbound) = (Mutex::default(), Mutex::default());
        let blocking = Arc::new(Semaphore::new(MAX_BLOCKING));
        let witness = Witness::default();
        Arc::new(Self { config, authority, host, blocking, serving, hinted, witness, loaded, unbound })
    }

    /// A source under the name of the script.
    pub(crate) fn script(&self, source: Vec<u8>) -> Script {
        Script { name: self.config.script.clone(), source }
    }

    /// What the operator gives the script beside its text.
    pub(crate) fn conditions(&self) -> Conditions {
        let AppConfig { arguments, variables, limits, log, .. } = &self.config;
        Conditions {
            arguments: arguments.clone(),
            variables: variables.defined.clone(),
            environment: variables.environment.clone(),
            call_depth: limits.call_depth,
            log_level: log.least.map(|level| match level {
                Level::Debug => GuestLevel::Debug,
                Level::Info => GuestLevel::Info,
                Level::Warn => GuestLevel::Warn,
                Level::Error => GuestLevel::Error,
            }),
            log_format: log.format.map(|format| match format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            }),
        }
    }

    /// The files that the script has asked for with `load()`, there or not.
    pub(crate) fn loaded(&self) -> Vec<PathBuf> {
        self.loaded.lock().clone()
    }

    /// Whether a path is a file that says what the host runs, or with `beneath` a folder above one.
    pub(crate) fn is_source(&self, path: &CanonicalPath, beneath: bool) -> bool {
        self.config.host_files.has_source(path, &self.loaded.lock(), beneath)
    }

    /// Notes that a file was asked for.
    pub(crate) fn note_loaded(&self, file: PathBuf) {
        self.loaded.lock().push(file);
    }

    /// Notes that the call at a place could not bind its address.
    pub(crate) fn note_unbound(&self, at: &Position) {
        *self.unbound.lock() = Some(at.clone());
    }

    /// A failure of the script, told apart from others if it is that of a call that could not bind its address: the last
    /// such call is at the place of the failure.
    pub(crate) fn judged(&self, mut failure: Failure) -> Failure {
        if let Failure::Script(script) = &mut failure
            && script.kind == ScriptFailureKind::Raised
            && self.unbound.lock().as_ref().is_some_and(|at| is_same(at, &script.at))
        {
            script.kind = ScriptFailureKind::Unbound;
        }
        failure
    }

    /// The failure of a request, without its hint if an earlier one had a hint: whoever reads the log needs the advice
    /// once, and a client that asks again and again would fill the log with it.
    pub(crate) fn hinted_once(&self, mut failure: Failure) -> Failure {
        if let Failure::Script(script) = &mut failure
            && script.hint.is_some()
            && self.hinted.swap(true, Ordering::Relaxed)
        {
            script.hint = None;
        }
        failure
    }

    /// Whether a server was ever up.
    pub(crate) fn has_served(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    /// Notes that a server is up.
    pub(crate) fn note_serving(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }
}

/// Whether two places are on one line. The columns of a call and of what it raised differ in a chain of calls.
fn is_same(one: &Position, other: &Position) -> bool {
    (&one.file, one.line) == (&other.file, other.line)
}

/// Tells the operator in the log.
#[derive(Debug)]
struct ToLog(Arc<dyn AppHost>);

impl Report for ToLog {
    fn unrecorded<'a>(&'a self, at: &'a Position, request: Option<&'a str>, text: &'a str) -> BoxFuture<'a, ()> {
        let write = async move {
            self.0.log(&LogRecord::of_host(text, at, request)).await;
        };
        write.boxed()
    }
}

/// Whom an audit log that is off records.
fn nobody() -> Subject {
    let none = String::new;
    Subject { node: none(), tenant: none(), app: none(), revision: None, script_digest: none(), policy_digest: none() }
}
