//! All that an app is started with, in one value.
//!
//! `starcell run`, `repl` and `test` all start apps through [`Launch`], a struct without defaults: a command that
//! forgets a part does not compile, and neither does a new part that some command does not give.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use starcell_audit::AuditApp;
use starcell_budget::MemoryBudget;
use starcell_log::LogChoice;
use starcell_policy::{CanonicalPath, Grants};
use starcell_runtime::{
    App, AppConfig, CapabilityState, DenialWatch, Forks, HostFiles, Interpreter, Limits, Mode, Serve, StoreWatch, Tool,
    Variables,
};

/// All that an app is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The guest of this process.
    pub interpreter: Arc<Interpreter>,
    /// Name of the script as it shall stand in messages.
    pub script: String,
    /// The folder that `load()` reads from; none for a script without files.
    pub folder: Option<PathBuf>,
    /// What the script may do.
    pub grants: Grants,
    /// The folder that relative paths start at: `$CWD` of the rules.
    pub cwd: CanonicalPath,
    /// What becomes of a call that the grants do not cover.
    pub mode: Mode,
    /// Where privileged calls are recorded.
    pub audit: AuditApp,
    /// Whether time, waiting and randomness are recorded too, for which no permission is needed.
    pub record_pure: bool,
    /// What the capabilities of the app keep.
    pub state: CapabilityState,
    /// The arguments of the script.
    pub arguments: Vec<String>,
    /// The variables of the script.
    pub variables: Variables,
    /// The operator's choice about the log.
    pub log: LogChoice,
    /// What the app may use.
    pub limits: Limits,
    /// How the forks that answer its requests are kept.
    pub forks: Forks,
    /// The bytes that the process may hold.
    pub memory: MemoryBudget,
    /// Address for the script's first server, over whatever the script asks for.
    pub host: Option<IpAddr>,
    /// The files of the host, which no grant covers.
    pub host_files: HostFiles,
    /// Port for the script's first server, over whatever the script asks for.
    pub port: Option<u16>,
    /// The operator's tool that runs the app, if one does.
    pub tool: Option<Arc<dyn Tool>>,
    /// Who counts the calls of it that were refused, if somebody does.
    pub denials: Option<Arc<dyn DenialWatch>>,
    /// Who counts the calls of it that its store did not do, if somebody does.
    pub stores: Option<Arc<dyn StoreWatch>>,
}

impl Launch {
    /// The app, which has not run yet.
    #[must_use]
    pub fn app(self, surroundings: Arc<dyn Serve>) -> Arc<App> {
        let Self { interpreter, script, folder, grants, cwd, mode, audit, record_pure, .. } = self;
        let Self { state, arguments, variables, log, .. } = self;
        let Self { limits, forks, memory, host, host_files, port, tool, denials, stores, .. } = self;
        let config = AppConfig {
            script,
            grants,
            mode,
            audit,
            record_pure,
            state,
            cwd,
            arguments,
            variables,
            log,
            limits,
            forks,
            memory,
            folder,
            host,
            host_files,
            port,
            tool,
            denials,
            stores,
        };
        App::new(interpreter, config, surroundings)
    }
}
