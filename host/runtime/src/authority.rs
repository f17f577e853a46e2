//! Who decides and records the calls of one app: its grants, what becomes of a call that they do not cover, and its audit
//! log. All that the [gate](crate::gate) knows of an app.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use starcell_audit::AuditApp;
use starcell_policy::{Denial, Endpoint, Function, Grants, Permit, Profile, Reached, Roots};

use crate::bindings::starcell::guest::types::Position;

/// What becomes of a call that the grants do not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It is done, and recorded as one that would have been refused. For learning what a script needs.
    Count,
}

/// Who is told when a refusal could not be recorded. The refusal stands all the same, so nobody else would notice.
pub(crate) trait Report: fmt::Debug + Send + Sync {
    /// Tells the operator.
    fn unrecorded<'a>(&'a self, at: &'a Position, request: Option<&'a str>, text: &'a str) -> BoxFuture<'a, ()>;
}

/// Who counts the calls of an app that were refused.
pub trait DenialWatch: fmt::Debug + Send + Sync + 'static {
    /// A call was refused. Must not wait.
    fn denied(&self);
}

/// The authority of one app.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    grants: Grants,
    /// Grants that allow everything: what count mode acts under.
    everything: Grants,
    mode: Mode,
    audit: AuditApp,
    record_pure: bool,
    report: Arc<dyn Report>,
    watch: Option<Arc<dyn DenialWatch>>,
}

/// A permit, and the refusal that count mode passed over.
pub(crate) struct Decided<R> {
    pub(crate) permit: Permit<R>,
    pub(crate) waived: Option<Denial>,
}

impl Authority {
    /// The authority of an app with these grants.
    pub(crate) fn new(grants: Grants, mode: Mode, audit: AuditApp, roots: &Roots, report: Arc<dyn Report>) -> Self {
        // No rule of allow-all has a variable without a meaning, so making it cannot fail.
        let everything = Profile::named("allow-all").unwrap_or_default();
        let everything = Grants::new(&everything, &[], &[], roots).unwrap_or_else(|_| grants.clone());
        Self { grants, everything, mode, audit, record_pure: false, report, watch: None }
    }

    /// The same, where time, waiting and randomness are recorded too if `record` says so.
    pub(crate) fn recording_pure(self, record: bool) -> Self {
        Self { record_pure: record, ..self }
    }

    /// The same, with whoever counts refusals.
    pub(crate) fn watched_by(self, watch: Option<Arc<dyn DenialWatch>>) -> Self {
        Self { watch, ..self }
    }

    /// Counts a refusal.
    pub(crate) fn count_denial(&self) {
        self.watch.iter().for_each(|watch| watch.denied());
    }

    /// What the app may do.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Where its calls are recorded.
    pub(crate) fn audit(&self) -> &AuditApp {
        &self.audit
    }

    /// Whether what needs no permission is recorded as well.
    pub(crate) fn records_pure(&self) -> bool {
        self.record_pure
    }

    /// Who is told of a refusal that could not be recorded.
    pub(crate) fn report(&self) -> &dyn Report {
        &*self.report
    }

    /// Whether the app only counts the calls that its grants do not cover.
    pub(crate) fn only_counts(&self) -> bool {
        self.mode == Mode::Count
    }

    /// Decides a call. In count mode a refused one gets its permit from grants that allow everything, not from a way
    /// around the decision: there is none.
    pub(crate) fn decide<F: Function>(
        &self,
        function: F,
        resource: F::Resource,
    ) -> Result<Decided<F::Resource>, Denial> {
        if !self.only_counts() {
            return Ok(Decided { permit: self.grants.decide(function, resource)?, waived: None });
        }
        match self.grants.decide(function, resource.clone()) {
            Ok(permit) => Ok(Decided { permit, waived: None }),
            Err(denial) => Ok(Decided { permit: self.everything.decide(function, resource)?, waived: Some(denial) }),
        }
    }

    /// Decides the connection to an address that the host of a request was resolved to.
    pub(crate) fn decide_address<R: Reached>(
        &self,
        permit: &Permit<R>,
        address: IpAddr,
    ) -> Result<Decided<Endpoint<R>>, Denial> {
        let denial = match permit.address(address) {
            Ok(permit) => return Ok(Decided { permit, waived: None }),
            Err(denial) => denial,
        };
        let function = R::named(permit.function()).filter(|_| self.only_counts());
        let Some(function) = function else { return Err(denial) };
        let everywhere = self.everything.decide(function, permit.resource().clone())?;
        Ok(Decided { permit: everywhere.address(address)?, waived: Some(denial) })
    }
}
