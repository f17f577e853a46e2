//! A node with many apps: from its files to its listeners.
//!
//! - [`files`]: what lies in its folders
//! - [`base`]: what all its apps share, and what one of them is started with
//! - [`bounds`]: how many of them fit into memory at once
//! - [`elsewhere`]: apps that come from a bundle or a registry
//! - [`deployer`]: apps that come, change and go
//! - [`history`]: what is known of the revisions of an app
//! - [`archive`], [`durable`]: the revisions on disk, and how they get there
//! - [`upload`]: files of an app that an operator sends
//! - [`orders`], [`admin`]: what operators ask for, and the API by which they do
//! - [`front`]: its listeners and their certificates
//! - [`stand`]: what the walls around it leave open
//! - [`reread`]: what a configuration changes that is read again
//! - [`sockets`]: the listening sockets that it was given or has
//! - [`handover`]: from a running node to a new process
//! - [`shift`]: one time of serving, from bound listeners to stores that are closed
//! - [`sheet`]: what each app may do, for `--check`
//!
//! What answers requests is in [`starcell_node`].

pub(crate) mod admin;
mod archive;
pub(crate) mod base;
pub(crate) mod bounds;
pub(crate) mod deployer;
mod durable;
pub(crate) mod elsewhere;
pub(crate) mod files;
pub(crate) mod front;
pub(crate) mod handover;
mod history;
pub(crate) mod orders;
mod places;
pub(crate) mod reread;
pub(crate) mod sheet;
pub(crate) mod shift;
pub(crate) mod sockets;
pub(crate) mod stand;
pub(crate) mod upload;
