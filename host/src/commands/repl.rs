//! `starcell repl`: inputs that are typed, evaluated in a guest that may do what it was granted.
//!
//! The guest runs no script: it waits in an import for the next input, evaluates that, and comes back with what it came
//! to. Its module lives on its stack, so what is defined stays and can be changed. A session has all that a script has:
//! files to load, a store, servers that answer from forks. An input that hits a limit ends the guest, and only that: a
//! new one takes the next input.

mod terminal;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use starcell_audit::Audit;
use starcell_log::Logs;
use starcell_node::subject::subject;
use starcell_node::{Launch, Servers};
use starcell_runtime::artifact::Artifact;
use starcell_runtime::engine::INSTANCES;
use starcell_runtime::host::BoxFuture;
use starcell_runtime::kv::DEFAULT_QUOTA;
use starcell_runtime::node_walls::Stand;
use starcell_runtime::{
    CapabilityState, Client, Databases, Forks, HostFiles, Interpreter, Kubernetes, Kv, Outcome, Tool, Variables,
};

use crate::cli::{CallMode, DEFAULT_LOG_RATE, Demand, EdgeFlags, Repl, WallFlags};
use crate::cluster::kubernetes;
use crate::exit::Exit;
use crate::granted::{Granted, environment};
use crate::owned::{Kept, host_files};
use crate::say::fail;
use crate::signals::Signals;
use crate::stand::{Needs, stand};
use crate::terms;
use crate::vars;
use terminal::{Ask, Terminal, Typed};

/// Name of the script that inputs are evaluated as.
const SCRIPT: &str = "<input>";

const GREETING: &str = "Type Starlark, or .help; Tab completes, Ctrl-D ends.";

const HELP: &str = "\
An expression is shown as its repr, anything else is done. A block ends with an empty line.
Ctrl-C gives up what is being typed, or what is running; Ctrl-D or .exit ends the session.";

/// What a session knows before the walls around the host stand: the files that the command line names are read.
#[derive(Debug)]
pub struct PreparedSession {
    arguments: Repl,
    granted: Granted,
    variables: Variables,
    kubernetes: Kubernetes,
    host_files: HostFiles,
    stand: Stand,
}

impl PreparedSession {
    /// Reads what the command line names. Blocks. The error is the code that the process ends with.
    ///
    /// # Errors
    /// A file cannot be read, or what it says cannot be used.
    pub fn new(arguments: Repl) -> Result<Self, Exit> {
        let misconfigured = |error: String| fail(Exit::Configuration, &error);
        let granted = Granted::new(&arguments.grants).map_err(misconfigured)?;
        let variables = vars::variables(&arguments.vars).map_err(|error| fail(Exit::Usage, &error))?;
        let kubernetes = kubernetes();
        let history: Vec<PathBuf> = terminal::history(&environment()).into_iter().collect();
        let others = [&history[..], &arguments.vars.files].concat();
        let kept = Kept { others: &others, ..Kept::default() };
        let host_files = host_files(&arguments.grants.rules, kept, &kubernetes, &granted.cwd).map_err(misconfigured)?;
        let stand = stand(&Needs {
            // Files are loaded from the working folder.
            scripts: &[granted.cwd.as_str().into()],
            writes: &history,
            granted: &granted,
            counts: arguments.grants.mode == CallMode::Count,
            kept,
            variables: &arguments.vars.files,
            kubernetes: &kubernetes,
            host_files: &host_files,
            best_effort: arguments.walls.exec_walls == Demand::BestEffort,
            sends: false,
        });
        Ok(Self { arguments, granted, variables, kubernetes, host_files, stand })
    }

    /// The flags about walls, and what those around the host leave open.
    #[must_use]
    pub fn walls(&self) -> (WallFlags, Stand) {
        (self.arguments.walls, self.stand.clone())
    }
}

/// Takes inputs until there are no more.
pub async fn repl(prepared: PreparedSession, guest: &Artifact) -> Exit {
    let PreparedSession { arguments, granted, variables, kubernetes, host_files, stand: _ } = prepared;
    let interpreter = match Interpreter::load(guest, INSTANCES) {
        Ok(interpreter) => interpreter,
        Err(error) => return fail(Exit::Host, &format!("cannot load the guest: {error}")),
    };
    let terminal = match Terminal::open(&environment()) {
        Ok(terminal) => terminal,
        Err(error) => return fail(Exit::Host, &format!("cannot read what is typed: {error}")),
    };
    let Ok(signals) = Signals::new() else { return fail(Exit::Host, "cannot listen for signals") };
    let (logs, writer) = Logs::start(arguments.log.choice());
    let console = Arc::new(Console::new(terminal, logs.clone()));
    if console.terminal.is_interactive() {
        console.tell(&format!("starcell {}. {GREETING}", env!("CARGO_PKG_VERSION"))).await;
    }
    let around = (&kubernetes, &host_files, &variables);
    let exit = sessions(&arguments, &granted, &interpreter, &console, signals, around).await;
    drop(console);
    drop(logs);
    writer.finish().await;
    exit
}

