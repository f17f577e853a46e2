//! `starcell run`: one script, from its file to its exit code.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use starcell_audit::{Audit, Writer};
use starcell_interp::MAX_SOURCE_BYTES;
use starcell_runtime::edge::BoxFuture;
use starcell_runtime::engine::INSTANCES;
use starcell_runtime::kv::DEFAULT_QUOTA;
use starcell_runtime::{App, AppConfig, Client, Failure, HostFiles, Interpreter, Kubernetes, Kv};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{CallMode, Run};
use crate::cluster::kubernetes;
use crate::exit::Exit;
use crate::granted::{self, Granted};
use crate::guest::GUEST;
use crate::ids::Ids;
use crate::logs::{Line, Logs};
use crate::owned::{Kept, exposed, host_files};
use crate::places::Places;
use crate::record;
use crate::servers::{Operator, Servers};
use crate::watch::Watch;

/// Runs a script until it ends or is stopped.
#[expect(clippy::disallowed_methods, reason = "looks at the script that the command line names")]
pub async fn run(mut arguments: Run) -> Exit {
    // A folder is the script that lies in it as `main.star`.
    if tokio::fs::metadata(&arguments.script).await.is_ok_and(|about| about.is_dir()) {
        arguments.script.push("main.star");
    }
    let source = match read(&arguments.script).await {
        Ok(source) => source,
        Err(error) => return fail(Exit::Usage, &format!("cannot read {}: {error}", arguments.script.display())),
    };
    let granted = match Granted::new(&arguments.grants) {
        Ok(granted) => granted,
        Err(error) => return fail(Exit::Configuration, &error),
    };
    let interpreter = match Interpreter::load(&GUEST, INSTANCES) {
        Ok(interpreter) => interpreter,
        Err(error) => return fail(Exit::Host, &format!("cannot load the guest: {error}")),
    };
    // Before the audit log is opened, which may have something to tell.
    let (logs, writer) = Logs::start(arguments.log_format);
    logs.take_warnings();
    // What was asked to be recorded or kept must not run without.
    let (audit, audit_writer) = match record::open(&arguments.record, arguments.set_aside_damaged) {
        Ok(opened) => opened,
        Err(error) => return fail(Exit::Configuration, &format!("{error:#}")),
    };
    let (kv, kv_aside) = match kv(arguments.state.as_deref(), arguments.set_aside_damaged) {
        Ok(kv) => kv,
        Err(error) => return fail(Exit::Configuration, &format!("{error:#}")),
    };
    let log_aside = audit_writer.as_ref().and_then(Writer::set_aside);
    let asides = [("audit log", log_aside, &arguments.record.file), ("store", kv_aside.as_deref(), &arguments.state)];
    for (what, aside, file) in asides {
        if let (Some(aside), Some(file)) = (aside, file) {
            let (aside, file) = (aside.display(), file.display());
            let text = format!("the {what} {file} was damaged: its bytes are kept in {aside}, and a new one begins");
            logs.write(Line::error(&text)).await;
        }
    }
    // Before anything of the script runs, which could change what these files say.
    let kubernetes = kubernetes();
    let rules = &arguments.grants.rules;
    let host_files = match host_files(rules, kept(&arguments), &kubernetes, &granted.cwd) {
        Ok(files) => files,
        Err(error) => return fail(Exit::Configuration, &error),
    };
    let operator = operator(&arguments, logs);
    if let Some(file) = granted::passed_over(&arguments.grants.rules) {
        let text = format!("{file} in the working folder is not read, as it could be the script's own; see --config");
        operator.logs.write(Line::warn(&text)).await;
    }
    if arguments.grants.mode == CallMode::Count {
        let text = "count mode: calls that nothing allows are done all the same, and only recorded as would-deny";
        operator.logs.write(Line::warn(text).with("script", &operator.script)).await;
    }
    for text in exposed(kept(&arguments), &granted.grants, &granted.cwd) {
        operator.logs.write(Line::warn(&text).with("script", &operator.script)).await;
    }
    let client = Client::default();
    let launch = Launch { interpreter, operator, arguments, granted, audit, kv, client, kubernetes, host_files };
    let exit = live(&launch, source).await;
    drop(launch);
    let exit = match audit_writer.map(Writer::close) {
        Some(Err(error)) => fail(Exit::Host, &format!("{:#}", anyhow::Error::new(error))),
        _ => exit,
    };
    writer.finish().await;
    exit
}

/// All that a version of the script is started with.
struct Launch {
    interpreter: Arc<Interpreter>,
    operator: Arc<Operator>,
    arguments: Run,
    granted: Granted,
    audit: Audit,
    kv: Kv,
    client: Client,
    kubernetes: Kubernetes,
    host_files: HostFiles,
}

/// What the host keeps for itself.
fn kept(arguments: &Run) -> Kept<'_> {
    Kept { record: Some(&arguments.record), state: arguments.state.as_deref() }
}

/// A version of the script, running.
struct Version {
    app: Arc<App>,
    servers: Arc<Servers>,
    run: BoxFuture<'static, Result<(), Failure>>,
}

