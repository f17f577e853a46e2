//! `starcell host`: the apps of a folder, each at its own hosts and path, until the process is stopped.

use std::sync::Arc;

use starcell_audit::Writer;
use starcell_config::TelemetryChoice;
use starcell_edge::{ClientLimits, ClientWishes, Edge};
use starcell_log::{KeptLogs, Level, Logs};
use starcell_node::subject::machine;
use starcell_node::{Insights, Metrics, Node, NodeShare, Tenant, Turns};
use starcell_runtime::artifact::Artifact;
use starcell_runtime::engine::INSTANCES;
use starcell_runtime::{ImageStore, Interpreter};
use starcell_telemetry::{CollectorEndpoint, TelemetryConfig};

use crate::cli::HostCommand;
use crate::exit::Exit;
use crate::node::base::Base;
use crate::node::deployer::Deployer;
use crate::node::elsewhere::Elsewhere;
use crate::node::files::{AppFiles, NodeFiles, app_names, host_files, make_folder};
use crate::node::handover::{Predecessor, ended};
use crate::node::sheet::sheet;
use crate::node::shift::{self, Callers, Shift};
use crate::node::sockets::{KeptSockets, NodeSockets};
pub use crate::node::stand::stand;
use crate::record;
use crate::say::{Said, fail, say};
use crate::signals::{Reload, Signals};
use crate::sockets;
use crate::store;
use crate::supervisor::Supervisor;
use crate::telemetry::ProcessTelemetry;

/// The folder of the images, in that of the state.
const IMAGES: &str = "images";

/// Apps beyond those of the start that there is room for.
const MORE_APPS: u32 = 1000;

/// Instances that a process can hold at most, each with 4 GiB of addresses: the address space ends about there.
const MOST_INSTANCES: u32 = 24_000;

/// Runs a node until it is stopped, its apps in the guest, or checks one.
pub async fn host(arguments: HostCommand, guest: &'static Artifact) -> Exit {
    // Before anything that takes time: until then a signal to read files again would end the process.
    let (Ok(signals), Ok(reload)) = (Signals::new(), Reload::new()) else {
        return fail(Exit::Host, "cannot listen for signals");
    };
    let mut callers = Callers { signals, reload, supervisor: Supervisor::of_environment() };
    if !arguments.edge.allow_host.is_empty() {
        return fail(Exit::Usage, "--allow-host is of `run`: an app of a node names its hosts in its app.toml");
    }
    let files = NodeFiles::read(&arguments.config).and_then(|mut files| {
        files.make_unpacked(arguments.check)?;
        Ok(files)
    });
    let files = match files {
        Ok(files) => files,
        Err(error) => return fail(Exit::Configuration, &error),
    };
    let _checked = files.checked_apps(arguments.check);
    let (logs, log_writer) = Logs::start(arguments.log.choice());
    logs.take_warnings();
    // Before anything of the apps is read.
    let begun = tokio::select! {
        biased;
        exit = callers.signals.next() => Err(exit),
        begun = Elsewhere::begin(&files, arguments.check, &logs) => {
            begun.map_err(|(exit, error)| fail(exit, &error))
        }
        never = callers.supervisor.keep_alive() => match never {},
    };
    let elsewhere = match begun {
        Ok(elsewhere) => elsewhere,
        Err(exit) => {
            log_writer.finish().await;
            return exit;
        }
    };
    let interpreter = match interpreter(&files, guest) {
        Ok(interpreter) => interpreter,
        Err((exit, error)) => return fail(exit, &error),
    };
    let collector = match (arguments.check, collector(&files)) {
        (_, Err(error)) => return fail(Exit::Configuration, &error),
        (true, Ok(_)) => None,
        (false, Ok(collector)) => collector,
    };
    let (telemetry, sender, logs) = ProcessTelemetry::start(collector, logs);
    let host = Host { arguments: Arc::new(arguments), guest, interpreter, logs, telemetry };
    let exit = match host.arguments.check {
        true => host.check(files).await,
        false => host.serve(files, elsewhere, callers).await,
    };
    drop(host);
    sender.finish().await;
    log_writer.finish().await;
    exit
}

