//! One call of a function on databases.

use starcell_policy::{SqlFunction as Function, SqlSource};

use crate::Position;
use crate::bindings::starcell::guest::sql::Connection as Described;
use crate::call_error::{Cause, HostCallError};
use crate::caller::Caller;

/// One call of a function of the interface.
pub(super) struct Calling<'a> {
    pub(super) caller: Caller,
    /// Its name in a script, for errors.
    pub(super) name: &'static str,
    pub(super) function: Function,
    pub(super) connection: &'a Described,
    pub(super) at: &'a Position,
}

impl Calling<'_> {
    /// The database, if its URL is one; what cannot be judged is refused.
    pub(super) async fn judged(&self) -> Result<SqlSource, HostCallError> {
        match SqlSource::parse(&self.connection.url, Some(&self.caller.app.config.cwd)) {
            Ok(source) => Ok(source),
            Err(error) => Err(self.refused(error).await),
        }
    }

    /// Records a call that is refused before anyone could judge it.
    pub(super) async fn refused(&self, cause: impl Into<Cause>) -> HostCallError {
        self.caller.gate.unjudged(self.function, &self.connection.url, self.at).await;
        self.failed(cause)
    }

    /// A failure of the call.
    pub(super) fn failed(&self, cause: impl Into<Cause>) -> HostCallError {
        HostCallError::about(self.name, &self.connection.url, cause)
    }
}
