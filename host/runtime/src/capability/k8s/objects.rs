//! One call of a function of the interface: who makes it, what it says, and what becomes of one that is refused.

use std::time::Duration;

use hyper::body::Bytes;
use starcell_audit::Arguments;
use starcell_policy::K8sFunction as Function;
use tokio::time::timeout;

use crate::Position;
use crate::bindings::starcell::guest::k8s::Target;
use crate::call_error::{Cause, HostCallError, shown};
use crate::caller::Caller;
use crate::gate::Gate;
use crate::k8s::route::Name;
use crate::state::State;

/// How long a call may take that was given no time.
const DEFAULT_TIME: Duration = Duration::from_secs(30);

/// Most calls of one instance. One request to a script must not become thousands to a cluster.
const MAX_CALLS: u32 = 100;

/// The calls that an instance has made.
#[derive(Clone, Copy, Debug, Default)]
struct Made(u32);

/// One call of a function of this interface.
pub(super) struct Objects<'a> {
    pub(super) caller: Caller,
    pub(super) function: Function,
    pub(super) target: Target,
    pub(super) at: &'a Position,
    /// True if the cluster is only to say what it would do.
    pub(super) dry_run: bool,
    /// True if there were too many before it.
    spent: bool,
}

impl State {
    /// A call of this instance.
    pub(super) fn objects<'a>(
        &mut self,
        function: Function,
        target: Target,
        at: &'a Position,
    ) -> wasmtime::Result<Objects<'a>> {
        let caller = self.caller()?;
        let Made(count) = self.kept();
        *count = count.saturating_add(1);
        let spent = *count > MAX_CALLS && self.is_request();
        Ok(Objects { caller, function, target, at, dry_run: false, spent })
    }
}

impl Objects<'_> {
    /// This call, as a question to the cluster what it would do if `dry_run` is true.
    pub(super) fn dry(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// The gate for this call on an object of this name, if it is about one.
    pub(super) fn gate(&self, name: Option<&str>) -> Gate {
        match (name, self.dry_run) {
            (None, false) => self.caller.gate.clone(),
            (name, dry_run) => {
                let arguments = Arguments::default().dry_run(dry_run);
                self.caller.gate.about(name.into_iter().fold(arguments, Arguments::object))
            }
        }
    }

    /// Does a call in the time it has.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, HostCallError>>,
    ) -> Result<T, HostCallError> {
        if self.spent {
            return Err(self.refused("", format!("more than {MAX_CALLS} calls for one request to the script")).await);
        }
        let time = self.target.timeout.map_or(DEFAULT_TIME, Duration::from_nanos);
        let late = |_| Err(self.failed("", format!("no answer within {} s", time.as_secs_f64())));
        timeout(time, work).await.unwrap_or_else(late)
    }

    /// A body that is not larger than bodies may be.
    pub(super) async fn body(&self, subject: &str, text: String) -> Result<Bytes, HostCallError> {
        match text.len() > self.limit() {
            true => {
                let text = format!("what is to be sent is larger than {} MiB", self.limit() >> 20);
                Err(self.refused(subject, text).await)
            }
            false => Ok(text.into()),
        }
    }

    /// The name of an object at a place.
    pub(super) async fn name(&self, place: &str, name: &str) -> Result<Name, HostCallError> {
        match Name::new(name) {
            Ok(name) => Ok(name),
            Err(text) => {
                // What is asked for is recorded, and the error names only what is wrong with it.
                let gate = self.gate(Some(&shown(name)));
                gate.unjudged(self.function, &format!("{place}/{}", shown(name)), self.at).await;
                Err(self.failed("", text))
            }
        }
    }

    /// Records a call that is refused before anyone could judge it. `asked` is what it is about, as far as that is
    /// known.
    pub(super) async fn refused(&self, asked: &str, cause: impl Into<Cause>) -> HostCallError {
        self.gate(None).unjudged(self.function, asked, self.at).await;
        self.failed(asked, cause)
    }

    /// Bytes that an answer may have.
    pub(super) fn limit(&self) -> usize {
        self.caller.app.config.limits.io_bytes
    }

    /// An error about a call, and what it is about as far as that is known.
    pub(super) fn failed(&self, subject: &str, cause: impl Into<Cause>) -> HostCallError {
        let function = format!("k8s.{}", self.function.name());
        match subject {
            "" => HostCallError::of(function, cause),
            _ => HostCallError::about(function, subject, cause),
        }
    }
}
