//! What an operator sees of a node and does with it, whether the answer becomes JSON or a page of the console.
//!
//! The decision: each number and each action has one way, so that the console cannot show or do what the API refuses. An
//! action is recorded before it is done ([`ledger`](super::ledger)), and one that was begun is brought to its end, though its
//! client leaves. An operator of a tenant gets what is that tenant's, and for the rest the answer of what is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use parking_lot::RwLock;
use starcell_config::{Role, is_plain_name};
use starcell_log::{KeptLog, Level};
use starcell_node::{InsightNow, Node, TimeSlot};
use starcell_runtime::slow::on_blocking_thread;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::api::views::{AppLineView, AppView, DenialsView, DoneView, HealthView, LeastView, TenantView};
use crate::node::archive::Archive;
use crate::node::base::Base;
use crate::node::orders::{Act, AppName, Order, Orders, Refused};

use super::access::{Keys, Operator};
use super::answers::internal;
use super::kept::{KeptFiles, kept_files};
use super::ledger::Ledger;
use super::trail::Trail;

/// Who answers operators.
pub(crate) struct Clerk {
    pub(crate) base: Arc<Base>,
    node: Arc<Node>,
    orders: Orders,
    pub(crate) ledger: Ledger,
    keys: RwLock<Option<Arc<Keys>>>,
    ready: AtomicBool,
    /// Answers that read the audit log: one at a time.
    reading: Semaphore,
    /// Connections, and actions that were begun.
    pub(crate) tasks: TaskTracker,
}

impl Clerk {
    pub(super) fn new(base: Arc<Base>, node: Arc<Node>, orders: Orders, keys: Option<Keys>) -> Arc<Self> {
        let ledger = Ledger::new(Arc::clone(&base));
        Arc::new(Self {
            base,
            node,
            orders,
            ledger,
            keys: RwLock::new(keys.map(Arc::new)),
            ready: AtomicBool::new(false),
            reading: Semaphore::new(1),
            tasks: TaskTracker::new(),
        })
    }

