//! `starcell:guest/os`: programs and environment of the host, the capabilities `os.exec` and `os.env`.
//!
//! A program is named by its path, judged, walked to like any file (see [`locate`](super::fs::locate)), and executed by
//! the handle that the walk ended with, in a [`room`](crate::room) that does not outlive the call. The program is judged
//! before the folder that it is to run in, so a refused program has a record of its own and no look at the folder is seen.
//! [`walls`] says what its script's grants come to for it, and whether this machine can hold a program to that; [`command`]
//! what a script may hand over to it.

mod child;
mod command;
mod walls;

use std::os::fd::OwnedFd;
use std::time::Duration;

use starcell_audit::Arguments;
use starcell_policy::{CanonicalPath, EnvFunction, EnvName, ExecFunction, Permit, ProgramPath};
use tokio::time::timeout;

use crate::Position;
use crate::bindings::starcell::guest::os::{Command, Host, Output};
use crate::call_error::{Cause, HostCallError};
use crate::caller::Caller;
use crate::gate::{Effect, Gate};
use crate::machine::machine_name;
use crate::room::plan::Plan;
use crate::state::State;
use crate::witness::SetupCallKind;
use child::{Ended, Places, Program};
use command::Checked;
use walls::Reach;

use super::blocking::{Work, WorkError, blocking};
use super::fs::locate::{Last, Walk, locate};
use super::fs::{MAX_LINKS, Refusal, folder_to_run_in};

/// The variable that the name of the machine is judged as.
const HOSTNAME: &str = "HOSTNAME";

/// What a function of the host returns.
type Answer<T> = Result<T, HostCallError>;

impl Host for State {
    async fn env(&mut self, name: String, at: Position) -> Answer<Option<String>> {
        let caller = self.repeatable_caller()?;
        caller.note_setup_call(&at, || SetupCallKind::Env(name.clone()));
        let variable = match EnvName::new(&name) {
            Ok(variable) => variable,
            Err(error) => {
                caller.gate.unjudged(EnvFunction::Env, &name, &at).await;
                return Err(HostCallError::about("os.env", &name, error));
            }
        };
        let look = |permit: Permit<EnvName>| {
            let value = caller.app.config.state.environment.get(permit.resource().as_str()).map(str::to_owned);
            let bytes = value.as_ref().map_or(0, |value| value.len() as u64);
            std::future::ready(Effect::Ok((value, bytes)))
        };
        caller.gate.pass(&at, EnvFunction::Env, variable, look).await
    }

    async fn hostname(&mut self, at: Position) -> Answer<String> {
        let caller = self.caller()?;
        let variable = EnvName::new(HOSTNAME).map_err(|error| wasmtime::Error::msg(error.to_string()))?;
        let look = |permit: Permit<EnvName>| {
            let given = caller.app.config.state.environment.get(permit.resource().as_str()).map(str::to_owned);
            let name = given.or_else(machine_name);
            std::future::ready(match name {
                Some(name) => Effect::Ok((name.clone(), name.len() as u64)),
                None => Effect::Err(HostCallError::of("os.hostname", "this machine has no name")),
            })
        };
        caller.gate.pass(&at, EnvFunction::Hostname, variable, look).await
    }

    async fn exec(&mut self, command: Command, at: Position) -> Answer<Output> {
        Call { caller: self.caller()?, at: &at }.exec(command).await
    }

    async fn which(&mut self, name: String, at: Position) -> Answer<Option<String>> {
        Call { caller: self.caller()?, at: &at }.which(&name).await
    }
}

/// One call of `exec` or `which`.
struct Call<'a> {
    caller: Caller,
    at: &'a Position,
}

