//! `starcell run`: one script, from its file to its exit code.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;

use starcell_policy::{CanonicalPath, Grants, Profile, Roots, Rule};
use starcell_runtime::engine::INSTANCES;
use starcell_runtime::{App, AppConfig, Failure, Interpreter, Limits};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Run;
use crate::exit::Exit;
use crate::guest::GUEST;
use crate::logs::Logs;
use crate::servers::{Servers, Settings};

/// Runs a script until it ends or is stopped.
#[expect(clippy::disallowed_methods, reason = "reads the script that the command line names")]
pub async fn run(arguments: Run) -> Exit {
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
    let script = arguments.script.display().to_string();
    let settings = Settings { script: script.clone(), dev: arguments.dev, request_time: arguments.request_time };
    let servers = Servers::new(settings, logs);
    let config = AppConfig { script, grants, limits: limits(&arguments), port: arguments.port };
    let app = App::new(interpreter, config, servers.clone());

    let exit = tokio::select! {
        result = app.run(source) => {
            let exit = ended(result, &servers);
            // Servers that the script started and did not wait for end with it.
            servers.close().await;
            exit
        }
        exit = stopped(&servers) => exit,
    };
    drop((app, servers));
    writer.finish().await;
    exit
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

/// The first signal stops the servers, and the script goes on below its `serve()`. The second ends the process, as does
/// the first when nothing is served.
async fn stopped(servers: &Servers) -> Exit {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return fail(Exit::Host, "cannot listen for signals");
    };
    loop {
        let number = tokio::select! {
            _ = interrupt.recv() => 2,
            _ = terminate.recv() => 15,
        };
        if !servers.stop_all() {
            return if number == 2 { Exit::Interrupted } else { Exit::Terminated };
        }
    }
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
