//! The API that a node is operated by.
//!
//! - `browser`: requests that a page of somebody else makes
//! - [`access`]: who asks, and what they may
//! - [`server`]: the address or socket, its connections, and one request of them
//! - `socket`: the socket in the file system
//! - `lobby`: places for connections, and who gives way
//! - [`desk`]: from a request to its answer; `answers`: their forms
//! - [`clerk`]: what is answered and done, for the API and for the [console](crate::console); [`kept`]: files of revisions
//! - `question`, `demand`: what a request says beside its path, and the action that it asks for
//! - `ledger`: what is recorded of it
//! - [`trail`]: answers that the audit log has
//! - [`stream`]: bodies that are there, and those that go on

pub(crate) mod access;
pub(crate) mod answers;
mod browser;
pub(crate) mod clerk;
mod demand;
pub(crate) mod desk;
pub(crate) mod kept;
pub(crate) mod ledger;
mod lobby;
pub(crate) mod question;
pub(crate) mod server;
mod socket;
pub(crate) mod stream;
pub(crate) mod trail;
