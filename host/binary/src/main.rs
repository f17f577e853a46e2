//! The `starcell` command: parses, runs, and exits with a code that says how it ended.

mod guest;

use std::process::ExitCode;

use clap::Parser as _;
use starcell::cli::{Cli, Command, HostCommand, Run, WallFlags};
use starcell::commands::repl::PreparedSession;
use starcell::commands::run::Prepared;
use starcell::commands::test::PreparedTests;
use starcell::commands::{
    app, audit, check, completions, docs, doctor, host, lsp, new, permissions, repl, run, tenant, test, top,
};
use starcell::exit::Exit;
use starcell::say::{Said, complain, fail, say};
use starcell::wiping::{Wiping, hold_no_more_than_is_used};
use starcell::worker;
use starcell_runtime::node_walls::Stand;
use starcell_runtime::{node_walls, room};

use crate::guest::GUEST;

/// A request makes and drops some hundred small objects for its store and its instances. What it held is wiped.
#[global_allocator]
static ALLOCATOR: Wiping<mimalloc::MiMalloc> = Wiping(mimalloc::MiMalloc);

fn main() -> ExitCode {
    hold_no_more_than_is_used();
    // The process of a program that a script runs: it has nothing to do with the command line.
    if let Some(code) = room::serve_if_called() {
        return code;
    }
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return refuse(&error).into(),
    };
    match command {
        Command::App(command) => block_on(async move { app::app(&command).await }),
        Command::Audit(command) => audit::answer(&command).into(),
        Command::Check(arguments) => check::check(&arguments).into(),
        Command::CheckWorker { cpu } => worker::work(cpu).into(),
        Command::Completions(arguments) => completions::completions(&arguments).into(),
        Command::Docs(arguments) => docs::docs(&arguments).into(),
        Command::Doctor(arguments) => doctor::doctor(&arguments).into(),
        Command::Host(arguments) => serve(*arguments),
        Command::Lsp => lsp::lsp().into(),
        Command::New(arguments) => new::new(&arguments).into(),
        Command::Permissions(arguments) => permissions::answer(&arguments).into(),
        Command::Repl(arguments) => match PreparedSession::new(arguments) {
            Ok(prepared) => within(prepared.walls(), || block_on(repl::repl(prepared, &GUEST))),
            Err(exit) => exit.into(),
        },
        Command::Run(arguments) => run(*arguments),
        Command::Tenant(command) => block_on(async move { tenant::tenant(&command).await }),
        Command::Test(arguments) => match PreparedTests::new(arguments) {
            Ok(prepared) => within(prepared.walls(), || block_on(test::test(prepared, &GUEST))),
            Err(exit) => exit.into(),
        },
        Command::Top(arguments) => block_on(async move { top::top(&arguments).await }),
    }
}

/// Writes what is wrong with the command line, or the help that it asks for.
fn refuse(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    if error.use_stderr() { complain(text) } else { say(Exit::Ok, &Said::Text(text)) }
}

/// Runs a script. What the command line names is read first: the walls around the host leave open what that takes.
fn run(arguments: Run) -> ExitCode {
    match Prepared::new(arguments) {
        Ok(prepared) => {
            let walls = (prepared.walls(), prepared.stand().clone());
            within(walls, || block_on(run::run(prepared, &GUEST)))
        }
        Err(exit) => exit.into(),
    }
}

/// Runs a node. What its configuration names is looked at first.
fn serve(arguments: HostCommand) -> ExitCode {
    // A command line that is refused for what it says is refused before any file is looked at.
    if !arguments.edge.allow_host.is_empty() {
        return block_on(host::host(arguments, &GUEST));
    }
    match host::stand(&arguments) {
        Ok(stand) => within((arguments.walls, stand), || block_on(host::host(arguments, &GUEST))),
        Err(error) => fail(Exit::Configuration, &error).into(),
    }
}

/// Runs a command behind the walls of the host, which are put up before it makes a thread.
fn within((flags, stand): (WallFlags, Stand), command: impl FnOnce() -> ExitCode) -> ExitCode {
    match node_walls::put_up(flags.node_walls.into(), &stand) {
        Ok(standing) => {
            if standing.without_landlock {
                fail(Exit::Ok, "this kernel has no landlock: files outside of the grants are open to the host itself");
            }
            for missing in &standing.missing {
                fail(Exit::Ok, &format!("a wall around the host is missing: {missing}"));
            }
            command()
        }
        Err(error) => fail(Exit::Host, &error).into(),
    }
}

/// Polls of tasks between two looks at the sockets, on a thread that is never idle. tokio's own number is 61: with 20 us for
/// each, whoever asks in the meantime would wait for a millisecond. A look costs less than one of them takes.
const POLLS_A_LOOK: u32 = 4;

/// Runs a command that waits for something, from its start to the code it ends with.
fn block_on(command: impl Future<Output = Exit>) -> ExitCode {
    // One thread a core: guests yield at every epoch tick, so no thread is needed for one that waits.
    let built = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(POLLS_A_LOOK)
        .on_thread_park(starcell_node::note_park)
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Host, &format!("cannot start: {error}")).into(),
    };
    let exit = runtime.block_on(command);
    // What still runs is cut here: a request past its drain deadline, or a client that reads no more.
    runtime.shutdown_background();
    exit.into()
}
