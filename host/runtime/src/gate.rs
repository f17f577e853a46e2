//! The one gate between a script and the world: decide, write the intent, act, write the outcome.
//!
//! Every privileged call goes through `Gate::pass`, which decides and runs the effect in that order, so that no capability
//! can act before it asked, act on anything but the permit's resource, or forget to say what became of it. Where the
//! intent cannot be written the effect does not happen. An effect that is cut short, since its request's time ran out or
//! its client left, has the outcome `cancelled`; only a host that dies leaves an intent without one.
//!
//! In count mode a refused call is done all the same and recorded as `would-deny`.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use starcell_audit::{Arguments, AuditApp, AuditError, AuditedCall, Decision, Outcome, Phase, Ticket};
use starcell_policy::{AddressClass, CanonicalPath, Capability, Denial, Endpoint, Function, Host, Permit, Reached};
use tokio::time::Instant;

use crate::authority::{Authority, Decided};
use crate::bindings::starcell::guest::types::Position;
use crate::call_error::{HostCallError, shown};

/// What an effect reports: its value and the bytes that went in or out, or why there is none.
pub(crate) type Effect<T> = Result<(T, u64), HostCallError>;

/// What every script may do, and what is recorded only on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pure {
    /// To ask for random bytes.
    Random,
    /// To wait.
    Sleep,
    /// To read the time of day.
    Time,
}

impl Pure {
    /// The function and its category, which no rule can name.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Random => ("random.bytes", "random"),
            Self::Sleep => ("time.sleep", "time"),
            Self::Time => ("time.now", "time"),
        }
    }
}

/// The gate of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    authority: Arc<Authority>,
    request: Option<Arc<str>>,
    /// What decides what a call does, beside its resource; none for most calls.
    arguments: Option<Arc<Arguments>>,
}

impl Gate {
    /// The gate of an instance that answers a request, or runs the top level if there is none.
    pub(crate) fn new(authority: Arc<Authority>, request: Option<Arc<str>>) -> Self {
        Self { authority, request, arguments: None }
    }

    /// The same gate for one call with these arguments, which its records hold.
    pub(crate) fn about(&self, arguments: Arguments) -> Self {
        Self { arguments: Some(Arc::new(arguments)), ..self.clone() }
    }

    /// Who decides.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether this instance answers a request, rather than runs the top level.
    pub(crate) fn in_request(&self) -> bool {
        self.request.is_some()
    }

    /// Decides a call, writes the intent, does `effect` with the permit, writes the outcome.
    pub(crate) async fn pass<F, T, Fut>(
        &self,
        at: &Position,
        function: F,
        resource: F::Resource,
        effect: impl FnOnce(Permit<F::Resource>) -> Fut,
    ) -> Result<T, HostCallError>
    where
        F: Function,
        Fut: Future<Output = Effect<T>>,
    {
        let decided = match self.authority.decide(function, resource) {
            Ok(decided) => decided,
            Err(denial) => return Err(self.denied(denial, at).await),
        };
        let ticket = self.intent(&decided, at).await?;
        self.act(ticket, effect(decided.permit)).await
    }

    /// The second half of the check of a request: whether it may connect to an address that its host resolved to. An
    /// address that is in the URL, or is public, was granted with it and leaves no record of its own.
    pub(crate) async fn address<R, T, F>(
        &self,
        permit: &Permit<R>,
        address: IpAddr,
        at: &Position,
        effect: impl FnOnce(Permit<Endpoint<R>>) -> F,
    ) -> Result<T, HostCallError>
    where
        R: Reached,
        F: Future<Output = Effect<T>>,
    {
        let decided = match self.authority.decide_address(permit, address) {
            Ok(decided) => decided,
            Err(denial) => return Err(self.denied(denial, at).await),
        };
        let was_granted_by_name = match Reached::host(permit.resource()) {
            Some(Host::Address(_)) | None => true,
            Some(Host::Name(_)) => decided.waived.is_none() && AddressClass::of(address) == AddressClass::Public,
        };
        let ticket = match was_granted_by_name {
            true => None,
            false => self.intent(&decided, at).await?,
        };
        self.act(ticket, effect(decided.permit)).await
    }

    /// Whether the grants cover a call, for functions that leave out what a script may not see. Nothing is recorded:
    /// the call that looks has been.
    pub(crate) fn covers<F: Function>(&self, function: F, resource: F::Resource) -> bool {
        self.authority.only_counts() || self.authority.grants().decide(function, resource).is_ok()
    }

    /// Whether the grants cover a connection, likewise.
    pub(crate) fn covers_address<R: Reached>(&self, permit: &Permit<R>, address: IpAddr) -> bool {
        self.authority.only_counts() || permit.address(address).is_ok()
    }

    /// Records the refusal of a call before a rule was looked at: its resource has no canonical form (a path above the
    /// root, a URL with credentials, a program without a path), or it is over a limit. Whoever reads the log sees the
    /// attempt.
    pub(crate) async fn unjudged<F: Function>(&self, function: F, resource: &str, at: &Position) {
        self.unknown(function.capability(), function.name(), resource, at).await;
    }

    /// The same for a call of a capability whose function is none, such as a method that no request has.
    pub(crate) async fn unknown(&self, capability: Capability, function: &str, resource: &str, at: &Position) {
        self.authority.count_denial();
        if self.authority.audit().is_on() {
            let (function, resource) = (shown(function), shown(resource));
            let function = &*function;
            let line =
                Line { capability, function, resource: &resource, decision: Decision::Deny, rule: None, needed: None };
            self.refused(line, at).await;
        }
    }

