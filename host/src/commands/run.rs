//! `starcell run`: one script, from its file to its exit code.

mod watch;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use starcell_audit::{Audit, Writer};
use starcell_edge::{ClientLimits, ClientWishes};
use starcell_log::{Level, Logs};
use starcell_node::subject::{TENANT, subject};
use starcell_node::{AppTerms, Launch, Metrics, Servers, Sight, WatchPages, WatchSources};
use starcell_runtime::artifact::Artifact;
use starcell_runtime::engine::INSTANCES;
use starcell_runtime::host::BoxFuture;
use starcell_runtime::node_walls::Stand;
use starcell_runtime::slow::on_blocking_thread;
use starcell_runtime::{
    App, CapabilityState, Client, Databases, Failure, HostFiles, Interpreter, Kubernetes, Kv, Variables,
};
use starcell_telemetry::TracedApp;

use crate::cli::{CallMode, Demand, Run, VarFlags, WallFlags};
use crate::cluster::kubernetes;
use crate::exit::Exit;
use crate::folder::Entry;
use crate::granted::{self, Granted};
use crate::owned::{Kept, exposed, host_files};
use crate::record;
use crate::say::fail;
use crate::signals::{Reload, Signals};
use crate::sockets;
use crate::stand::{Needs, stand};
use crate::store;
use crate::supervisor::Supervisor;
use crate::telemetry::ProcessTelemetry;
use crate::terms;
use crate::vars;
use watch::Watch;

/// What a run knows before the walls around the host stand: the files that the command line names are read.
#[derive(Debug)]
pub struct Prepared {
    arguments: Run,
    entry: Entry,
    source: Vec<u8>,
    granted: Granted,
    variables: Variables,
    kubernetes: Kubernetes,
    stand: Stand,
    /// The socket of the script's first server, where a supervisor has bound it.
    socket: Option<TcpListener>,
}

impl Prepared {
    /// Reads what the command line names. Blocks. The error is the code that the process ends with.
    ///
    /// # Errors
    /// A file cannot be read, or what it says cannot be used.
    pub fn new(mut arguments: Run) -> Result<Self, Exit> {
        let entry = Entry::of(&arguments.script);
        arguments.script.clone_from(&entry.script);
        let source = entry.read().map_err(|error| fail(Exit::Usage, &error))?;
        let misconfigured = |error: String| fail(Exit::Configuration, &error);
        let socket =
            sockets::of_script().and_then(|socket| socket.map(|socket| placed(socket, &mut arguments)).transpose());
        let socket = socket.map_err(misconfigured)?;
        let granted = Granted::new(&arguments.grants).map_err(misconfigured)?;
        let variables = vars::variables(&arguments.vars).map_err(|error| fail(Exit::Usage, &error))?;
        // Before anything of the script runs, which could change what these files say.
        let kubernetes = kubernetes();
        let kept = kept(&arguments);
        let host_files = host_files(&arguments.grants.rules, kept, &kubernetes, &granted.cwd).map_err(misconfigured)?;
        let stand = stand(&Needs {
            scripts: std::slice::from_ref(&arguments.script),
            writes: &[],
            granted: &granted,
            counts: arguments.grants.mode == CallMode::Count,
            kept,
            variables: &arguments.vars.files,
            kubernetes: &kubernetes,
            host_files: &host_files,
            best_effort: arguments.walls.exec_walls == Demand::BestEffort,
            sends: arguments.telemetry.otlp.is_some(),
        });
        Ok(Self { arguments, entry, source, granted, variables, kubernetes, stand, socket })
    }

    /// The flags about walls.
    #[must_use]
    pub fn walls(&self) -> WallFlags {
        self.arguments.walls
    }

    /// What the walls around the host leave open.
    #[must_use]
    pub fn stand(&self) -> &Stand {
        &self.stand
    }
}

