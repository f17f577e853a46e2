//! A node with many apps: from its files to its listeners.
//!
//! - [`files`]: what lies in its folders
//! - [`base`]: what all its apps share, and what one of them is started with
//! - [`bounds`]: how many of them fit into memory at once
//! - [`deployer`]: apps that come, change and go
//! - [`front`]: its listeners and their certificates
//! - [`stand`]: what the walls around it leave open
//! - [`reread`]: what a configuration changes that is read again
//! - [`sockets`]: the listening sockets that it was given or has
//! - [`handover`]: from a running node to a new process
//! - [`shift`]: one time of serving, from bound listeners to stores that are closed
//! - [`sheet`]: what each app may do, for `--check`
//!
//! What answers requests is in [`starcell_node`].

pub(crate) mod base;
pub(crate) mod bounds;
pub(crate) mod deployer;
pub(crate) mod files;
pub(crate) mod front;
pub(crate) mod handover;
mod places;
pub(crate) mod reread;
pub(crate) mod sheet;
pub(crate) mod shift;
pub(crate) mod sockets;
pub(crate) mod stand;