/// The collector that the configuration names.
fn collector(files: &NodeFiles) -> Result<Option<TelemetryConfig>, String> {
    let Some(TelemetryChoice { endpoint, sample, trusts_clients }) = &files.config.telemetry else { return Ok(None) };
    let endpoint = endpoint
        .parse::<CollectorEndpoint>()
        .map_err(|error| format!("{}: [telemetry]: {error}", files.file.display()))?;
    let (sample, trusts_clients) = (f64::from(*sample) / 1_000_000.0, *trusts_clients);
    Ok(Some(TelemetryConfig { endpoint, sample, trusts_clients, node: name(files) }))
}

/// The name of a node in records.
fn name(files: &NodeFiles) -> String {
    files.config.name.clone().unwrap_or_else(machine)
}

/// The guest, with room for the apps of a node and some more.
fn interpreter(files: &NodeFiles, guest: &Artifact) -> Result<Arc<Interpreter>, (Exit, String)> {
    let (apps, _) = app_names(&files.apps).map_err(|error| (Exit::Configuration, error))?;
    let instances = u32::try_from(apps.len()).unwrap_or(u32::MAX).saturating_mul(2);
    let instances = instances.saturating_add(INSTANCES + 2 * MORE_APPS).min(MOST_INSTANCES);
    Interpreter::load(guest, instances).map_err(|error| (Exit::Host, format!("cannot load the guest: {error}")))
}

/// All that a process has for as long as it lives.
struct Host {
    arguments: Arc<HostCommand>,
    guest: &'static Artifact,
    interpreter: Arc<Interpreter>,
    logs: Logs,
    telemetry: ProcessTelemetry,
}

/// All that a node has before its first app.
struct Started {
    base: Arc<Base>,
    node: Arc<Node>,
    audit_writer: Option<Writer>,
}

impl Host {
    /// Serves until the process is stopped or another one has taken over.
    async fn serve(&self, mut files: NodeFiles, mut elsewhere: Elsewhere, mut callers: Callers) -> Exit {
        let (mut predecessor, mut sockets) = match self.arrive(&files).await {
            Ok(arrived) => arrived,
            Err(error) => return fail(Exit::Configuration, &error),
        };
        loop {
            if let Some(predecessor) = &mut predecessor {
                // Its stores are taken only when it has given them up.
                let released = tokio::select! {
                    biased;
                    exit = callers.signals.next() => return exit,
                    released = predecessor.released() => released,
                    never = callers.supervisor.keep_alive() => match never {},
                };
                if let Err(error) = released {
                    return fail(Exit::Host, &error);
                }
            }
            let Started { base, node, audit_writer } = match self.start(files.clone()) {
                Ok(started) => started,
                Err((exit, error)) => return fail(exit, &error),
            };
            let (kept, turns) = (KeptSockets::default(), base.share.turns.clone());
            let shift =
                shift::serve(base, node, &mut sockets, &kept, (predecessor.take(), &mut elsewhere), &mut callers).await;
            turns.end();
            let closed = closed(audit_writer);
            let (mut successor, in_force) = match shift {
                Shift::Over(exit) => return closed.unwrap_or(exit),
                Shift::Given(successor, in_force) => (successor, in_force),
            };
            let process = successor.process();
            let goes_on = tokio::select! {
                biased;
                exit = callers.signals.next() => return exit,
                goes_on = successor.go_on() => goes_on,
                never = callers.supervisor.keep_alive() => match never {},
            };
            if goes_on {
                callers.supervisor.succeeded_by(process);
                self.logs.say(Level::Info, &format!("the process {process} has taken over"));
                return closed.unwrap_or(Exit::Ok);
            }
            self.logs.say(Level::Error, &format!("the process {process} ended before it served: this one goes on"));
            // It closes its end a moment before it gives up what it has locked.
            ended(process).await;
            files = *in_force;
            sockets = NodeSockets::inherited(kept.into_given(), &files.config);
        }
    }

    /// The node that is to be taken over, if one is, and the sockets that this one was given.
    async fn arrive(&self, files: &NodeFiles) -> Result<(Option<Predecessor>, NodeSockets), String> {
        let given = sockets::of_supervisor()?;
        if self.arguments.take_over {
            match Predecessor::find(&files.state).await? {
                Some((predecessor, theirs)) => {
                    // Those that a supervisor has passed as well are the same ones.
                    let sockets = match given.is_empty() {
                        true => NodeSockets::inherited(theirs, &files.config),
                        false => NodeSockets::assign(given, &files.config)?,
                    };
                    return Ok((Some(predecessor), sockets));
                }
                None => {
                    self.logs.say(Level::Info, "--take-over: no node runs with this state folder, so this one starts")
                }
            }
        }
        Ok((None, NodeSockets::assign(given, &files.config)?))
    }

