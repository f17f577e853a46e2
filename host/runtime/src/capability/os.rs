//! `starcell:guest/os`: programs and environment of the host, the capabilities `os.exec` and `os.env`.
//!
//! A program is named by its path, judged, walked to like any file (see [`locate`](super::fs::locate)), and executed by
//! the handle that the walk ended with, in a [`room`](crate::room) that does not outlive the call. [`walls`] says what its
//! script's grants come to for it, and whether this machine can hold a program to that; [`command`] what a script may
//! hand over to it.

mod child;
mod command;
mod walls;

use starcell_audit::Arguments;
use starcell_policy::{CanonicalPath, EnvFunction, EnvName, ExecFunction, ProgramPath};
use tokio::time::timeout;

use crate::Position;
use crate::bindings::starcell::guest::os::{Command, Host, Output};
use crate::bindings::starcell::guest::types::Error;
use crate::caller::Caller;
use crate::gate::{Effect, shown};
use crate::room::plan::Plan;
use crate::state::State;
use child::{Ended, Places, Program};
use command::Checked;
use walls::Reach;

use super::blocking::{Work, blocking};
use super::fs::{Folder, MAX_LINKS, folder_to_run_in, locate::Last, locate::Walk, locate::locate};

/// What a host function answers.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Host for State {
    async fn env(&mut self, name: String, at: Position) -> Answer<Option<String>> {
        let caller = self.caller()?;
        let variable = match EnvName::new(&name) {
            Ok(variable) => variable,
            Err(error) => {
                caller.gate.unjudged(EnvFunction::Env, &name, &at).await;
                return Ok(Err(Error::Failed(format!("os.env({:?}): {error}", shown(&name)))));
            }
        };
        let look = |permit: starcell_policy::Permit<EnvName>| {
            let value = caller.app.config.environment.get(permit.resource().as_str()).cloned();
            let bytes = value.as_ref().map_or(0, |value| value.len() as u64);
            std::future::ready(Effect::Ok((value, bytes)))
        };
        Ok(caller.gate.pass(&at, EnvFunction::Env, variable, look).await)
    }

    async fn exec(&mut self, command: Command, at: Position) -> Answer<Output> {
        Ok(Call { caller: self.caller()?, at: &at }.exec(command).await)
    }

    async fn which(&mut self, name: String, at: Position) -> Answer<Option<String>> {
        Ok(Call { caller: self.caller()?, at: &at }.which(&name).await)
    }
}

/// One call of `exec` or `which`.
struct Call<'a> {
    caller: Caller,
    at: &'a Position,
}

