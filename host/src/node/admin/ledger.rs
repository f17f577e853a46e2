//! The records of what operators do and may not do.
//!
//! The decision: every action has a record in the audit log of the node before it is done, with who asks for it, and its
//! outcome after it; a request that is refused for its role, or asks for an app that its holder may not see, has one too.
//! Where the record cannot be written the action is not done. Requests of strangers, who have no token or are pages of
//! others, are recorded at most once a second, with their number.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use parking_lot::Mutex;
use starcell_audit::{Action, AuditActions, Decision, Outcome, Ticket};
use starcell_log::Level;
use tokio::time::Instant;

use crate::node::base::Base;
use crate::node::orders::{Act, Refused};

use super::access::Operator;

/// Bytes of the path of a request, in a record.
const MAX_SHOWN: usize = 200;

/// Who records.
pub(crate) struct Ledger {
    base: Arc<Base>,
    actions: AuditActions,
    strangers: Mutex<Strangers>,
}

/// Requests without a token of the node.
#[derive(Default)]
struct Strangers {
    recorded: Option<Instant>,
    since: u64,
}

/// An action that is recorded, and not done yet.
pub(crate) struct Recorded {
    ticket: Ticket,
    began: Instant,
}

impl Ledger {
    /// The records in the log of a node.
    pub(crate) fn new(base: Arc<Base>) -> Self {
        let actions = base.audit.actions();
        Self { base, actions, strangers: Mutex::default() }
    }

    /// Records an action before it is done. After an error it must not be done.
    pub(crate) async fn begin(
        &self,
        operator: &Operator,
        tenant: Option<&str>,
        app: &str,
        act: &Act,
    ) -> Result<Recorded, Refused> {
        let detail = act.detail();
        let action = Action {
            node: &self.base.name,
            tenant,
            app: Some(app),
            actor: &operator.name,
            role: Some(operator.role.name()),
            action: act.name(),
            detail: detail.as_deref(),
            decision: Decision::Allow,
            reason: None,
        };
        let ticket = self.actions.intent(&action).await.map_err(|error| unrecorded(&error.to_string()))?;
        Ok(Recorded { ticket, began: Instant::now() })
    }

    /// Records what an action came to.
    pub(crate) fn end(&self, operator: &Operator, recorded: Recorded, is_done: bool) {
        let outcome = if is_done { Outcome::Ok } else { Outcome::Error };
        self.actions.outcome(&operator.name, recorded.ticket, outcome, recorded.began.elapsed());
    }

    /// Records that an operator begins or ends something that changes nothing: a session with the console.
    pub(crate) async fn note(&self, operator: &Operator, action: &str) -> Result<(), Refused> {
        let action = Action {
            node: &self.base.name,
            tenant: operator.tenant.as_deref(),
            app: None,
            actor: &operator.name,
            role: Some(operator.role.name()),
            action,
            detail: None,
            decision: Decision::Allow,
            reason: None,
        };
        let ticket = self.actions.intent(&action).await.map_err(|error| unrecorded(&error.to_string()))?;
        self.actions.outcome(&operator.name, ticket, Outcome::Ok, Duration::ZERO);
        Ok(())
    }

    /// Records something that an operator may not do.
    pub(crate) async fn refused(&self, operator: &Operator, app: Option<&str>, action: &str, reason: &str) {
        let action = Action {
            node: &self.base.name,
            tenant: operator.tenant.as_deref(),
            app,
            actor: &operator.name,
            role: Some(operator.role.name()),
            action,
            detail: None,
            decision: Decision::Deny,
            reason: Some(reason),
        };
        self.denied(&action).await;
    }

    /// Records a request of somebody who is not known.
    pub(crate) async fn stranger<B>(&self, request: &Request<B>, why: &str) {
        let now = Instant::now();
        let since = {
            let mut strangers = self.strangers.lock();
            strangers.since += 1;
            if strangers.recorded.is_some_and(|recorded| now - recorded < Duration::from_secs(1)) {
                return;
            }
            strangers.recorded = Some(now);
            std::mem::take(&mut strangers.since)
        };
        let path: String = request.uri().path().chars().take(MAX_SHOWN).collect();
        let detail = format!("{} {path}", request.method());
        let reason = format!("{why}; {since} requests of strangers since the last record of one");
        let action = Action {
            node: &self.base.name,
            tenant: None,
            app: None,
            actor: "stranger",
            role: None,
            action: "request",
            detail: Some(&detail),
            decision: Decision::Deny,
            reason: Some(&reason),
        };
        self.denied(&action).await;
    }

    async fn denied(&self, action: &Action<'_>) {
        // It is refused in any case; a log that cannot be written tells of that itself.
        let _ = self.actions.intent(action).await;
        let what = action.reason.unwrap_or_default();
        let text = format!("{} was refused {}: {what}", action.actor, action.action);
        self.base.share.logs.say(Level::Warn, &text);
    }
}

fn unrecorded(error: &str) -> Refused {
    let message = format!("nothing was done, since it cannot be recorded: {error}");
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "audit_failed", message)
}
