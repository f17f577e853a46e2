//! A node with many apps: from its files to its listeners.
//!
//! - [`files`]: what lies in its folders
//! - [`base`]: what all its apps share, and what one of them is started with
//! - [`bounds`]: how many of them fit into memory at once
//! - [`deployer`]: apps that come, change and go
//! - [`front`]: its listeners and their certificates
//! - [`stand`]: what the walls around it leave open
//! - [`sheet`]: what each app may do, for `--check`
//!
//! What answers requests is in [`starcell_node`].

pub(crate) mod base;
pub(crate) mod bounds;
pub(crate) mod deployer;
pub(crate) mod files;
pub(crate) mod front;
mod places;
pub(crate) mod sheet;
pub(crate) mod stand;
