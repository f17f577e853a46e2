//! An action of an operator on a node: a deploy, a rollback, a stop, and one that was refused.
//!
//! An action has a kind of line of its own and is no call of a script: no rule is about it, so the answers about use and
//! least privilege leave it out. It is written before it is done, as a call is, and its outcome follows under its id.

use crate::call::Decision;

/// An action on a node, before it is done.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// The machine.
    pub node: &'a str,
    /// The owner of the app.
    pub tenant: Option<&'a str>,
    /// The app that is acted on.
    pub app: Option<&'a str>,
    /// The person or program: the name of a token, or the user at the other end of a socket.
    pub actor: &'a str,
    /// The role that the actor has; none for an actor that is not known.
    pub role: Option<&'a str>,
    /// The action: `deploy`, `rollback`, `stop`.
    pub action: &'a str,
    /// The arguments that decide what the action does, such as `revision=3`.
    pub detail: Option<&'a str>,
    /// Allowed or denied.
    pub decision: Decision,
    /// Why it was denied.
    pub reason: Option<&'a str>,
}

/// An action in the log; see [`Action`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of Action")]
pub struct ActionRecord {
    /// Ties it to its outcome.
    pub id: u64,
    pub node: String,
    pub tenant: Option<String>,
    pub app: Option<String>,
    pub actor: String,
    pub role: Option<String>,
    pub action: String,
    pub detail: Option<String>,
    pub decision: Decision,
    pub reason: Option<String>,
    /// True if a value was too long and ends in an ellipsis.
    pub cut: bool,
}

impl ActionRecord {
    /// The action as its writer had it.
    #[must_use]
    pub fn action(&self) -> Action<'_> {
        Action {
            node: &self.node,
            tenant: self.tenant.as_deref(),
            app: self.app.as_deref(),
            actor: &self.actor,
            role: self.role.as_deref(),
            action: &self.action,
            detail: self.detail.as_deref(),
            decision: self.decision,
            reason: self.reason.as_deref(),
        }
    }
}
