//! From a request of an operator to its answer.
//!
//! The decision: an action is recorded before it is done ([`ledger`](super::ledger)), and one that was begun is brought to its
//! end, though its client leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use hyper::Request;
use hyper::body::Incoming;
use parking_lot::RwLock;
use serde::Serialize;
use starcell_config::is_plain_name;
use starcell_log::Level;
use starcell_node::Node;
use starcell_runtime::slow::on_blocking_thread;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::openapi;
use crate::api::paths::{ApiPath, ApiRoute, Operation, route};
use crate::api::views::{AppsView, DoneView, HealthView, LogLinesView, TenantsView};
use crate::node::base::Base;
use crate::node::orders::{Act, AppName, Order, Orders, Refused};

use super::access::{Caller, Keys, Operator};
use super::answers::{Answer, failed, internal, json, with};
use super::browser;
use super::demand;
use super::ledger::Ledger;
use super::question::Question;
use super::stream::{AnswerBody, Follower};
use super::trail::Trail;

/// Readers that follow logs at once.
const FOLLOWERS: usize = 32;

/// What answers the requests of operators.
pub(crate) struct Desk {
    pub(super) base: Arc<Base>,
    node: Arc<Node>,
    orders: Orders,
    ledger: Ledger,
    keys: RwLock<Option<Arc<Keys>>>,
    ready: AtomicBool,
    followers: Arc<Semaphore>,
    /// Answers that read the audit log: one at a time.
    reading: Semaphore,
    /// Cancelled when the node ends.
    pub(super) stop: CancellationToken,
    /// Connections, and actions that were begun.
    pub(super) tasks: TaskTracker,
}

