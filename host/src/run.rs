//! `starcell run`: one script, from its file to its exit code.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use starcell_policy::{CanonicalPath, Grants, Profile, Roots, Rule};
use starcell_runtime::edge::BoxFuture;
use starcell_runtime::engine::INSTANCES;
use starcell_runtime::{App, AppConfig, Failure, Interpreter, Limits};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Run;
use crate::exit::Exit;
use crate::guest::GUEST;
use crate::ids::Ids;
use crate::logs::{Line, Logs};
use crate::places::Places;
use crate::servers::{Operator, Servers};
use crate::watch::Watch;

/// Runs a script until it ends or is stopped.
#[expect(clippy::disallowed_methods, reason = "reads the script that the command line names")]
pub async fn run(mut arguments: Run) -> Exit {
    // A folder is the script that lies in it as `main.star`.
    if tokio::fs::metadata(&arguments.script).await.is_ok_and(|about| about.is_dir()) {
        arguments.script.push("main.star");
    }
    let source = match tokio::fs::read(&arguments.script).await {
        Ok(source) => source,
        Err(error) => return fail(Exit::Usage, &format!("cannot read {}: {error}", arguments.script.display())),
    };
    let grants = match grants(&arguments) {
        Ok(grants) => grants,
        Err(error) => return fail(Exit::Configuration, &error),
    };
    let interpreter = match Interpreter::load(&GUEST, INSTANCES) {
        Ok(interpreter) => interpreter,
        Err(error) => return fail(Exit::Host, &format!("cannot load the guest: {error}")),
    };
    let (logs, writer) = Logs::start(arguments.log_format);
    let operator = operator(&arguments, logs);
    let launch = Launch { interpreter, operator, arguments, grants };
    let exit = live(&launch, source).await;
    drop(launch);
    writer.finish().await;
    exit
}

/// All that a version of the script is started with.
struct Launch {
    interpreter: Arc<Interpreter>,
    operator: Arc<Operator>,
    arguments: Run,
    grants: Grants,
}

/// A version of the script, running.
struct Version {
    app: Arc<App>,
    servers: Arc<Servers>,
    run: BoxFuture<'static, Result<(), Failure>>,
}

impl Launch {
    fn version(&self, source: Vec<u8>, servers: Arc<Servers>) -> Version {
        let config = AppConfig {
            script: self.operator.script.clone(),
            grants: self.grants.clone(),
            limits: limits(&self.arguments),
            folder: self.arguments.script.parent().map(|folder| folder.join(".")),
            port: self.arguments.port,
        };
        let app = App::new(Arc::clone(&self.interpreter), config, servers.clone());
        let running = Arc::clone(&app);
        Version { app, servers, run: Box::pin(async move { running.run(source).await }) }
    }
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
                    logs.write(Line::info("the changed script has taken over")).await;
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
                logs.write(Line::error(&format!("the changed script cannot take over, the old one stays: {why}"))).await;
            }
            () = watch.changed(|| [current.app.loaded(), tried.clone()].concat()), if watched => {
                match tokio::fs::read(&launch.arguments.script).await {
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
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next signal, as the exit code of a process that it ends.
    async fn next(&mut self) -> Exit {
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
        request_time: arguments.request_time,
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

/// What the command line grants.
fn grants(arguments: &Run) -> Result<Grants, String> {
    let name = arguments.profile().unwrap_or("deny-all");
    let profile = Profile::named(name).ok_or_else(|| {
        let names: Vec<&str> = Profile::ladder().iter().map(Profile::name).collect();
        format!("unknown profile {name:?}; there are {}", names.join(", "))
    })?;
    let (allow, deny) = (rules("--allow", &arguments.allow)?, rules("--deny", &arguments.deny)?);
    Grants::new(&profile, &allow, &deny, &roots()?).map_err(|error| error.to_string())
}

fn rules(flag: &str, texts: &[String]) -> Result<Vec<Rule>, String> {
    texts.iter().map(|text| Rule::parse(text).map_err(|error| format!("{flag}: {error}"))).collect()
}

/// What `$CWD` and `$HOME` stand for in rules.
#[expect(clippy::disallowed_methods, reason = "the only reader of the environment")]
fn roots() -> Result<Roots, String> {
    let path = |path: PathBuf| {
        let text = path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
        CanonicalPath::absolute(text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let cwd = env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
    let roots = Roots::new(path(cwd)?);
    match env::var_os("HOME") {
        Some(home) if !home.is_empty() => Ok(roots.with_home(path(home.into())?)),
        _ => Ok(roots),
    }
}

fn limits(arguments: &Run) -> Limits {
    Limits {
        memory_bytes: (arguments.memory as usize) << 20,
        request_cpu: arguments.request_cpu,
        request_wall: arguments.request_time,
        setup_cpu: arguments.setup_cpu,
        ..Limits::default()
    }
}

/// Writes an error for whoever typed the command.
pub fn fail(exit: Exit, text: &str) -> Exit {
    // There is nobody left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "starcell: {text}");
    exit
}
