//! Bundles of apps in a registry that speaks the OCI distribution specification 1.1: pulled by nodes, pushed by operators.
//!
//! **The decision.** A bundle is one artifact: a manifest of the type [`ARTIFACT`] with one layer, which is the file of the
//! bundle. Everything that a registry says is compared with something else: a manifest with the digest that names it, a
//! layer with the digest and size in its manifest, and a signature, where the node has a key, with that key. A registry
//! decides which of the bundles with a good signature a tag names, and nothing more.
//!
//! **What it refuses.** An answer that is longer than it may be, or that takes longer; a redirect to a place without
//! encryption, or from a public registry into a private network; credentials over a connection that others can read, after a
//! redirect, or for another server that the registry names. A registry elsewhere is asked over TLS unless the operator says
//! otherwise.
//!
//! **The attack it answers.** Whoever runs the registry, or the network before it, tries to have the node run other apps,
//! to learn its credentials, to send it to servers that only the node can reach, or to hold it up.
//!
//! This crate opens no socket: a [`RegistryDial`] does, which knows the certificates and names of the process.
//!
//! | module | job |
//! |---|---|
//! | [`pull`], [`push`] | What is asked for, in which order |
//! | `manifest` | The manifest of a bundle |
//! | `session` | Requests to one registry, with its login and its redirects |
//! | `challenge`, [`logins`] | How a registry asks for a login; the file of the logins |
//! | `exchange` | One request and its answer, both bounded |
//! | [`dial`], [`error`] | How a connection is had; what can go wrong |

#![forbid(unsafe_code)]

mod challenge;
pub mod dial;
pub mod error;
mod exchange;
pub mod logins;
mod manifest;
pub mod pull;
pub mod push;
mod session;

pub use dial::{Dialled, RegistryDial, RegistryStream};
pub use error::RegistryError;
pub use logins::{LoginsError, RegistryLogins};
pub use manifest::{ARTIFACT, LAYER, ListedBundle};
pub use session::{Registry, RegistryTerms};
