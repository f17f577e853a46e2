//! The one gate between a script and the world: decide, write the intent, act, write the outcome.
//!
//! Every privileged call goes through `Gate::pass`, which takes the decision and the effect as functions and runs
//! them in that order, so that no capability can act before it asked, act on anything but the permit's resource, or
//! forget to say what became of it. Where the intent cannot be written the effect does not happen. An effect that is
//! cut short (its request's time ran out) leaves an intent without an outcome, which a reader takes for unknown.
//!
//! In count mode a refused call is done all the same and recorded as `would-deny`. Its permit comes from grants that
//! allow everything, not from a way around the decision: there is none.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use starcell_audit::{Arguments, AuditError, Call, Decision, Outcome, Phase, Ticket};
use starcell_policy::{AddressClass, Capability, Denial, Endpoint, Grants, Host, HttpMethod, Permit, Url};
use tokio::time::Instant;

use crate::Position;
use crate::app::App;
use crate::bindings::starcell::guest::types::Error;
use crate::edge::{Level, LogRecord};
use crate::state::{Role, State};

/// What becomes of a call that the grants do not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It is done, and recorded as one that would have been refused. For learning what a script needs.
    Count,
}

/// What an effect reports: its value and the bytes that went in or out; or the sentence for the script.
pub(crate) type Effect<T> = Result<(T, u64), String>;

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
    app: Arc<App>,
    request: Option<Arc<str>>,
}

/// A permit and what is recorded of how it came about.
struct Decided<R> {
    permit: Permit<R>,
    /// The refusal that count mode passed over.
    waived: Option<Denial>,
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl State {
    /// The gate of this instance; only one that runs a script's code has any.
    pub(crate) fn gate(&self) -> wasmtime::Result<Gate> {
        match &self.role {
            Role::Setup(app) | Role::Collect(app) => Ok(Gate { app: Arc::clone(app), request: None }),
            Role::Request(app, id) => Ok(Gate { app: Arc::clone(app), request: Some(Arc::clone(id)) }),
            Role::Boot | Role::Freeze(_) => {
                Err(wasmtime::Error::msg("the guest asked for a capability while no script runs"))
            }
        }
    }

    /// The gate for what needs no permission, where that is recorded.
    pub(crate) fn pure_gate(&self) -> Option<Gate> {
        self.gate().ok().filter(|gate| gate.app.config.record_pure)
    }
}

impl Gate {
    /// The app this is the gate of.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Whether this instance answers a request, rather than runs the top level.
    pub(crate) fn in_request(&self) -> bool {
        self.request.is_some()
    }

    /// Decides a call, writes the intent, does `effect` with the permit, writes the outcome.
    pub(crate) async fn pass<R, T, E, F>(
        &self,
        at: &Position,
        decide: impl Fn(&Grants) -> Result<Permit<R>, Denial>,
        effect: impl FnOnce(Permit<R>) -> F,
    ) -> Result<T, Error>
    where
        R: fmt::Display,
        E: Into<Error>,
        F: Future<Output = Result<(T, u64), E>>,
    {
        let decided = match self.decide(decide) {
            Ok(decided) => decided,
            Err(denial) => return Err(self.denied(&denial, at).await),
        };
        let ticket = self.intent(&decided, || decided.permit.resource().to_string(), at).await?;
        self.act(ticket, effect(decided.permit)).await.map_err(Into::into)
    }

    /// The second half of the check of a request: whether it may connect to an address that its host resolved to. An
    /// address that is in the URL, or is public, was granted with it and leaves no record of its own.
    pub(crate) async fn address<T, E, F>(
        &self,
        permit: &Permit<Url>,
        address: IpAddr,
        at: &Position,
        effect: impl FnOnce(Permit<Endpoint>) -> F,
    ) -> Result<T, Error>
    where
        E: Into<Error>,
        F: Future<Output = Result<(T, u64), E>>,
    {
        let decided = match self.decide_address(permit, address) {
            Ok(decided) => decided,
            Err(denial) => return Err(self.denied(&denial, at).await),
        };
        let told = match permit.resource().host() {
            Host::Address(_) => true,
            Host::Name(_) => decided.waived.is_none() && AddressClass::of(address) == AddressClass::Public,
        };
        let ticket = match told {
            true => None,
            false => self.intent(&decided, || decided.permit.resource().to_string(), at).await?,
        };
        self.act(ticket, effect(decided.permit)).await.map_err(Into::into)
    }

    /// Does what was decided and written down, and writes what became of it.
    async fn act<T, E>(
        &self,
        ticket: Option<Ticket>,
        effect: impl Future<Output = Result<(T, u64), E>>,
    ) -> Result<T, E> {
        let began = ticket.is_some().then(Instant::now);
        let result = effect.await;
        if let (Some(ticket), Some(began)) = (ticket, began) {
            let (outcome, bytes) = match &result {
                Ok((_, bytes)) => (Outcome::Ok, *bytes),
                Err(_) => (Outcome::Error, 0),
            };
            self.app.config.audit.outcome(ticket, outcome, began.elapsed(), bytes);
        }
        result.map(|(value, _)| value)
    }

    /// Whether the grants cover a call, for functions that leave out what a script may not see. Nothing is recorded:
    /// the call that looks has been.
    pub(crate) fn covers<R>(&self, decide: impl Fn(&Grants) -> Result<Permit<R>, Denial>) -> bool {
        self.app.config.mode == Mode::Count || decide(&self.app.config.grants).is_ok()
    }

