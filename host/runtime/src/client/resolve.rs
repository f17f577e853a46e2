//! Names to addresses. A trait, so that a test can be the name server that lies.

use std::fmt;
use std::io;
use std::net::IpAddr;

use starcell_policy::HostName;

use crate::edge::BoxFuture;

/// Most addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 16;

/// Tells the addresses of a name.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses of a name, the preferred first.
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Resolve for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that resolves; each answer is judged before it is used"
    )]
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(addresses.map(|address| address.ip()).take(MAX_ADDRESSES).collect())
        })
    }
}
