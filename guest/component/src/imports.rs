//! The interpreter's host over the component's imports.

use std::sync::OnceLock;

use starcell_contract::{Conditions, HostError, LogLine, Position, ServerOptions};
use starcell_interp::{Client, Cluster, Files, Host, Kv, Programs, Sql, Tool};
use starlark::environment::Module;

use crate::bindings::starcell::guest::{log, server, source, timer};
use crate::bindings::wasi::{clocks::wall_clock, random::random};
use crate::fork;

/// What the operator gives the script of this instance. It lies in the memory like everything else, so forks have it too.
static CONDITIONS: OnceLock<Conditions> = OnceLock::new();

/// Keeps what the operator gives a script, before any of the script runs. An instance is asked for one thing, so the first
/// conditions are the only ones.
pub(crate) fn keep(conditions: Conditions) {
    let _first = CONDITIONS.set(conditions);
}

/// The component's imports; what a script can do with them is checked by the host.
pub(crate) struct Imports;

impl Host for Imports {
    fn conditions(&self) -> &Conditions {
        CONDITIONS.get_or_init(Conditions::default)
    }

    fn entered(&self, module: &Module<'_>) {
        fork::remember(module);
    }

    fn log(&self, line: &LogLine) {
        log::write(line);
    }

    fn print(&self, text: &str, at: &Position) {
        log::print(text, at);
    }

    fn add_route(&self, server: u32, pattern: &str) -> Result<u32, String> {
        server::add_route(server, pattern)
    }

    fn start(&self, server: u32, options: &ServerOptions, at: &Position) -> Result<u16, HostError> {
        let port = server::listen(server, options, at)?;
        fork::hand_over_live();
        server::serve(server)?;
        Ok(port)
    }

    fn wait(&self, server: u32) -> Result<(), HostError> {
        server::wait(server)
    }

    fn shutdown(&self, server: u32) -> Result<(), HostError> {
        server::shutdown(server)
    }

    fn port(&self, server: u32) -> Option<u16> {
        server::port(server)
    }

    fn read_source(&self, path: &str) -> Result<Vec<u8>, String> {
        source::read(path)
    }

    fn client(&self) -> &dyn Client {
        self
    }

    fn cluster(&self) -> &dyn Cluster {
        self
    }

    fn files(&self) -> &dyn Files {
        self
    }

    fn kv(&self) -> &dyn Kv {
        self
    }

    fn programs(&self) -> &dyn Programs {
        self
    }

    fn sql(&self) -> &dyn Sql {
        self
    }

    fn tool(&self) -> &dyn Tool {
        self
    }

    fn sleep(&self, nanoseconds: u64) -> Result<(), HostError> {
        timer::sleep(nanoseconds);
        Ok(())
    }

    fn now(&self) -> u64 {
        let now = wall_clock::now();
        now.seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(now.nanoseconds))
    }

    fn random(&self, length: usize) -> Vec<u8> {
        random::get_random_bytes(length as u64)
    }
}
