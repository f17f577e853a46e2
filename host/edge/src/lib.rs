//! From sockets to requests and back: listeners, TLS, deadlines, framing.
//!
//! This crate knows no script. It reads the head of a request, hands it with a [`Body`] to the [`Responder`] behind the
//! address, and sends what that answers. Everything a client can do slowly, or too often, or against the grammar of
//! HTTP, ends here.
//!
//! In the order a request meets them:
//! - [`edge`]: what all listeners of a process share, and what clients may use
//! - [`address`]: an address that is bound, and what stands behind it at the moment
//! - [`listener`], [`places`]: connections accepted for ever, within bounds
//! - [`tls`], [`keys`], [`pem`]: certificates, of one server or of many names, read again when they change
//! - `group`: whose connections have the next turn
//! - `connection`, `transport`, `socket`, `activity`, `streams`, `pace`: one connection under its deadlines
//! - `exchange`, [`ids`], `access`: one request of it: its id, its response, its line in the log
//! - [`limits`]: what clients may use of one server
//! - [`body`]: the body of a request, read whole or refused: status 413 is decided there
//! - [`responder`]: the trait of whoever answers
//!
//! What HTTP means, byte by byte, is in [`starcell_http`].

mod access;
mod activity;
pub mod address;
pub mod body;
mod client;
mod connection;
pub mod edge;
mod exchange;
mod group;
pub mod heads;
mod ids;
pub mod keys;
pub mod limits;
pub mod listener;
mod pace;
pub mod pem;
pub mod places;
mod rarely;
pub mod responder;
mod socket;
mod streams;
pub mod tls;
mod transport;

pub use address::{BindError, BoundAddress, Front};
pub use body::{Body, Gathered};
pub use edge::{Edge, EdgeConfig};
pub use group::ConnectionGroup;
pub use ids::{Ids, RequestId};
pub use keys::{KeysSource, NamedPem};
pub use limits::{ClientLimits, ClientWishes};
pub use pem::CertificatePem;
pub use places::Places;
pub use responder::{Answered, Asked, Held, Peer, Responder, Responding};
pub use tls::{CertificateSource, Tls};