/// One guest after another, until the input ends.
async fn sessions(
    arguments: &Repl,
    granted: &Granted,
    interpreter: &Arc<Interpreter>,
    console: &Arc<Console>,
    mut signals: Signals,
    (kubernetes, files, variables): (&Kubernetes, &HostFiles, &Variables),
) -> Exit {
    let memory = arguments.limits.budget();
    let terms = terms::app(
        SCRIPT.to_owned(),
        true,
        &arguments.limits,
        &EdgeFlags::default(),
        &memory,
        (&console.logs, DEFAULT_LOG_RATE),
        None,
    );
    let (kv, client) = (Kv::memory(DEFAULT_QUOTA).counted(&memory), Client::default());
    loop {
        let servers = Servers::new(Arc::clone(&terms));
        let launch = Launch {
            interpreter: Arc::clone(interpreter),
            script: SCRIPT.to_owned(),
            folder: Some(".".into()),
            grants: granted.grants.clone(),
            cwd: granted.cwd.clone(),
            mode: arguments.grants.mode.into(),
            audit: Audit::off().subject(&subject(SCRIPT, &[], &granted.policy)),
            record_pure: false,
            state: CapabilityState {
                client: client.clone(),
                environment: granted.environment.clone().into(),
                kubernetes: kubernetes.clone(),
                kv: kv.clone(),
                programs: granted.programs(arguments.walls.exec_walls.into()),
                sql: Databases::default(),
            },
            arguments: Vec::new(),
            variables: variables.clone(),
            log: arguments.log.choice(),
            host: granted.host,
            host_files: files.clone(),
            limits: arguments.limits.limits(),
            forks: Forks::default(),
            memory: memory.clone(),
            port: None,
            tool: Some(Arc::clone(console) as Arc<dyn Tool>),
            denials: None,
            stores: None,
        };
        let app = launch.app(Arc::clone(&servers) as _);
        let mut session = Box::pin(app.interact());
        let ended = loop {
            tokio::select! {
                ended = &mut session => break ended.map_err(|failure| failure.report().into_owned()),
                exit = signals.next() => {
                    if exit == Exit::Terminated || console.waits.load(Ordering::Relaxed) {
                        return exit;
                    }
                    // What waits for a server goes on when that has stopped; anything else is given up.
                    if !servers.stop_all() {
                        break Err("interrupted".to_owned());
                    }
                }
            }
        };
        drop(session);
        servers.close().await;
        match ended {
            Ok(()) if console.has_failed() && !console.terminal.is_interactive() => return Exit::Raised,
            Ok(()) => return Exit::Ok,
            Err(why) => console.restart(&why).await,
        }
    }
}

/// Where inputs come from and what they came to goes.
struct Console {
    terminal: Terminal,
    logs: Logs,
    /// The input that is being typed, line by line.
    pending: Mutex<String>,
    /// Whether nothing runs: it is the user's turn.
    waits: AtomicBool,
    /// Whether there are no more lines.
    over: AtomicBool,
    failed: AtomicBool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Tool for Console {
    fn input(&self, outcome: Outcome, names: Vec<String>) -> BoxFuture<'_, Result<Option<String>, String>> {
        Box::pin(async move {
            self.waits.store(true, Ordering::Relaxed);
            let input = self.next(outcome, names).await;
            self.waits.store(false, Ordering::Relaxed);
            input
        })
    }
}

impl Console {
    fn new(terminal: Terminal, logs: Logs) -> Self {
        let (waits, over, failed) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        Self { terminal, logs, pending: Mutex::default(), waits, over, failed }
    }

    /// Shows what the last input came to and reads the next one.
    async fn next(&self, outcome: Outcome, names: Vec<String>) -> Result<Option<String>, String> {
        let mut continued = false;
        match outcome {
            Outcome::Incomplete if self.over.load(Ordering::Relaxed) => self.wrong("the last input is not whole").await,
            Outcome::Incomplete => continued = true,
            Outcome::Value(None) => {}
            Outcome::Value(Some(value)) => self.tell(&value).await,
            Outcome::Failed(failure) => self.wrong(failure.report.trim_end()).await,
        }
        let mut remember = None;
        if !continued {
            let input = std::mem::take(&mut *self.pending());
            remember = Some(input.trim_end().to_owned()).filter(|input| !input.is_empty());
        }
        self.logs.settle().await;
        if self.over.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut ask = Ask { continued, names, remember };
        loop {
            let typed = self.terminal.read(ask.clone()).await?;
            ask.remember = None;
            match typed {
                Typed::Line(line) if !ask.continued && line.trim() == ".exit" => return Ok(None),
                Typed::Line(line) if !ask.continued && line.trim() == ".help" => {
                    self.tell(HELP).await;
                    self.logs.settle().await;
                }
                Typed::Line(line) => {
                    let mut pending = self.pending();
                    if ask.continued {
                        pending.push('\n');
                    }
                    pending.push_str(&line);
                    // Nobody types into a pipe: there an empty line inside of a block is only that.
                    if ask.continued && line.trim().is_empty() && !self.terminal.is_interactive() {
                        continue;
                    }
                    return Ok(Some(pending.clone()));
                }
                Typed::Interrupted => {
                    self.pending().clear();
                    ask.continued = false;
                }
                Typed::End => {
                    self.over.store(true, Ordering::Relaxed);
                    // What is open may be whole now.
                    let pending = std::mem::take(&mut *self.pending());
                    return Ok((!pending.trim().is_empty()).then(|| format!("{pending}\n")));
                }
            }
        }
    }

    /// Says that a guest has ended and another one takes its place.
    async fn restart(&self, why: &str) {
        self.wrong(&format!("{why}; a new session has begun, and what was defined is gone")).await;
        self.logs.settle().await;
    }

    async fn tell(&self, text: &str) {
        self.logs.out(&format!("{}\n", starcell_text::terminal(text))).await;
    }

    async fn wrong(&self, text: &str) {
        self.failed.store(true, Ordering::Relaxed);
        self.logs.err(&format!("{}\n", starcell_text::terminal(text))).await;
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn pending(&self) -> MutexGuard<'_, String> {
        self.pending.lock()
    }
}
