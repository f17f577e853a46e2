//! The `starcell` command: parses, runs, and exits with a code that says how it ended.

use std::process::ExitCode;

use clap::Parser as _;
use starcell::cli::{Cli, Command};
use starcell::exit::Exit;
use starcell::wiping::Wiping;
use starcell::{audit, check, completions, docs, lsp, new, permissions, repl, run, test};

/// A request makes and drops some hundred small objects for its store and its instances. What it held is wiped.
#[global_allocator]
static ALLOCATOR: Wiping<mimalloc::MiMalloc> = Wiping(mimalloc::MiMalloc);

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Audit(command) => audit::answer(&command).into(),
        Command::Check(arguments) => check::check(&arguments).into(),
        Command::Completions(arguments) => completions::completions(&arguments).into(),
        Command::Docs(arguments) => docs::docs(&arguments).into(),
        Command::Lsp => lsp::lsp().into(),
        Command::New(arguments) => new::new(&arguments).into(),
        Command::Permissions(arguments) => permissions::answer(&arguments).into(),
        Command::Repl(arguments) => block_on(repl::repl(arguments)),
        Command::Run(arguments) => block_on(run::run(*arguments)),
        Command::Test(arguments) => block_on(test::test(arguments)),
    }
}

/// Runs a command that waits for something, from its start to the code it ends with.
fn block_on(command: impl Future<Output = Exit>) -> ExitCode {
    // One thread a core: guests yield at every epoch tick, so no thread is needed for one that waits.
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return run::fail(Exit::Host, &format!("cannot start: {error}")).into(),
    };
    let exit = runtime.block_on(command);
    // What still runs is cut here: a request past its drain deadline, or a client that reads no more.
    runtime.shutdown_background();
    exit.into()
}
