//! The resource of a rule, typed by the kind of resource its categories take.
//!
//! A pattern only ever meets a resource of its own kind; anything else it cannot judge, and so
//! neither grants nor denies. Granting and denying are two questions: a grant must cover all of
//! what a call acts on, a deny rule any part of it.

use std::{fmt, net::IpAddr};

use crate::{
    call::Resource,
    capability::ResourceKind,
    glob::Fault,
    kubernetes::ObjectPattern,
    name::NamePattern,
    path::{PathPattern, Roots},
    server::ServerPattern,
    url_pattern::UrlPattern,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    Env(NamePattern),
    Key(NamePattern),
    Object(ObjectPattern),
    Path(PathPattern),
    Program(PathPattern),
    Server(ServerPattern),
    Url(UrlPattern),
}

impl Pattern {
    pub(crate) fn parse(kind: ResourceKind, text: &str) -> Result<Self, Fault> {
        match kind {
            ResourceKind::EnvName => NamePattern::parse_env(text).map(Self::Env),
            ResourceKind::Key => NamePattern::parse_key(text).map(Self::Key),
            ResourceKind::Object => ObjectPattern::parse(text).map(Self::Object),
            ResourceKind::Path => PathPattern::parse(text).map(Self::Path),
            ResourceKind::Program => PathPattern::parse(text).map(Self::Program),
            ResourceKind::Server => ServerPattern::parse(text).map(Self::Server),
            ResourceKind::Url => UrlPattern::parse(text).map(Self::Url),
        }
    }

    /// The pattern with its variables replaced; `None` when one has no meaning.
    pub(crate) fn resolved(&self, roots: &Roots) -> Option<Self> {
        match self {
            Self::Path(pattern) => pattern.resolved(roots).map(Self::Path),
            Self::Program(pattern) => pattern.resolved(roots).map(Self::Program),
            other => Some(other.clone()),
        }
    }

    /// Whether it grants the resource; for a URL, whether it grants the name.
    pub(crate) fn grants(&self, resource: Resource<'_>) -> bool {
        match (self, resource) {
            (Self::Env(pattern), Resource::Env(name)) => pattern.matches_env(name),
            (Self::Key(pattern), Resource::Key(key)) => pattern.grants_key(key),
            (Self::Object(pattern), Resource::Object(object)) => pattern.grants(object),
            (Self::Path(pattern), Resource::Path(path)) => pattern.grants(path),
            (Self::Program(pattern), Resource::Program(program)) => pattern.grants(program.path()),
            (Self::Server(pattern), Resource::Server(address)) => pattern.grants(address),
            (Self::Url(pattern), Resource::Url(url)) => pattern.names(url),
            _ => false,
        }
    }

    /// Whether it grants all that the other does, as far as it can be seen from the two.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Env(pattern), Self::Env(other)) | (Self::Key(pattern), Self::Key(other)) => pattern.includes(other),
            (Self::Object(pattern), Self::Object(other)) => pattern.includes(other),
            (Self::Path(pattern), Self::Path(other)) | (Self::Program(pattern), Self::Program(other)) => {
                pattern.includes(other)
            }
            (Self::Server(pattern), Self::Server(other)) => pattern.includes(other),
            (Self::Url(pattern), Self::Url(other)) => pattern.includes(other),
            _ => false,
        }
    }

    /// Whether it names addresses, which a rule without a resource does not.
    pub(crate) fn is_of_addresses(&self) -> bool {
        matches!(self, Self::Url(pattern) if pattern.is_of_addresses())
    }

    /// Whether it grants the connection to an address, because it names that address.
    pub(crate) fn reaches(&self, resource: Resource<'_>, address: IpAddr) -> bool {
        match (self, resource) {
            (Self::Url(pattern), Resource::Url(url)) => pattern.reaches(url, address),
            _ => false,
        }
    }

    /// Whether it denies the resource, the address it leads to, or with `tree` something beneath.
    pub(crate) fn denies(&self, resource: Resource<'_>, address: Option<IpAddr>, tree: bool) -> bool {
        match (self, resource) {
            (Self::Env(pattern), Resource::Env(name)) => pattern.matches_env(name),
            (Self::Key(pattern), Resource::Key(key)) => pattern.denies_key(key),
            (Self::Object(pattern), Resource::Object(object)) => pattern.denies(object),
            (Self::Path(pattern), Resource::Path(path)) => pattern.denies(path, tree),
            (Self::Program(pattern), Resource::Program(program)) => pattern.denies(program.path(), tree),
            (Self::Server(pattern), Resource::Server(server)) => pattern.denies(server),
            (Self::Url(pattern), Resource::Url(url)) => pattern.denies(url, address),
            _ => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(pattern) | Self::Key(pattern) => pattern.fmt(f),
            Self::Object(pattern) => pattern.fmt(f),
            Self::Path(pattern) | Self::Program(pattern) => pattern.fmt(f),
            Self::Server(pattern) => pattern.fmt(f),
            Self::Url(pattern) => pattern.fmt(f),
        }
    }
}