    /// Records the refusal of a call on a file of the host. No grant covers such a file, and count mode does not pass
    /// over it.
    pub(crate) async fn hosts<F: Function>(&self, function: F, path: &CanonicalPath, at: &Position) -> HostCallError {
        self.authority.count_denial();
        if self.authority.audit().is_on() {
            let (capability, function, resource) = (function.capability(), function.name(), path.to_string());
            let line =
                Line { capability, function, resource: &resource, decision: Decision::Deny, rule: None, needed: None };
            self.refused(line, at).await;
        }
        HostCallError::HostFile(function.capability(), path.clone())
    }

    /// Does what needs no permission, written down like what does. Only for an app whose operator asked for it. The
    /// guest does not say where in its script it is.
    pub(crate) async fn note<T>(
        &self,
        pure: Pure,
        file: &str,
        effect: impl Future<Output = wasmtime::Result<(T, u64)>>,
    ) -> wasmtime::Result<T> {
        let (capability, category) = pure.names();
        let call = AuditedCall {
            request: self.request.as_deref(),
            phase: self.phase(),
            capability,
            category,
            resource: "",
            decision: Decision::Allow,
            rule: None,
            needed: None,
            file,
            line: 0,
            arguments: Arguments::NONE,
        };
        let ticket = self.authority.audit().intent(&call).await.map_err(|error| {
            wasmtime::Error::msg(format!("the audit log cannot be written, so {capability} was not done: {error}"))
        })?;
        self.act(Some(ticket), effect).await
    }

    /// Does what was decided and written down, and writes what became of it.
    async fn act<T, E>(
        &self,
        ticket: Option<Ticket>,
        effect: impl Future<Output = Result<(T, u64), E>>,
    ) -> Result<T, E> {
        let open = ticket.map(|ticket| OpenCall::new(self.authority.audit(), ticket));
        let result = effect.await;
        if let Some(open) = open {
            match &result {
                Ok((_, bytes)) => open.ended(Outcome::Ok, *bytes),
                Err(_) => open.ended(Outcome::Error, 0),
            }
        }
        result.map(|(value, _)| value)
    }

    /// Writes what is about to be done. Nothing that cannot be written down is done.
    async fn intent<R: fmt::Display>(
        &self,
        decided: &Decided<R>,
        at: &Position,
    ) -> Result<Option<Ticket>, HostCallError> {
        if !self.authority.audit().is_on() {
            return Ok(None);
        }
        let (permit, waived) = (&decided.permit, decided.waived.as_ref());
        let rule = waived.map_or_else(|| permit.rule(), Denial::denied_by).map(ToString::to_string);
        let line = Line {
            capability: permit.capability(),
            function: permit.function(),
            resource: &permit.resource().to_string(),
            decision: if waived.is_some() { Decision::WouldDeny } else { Decision::Allow },
            rule: rule.as_deref(),
            needed: waived.and_then(Denial::needed_profile),
        };
        line.write(self, at).await.map(Some).map_err(HostCallError::Unrecorded)
    }

    /// Records a refusal.
    async fn denied(&self, denial: Denial, at: &Position) -> HostCallError {
        self.authority.count_denial();
        if self.authority.audit().is_on() {
            let resource = match denial.address() {
                Some(address) => format!("{} {address}", denial.resource()),
                None => denial.resource().to_owned(),
            };
            let rule = denial.denied_by().map(ToString::to_string);
            let line = Line {
                capability: denial.capability(),
                function: denial.function(),
                resource: &resource,
                decision: Decision::Deny,
                rule: rule.as_deref(),
                needed: denial.needed_profile(),
            };
            self.refused(line, at).await;
        }
        HostCallError::Denied(denial)
    }

    async fn refused(&self, line: Line<'_>, at: &Position) {
        if let Err(error) = line.write(self, at).await {
            let text = format!("a refusal could not be recorded: {error}");
            self.authority.report().unrecorded(at, self.request.as_deref(), &text).await;
        }
    }

    fn phase(&self) -> Phase {
        if self.in_request() { Phase::Request } else { Phase::Setup }
    }
}

/// A call whose intent is written and whose outcome is not. Dropping it is an outcome too.
struct OpenCall<'a> {
    audit: &'a AuditApp,
    ticket: Option<Ticket>,
    began: Instant,
}

impl<'a> OpenCall<'a> {
    fn new(audit: &'a AuditApp, ticket: Ticket) -> Self {
        Self { audit, ticket: Some(ticket), began: Instant::now() }
    }

    fn ended(mut self, outcome: Outcome, bytes: u64) {
        self.write(outcome, bytes);
    }

    fn write(&mut self, outcome: Outcome, bytes: u64) {
        if let Some(ticket) = self.ticket.take() {
            self.audit.outcome(ticket, outcome, self.began.elapsed(), bytes);
        }
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.write(Outcome::Cancelled, 0);
    }
}

/// What a record says of the call itself.
struct Line<'a> {
    capability: Capability,
    function: &'a str,
    resource: &'a str,
    decision: Decision,
    rule: Option<&'a str>,
    needed: Option<&'a str>,
}

impl Line<'_> {
    async fn write(&self, gate: &Gate, at: &Position) -> Result<Ticket, AuditError> {
        let call = AuditedCall {
            request: gate.request.as_deref(),
            phase: gate.phase(),
            capability: &name(self.capability, self.function),
            category: &self.capability.to_string(),
            resource: self.resource,
            decision: self.decision,
            rule: self.rule,
            needed: self.needed,
            file: &at.file,
            line: at.line,
            arguments: gate.arguments.as_deref().unwrap_or(Arguments::NONE),
        };
        gate.authority.audit().intent(&call).await
    }
}

/// A function as scripts know it. `http` alone has two sides, so the serving one is named with its category.
fn name(capability: Capability, function: &str) -> String {
    match capability {
        Capability::HttpServer => format!("{capability}.{function}"),
        _ => format!("{}.{}", capability.module(), function.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests;