impl Launch {
    fn version(&self, source: Vec<u8>, servers: Arc<Servers>) -> Version {
        let (script, granted) = (self.operator.script.clone(), &self.granted);
        let subject = record::subject(&script, &source, &granted.policy);
        let mut config = AppConfig::new(script, granted.grants.clone(), granted.cwd.clone());
        config.audit = self.audit.subject(&subject);
        config.record_pure = self.arguments.record.pure;
        config.mode = self.arguments.grants.mode.into();
        config.kv = self.kv.clone();
        config.client = self.client.clone();
        config.kubernetes = self.kubernetes.clone();
        config.environment = granted.environment.clone();
        config.host = granted.host;
        config.host_files = self.host_files.clone();
        config.limits = self.arguments.limits.limits();
        config.folder = self.arguments.script.parent().map(|folder| folder.join("."));
        config.port = self.arguments.port;
        let app = App::new(Arc::clone(&self.interpreter), config, servers.clone());
        let running = Arc::clone(&app);
        Version { app, servers, run: Box::pin(async move { running.run(source).await }) }
    }
}

/// Reads the script, or as much of it as tells that it is too large: a device has no end.
#[expect(clippy::disallowed_types, reason = "reads the script that the command line names")]
async fn read(script: &Path) -> std::io::Result<Vec<u8>> {
    let mut source = Vec::new();
    let file = tokio::fs::File::open(script).await?;
    file.take(MAX_SOURCE_BYTES as u64 + 1).read_to_end(&mut source).await?;
    Ok(source)
}

/// The life of a script, and of those that replace it while it is watched.
async fn live(launch: &Launch, source: Vec<u8>) -> Exit {
    let Ok(mut signals) = Signals::new() else { return fail(Exit::Host, "cannot listen for signals") };
    let (watched, logs) = (launch.arguments.watch, &launch.operator.logs);
    let mut watch = Watch::new(&launch.arguments.script);
    let mut current = launch.version(source, Servers::new(Arc::clone(&launch.operator)));
    let mut next: Option<Version> = None;
    // Files of the last version that could not take over: what it lacks may come in one of them.
    let mut tried = Vec::new();
    loop {
        let successor = next.as_ref().map(|next| Arc::clone(&next.servers));
        tokio::select! {
            biased;
            () = ready(successor.as_deref()) => {
                if let Some(new) = next.take() {
                    current.servers.resign();
                    current = new;
                    logs.write(Line::info("the changed script has taken over").with("script", &launch.operator.script)).await;
                }
            }
            result = &mut current.run => {
                let exit = ended(result, &current.servers);
                // Servers that the script started and did not wait for end with it.
                current.servers.close().await;
                return exit;
            }
            // The first signal stops the servers, and the script goes on below its `serve()`. The second ends the
            // process, as does the first when nothing is served.
            exit = signals.next() => {
                if !current.servers.stop_all() {
                    return exit;
                }
                next = None;
            }
            result = ending(next.as_mut()) => {
                tried = next.take().map(|next| next.app.loaded()).unwrap_or_default();
                let why = result.err().map_or_else(|| "it does not serve".into(), |failure| failure.report().to_string());
                {
                    let text = format!("the changed script cannot take over, the old one stays: {why}");
                    logs.write(Line::error(&text).with("script", &launch.operator.script)).await
                };
            }
            () = watch.changed(|| [current.app.loaded(), tried.clone()].concat()), if watched => {
                match read(&launch.arguments.script).await {
                    Ok(source) => next = Some(launch.version(source, current.servers.successor())),
                    Err(error) => logs.write(Line::error(&format!("cannot read the script again: {error}"))).await,
                }
            }
        }
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

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next signal, as the exit code of a process that it ends.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

fn operator(arguments: &Run, logs: Logs) -> Arc<Operator> {
    let edge = arguments.edge.clone();
    Arc::new(Operator {
        script: arguments.script.display().to_string(),
        dev: arguments.dev,
        request_time: arguments.limits.request_time,
        places: Places::new(edge.max_connections, edge.max_connections_per_address),
        edge,
        ids: Ids::new(),
        logs,
    })
}

/// Says how the script ended and gives the code for it.
fn ended(result: Result<(), Failure>, servers: &Servers) -> Exit {
    let Err(failure) = result else { return Exit::Ok };
    let bind_failed = match &failure {
        Failure::Script(script) => servers.bind_error().is_some_and(|error| script.message.contains(&error)),
        _ => false,
    };
    fail(Exit::of(&failure, bind_failed), &failure.report())
}

/// Where the script keeps state: in a folder that is made if it is not there, or in memory. With it comes the new name
/// of a damaged store that was set aside.
#[expect(clippy::disallowed_methods, reason = "makes the folder that the command line names")]
fn kv(folder: Option<&Path>, set_aside_damaged: bool) -> anyhow::Result<(Kv, Option<PathBuf>)> {
    let Some(folder) = folder else { return Ok((Kv::memory(DEFAULT_QUOTA), None)) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let file = folder.join("kv.redb");
    match set_aside_damaged {
        true => Ok(Kv::open_or_set_aside(&file, DEFAULT_QUOTA)?),
        false => Ok((Kv::open(&file, DEFAULT_QUOTA)?, None)),
    }
}

/// Writes an error to standard error. Scripts, file names and records choose words of such a text, so it is escaped.
pub fn fail(exit: Exit, text: &str) -> Exit {
    // There is nobody left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "starcell: {}", starcell_text::terminal(text));
    exit
}
