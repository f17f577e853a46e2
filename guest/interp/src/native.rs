//! A [`Host`] without a host: records what a script did, and answers from memory.
//!
//! Booting warms the interpreter up with it, and native tests and benches run on it, here and in other packages. Requests
//! are made by calling [`Serving::handle`](crate::Serving::handle); [`Host::wait`] ends the script, since there is no fork
//! to serve from.

mod client;
mod files;
mod k8s;
mod kv;
mod programs;
mod sql;
mod tool;

use std::cell::RefCell;
use std::collections::HashMap;

use starlark::environment::Module;

pub use client::NativeClient;
pub use files::NativeFiles;
pub use k8s::{Called, NativeCluster};
pub use kv::NativeKv;
pub use programs::NativePrograms;
pub use sql::{NativeSql, SqlCalled};
pub use tool::NativeTool;

use crate::host::{
    Client, Cluster, Conditions, Files, Host, HostError, Kv, LogLine, Position, Programs, ServerOptions, Sql, Tool,
};

/// Decides about a pattern; the error is what the script sees.
pub type AddRoute = Box<dyn Fn(u32, &str) -> Result<(), String>>;

/// A host that lives in memory.
pub struct NativeHost {
    /// Decides about patterns; accepts all unless replaced.
    pub add_route: AddRoute,
    /// What `start` answers instead of the port, when set.
    pub refuse_start: Option<HostError>,
    /// What `wait` answers.
    pub wait: Result<(), HostError>,
    /// What `sleep` answers.
    pub sleep: Result<(), HostError>,
    /// What the operator gives the script.
    pub conditions: Conditions,
    /// The files of the script's folder.
    pub sources: HashMap<String, Vec<u8>>,
    /// Other servers that always say the same.
    pub client: NativeClient,
    /// A cluster that always says the same.
    pub cluster: NativeCluster,
    /// Files in memory.
    pub files: NativeFiles,
    /// Keys and values in memory.
    pub kv: NativeKv,
    /// Programs that only say how they were called.
    pub programs: NativePrograms,
    /// A database that always says the same.
    pub sql: NativeSql,
    /// A test's or a session's tool.
    pub tool: NativeTool,
    logs: RefCell<Vec<LogLine>>,
    prints: RefCell<Vec<String>>,
    routes: RefCell<Vec<(u32, String)>>,
    starts: RefCell<Vec<(u32, ServerOptions)>>,
    shutdowns: RefCell<Vec<u32>>,
    sleeps: RefCell<Vec<u64>>,
    asked: RefCell<Vec<usize>>,
}

impl NativeHost {
    /// A host that accepts every pattern and grants every start.
    pub fn new() -> Self {
        Self {
            add_route: Box::new(|_, _| Ok(())),
            refuse_start: None,
            wait: Err(HostError::Stopped),
            sleep: Ok(()),
            conditions: Conditions::default(),
            sources: HashMap::new(),
            client: NativeClient::default(),
            cluster: NativeCluster::default(),
            files: NativeFiles::default(),
            kv: NativeKv::default(),
            programs: NativePrograms::default(),
            sql: NativeSql::default(),
            tool: NativeTool::default(),
            logs: RefCell::default(),
            prints: RefCell::default(),
            routes: RefCell::default(),
            starts: RefCell::default(),
            shutdowns: RefCell::default(),
            sleeps: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// The same, whose operator gives the script something.
    pub fn under(conditions: Conditions) -> Self {
        Self { conditions, ..Self::new() }
    }

    /// The log records so far.
    pub fn logs(&self) -> Vec<LogLine> {
        self.logs.borrow().clone()
    }

    /// The printed lines so far.
    pub fn prints(&self) -> Vec<String> {
        self.prints.borrow().clone()
    }

    /// The accepted patterns with their server's number, in order of registration.
    pub fn routes(&self) -> Vec<(u32, String)> {
        self.routes.borrow().clone()
    }

    /// The granted starts with their options.
    pub fn starts(&self) -> Vec<(u32, ServerOptions)> {
        self.starts.borrow().clone()
    }

    /// The waits, in nanoseconds; they move the clock and take no time.
    pub fn sleeps(&self) -> Vec<u64> {
        self.sleeps.borrow().clone()
    }

    /// How many random bytes were asked for, each time.
    pub fn asked(&self) -> Vec<usize> {
        self.asked.borrow().clone()
    }

    /// The servers that were shut down.
    pub fn shutdowns(&self) -> Vec<u32> {
        self.shutdowns.borrow().clone()
    }
}

impl Default for NativeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for NativeHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeHost").field("routes", &self.routes).field("starts", &self.starts).finish_non_exhaustive()
    }
}

impl Host for NativeHost {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    fn entered(&self, _module: &Module<'_>) {}

    fn log(&self, line: &LogLine) {
        self.logs.borrow_mut().push(line.clone());
    }

    fn print(&self, text: &str, _at: &Position) {
        self.prints.borrow_mut().push(text.to_owned());
    }

    fn add_route(&self, server: u32, pattern: &str) -> Result<u32, String> {
        (self.add_route)(server, pattern)?;
        let mut routes = self.routes.borrow_mut();
        let number = routes.iter().filter(|(of, _)| *of == server).count();
        routes.push((server, pattern.to_owned()));
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn start(&self, server: u32, options: &ServerOptions, _at: &Position) -> Result<u16, HostError> {
        if let Some(error) = &self.refuse_start {
            return Err(error.clone());
        }
        self.starts.borrow_mut().push((server, options.clone()));
        Ok(self.port(server).unwrap_or_default())
    }

    fn wait(&self, _server: u32) -> Result<(), HostError> {
        self.wait.clone()
    }

    fn shutdown(&self, server: u32) -> Result<(), HostError> {
        self.shutdowns.borrow_mut().push(server);
        Ok(())
    }

    fn port(&self, server: u32) -> Option<u16> {
        let starts = self.starts.borrow();
        let (_, options) = starts.iter().rev().find(|(started, _)| *started == server)?;
        Some(options.port.filter(|port| *port != 0).unwrap_or(8080))
    }

    fn read_source(&self, path: &str) -> Result<Vec<u8>, String> {
        self.sources.get(path).cloned().ok_or_else(|| "there is no such file in the script's folder".into())
    }

    fn client(&self) -> &dyn Client {
        &self.client
    }

    fn cluster(&self) -> &dyn Cluster {
        &self.cluster
    }

    fn files(&self) -> &dyn Files {
        &self.files
    }

    fn kv(&self) -> &dyn Kv {
        &self.kv
    }

    fn programs(&self) -> &dyn Programs {
        &self.programs
    }

    fn sql(&self) -> &dyn Sql {
        &self.sql
    }

    fn tool(&self) -> &dyn Tool {
        &self.tool
    }

    fn now(&self) -> u64 {
        1_700_000_000_123_456_789 + self.sleeps.borrow().iter().sum::<u64>()
    }

    fn random(&self, length: usize) -> Vec<u8> {
        self.asked.borrow_mut().push(length);
        (0..=u8::MAX).cycle().take(length).collect()
    }

    fn sleep(&self, nanoseconds: u64) -> Result<(), HostError> {
        self.sleep.clone()?;
        self.sleeps.borrow_mut().push(nanoseconds);
        Ok(())
    }
}