impl Desk {
    pub(crate) fn new(base: Arc<Base>, node: Arc<Node>, orders: Orders, keys: Option<Keys>) -> Arc<Self> {
        let ledger = Ledger::new(Arc::clone(&base));
        Arc::new(Self {
            base,
            node,
            orders,
            ledger,
            keys: RwLock::new(keys.map(Arc::new)),
            ready: AtomicBool::new(false),
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
            reading: Semaphore::new(1),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Says whether the node takes traffic.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Takes other tokens.
    pub(super) fn set_keys(&self, keys: Keys) {
        *self.keys.write() = Some(Arc::new(keys));
    }

    /// Answers a request.
    pub(crate) async fn answer(self: Arc<Self>, caller: Caller, request: Request<Incoming>) -> Answer {
        if let Err(refused) = browser::check(caller, &request) {
            self.ledger.stranger(&request, &refused.message).await;
            return failed(&refused);
        }
        let Some(operator) = self.operator(caller, &request) else {
            self.ledger.stranger(&request, "no token of the node").await;
            let message = "a token of the node's token file is needed: Authorization: Bearer TOKEN";
            let refused = Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
            return with(failed(&refused), WWW_AUTHENTICATE, "Bearer");
        };
        let path = request.uri().path().to_owned();
        match route(request.method().as_str(), &path) {
            ApiRoute::To(entry, name) => {
                self.enter(operator, entry, name, request).await.unwrap_or_else(|refused| failed(&refused))
            }
            ApiRoute::WrongMethod(allow) => {
                let message = format!("this path is for {allow}");
                let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message);
                with(failed(&refused), ALLOW, allow)
            }
            ApiRoute::Nothing => {
                let message = "there is no such path; GET /v1/openapi.json describes all";
                failed(&Refused::new(StatusCode::NOT_FOUND, "unknown_path", message))
            }
        }
    }

    fn operator(&self, caller: Caller, request: &Request<Incoming>) -> Option<Operator> {
        match caller {
            Caller::User(user) => Some(Operator::of_user(user)),
            Caller::Address => {
                let keys = self.keys.read().clone()?;
                keys.of(request.headers()).cloned()
            }
        }
    }

    async fn enter(
        self: Arc<Self>,
        operator: Operator,
        entry: &'static ApiPath,
        name: Option<&str>,
        request: Request<Incoming>,
    ) -> Result<Answer, Refused> {
        if operator.role < entry.role {
            let needed = entry.role.name();
            let reason = format!("{} has the role `{}`; this takes `{needed}`", operator.name, operator.role.name());
            let app = name.filter(|_| entry.path.contains("{app}"));
            self.ledger.refused(&operator, app, entry.id, &reason).await;
            return Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", reason));
        }
        let question = Question::read(request.uri().query(), entry)?;
        // A name that no app or tenant can have is one that there is not.
        let name = name.filter(|name| is_plain_name(name));
        let app = |operator: &Operator| match name {
            Some(name) => Ok(AppName { name: name.to_owned(), within: operator.tenant.clone() }),
            None => Err(Refused::no_app("of that name")),
        };
        let within = operator.tenant.clone();
        match entry.operation {
            Operation::Health => Ok(json(&self.health())),
            Operation::Description => Ok(json(&openapi::description())),
            Operation::Tenants => {
                let tenants = self.orders.give(|reply| Order::Tenants(within, reply)).await?;
                Ok(json(&TenantsView { tenants }))
            }
            Operation::Tenant => self.tenant(name.unwrap_or_default(), within).await,
            Operation::Apps => {
                let apps = self.orders.give(|reply| Order::Apps(within, reply)).await?;
                Ok(json(&AppsView { apps }))
            }
            Operation::App => {
                let app = app(&operator)?;
                Ok(json(&self.orders.give(|reply| Order::App(app, reply)).await?))
            }
            Operation::Denials => {
                let (app, tail) = (self.seen(app(&operator)?).await?, question.tail);
                self.trail(move |trail| trail.denials(&app, tail)).await
            }
            Operation::LeastProfile => {
                let app = self.seen(app(&operator)?).await?;
                self.trail(move |trail| trail.least(&app)).await
            }
            Operation::RecordTail => self.trail(move |trail| trail.tail(question.tail, within.as_deref())).await,
            Operation::LogLines => self.log_lines(app(&operator)?, &question).await,
            Operation::Deploy
            | Operation::Rollback
            | Operation::Canary
            | Operation::Preview
            | Operation::Stop
            | Operation::Start
            | Operation::Drain => {
                let app = app(&operator)?;
                let act = demand::act(entry.operation, request).await?;
                self.check_manifest(&operator, &app, &act).await?;
                let desk = Arc::clone(&self);
                let acting = self.tasks.spawn(async move { desk.act(&operator, app, act).await });
                let done = acting.await.map_err(|_panicked| internal("the node failed; its log says why"))??;
                Ok(json(&done))
            }
        }
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

    fn health(&self) -> HealthView {
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

    async fn tenant(&self, name: &str, within: Option<String>) -> Result<Answer, Refused> {
        let tenants = self.orders.give(|reply| Order::Tenants(within, reply)).await?;
        let found = tenants.into_iter().find(|tenant| tenant.name == name);
        let message = || format!("there is no tenant {name}; GET /v1/tenants lists them");
        let found = found.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "unknown_tenant", message()))?;
        Ok(json(&found))
    }

    /// An app that may be seen.
    async fn seen(&self, app: AppName) -> Result<AppName, Refused> {
        let asked = app.clone();
        self.orders.give(|reply| Order::App(asked, reply)).await?;
        Ok(app)
    }

    async fn trail<T: Serialize + Send + 'static>(
        &self,
        read: impl FnOnce(&Trail) -> Result<T, Refused> + Send + 'static,
    ) -> Result<Answer, Refused> {
        let trail = Trail::new(self.base.arguments.record.file.as_deref())?;
        // It is never closed.
        let _place = self.reading.acquire().await;
        let read = on_blocking_thread(move || read(&trail)).await;
        Ok(json(&read.map_err(|_panicked| internal("the node failed; its log says why"))??))
    }

    async fn log_lines(&self, app: AppName, question: &Question) -> Result<Answer, Refused> {
        let app = self.seen(app).await?.name;
        let log = self.base.kept_logs.of(&app);
        let tail = log.tail(question.tail);
        if !question.follow {
            return Ok(json(&LogLinesView { app, lines: tail.lines.iter().map(ToString::to_string).collect() }));
        }
        let place = Arc::clone(&self.followers).try_acquire_owned().map_err(|_| {
            let message = format!("{FOLLOWERS} readers follow logs already; ask again when one has left");
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "many_readers", message)
        })?;
        let follower = Follower::new(log, &tail, self.stop.clone(), place);
        let answer = Response::new(AnswerBody::Follow(Box::new(follower)));
        Ok(with(answer, CONTENT_TYPE, "application/x-ndjson"))
    }

    /// Does something with an app, under the eyes of the audit log.
    async fn act(&self, operator: &Operator, app: AppName, act: Act) -> Result<DoneView, Refused> {
        let asked = app.clone();
        let view = match self.orders.give(|reply| Order::App(asked, reply)).await {
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