/// Runs a script in the guest until it ends or is stopped.
pub async fn run(prepared: Prepared, guest: &Artifact) -> Exit {
    // Before anything that takes time: until then a signal to read files again would end the process.
    let (Ok(signals), Ok(reload)) = (Signals::new(), Reload::new()) else {
        return fail(Exit::Host, "cannot listen for signals");
    };
    let supervisor = Supervisor::of_environment();
    let Prepared { arguments, entry, source, granted, variables, kubernetes, stand: _, socket } = prepared;
    let interpreter = match Interpreter::load(guest, INSTANCES) {
        Ok(interpreter) => interpreter,
        Err(error) => return fail(Exit::Host, &format!("cannot load the guest: {error}")),
    };
    // Before the audit log is opened, which may have something to tell.
    let (logs, writer) = Logs::start(arguments.log.choice());
    logs.take_warnings();
    let (telemetry, sender, logs) = ProcessTelemetry::start(arguments.telemetry.config(), logs);
    // What was asked to be recorded or kept must not run without.
    let (audit, audit_writer) = match record::open(&arguments.record, arguments.set_aside_damaged) {
        Ok(opened) => opened,
        Err(error) => return fail(Exit::Configuration, &format!("{error:#}")),
    };
    let (places, aside) = ((&arguments.kv, arguments.state.as_deref()), arguments.set_aside_damaged);
    let (kv, kv_aside) = match store::of_run(places, &arguments.script, aside, &logs).await {
        Ok(kv) => kv,
        Err(error) => return fail(Exit::Configuration, &format!("{error:#}")),
    };
    let log_aside = audit_writer.as_ref().and_then(Writer::set_aside);
    let store = arguments.kv.folder().map(Path::to_owned).or_else(|| arguments.state.clone());
    let asides = [("audit log", log_aside, &arguments.record.file), ("store", kv_aside.as_deref(), &store)];
    for (what, aside, file) in asides {
        if let (Some(aside), Some(file)) = (aside, file) {
            let (aside, file) = (aside.display(), file.display());
            let text = format!("the {what} {file} was damaged: its bytes are kept in {aside}, and a new one begins");
            logs.say(Level::Error, &text);
        }
    }
    // Once more: by now the log and the store are there, and known by device and inode.
    let rules = &arguments.grants.rules;
    let host_files = match host_files(rules, kept(&arguments), &kubernetes, &granted.cwd) {
        Ok(files) => files,
        Err(error) => return fail(Exit::Configuration, &error),
    };
    let script = arguments.script.display().to_string();
    let memory = arguments.limits.budget();
    let kv = kv.counted(&memory);
    let (limits, edge, rate) = (&arguments.limits, &arguments.edge, arguments.log_rate.rate());
    let metrics = Metrics::new();
    let sight = telemetry.queue().map(|queue| Sight {
        metrics: metrics.of_app(TENANT, &script),
        traced: Some(TracedApp::new(queue, None, &script, None)),
    });
    let terms = terms::app(script, arguments.dev, limits, edge, &memory, (&logs, rate), sight);
    let sources = WatchSources {
        metrics,
        node: None,
        tenants: Vec::new(),
        interpreter: Arc::clone(&interpreter),
        memory,
        images: None,
        edge: Arc::clone(&terms.edge),
        telemetry: telemetry.queue().cloned(),
    };
    telemetry.read(&WatchPages::new(ClientLimits::new(&terms.edge.config, &ClientWishes::default()), sources));
    socket.into_iter().for_each(|socket| terms.edge.give(socket));
    if let Some(file) = granted::passed_over(&arguments.grants.rules) {
        let text = format!("{file} in the working folder is not read, as it could be the script's own; see --config");
        logs.say(Level::Warn, &text);
    }
    if arguments.grants.mode == CallMode::Count {
        let text = "count mode: calls that nothing allows are done all the same, and only recorded as would-deny";
        terms.logs.say(Level::Warn, text);
    }
    for text in exposed(kept(&arguments), &granted.grants, &granted.cwd) {
        terms.logs.say(Level::Warn, &text);
    }
    let client = Client::default();
    let runner = Runner { entry, interpreter, terms, arguments, granted, audit, kv, client, kubernetes, host_files };
    let exit = live(&runner, (source, variables), signals, reload, supervisor).await;
    runner.terms.turns.turns().end();
    drop(runner);
    let exit = match audit_writer.map(Writer::close) {
        Some(Err(error)) => fail(Exit::Host, &format!("{:#}", anyhow::Error::new(error))),
        _ => exit,
    };
    sender.finish().await;
    writer.finish().await;
    exit
}