impl Call<'_> {
    async fn exec(&self, command: Command) -> Result<Output, HostCallError> {
        let gate = self.caller.gate.about(recorded(&command));
        let config = &self.caller.app.config;
        let may_set = |name: &str| config.state.programs.variables.contains(name);
        let Checked { mut program, environment, time } = match command::checked(&command, &config.cwd, may_set) {
            Ok(checked) => checked,
            Err(text) => {
                gate.unjudged(ExecFunction::Exec, name_of(&command), self.at).await;
                return Err(failed(&command, text));
            }
        };
        for _ in 0..MAX_LINKS {
            if config.host_files.has_path(program.path(), false) {
                return Err(gate.hosts(ExecFunction::Exec, program.path(), self.at).await);
            }
            let run = Run { command: &command, environment: &environment, time };
            let effect = |permit| self.run(permit, run, &gate);
            match gate.pass(self.at, ExecFunction::Exec, program, effect).await? {
                Ok(Ended { code, stdout, stderr, taken }) => {
                    taken.into_iter().for_each(|taken| self.caller.holding.keep(taken));
                    return Ok(Output { code, stdout, stderr });
                }
                Err(next) => program = next.into(),
            }
        }
        Err(failed(&command, format!("more than {MAX_LINKS} links on the way")))
    }

    /// Returns whether the program may make sockets. What is granted is recorded, since the program uses it from its
    /// start: a profile that is made from the log then grants it too. A program that may not is no refused call.
    async fn network(&self, gate: &Gate, program: &ProgramPath) -> Result<bool, HostCallError> {
        if !gate.covers(ExecFunction::Network, program.clone()) {
            return Ok(false);
        }
        let granted = |_permit| std::future::ready(Effect::Ok((true, 0)));
        gate.pass(self.at, ExecFunction::Network, program.clone(), granted).await
    }

    /// Runs the program of a permit, or says where a link in its path leads.
    async fn run(
        &self,
        permit: Permit<ProgramPath>,
        Run { command, environment, time }: Run<'_>,
        gate: &Gate,
    ) -> Effect<Result<Ended, CanonicalPath>> {
        let failed = |text: String| failed(command, text);
        let config = &self.caller.app.config;
        let (limit, holding) = (config.limits.io_bytes, &*self.caller.holding);
        if command.stdin.len() > limit {
            return Err(failed(format!("stdin is larger than {} MiB", limit >> 20)));
        }
        let _input = holding.take(command.stdin.len()).await.map_err(failed)?;
        let program = permit.resource().clone();
        let handle = match self.walk(permit).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(next)) => return Ok((Err(next), 0)),
            Err(Refusal::Hosts) => return Err(gate.hosts(ExecFunction::Exec, program.path(), self.at).await),
            Err(refusal) => return Err(self::failed(command, refusal)),
        };
        let folder = folder_to_run_in(&self.caller, command.folder.as_deref(), self.at).await?;
        let reach = Reach::of(&self.caller, self.network(gate, &program).await?);
        let places = timeout(time, Places::first()).await.unwrap_or_else(|_elapsed| {
            Err(format!("no place for it within {} s: other programs have them all", time.as_secs_f64()))
        });
        let places = places.map_err(failed)?;
        let (argv, environment, demand) = (command.argv.clone(), environment.to_vec(), config.state.programs.walls);
        let start = move |_: &Work| {
            let plan = reach.plan(program.to_string(), folder.path, walls::walls(demand)?, time)?;
            let plan = Plan { argv, environment, ..plan };
            Program { handle, folder: folder.handle, plan, places }.start()
        };
        let running = blocking(&self.caller, move |work: &Work| start(work).map_err(WorkError)).await;
        let running = running.map_err(|error| failed(error.0))?;
        let ended = running.end(&command.stdin, (holding, limit), time).await.map_err(failed)?;
        let bytes = (ended.stdout.len() + ended.stderr.len()) as u64;
        Ok((Ok(ended), bytes))
    }

    /// The handle of the program of a permit, or where a link in its path leads.
    async fn walk(&self, permit: Permit<ProgramPath>) -> Result<Result<OwnedFd, CanonicalPath>, Refusal> {
        let hosts = self.caller.app.config.host_files.clone();
        let walk = move |_: &Work| match locate(&permit, Last::Follow, (&hosts, false))? {
            Walk::Arrived(spot) => spot.into_program().map(Ok),
            Walk::Link(next) => Ok(Err(next)),
        };
        blocking(&self.caller, walk).await
    }

    /// Looks only where the script may run programs, so that it learns of no others.
    async fn which(&self, name: &str) -> Result<Option<String>, HostCallError> {
        let config = &self.caller.app.config;
        let folders = config.state.environment.get("PATH").unwrap_or_default();
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
                return Err(HostCallError::about("os.which", name, error));
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
    async fn is_there(&self, program: &ProgramPath) -> Result<Option<String>, HostCallError> {
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
                let failed = |error: WorkError| HostCallError::about("os.which", program.path().as_str(), error);
                found.map(|found| (found, 0)).map_err(failed)
            };
            match self.caller.gate.pass(self.at, ExecFunction::Which, at, effect).await? {
                Ok(found) => return Ok(found.then(|| program.to_string())),
                Err(next) => at = next.into(),
            }
        }
        Ok(None)
    }
}

/// The name of the program, as the script gave it.
fn name_of(command: &Command) -> &str {
    command.argv.first().map(String::as_str).unwrap_or_default()
}

/// An error about a command.
fn failed(command: &Command, cause: impl Into<Cause>) -> HostCallError {
    HostCallError::about("os.exec", name_of(command), cause)
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
#[derive(Clone, Copy)]
struct Run<'a> {
    command: &'a Command,
    /// All that the program finds in its environment.
    environment: &'a [(String, String)],
    time: Duration,
}
