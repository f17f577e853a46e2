//! A privileged call on its way to a decision: a function and the canonical resource it acts on.
//!
//! Each constructor takes the function type of its own kind, so a call that pairs `fs.read` with a
//! URL cannot be written.

use std::fmt;

use crate::{
    capability::{
        Capability, EnvFunction, ExecFunction, HttpMethod, K8sFunction, KvFunction, PathFunction, ServerFunction,
    },
    kubernetes::KubernetesObject,
    name::{EnvName, KvKey},
    path::{CanonicalPath, ProgramPath},
    server::ServerAddress,
    url::Url,
};

const MAX_SHOWN: usize = 1024;

/// A privileged call to be decided or explained.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    capability: Capability,
    function: &'static str,
    resource: Resource<'a>,
    /// Whether it acts on everything beneath the resource.
    tree: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource<'a> {
    Env(&'a EnvName),
    Key(&'a KvKey),
    Object(&'a KubernetesObject),
    Path(&'a CanonicalPath),
    Program(&'a ProgramPath),
    Server(&'a ServerAddress),
    Url(&'a Url),
}

impl<'a> Call<'a> {
    /// A call on an environment variable.
    pub const fn env(function: EnvFunction, name: &'a EnvName) -> Self {
        Self::new(function.capability(), function.name(), Resource::Env(name))
    }

    /// A call on a program.
    pub const fn exec(function: ExecFunction, program: &'a ProgramPath) -> Self {
        Self::new(function.capability(), function.name(), Resource::Program(program))
    }

    /// A request to a URL.
    pub const fn http_client(method: HttpMethod, url: &'a Url) -> Self {
        Self::new(method.capability(), method.name(), Resource::Url(url))
    }

    /// A request whose method was named before, for the check of its address.
    pub(crate) const fn http_request(method: &'static str, url: &'a Url) -> Self {
        Self::new(Capability::HttpClient, method, Resource::Url(url))
    }

    /// A listener.
    pub const fn http_server(function: ServerFunction, address: &'a ServerAddress) -> Self {
        Self::new(function.capability(), function.name(), Resource::Server(address))
    }

    /// A call on Kubernetes objects.
    pub const fn k8s(function: K8sFunction, object: &'a KubernetesObject) -> Self {
        Self::new(function.capability(), function.name(), Resource::Object(object))
    }

    /// A call on a key, or on all keys with a prefix.
    pub const fn kv(function: KvFunction, key: &'a KvKey) -> Self {
        Self::new(function.capability(), function.name(), Resource::Key(key))
    }

    /// A call on a path.
    pub const fn path(function: PathFunction, path: &'a CanonicalPath) -> Self {
        let call = Self::new(function.capability(), function.name(), Resource::Path(path));
        Self { tree: function.takes_tree(), ..call }
    }

    /// The capability it needs.
    pub const fn capability(&self) -> Capability {
        self.capability
    }

    /// The script function, or the method of a request.
    pub const fn function(&self) -> &'static str {
        self.function
    }

    /// The canonical resource as text: without credentials or query, at most 1024 bytes.
    pub fn resource_text(&self) -> String {
        let mut text = self.full_resource();
        if text.len() > MAX_SHOWN {
            text.truncate(text.floor_char_boundary(MAX_SHOWN));
            text.push('…');
        }
        text
    }

    pub(crate) const fn resource(&self) -> Resource<'a> {
        self.resource
    }

    pub(crate) const fn takes_tree(&self) -> bool {
        self.tree
    }

    /// The resource as a rule spells it, when a rule can name it and nothing else.
    pub(crate) fn rule_resource(&self) -> Option<String> {
        match self.resource {
            Resource::Url(url) => Some(url.origin()),
            Resource::Object(object) if object.kind().is_none() && object.namespace().is_none() => None,
            Resource::Key(key) if key.as_str().contains('*') => None,
            Resource::Path(path) if path.as_str().contains('*') => None,
            Resource::Program(program) if program.path().as_str().contains('*') => None,
            _ => Some(self.full_resource()),
        }
    }

    const fn new(capability: Capability, function: &'static str, resource: Resource<'a>) -> Self {
        Self { capability, function, resource, tree: false }
    }

    pub(crate) fn full_resource(&self) -> String {
        match self.resource {
            Resource::Env(name) => name.to_string(),
            Resource::Key(key) => key.to_string(),
            Resource::Object(object) => object.to_string(),
            Resource::Path(path) => path.to_string(),
            Resource::Program(program) => program.to_string(),
            Resource::Server(address) => address.to_string(),
            Resource::Url(url) => url.to_string(),
        }
    }
}

/// `module.category("resource")`, control and bidirectional characters escaped.
impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.capability, self.resource_text())
    }
}