/// All that a version of the script is started with.
struct Runner {
    entry: Entry,
    interpreter: Arc<Interpreter>,
    terms: Arc<AppTerms>,
    arguments: Run,
    granted: Granted,
    audit: Audit,
    kv: Kv,
    client: Client,
    kubernetes: Kubernetes,
    host_files: HostFiles,
}

/// Has the script's first server listen where its socket does: the permission is checked for that address.
fn placed((socket, address): (TcpListener, SocketAddr), arguments: &mut Run) -> Result<TcpListener, String> {
    let (host, port) = (address.ip().to_string(), address.port());
    let asked = (&arguments.grants.rules.host, arguments.port);
    if asked.0.as_ref().is_some_and(|asked| *asked != host) || asked.1.is_some_and(|asked| asked != port) {
        return Err(format!(
            "the socket of LISTEN_FDS is at {address}; leave --host and --port out, or name that address"
        ));
    }
    arguments.grants.rules.host = Some(host);
    arguments.port = Some(port);
    Ok(socket)
}

/// What the host keeps for itself.
fn kept(arguments: &Run) -> Kept<'_> {
    Kept {
        record: Some(&arguments.record),
        state: arguments.state.as_deref(),
        kv: Some(&arguments.kv),
        others: &arguments.vars.files,
    }
}

/// A version of the script, running.
struct Version {
    app: Arc<App>,
    servers: Arc<Servers>,
    run: BoxFuture<'static, Result<(), Failure>>,
}

impl Runner {
    fn version(&self, source: Vec<u8>, variables: Variables, servers: Arc<Servers>) -> Version {
        let (script, granted, arguments) = (self.terms.script.clone(), &self.granted, &self.arguments);
        let launch = Launch {
            interpreter: Arc::clone(&self.interpreter),
            folder: arguments.script.parent().map(|folder| folder.join(".")),
            grants: granted.grants.clone(),
            cwd: granted.cwd.clone(),
            mode: arguments.grants.mode.into(),
            audit: self.audit.subject(&subject(&script, &source, &granted.policy)),
            record_pure: arguments.record.pure,
            state: CapabilityState {
                client: self.client.clone(),
                environment: granted.environment.clone().into(),
                kubernetes: self.kubernetes.clone(),
                kv: self.kv.clone(),
                programs: granted.programs(arguments.walls.exec_walls.into()),
                sql: Databases::new(arguments.record.sql),
            },
            arguments: arguments.arguments.clone(),
            variables,
            log: arguments.log.choice(),
            host: granted.host,
            host_files: self.host_files.clone(),
            limits: arguments.limits.limits(),
            forks: arguments.forks.forks(),
            memory: self.terms.edge.memory.clone(),
            port: arguments.port,
            tool: None,
            denials: self.terms.sight.as_ref().map(Sight::denials),
            stores: self.terms.sight.as_ref().map(|sight| sight.stores(None)),
            script,
        };
        let app = launch.app(servers.clone());
        let running = Arc::clone(&app);
        Version { app, servers, run: Box::pin(async move { running.run(source).await }) }
    }

    /// Reads the script again, for a version that takes over once it serves.
    async fn successor(&self, current: &Version) -> Option<Version> {
        match read(&self.entry, &self.arguments.vars).await {
            Ok((source, variables)) => Some(self.version(source, variables, current.servers.successor())),
            Err(error) => {
                let text = format!("cannot read the script again, the old one stays: {error}");
                self.terms.logs.say(Level::Error, &text);
                None
            }
        }
    }
}

