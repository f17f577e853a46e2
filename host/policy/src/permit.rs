//! Permits: proof that a decision allowed a call, and the resource it allowed.
//!
//! The effect takes a permit instead of a name or a flag, so it cannot run without the check and
//! cannot act on anything but what was checked. Only the decision makes permits: the fields are
//! private, there is no constructor, and a permit is neither `Clone` nor `Copy`.
//!
//! ```
//! use starcell_policy::{CanonicalPath, Grants, Profile, Roots, ServerAddress, ServerFunction};
//!
//! let roots = Roots::new(CanonicalPath::absolute("/srv")?);
//! let grants = Grants::new(&Profile::named("allow-local").unwrap_or_default(), &[], &[], &roots)?;
//! let address = ServerAddress::new("127.0.0.1", 8080)?;
//! let permit = grants.decide(ServerFunction::Serve, address)?;
//! assert_eq!(permit.resource().port(), 8080);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It cannot be written down:
//!
//! ```compile_fail,E0451
//! use starcell_policy::{Permit, ServerAddress};
//!
//! fn forge(permit: Permit<ServerAddress>, resource: ServerAddress) -> Permit<ServerAddress> {
//!     Permit { resource, ..permit }
//! }
//! ```
//!
//! nor made by a function:
//!
//! ```compile_fail,E0624
//! use starcell_policy::{Capability, Decider, Grants, Permit, ServerAddress};
//!
//! fn forge(address: ServerAddress, by: Decider, grants: &Grants) -> Permit<ServerAddress> {
//!     Permit::new(address, Capability::HttpServer, "serve", by, grants)
//! }
//! ```
//!
//! nor copied:
//!
//! ```compile_fail,E0599
//! use starcell_policy::{Permit, ServerAddress};
//!
//! fn copy(permit: Permit<ServerAddress>) -> (Permit<ServerAddress>, Permit<ServerAddress>) {
//!     (permit.clone(), permit)
//! }
//! ```

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use crate::{
    capability::{Capability, Function, Registered},
    denial::Denial,
    grants::Grants,
    host::Host,
    layer::Decider,
    rule::Rule,
    url::Url,
};

/// Proof that a call on this resource was allowed. Only [`Grants`] makes one.
#[derive(Debug)]
#[must_use = "a permit that is dropped has no effect"]
pub struct Permit<R> {
    resource: R,
    capability: Capability,
    function: &'static str,
    decider: Decider,
    /// The grants that allowed it, for the address check of a request.
    grants: Grants,
}

impl<R> Permit<R> {
    pub(crate) fn new(
        resource: R,
        capability: Capability,
        function: &'static str,
        decider: Decider,
        grants: &Grants,
    ) -> Self {
        Self { resource, capability, function, decider, grants: grants.clone() }
    }

    /// The checked, canonical resource to act on.
    pub fn resource(&self) -> &R {
        &self.resource
    }

    /// The capability that was granted.
    pub fn capability(&self) -> Capability {
        self.capability
    }

    /// The script function, or the method of a request.
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// The profile that decided.
    pub fn profile(&self) -> &str {
        self.decider.profile()
    }

    /// The rule that decided; none when it was the profile's fallback.
    pub fn rule(&self) -> Option<&Rule> {
        self.decider.rule()
    }

    /// The decider of the call, for the audit log.
    pub fn decider(&self) -> &Decider {
        &self.decider
    }
}

/// A resource that a connection leads to.
pub trait Reached: Registered {
    /// The functions on it.
    type Function: Function<Resource = Self>;

    /// The function with this name.
    fn named(function: &str) -> Option<Self::Function>;

    /// Its host; none for one that is on this machine.
    fn host(&self) -> Option<&Host>;

    /// The port to connect to.
    fn port(&self) -> u16;
}

impl<R: Reached> Permit<R> {
    /// The second half of the check of a connection: whether it may be made to this address, which its
    /// host resolved to. The connection is then made to the address in the new permit and no other.
    pub fn address(&self, address: IpAddr) -> Result<Permit<Endpoint<R>>, Denial> {
        self.grants.endpoint(self, address)
    }
}

/// The endpoint of a connection: the URL or the database, and the address that was checked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<R = Url> {
    resource: R,
    address: IpAddr,
}

impl Endpoint {
    /// The URL of the request.
    pub fn url(&self) -> &Url {
        &self.resource
    }

    /// The host as the URL names it, for TLS and the Host header.
    pub fn host(&self) -> &Host {
        self.resource.host()
    }
}

impl<R: Reached> Endpoint<R> {
    pub(crate) fn new(resource: R, address: IpAddr) -> Self {
        Self { resource, address }
    }

    /// What the connection leads to.
    pub fn resource(&self) -> &R {
        &self.resource
    }

    /// The address and port to connect to.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.resource.port())
    }
}

/// The URL, a space and the address: which no URL holds, so that a reader of a log can take the two apart.
impl<R: fmt::Display> fmt::Display for Endpoint<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.resource, self.address)
    }
}