    /// The tokens; none where nobody needs one.
    pub(crate) fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.read().clone()
    }

    /// Takes other tokens.
    pub(super) fn set_keys(&self, keys: Keys) {
        *self.keys.write() = Some(Arc::new(keys));
    }

    /// Says whether the node takes traffic.
    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Refuses, and records, what the role of an operator does not allow. `action` is the word for it in the audit log.
    pub(crate) async fn check_role(
        &self,
        operator: &Operator,
        needed: Role,
        app: Option<&str>,
        action: &str,
    ) -> Result<(), Refused> {
        if operator.role >= needed {
            return Ok(());
        }
        let (has, needed) = (operator.role.name(), needed.name());
        let reason = format!("{} has the role `{has}`; this takes `{needed}`", operator.name);
        self.ledger.refused(operator, app, action, &reason).await;
        Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", reason))
    }

    /// An app as an operator names it. A name that no app can have is one of an app that there is not.
    pub(crate) fn app_name(operator: &Operator, name: Option<&str>) -> Result<AppName, Refused> {
        match name.filter(|name| is_plain_name(name)) {
            Some(name) => Ok(AppName { name: name.to_owned(), within: operator.tenant.clone() }),
            None => Err(Refused::no_app("of that name")),
        }
    }

    /// How the node is.
    pub(crate) fn health(&self) -> HealthView {
        let seats = self.node.seats();
        let running = seats.iter().filter(|seat| seat.running().is_some()).count();
        let memory = &self.base.share.memory;
        HealthView {
            node: self.base.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: self.ready.load(Ordering::Relaxed),
            running: running as u64,
            down: (seats.len() - running) as u64,
            memory_bytes: memory.used(),
            memory_limit_bytes: memory.limit(),
            audited: self.base.audit.is_on(),
        }
    }

    /// The tenants that an operator may see.
    pub(crate) async fn tenants(&self, operator: &Operator) -> Result<Vec<TenantView>, Refused> {
        let within = operator.tenant.clone();
        self.orders.give(|reply| Order::Tenants(within, reply)).await
    }

    /// One tenant.
    pub(crate) async fn tenant(&self, operator: &Operator, name: &str) -> Result<TenantView, Refused> {
        let name = if is_plain_name(name) { name } else { "of that name" };
        let found = self.tenants(operator).await?.into_iter().find(|tenant| tenant.name == name);
        let message = || format!("there is no tenant {name}; GET /v1/tenants lists them");
        found.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "unknown_tenant", message()))
    }

    /// The apps that an operator may see.
    pub(crate) async fn apps(&self, operator: &Operator) -> Result<Vec<AppLineView>, Refused> {
        let within = operator.tenant.clone();
        self.orders.give(|reply| Order::Apps(within, reply)).await
    }

    /// One app.
    pub(crate) async fn app(&self, app: AppName) -> Result<AppView, Refused> {
        self.orders.give(|reply| Order::App(app, reply)).await
    }

    /// An app that may be seen.
    pub(crate) async fn seen(&self, app: AppName) -> Result<AppName, Refused> {
        self.app(app.clone()).await?;
        Ok(app)
    }

    /// What is kept of the requests of an app that may be seen; none of one that had none.
    pub(crate) fn insight(&self, line: &AppLineView) -> Option<InsightNow> {
        self.base.insights.find(line.tenant.as_deref()?, &line.name)?.now()
    }

    /// The last minutes of an app that may be seen; none of one that had no request.
    pub(crate) fn slots(&self, line: &AppLineView) -> Option<Vec<TimeSlot>> {
        self.base.insights.find(line.tenant.as_deref()?, &line.name)?.slots()
    }

    /// The last lines of an app that may be seen.
    pub(crate) async fn log(&self, app: AppName) -> Result<(String, KeptLog), Refused> {
        let line = self.app(app).await?.line;
        let log = self.base.kept_log(line.tenant.as_deref().unwrap_or_default(), &line.name);
        Ok((line.name, log))
    }

    /// The calls of an app that were refused.
    pub(crate) async fn denials(&self, app: AppName, most: usize) -> Result<DenialsView, Refused> {
        let app = self.seen(app).await?;
        self.trail(move |trail| trail.denials(&app, most)).await
    }

    /// The least profile for what an app did.
    pub(crate) async fn least(&self, app: AppName) -> Result<LeastView, Refused> {
        let app = self.seen(app).await?;
        self.trail(move |trail| trail.least(&app)).await
    }

    /// Reads the audit log, one reader at a time.
    pub(crate) async fn trail<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Trail) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let trail = Trail::new(self.base.arguments.record.file.as_deref())?;
        // It is never closed.
        let _place = self.reading.acquire().await;
        blocking(move || read(&trail)).await
    }

    /// The files of a kept revision of an app, for whoever may see them.
    pub(crate) async fn kept(&self, app: AppName, number: u64) -> Result<KeptFiles, Refused> {
        let app = self.seen(app).await?;
        let base = Arc::clone(&self.base);
        blocking(move || {
            let archive = Archive::new(Some(&base.files.state), base.files.config.revisions);
            kept_files(&archive, &base.files.config, &app, number)
        })
        .await
    }

    /// Does something with an app, under the eyes of the audit log. It goes on though whoever asked leaves.
    pub(crate) async fn act(self: &Arc<Self>, operator: Operator, app: AppName, act: Act) -> Result<DoneView, Refused> {
        self.check_manifest(&operator, &app, &act).await?;
        let clerk = Arc::clone(self);
        let acting = self.tasks.spawn(async move { clerk.carry_out(&operator, app, act).await });
        acting.await.map_err(|_panicked| failed())?
    }

    /// Refuses an `app.toml` of an operator who may only act for one tenant: it names the files that secrets come from, and
    /// whose app it is.
    async fn check_manifest(&self, operator: &Operator, app: &AppName, act: &Act) -> Result<(), Refused> {
        let Some(tenant) = &operator.tenant else { return Ok(()) };
        if !matches!(act, Act::Upload(upload) if upload.has_manifest()) {
            return Ok(());
        }
        let reason = format!(
            "{} is of the tenant {tenant}; an app.toml is sent by an operator of the whole node",
            operator.name
        );
        self.ledger.refused(operator, Some(&app.name), act.name(), &reason).await;
        Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", reason))
    }

    async fn carry_out(&self, operator: &Operator, app: AppName, act: Act) -> Result<DoneView, Refused> {
        let view = match self.app(app.clone()).await {
            Ok(view) => view,
            Err(refused) => {
                let deploys = matches!(act, Act::Deploy | Act::Upload(_)) && refused.is_no_app();
                let refused = if deploys { Refused::no_app_to_deploy(&app.name) } else { refused };
                self.ledger.refused(operator, Some(&app.name), act.name(), &refused.message).await;
                return Err(refused);
            }
        };
        let recorded = self.ledger.begin(operator, view.line.tenant.as_deref(), &app.name, &act).await?;
        let (detail, name, word) = (act.detail(), app.name.clone(), act.name());
        let done = self.orders.give(|reply| Order::Act(app, act, reply)).await;
        self.ledger.end(operator, recorded, done.is_ok());
        let came = done.as_ref().map_or_else(|refused| refused.message.as_str(), |_| "done");
        let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        let text = format!("{} asked for {word} of the app {name}{detail}: {came}", operator.name);
        self.base.share.logs.say(Level::Info, &text);
        done
    }
}

/// Reads files away from the threads that serve.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
    on_blocking_thread(read).await.map_err(|_panicked| failed())?
}

fn failed() -> Refused {
    internal("the node failed; its log says why")
}