    /// Whether the grants cover a connection, likewise.
    pub(crate) fn covers_address(&self, permit: &Permit<Url>, address: IpAddr) -> bool {
        self.app.config.mode == Mode::Count || permit.address(address).is_ok()
    }

    fn decide_address(&self, permit: &Permit<Url>, address: IpAddr) -> Result<Decided<Endpoint>, Denial> {
        let denial = match permit.address(address) {
            Ok(permit) => return Ok(Decided { permit, waived: None }),
            Err(denial) => denial,
        };
        let method = HttpMethod::named(permit.function()).filter(|_| self.app.config.mode == Mode::Count);
        let Some(method) = method else { return Err(denial) };
        let everywhere = self.app.permissive.http_client(method, permit.resource().clone())?;
        Ok(Decided { permit: everywhere.address(address)?, waived: Some(denial) })
    }

    fn decide<R>(&self, decide: impl Fn(&Grants) -> Result<Permit<R>, Denial>) -> Result<Decided<R>, Denial> {
        match decide(&self.app.config.grants) {
            Ok(permit) => Ok(Decided { permit, waived: None }),
            Err(denial) if self.app.config.mode == Mode::Count => {
                decide(&self.app.permissive).map(|permit| Decided { permit, waived: Some(denial) })
            }
            Err(denial) => Err(denial),
        }
    }

    /// Writes what is about to be done. Nothing that cannot be written down is done.
    async fn intent<R>(
        &self,
        decided: &Decided<R>,
        resource: impl FnOnce() -> String,
        at: &Position,
    ) -> Result<Option<Ticket>, Error> {
        let audit = &self.app.config.audit;
        if !audit.is_on() {
            return Ok(None);
        }
        let (permit, waived) = (&decided.permit, decided.waived.as_ref());
        let rule = waived.map_or_else(|| permit.rule(), Denial::denied_by).map(ToString::to_string);
        let line = Line {
            capability: permit.capability(),
            function: permit.function(),
            resource: &resource(),
            decision: if waived.is_some() { Decision::WouldDeny } else { Decision::Allow },
            rule: rule.as_deref(),
            needed: waived.and_then(Denial::needed_profile),
        };
        let ticket = line.write(self, at).await.map_err(|error| {
            Error::Failed(format!("the audit log cannot be written, so the call was not made: {error}"))
        })?;
        Ok(Some(ticket))
    }

    /// Records a refusal, and gives it the form that a script sees.
    async fn denied(&self, denial: &Denial, at: &Position) -> Error {
        if self.app.config.audit.is_on() {
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
        Error::Denied(denial.to_string())
    }

    /// Records the refusal of a call that no profile could judge, since its resource has no canonical form: a path
    /// above the root, a URL with credentials, a program without a path. Whoever reads the log sees the attempt.
    pub(crate) async fn unjudged(&self, capability: Capability, function: &'static str, resource: &str, at: &Position) {
        if self.app.config.audit.is_on() {
            let decision = Decision::Deny;
            self.refused(Line { capability, function, resource, decision, rule: None, needed: None }, at).await;
        }
    }

    async fn refused(&self, line: Line<'_>, at: &Position) {
        if let Err(error) = line.write(self, at).await {
            let message = &format!("a refusal could not be recorded: {error}");
            let request = self.request.as_deref();
            let level = Some(Level::Error);
            self.app.edge.log(&LogRecord { level, message, attributes: &[], at, request }).await;
        }
    }

    /// Does what needs no permission, written down like what does. Only for an app whose operator asked for it. The
    /// guest does not say where in its script it is.
    pub(crate) async fn note<T>(
        &self,
        pure: Pure,
        effect: impl Future<Output = wasmtime::Result<(T, u64)>>,
    ) -> wasmtime::Result<T> {
        let (capability, category) = pure.names();
        let call = Call {
            request: self.request.as_deref(),
            phase: self.phase(),
            capability,
            category,
            resource: "",
            decision: Decision::Allow,
            rule: None,
            needed: None,
            file: &self.app.config.script,
            line: 0,
            arguments: Arguments::NONE,
        };
        let ticket = self.app.config.audit.intent(&call).await.map_err(|error| {
            wasmtime::Error::msg(format!("the audit log cannot be written, so {capability} was not done: {error}"))
        })?;
        self.act(Some(ticket), effect).await
    }

    fn phase(&self) -> Phase {
        if self.in_request() { Phase::Request } else { Phase::Setup }
    }
}

/// What a record says of the call itself.
struct Line<'a> {
    capability: Capability,
    function: &'static str,
    resource: &'a str,
    decision: Decision,
    rule: Option<&'a str>,
    needed: Option<&'a str>,
}

impl Line<'_> {
    async fn write(&self, gate: &Gate, at: &Position) -> Result<Ticket, AuditError> {
        let call = Call {
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
            arguments: Arguments::NONE,
        };
        gate.app.config.audit.intent(&call).await
    }
}

/// A function as scripts know it. `http` alone has two sides, so the serving one is named with its category.
fn name(capability: Capability, function: &str) -> String {
    match capability {
        Capability::HttpServer => format!("{capability}.{function}"),
        _ => format!("{}.{}", capability.module(), function.to_ascii_lowercase()),
    }
}
