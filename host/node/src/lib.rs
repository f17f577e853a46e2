//! Apps and their servers, and what answers a request once the edge has read its head.
//!
//! - [`launch`]: all that an app is started with, in one value; a part that is missing does not compile
//! - [`terms`]: what an operator decided for all servers of an app
//! - [`servers`]: the servers of an app: bound, served, stopped, drained; taken over when its script changes
//! - [`routes`]: the routes of a server, within bounds
//! - [`lowered`]: options of a server that the operator's flags lower
//! - [`site`]: a server as its clients meet it
//! - [`hosts`]: the hosts that a server answers for
//! - `queue`: places for its requests
//! - [`mod@answer`]: the whole story of a request: route, read, wait for a place, run, respond
//! - [`remark`]: what scripts say, for the log
//! - [`subject`]: how a version of an app is named in the audit log
//!
//! A request comes from [`starcell_edge`], or from a test that has no socket; nothing here can tell which.

pub mod answer;
pub mod hosts;
pub mod launch;
pub mod lowered;
mod queue;
pub mod remark;
pub mod routes;
pub mod servers;
pub mod site;
pub mod subject;
pub mod terms;

pub use answer::answer;
pub use hosts::Hosts;
pub use launch::Launch;
pub use servers::Servers;
pub use site::{FailureNotes, Handlers, Site};
pub use terms::AppTerms;