/// Reads the script and its variables without blocking a thread of the async runtime.
async fn read(entry: &Entry, flags: &VarFlags) -> Result<(Vec<u8>, Variables), String> {
    let (entry, flags) = (entry.clone(), flags.clone());
    let read = move || Ok((entry.read()?, vars::variables(&flags)?));
    on_blocking_thread(read).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// The life of a script, and of those that replace it when it has changed or a SIGHUP asks for that.
async fn live(
    runner: &Runner,
    (source, variables): (Vec<u8>, Variables),
    mut signals: Signals,
    mut reload: Reload,
    mut supervisor: Supervisor,
) -> Exit {
    let (watched, logs) = (runner.arguments.watch, &runner.terms.logs);
    let mut watch = Watch::new(&runner.arguments.script);
    if watched {
        watch.begin(runner.arguments.vars.files.clone()).await;
    }
    let mut current = runner.version(source, variables, Servers::new(Arc::clone(&runner.terms)));
    let of_variables = &runner.arguments.vars.files;
    let mut next: Option<Version> = None;
    // Files of the last version that could not take over: what it lacks may come in one of them.
    let mut tried = Vec::new();
    let mut is_told = false;
    loop {
        let successor = next.as_ref().map(|next| Arc::clone(&next.servers));
        tokio::select! {
            biased;
            () = answering(&current.servers, is_told) => {
                supervisor.ready();
                is_told = true;
            }
            () = ready(successor.as_deref()) => {
                supervisor.ready();
                if let Some(new) = next.take() {
                    current.servers.resign();
                    current = new;
                    logs.say(Level::Info, "the changed script has taken over");
                }
            }
            result = &mut current.run => {
                let exit = ended(result);
                // Servers that the script started and did not wait for end with it.
                current.servers.close().await;
                return exit;
            }
            // The first signal stops the servers, and the script goes on below its `serve()`. The second ends the
            // process, as does the first when nothing is served.
            exit = signals.next() => {
                // A log that nobody reads must not hold up the end.
                logs.hurry();
                supervisor.stopping();
                if !current.servers.end() {
                    return exit;
                }
                next = None;
            }
            result = ending(next.as_mut()) => {
                tried = next.take().map(|next| next.app.loaded()).unwrap_or_default();
                let why = result.err().map_or_else(|| "it does not serve".into(), |failure| failure.report().to_string());
                let text = format!("the changed script cannot take over, the old one stays: {why}");
                logs.say(Level::Error, &text);
                supervisor.ready();
            }
            () = watch.changed(|| [current.app.loaded(), tried.clone(), of_variables.clone()].concat()), if watched => {
                next = runner.successor(&current).await;
            }
            never = supervisor.keep_alive() => match never {},
            () = reload.asked() => {
                runner.audit.reopen();
                if current.servers.are_serving() {
                    supervisor.reloading();
                    next = runner.successor(&current).await;
                    if next.is_none() {
                        supervisor.ready();
                    }
                } else {
                    logs.say(Level::Info, "SIGHUP: the script serves nothing, so it is not started again");
                }
            }
        }
    }
}

/// Ends when the first server of the script answers, unless that was told already.
async fn answering(servers: &Servers, is_told: bool) {
    match is_told {
        true => std::future::pending().await,
        false => servers.answering().await,
    }
}

/// Ends when a version that is to take over has done so.
async fn ready(next: Option<&Servers>) {
    match next {
        Some(servers) => servers.ready().await,
        None => std::future::pending().await,
    }
}

/// Ends with a version that is to take over.
async fn ending(next: Option<&mut Version>) -> Result<(), Failure> {
    match next {
        Some(next) => (&mut next.run).await,
        None => std::future::pending().await,
    }
}

/// Says how the script ended and gives the code for it.
fn ended(result: Result<(), Failure>) -> Exit {
    match result {
        Ok(()) => Exit::Ok,
        Err(failure) => fail(Exit::of(&failure), &failure.report()),
    }
}