impl Call<'_> {
    async fn exec(&self, command: Command) -> Result<Output, Error> {
        let program_name = command.argv.first().cloned().unwrap_or_default();
        let gate = self.caller.gate.about(recorded(&command));
        let failed = |text: String| Error::Failed(format!("os.exec({:?}): {text}", shown(&program_name)));
        let config = &self.caller.app.config;
        let may_set = |name: &str| config.programs.variables.contains(name);
        let Checked { mut program, environment, time } = match command::checked(&command, &config.cwd, may_set) {
            Ok(checked) => checked,
            Err(text) => {
                gate.unjudged(ExecFunction::Exec, &program_name, self.at).await;
                return Err(failed(text));
            }
        };
        for _ in 0..MAX_LINKS {
            if config.host_files.has_path(program.path(), false) {
                return Err(gate.hosts(ExecFunction::Exec, program.path(), self.at).await);
            }
            let folder = folder_to_run_in(&self.caller, command.folder.as_deref(), self.at).await?;
            let run = Run { folder, environment: environment.clone(), time };
            let effect = |permit| async {
                let ended = self.run(permit, run, &command).await;
                ended.map_err(|text| format!("os.exec({:?}): {text}", shown(&program_name)))
            };
            match gate.pass(self.at, ExecFunction::Exec, program, effect).await? {
                Ok(Ended { code, stdout, stderr }) => return Ok(Output { code, stdout, stderr }),
                Err(next) => program = next.into(),
            }
        }
        Err(failed(format!("more than {MAX_LINKS} links on the way")))
    }

    /// Runs the program of a permit, or says where a link in its path leads.
    async fn run(
        &self,
        permit: starcell_policy::Permit<ProgramPath>,
        run: Run,
        command: &Command,
    ) -> Effect<Result<Ended, CanonicalPath>> {
        let config = &self.caller.app.config;
        let (reach, demand) = (Reach::of(&self.caller, permit.resource()), config.programs.walls);
        let (limit, argv, time) = (config.limits.io_bytes, command.argv.clone(), run.time);
        if command.stdin.len() > limit {
            return Err(format!("stdin is larger than {} MiB", limit >> 20));
        }
        let places = timeout(time, Places::first()).await.unwrap_or_else(|_elapsed| {
            Err(format!("no place for it within {} s: other programs have them all", time.as_secs_f64()))
        })?;
        let hosts = config.host_files.clone();
        let start = move || {
            let path = permit.resource().path().to_string();
            let spot = match locate(&permit, Last::Follow, (&hosts, false)).map_err(|refusal| refusal.to_string())? {
                Walk::Arrived(spot) => spot,
                Walk::Link(next) => return Ok(Err(next)),
            };
            let handle = spot.into_program().map_err(|refusal| refusal.to_string())?;
            let plan = reach.plan(path, run.folder.path, walls::walls(demand)?, time)?;
            let plan = Plan { argv, environment: run.environment, ..plan };
            Program { handle, folder: run.folder.handle, plan, places }.start().map(Ok)
        };
        let running = match blocking(&self.caller, move |_: &Work| start().map_err(Refused))
            .await
            .map_err(|refused| refused.0)?
        {
            Ok(running) => running,
            Err(next) => return Ok((Err(next), 0)),
        };
        let ended = running.end(command.stdin.clone(), limit, time).await?;
        let bytes = (ended.stdout.len() + ended.stderr.len()) as u64;
        Ok((Ok(ended), bytes))
    }

    /// Looks only where the script may run programs, so that it learns of no others.
    async fn which(&self, name: &str) -> Result<Option<String>, Error> {
        let failed = |text: String| Error::Failed(format!("os.which({:?}): {text}", shown(name)));
        let config = &self.caller.app.config;
        let folders = config.environment.get("PATH").map(String::as_str).unwrap_or_default();
        let candidates = match name.contains('/') {
            true => vec![ProgramPath::resolve(name, &config.cwd)],
            false => folders
                .split(':')
                .filter(|folder| folder.starts_with('/'))
                .map(|f| ProgramPath::resolve(&format!("{f}/{name}"), &config.cwd))
                .collect(),
        };
        let candidates = match candidates.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(candidates) => candidates,
            Err(error) => {
                self.caller.gate.unjudged(ExecFunction::Which, name, self.at).await;
                return Err(failed(error.to_string()));
            }
        };
        let may_run = |program: &&ProgramPath| self.caller.gate.covers(ExecFunction::Which, (*program).clone());
        let mut refused = true;
        for program in candidates.iter().filter(may_run) {
            refused = false;
            if let Some(found) = self.is_there(program).await? {
                return Ok(Some(found));
            }
        }
        // A script that may run none of them gets the answer of one that found none. The record says why.
        if let Some(first) = candidates.first().filter(|_| refused) {
            self.caller.gate.unjudged(ExecFunction::Which, &first.to_string(), self.at).await;
        }
        Ok(None)
    }

    /// The path, if there is a program that could be executed at it.
    async fn is_there(&self, program: &ProgramPath) -> Result<Option<String>, Error> {
        let mut at = program.clone();
        for _ in 0..MAX_LINKS {
            let effect = |permit| async {
                let hosts = self.caller.app.config.host_files.clone();
                let look = move |_: &Work| match locate(&permit, Last::Follow, (&hosts, false)) {
                    Ok(Walk::Link(next)) => Ok(Err(next)),
                    Ok(Walk::Arrived(spot)) => Ok(Ok(spot.into_program().is_ok())),
                    Err(_) => Ok(Ok(false)),
                };
                let found = blocking(&self.caller, look).await;
                found.map(|found| (found, 0)).map_err(|refused: Refused| refused.0)
            };
            match self.caller.gate.pass(self.at, ExecFunction::Which, at, effect).await? {
                Ok(found) => return Ok(found.then(|| program.to_string())),
                Err(next) => at = next.into(),
            }
        }
        Ok(None)
    }
}

/// What a record holds of a command: never the values of variables nor the input.
fn recorded(command: &Command) -> Arguments {
    let names = command.environment.iter().flatten().map(|(name, _)| name.clone());
    let arguments = Arguments::default().argv(command.argv.iter().cloned());
    let arguments = if command.environment.is_some() { arguments.env(names) } else { arguments };
    match &command.folder {
        Some(folder) => arguments.cwd(folder.clone()),
        None => arguments,
    }
}

/// What one try to run a program needs.
struct Run {
    folder: Folder,
    environment: Vec<(String, String)>,
    time: std::time::Duration,
}

/// Why a program did not start, in words.
struct Refused(String);

impl From<tokio::task::JoinError> for Refused {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(format!("the host failed: {error}"))
    }
}
