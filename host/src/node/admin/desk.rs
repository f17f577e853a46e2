//! From a request of an operator to its answer: who asks, what for, and in which form the answer goes back.
//!
//! The decision: a request of another page is refused before anything else is looked at. What is left is for the console,
//! whose pages are in [`console`](crate::console), or an operation of the table of paths, which [`clerk`](super::clerk) carries
//! out and which is answered in JSON here.

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use hyper::Request;
use hyper::body::Incoming;
use starcell_node::Node;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::openapi;
use crate::api::paths::{ApiPath, ApiRoute, Operation, route};
use crate::api::views::{AppsView, LogLinesView, TenantsView};
use crate::console::{Console, is_of_console};
use crate::node::base::Base;
use crate::node::orders::{AppName, Orders, Refused};

use super::access::{Caller, Keys, Operator};
use super::answers::{Answer, failed, json, with};
use super::browser;
use super::clerk::Clerk;
use super::demand;
use super::question::Question;
use super::stream::{AnswerBody, Follower};

/// Readers that follow logs at once.
const FOLLOWERS: usize = 32;

/// What answers the requests of operators.
pub(crate) struct Desk {
    pub(super) clerk: Arc<Clerk>,
    console: Console,
    followers: Arc<Semaphore>,
    /// Cancelled when the node ends.
    pub(super) stop: CancellationToken,
}

impl Desk {
    pub(crate) fn new(base: Arc<Base>, node: Arc<Node>, orders: Orders, keys: Option<Keys>) -> Arc<Self> {
        let clerk = Clerk::new(base, node, orders, keys);
        Arc::new(Self {
            console: Console::new(Arc::clone(&clerk)),
            clerk,
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
            stop: CancellationToken::new(),
        })
    }

    /// Says whether the node takes traffic.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.clerk.set_ready(ready);
    }

    /// Takes other tokens.
    pub(super) fn set_keys(&self, keys: Keys) {
        self.clerk.set_keys(keys);
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, caller: Caller, request: Request<Incoming>) -> Answer {
        let is_page = is_of_console(request.uri().path());
        // A browser that reaches the unix socket does so through an address, which a page of a stranger can name too.
        let reached = if is_page { Caller::Address } else { caller };
        if let Err(refused) = browser::check(reached, &request) {
            self.clerk.ledger.stranger(&request, &refused.message).await;
            return failed(&refused);
        }
        if is_page {
            return self.console.answer(caller, request).await;
        }
        let Some(operator) = self.operator(caller, &request) else {
            self.clerk.ledger.stranger(&request, "no token of the node").await;
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
            Caller::Address => self.clerk.keys()?.of(request.headers()).cloned(),
        }
    }

    async fn enter(
        &self,
        operator: Operator,
        entry: &'static ApiPath,
        name: Option<&str>,
        request: Request<Incoming>,
    ) -> Result<Answer, Refused> {
        let (clerk, named) = (&self.clerk, name.filter(|_| entry.path.contains("{app}")));
        clerk.check_role(&operator, entry.role, named, entry.id).await?;
        let question = Question::read(request.uri().query(), entry)?;
        let app = || Clerk::app_name(&operator, name);
        match entry.operation {
            Operation::Health => Ok(json(&clerk.health())),
            Operation::Description => Ok(json(&openapi::description())),
            Operation::Tenants => Ok(json(&TenantsView { tenants: clerk.tenants(&operator).await? })),
            Operation::Tenant => Ok(json(&clerk.tenant(&operator, name.unwrap_or_default()).await?)),
            Operation::Apps => Ok(json(&AppsView { apps: clerk.apps(&operator).await? })),
            Operation::App => Ok(json(&clerk.app(app()?).await?)),
            Operation::Denials => Ok(json(&clerk.denials(app()?, question.tail).await?)),
            Operation::LeastProfile => Ok(json(&clerk.least(app()?).await?)),
            Operation::RecordTail => {
                let within = operator.tenant.clone();
                Ok(json(&clerk.trail(move |trail| trail.tail(question.tail, within.as_deref())).await?))
            }
            Operation::LogLines => self.log_lines(app()?, &question).await,
            Operation::Deploy
            | Operation::Rollback
            | Operation::Canary
            | Operation::Preview
            | Operation::Stop
            | Operation::Start
            | Operation::Drain => {
                let app = app()?;
                let act = demand::act(entry.operation, request).await?;
                Ok(json(&clerk.act(operator, app, act).await?))
            }
        }
    }

    async fn log_lines(&self, app: AppName, question: &Question) -> Result<Answer, Refused> {
        let (app, log) = self.clerk.log(app).await?;
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
}
