//! `starcell host`: the apps of a folder, each at its own hosts and path, until the process is stopped.

use std::sync::Arc;
use std::time::Duration;

use starcell_audit::Writer;
use starcell_edge::{ClientLimits, ClientWishes, Edge};
use starcell_log::{Level, LogWriter, Logs};
use starcell_node::subject::machine;
use starcell_node::{IdleRule, Metrics, Node, NodeShare, Tenant, Turns, drop_idle};
use starcell_runtime::engine::INSTANCES;
use starcell_runtime::{ImageStore, Interpreter};
use tokio_util::task::AbortOnDropHandle;

use crate::cli::HostCommand;
use crate::exit::Exit;
use crate::guest::GUEST;
use crate::node::base::Base;
use crate::node::bounds::most_resident;
use crate::node::deployer::Deployer;
use crate::node::files::{AppFiles, NodeFiles, app_names, host_files, make_folder};
use crate::node::front::{Listeners, ListenersError, watch_pages};
use crate::node::sheet::sheet;
pub use crate::node::stand::stand;
use crate::record;
use crate::say::{Said, fail, say};
use crate::signals::{Reload, Signals};
use crate::store;

/// How long clients of a node wait for its slowest app, when it starts, before the others answer them.
const START: Duration = Duration::from_secs(10);

/// The folder of the images, in that of the state.
const IMAGES: &str = "images";

/// Apps beyond those of the start that there is room for.
const MORE_APPS: u32 = 1000;

/// Instances that a process can hold at most: the address space ends there.
const MOST_INSTANCES: u32 = 24_000;

/// Runs a node until it is stopped, or checks one.
pub async fn host(arguments: HostCommand) -> Exit {
    // Before anything that takes time: until then a signal to read files again would end the process.
    let (Ok(signals), Ok(reload)) = (Signals::new(), Reload::new()) else {
        return fail(Exit::Host, "cannot listen for signals");
    };
    if !arguments.edge.allow_host.is_empty() {
        return fail(Exit::Usage, "--allow-host is of `run`: an app of a node names its hosts in its app.toml");
    }
    let files = match NodeFiles::read(&arguments.config) {
        Ok(files) => files,
        Err(error) => return fail(Exit::Configuration, &error),
    };
    let started = match Started::new(arguments, files) {
        Ok(started) => started,
        Err((exit, error)) => return fail(exit, &error),
    };
    let Started { base, node, audit_writer, log_writer } = started;
    let exit = match base.arguments.check {
        true => check(Arc::clone(&base), node).await,
        false => serve(Arc::clone(&base), node, signals, reload).await,
    };
    drop(base);
    let exit = match audit_writer.map(Writer::close) {
        Some(Err(error)) => fail(Exit::Host, &format!("{:#}", anyhow::Error::new(error))),
        _ => exit,
    };
    log_writer.finish().await;
    exit
}

/// All that a node has before its first app.
struct Started {
    base: Arc<Base>,
    node: Arc<Node>,
    audit_writer: Option<Writer>,
    log_writer: LogWriter,
}

impl Started {
    fn new(arguments: HostCommand, files: NodeFiles) -> Result<Self, (Exit, String)> {
        let configuration = |error: String| (Exit::Configuration, error);
        let (apps, _) = app_names(&files.apps).map_err(configuration)?;
        let instances = u32::try_from(apps.len()).unwrap_or(u32::MAX).saturating_mul(2);
        let instances = instances.saturating_add(INSTANCES + 2 * MORE_APPS).min(MOST_INSTANCES);
        let interpreter = Interpreter::load(&GUEST, instances)
            .map_err(|error| (Exit::Host, format!("cannot load the guest: {error}")))?;
        let host_files = host_files(&files, &arguments.record).map_err(configuration)?;
        let (logs, log_writer) = Logs::start(arguments.log.choice());
        logs.take_warnings();
        // What was asked to be recorded must not run without.
        let (audit, audit_writer) = record::open(&arguments.record, arguments.set_aside_damaged)
            .map_err(|error| configuration(format!("{error:#}")))?;
        let images = match arguments.check {
            true => None,
            false => {
                make_folder(&files.state).map_err(configuration)?;
                let store = ImageStore::open(&files.state.join(IMAGES), files.config.images, &GUEST);
                Some(store.map_err(configuration)?)
            }
        };
        let memory = arguments.limits.budget();
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
        let name = files.config.name.clone().unwrap_or_else(machine);
        let base = Base { arguments, files, name, interpreter, edge, audit, share, tenants, kv, host_files, images };
        Ok(Self { base: Arc::new(base), node, audit_writer, log_writer })
    }
}

async fn serve(base: Arc<Base>, node: Arc<Node>, mut signals: Signals, mut reload: Reload) -> Exit {
    let logs = base.share.logs.clone();
    let listeners = match Listeners::bind(&base.files, &node, &logs).await {
        Ok(listeners) => listeners,
        Err(ListenersError::Unbound(error)) => return fail(Exit::Bind, &error),
        Err(ListenersError::Certificates(error)) => return fail(Exit::Configuration, &error),
    };
    let pages = match watch_pages(&base, &node).await {
        Ok(pages) => pages,
        Err(error) => return fail(Exit::Bind, &error),
    };
    if base.files.config.admin.is_some() {
        logs.say(Level::Warn, "[admin] is checked, and nothing listens there in this version");
    }
    if let Some(kv) = &base.kv {
        // The log says so when the server does not answer, and the node goes on: the server may come.
        kv.probe().await;
    }
    let ready = |ready: bool| pages.iter().for_each(|pages| pages.set_ready(ready));
    let _dropping = dropping(&base, &node);
    let mut deployer = Deployer::new(Arc::clone(&base), node);
    deployer.look(true).await;
    let mut slowest = std::pin::pin!(tokio::time::sleep(START));
    let mut is_open = false;
    loop {
        if !is_open && (deployer.is_idle() || slowest.is_elapsed()) {
            listeners.open(&base.edge, &logs);
            ready(true);
            is_open = true;
        }
        let pause = deployer.pause();
        tokio::select! {
            biased;
            exit = signals.next() => {
                // A log that nobody reads must not hold up the end.
                logs.hurry();
                if !is_open {
                    return exit;
                }
                break;
            }
            () = reload.asked() => {
                base.audit.reopen();
                deployer.look(true).await;
            }
            () = deployer.finished() => {}
            () = &mut slowest, if !is_open => {}
            () = pause => deployer.look(false).await,
        }
    }
    ready(false);
    listeners.stop();
    tokio::select! {
        biased;
        exit = signals.next() => return exit,
        () = listeners.ended() => {}
    }
    tokio::select! {
        biased;
        exit = signals.next() => exit,
        () = deployer.close() => Exit::Ok,
    }
}

/// Drops apps from memory that are not used, until this is dropped itself.
#[expect(clippy::disallowed_methods, reason = "the task ends with the handle")]
fn dropping(base: &Base, node: &Arc<Node>) -> AbortOnDropHandle<()> {
    let rule = IdleRule { after: base.files.config.idle, most: most_resident() };
    let NodeShare { memory, logs, .. } = &base.share;
    AbortOnDropHandle::new(tokio::spawn(drop_idle(Arc::clone(node), memory.clone(), rule, logs.clone())))
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