    fn start(&self, files: NodeFiles) -> Result<Started, (Exit, String)> {
        let configuration = |error: String| (Exit::Configuration, error);
        let arguments = &self.arguments;
        let host_files = host_files(&files, &arguments.record).map_err(configuration)?;
        // What was asked to be recorded must not run without.
        let (audit, audit_writer) = record::open(&arguments.record, arguments.set_aside_damaged)
            .map_err(|error| configuration(format!("{error:#}")))?;
        let images = match arguments.check {
            true => None,
            false => {
                make_folder(&files.state).map_err(configuration)?;
                let store = ImageStore::open(&files.state.join(IMAGES), files.config.images, self.guest);
                Some(store.map_err(configuration)?)
            }
        };
        let (memory, logs) = (arguments.limits.budget(), self.logs.clone());
        let edge = Edge::new(arguments.edge.config(), memory.clone(), logs.clone());
        let turns = Turns::new(tokio::runtime::Handle::current().metrics().num_workers());
        let metrics = Metrics::new();
        let share = NodeShare { memory, turns, log_rate: arguments.log_rate.rate(), logs, metrics: metrics.clone() };
        let tenants = files.config.tenants.iter();
        let tenants = tenants.map(|(name, config)| (name.clone(), Tenant::new(name, config, &share))).collect();
        let limits = ClientLimits::new(&edge.config, &ClientWishes::default());
        let kv = files.config.kv.as_ref();
        let kv = kv.and_then(|kv| {
            let password = kv.password_file.as_ref().map(|file| files.path(file));
            store::server(&kv.place, password.as_deref(), &share.logs)
        });
        let node = Node::new(limits, arguments.edge.max_url_bytes as usize, metrics);
        let (name, telemetry) = (name(&files), self.telemetry.clone());
        let (arguments, interpreter) = (Arc::clone(arguments), Arc::clone(&self.interpreter));
        let base = Base {
            arguments,
            files,
            name,
            interpreter,
            edge,
            audit,
            share,
            kept_logs: KeptLogs::default(),
            insights: Insights::default(),
            tenants,
            kv,
            host_files,
            images,
            telemetry,
        };
        Ok(Started { base: Arc::new(base), node, audit_writer })
    }

    /// Sets every app up, and says what it may do.
    async fn check(&self, files: NodeFiles) -> Exit {
        let Started { base, node, audit_writer } = match self.start(files) {
            Ok(started) => started,
            Err((exit, error)) => return fail(exit, &error),
        };
        let exit = check(base, node).await;
        closed(audit_writer).unwrap_or(exit)
    }
}

/// Closes the audit log. Some exit code if it is not as it should be.
fn closed(audit_writer: Option<Writer>) -> Option<Exit> {
    let error = audit_writer.map(Writer::close)?.err()?;
    Some(fail(Exit::Host, &format!("{:#}", anyhow::Error::new(error))))
}

/// Sets every app up, and says what it may do.
async fn check(base: Arc<Base>, node: Arc<Node>) -> Exit {
    let mut deployer = Deployer::new(Arc::clone(&base), node);
    deployer.look(true).await;
    while !deployer.is_idle() {
        deployer.finished().await;
    }
    let mut text = String::new();
    for name in app_names(&base.files.apps).map(|(names, _)| names).unwrap_or_default() {
        let failed = deployer.failures().find(|(failed, _)| **failed == *name).map(|(_, why)| why.to_owned());
        match failed.map_or_else(|| described(&base, &name), Err) {
            Ok(sheet) => text.push_str(&sheet),
            Err(why) => text.push_str(&format!("{name}: cannot be deployed: {why}\n")),
        }
    }
    let failures = deployer.failures().count();
    deployer.close().await;
    let exit = if failures == 0 { Exit::Ok } else { Exit::Configuration };
    say(exit, &Said::Text(text))
}

fn described(base: &Base, name: &str) -> Result<String, String> {
    let app = AppFiles::read(&base.files, name)?;
    let tenant = base.files.config.tenants.get(&app.manifest.tenant).ok_or("unknown tenant")?;
    Ok(sheet(name, &app.manifest, tenant, &base.limits(&app.manifest)))
}
