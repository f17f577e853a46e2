//! Kinds of Kubernetes objects and the namespaces they live in.
//!
//! `Pod`, `pods` and `po` are one kind to the cluster, so they are one kind here: the plural name
//! the API serves. Kinds that the cluster does not bring itself are compared as written, in lower
//! case; the caller gives the plural name of the API path, which is also what the request is made
//! of. A call over all namespaces is granted only by a rule for all of them, and denied by a rule
//! for any of them.

use std::{fmt, net::IpAddr};

use thiserror::Error;

use crate::{
    glob::Fault,
    kinds::KnownKind,
    resource::{Pattern, Reading, Resource},
};

/// A kind of object and where it is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KubernetesObject {
    scope: Scope,
    kind: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Scope {
    AllNamespaces,
    Cluster,
    Namespace(String),
}

/// The reason why a text is not a namespace or a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KubernetesError {
    /// A kind is a name, optionally followed by dots and its API group.
    #[error("a kind is ASCII letters, digits, `-` and `.`")]
    BadKind,
    /// A namespace is a DNS label.
    #[error("a namespace is at most 63 lower-case ASCII letters, digits and inner `-`")]
    BadNamespace,
}

impl KubernetesObject {
    /// Objects of a kind in one namespace.
    pub fn in_namespace(namespace: &str, kind: &str) -> Result<Self, KubernetesError> {
        Ok(Self { scope: Scope::Namespace(checked_namespace(namespace)?), kind: Some(checked_kind(kind)?) })
    }

    /// All objects in a namespace, of whatever kind: what goes when the namespace is deleted.
    pub fn all_in_namespace(namespace: &str) -> Result<Self, KubernetesError> {
        Ok(Self { scope: Scope::Namespace(checked_namespace(namespace)?), kind: None })
    }

    /// Objects of a kind in all namespaces.
    pub fn in_all_namespaces(kind: &str) -> Result<Self, KubernetesError> {
        Ok(Self { scope: Scope::AllNamespaces, kind: Some(checked_kind(kind)?) })
    }

    /// Objects of a kind that has no namespace, such as nodes.
    pub fn in_cluster(kind: &str) -> Result<Self, KubernetesError> {
        Ok(Self { scope: Scope::Cluster, kind: Some(checked_kind(kind)?) })
    }

    /// The cluster as such: its version, its configuration.
    pub const fn cluster() -> Self {
        Self { scope: Scope::Cluster, kind: None }
    }

    /// The namespace, when it is one.
    pub fn namespace(&self) -> Option<&str> {
        match &self.scope {
            Scope::Namespace(name) => Some(name),
            Scope::AllNamespaces | Scope::Cluster => None,
        }
    }

    /// The plural name of the kind; none for the cluster as such, and for all kinds in a namespace.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// The kind, when every cluster has it.
    pub fn known_kind(&self) -> Option<&'static KnownKind> {
        self.kind().and_then(KnownKind::named)
    }

    /// The plural name of the kind without its API group, and that group, which is empty for the core one.
    pub fn plural_and_group(&self) -> Option<(&str, &str)> {
        match self.known_kind() {
            Some(known) => Some((known.plural, known.group)),
            None => self.kind().map(|kind| kind.split_once('.').unwrap_or((kind, ""))),
        }
    }

    /// Returns whether it stands for objects that are in no namespace.
    pub fn is_in_cluster(&self) -> bool {
        self.scope == Scope::Cluster
    }

    /// Returns whether it stands for the cluster as such.
    fn is_the_cluster(&self) -> bool {
        self.kind.is_none() && self.namespace().is_none()
    }

    /// Returns whether it stands for objects of all namespaces.
    pub fn is_all_namespaces(&self) -> bool {
        self.scope == Scope::AllNamespaces
    }
}

/// As a rule spells it; `-` alone stands for the cluster.
impl fmt::Display for KubernetesObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match &self.scope {
            Scope::AllNamespaces => "*",
            Scope::Cluster => "-",
            Scope::Namespace(name) => name,
        };
        match &self.kind {
            Some(kind) => write!(f, "{scope}/{kind}"),
            None if self.namespace().is_some() => write!(f, "{scope}/*"),
            None => f.write_str(scope),
        }
    }
}

fn checked_namespace(text: &str) -> Result<String, KubernetesError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fine =
        (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-');
    if fine { Ok(text.to_owned()) } else { Err(KubernetesError::BadNamespace) }
}

fn checked_kind(text: &str) -> Result<String, KubernetesError> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let edge = |c: char| c == '-' || c == '.';
    if !(1..=253).contains(&text.len()) || !text.bytes().all(inner) || text.starts_with(edge) || text.ends_with(edge) {
        return Err(KubernetesError::BadKind);
    }
    Ok(KnownKind::named(text).map_or_else(|| text.to_ascii_lowercase(), |known| known.plural.to_owned()))
}

impl Resource for KubernetesObject {
    type Pattern = ObjectPattern;

    /// Reads `namespace/kind`, `namespace/*`, `*/kind`, `-/kind` or `-`.
    fn read(text: &str, _reading: &Reading<'_>) -> Result<Self, String> {
        let object = match text.split_once('/') {
            Some(("*", kind)) => Self::in_all_namespaces(kind),
            Some(("-", kind)) => Self::in_cluster(kind),
            Some((namespace, "*")) => Self::all_in_namespace(namespace),
            Some((namespace, kind)) => Self::in_namespace(namespace, kind),
            None if text == "-" => Ok(Self::cluster()),
            None => Err(KubernetesError::BadKind),
        };
        object.map_err(|error| error.to_string())
    }

    fn in_rule(&self) -> Option<String> {
        (!self.is_the_cluster()).then(|| self.to_string())
    }

    /// A rule names a kind; the cluster itself has none.
    fn covering(&self) -> String {
        if self.is_the_cluster() { format!("{self}/*") } else { self.to_string() }
    }
}

/// `namespace/kind` of a rule, with `*` for any of either and `-` for no namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectPattern {
    scope: Option<Scope>,
    kind: Option<String>,
}

impl ObjectPattern {
    fn of_kind(&self, object: &KubernetesObject) -> bool {
        self.kind.is_none() || self.kind == object.kind
    }

    fn in_scope(&self, object: &KubernetesObject) -> bool {
        self.scope.as_ref().is_none_or(|scope| *scope == object.scope)
    }
}

impl Pattern<KubernetesObject> for ObjectPattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        let (scope, kind) = text.split_once('/').ok_or_else(|| Fault::new(text.len(), "expected `/` and a kind"))?;
        let scope_len = scope.len();
        let scope = match scope {
            "*" => None,
            "-" => Some(Scope::Cluster),
            name => Some(Scope::Namespace(checked_namespace(name).map_err(|e| Fault::new(0, e.to_string()))?)),
        };
        let kind = match kind {
            "*" => None,
            name => Some(checked_kind(name).map_err(|e| Fault::new(scope_len + 1, e.to_string()))?),
        };
        Ok(Self { scope, kind })
    }

    fn grants(&self, object: &KubernetesObject) -> bool {
        self.of_kind(object) && self.in_scope(object)
    }

    fn denies(&self, object: &KubernetesObject, _address: Option<IpAddr>, _beneath: bool) -> bool {
        let within_all = object.is_all_namespaces() && self.scope != Some(Scope::Cluster);
        // Every kind is among all that is in a namespace.
        let among = object.kind.is_none() && object.namespace().is_some() && self.in_scope(object);
        self.grants(object) || among || (within_all && self.of_kind(object))
    }

    fn includes(&self, other: &Self) -> bool {
        let scope = self.scope.is_none() || self.scope == other.scope;
        scope && (self.kind.is_none() || self.kind == other.kind)
    }
}

impl fmt::Display for ObjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match &self.scope {
            None | Some(Scope::AllNamespaces) => "*",
            Some(Scope::Cluster) => "-",
            Some(Scope::Namespace(name)) => name,
        };
        write!(f, "{scope}/{}", self.kind.as_deref().unwrap_or("*"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_spelling_of_a_kind_is_one() {
        for kind in ["pods", "Pod", "po", "PODS"] {
            let object = KubernetesObject::in_namespace("default", kind).unwrap();
            assert_eq!(object.to_string(), "default/pods");
        }
        for kind in ["deploy", "Deployment", "deployments.apps"] {
            assert_eq!(KubernetesObject::in_cluster(kind).unwrap().kind(), Some("deployments"));
        }
        for kind in ["events", "Event.events.k8s.io", "events.events.k8s.io"] {
            assert_eq!(KubernetesObject::in_cluster(kind).unwrap().kind(), Some("events"));
        }
        let own = KubernetesObject::in_cluster("Certificates.cert-manager.io").unwrap();
        assert_eq!(own.kind(), Some("certificates.cert-manager.io"));
        assert_eq!(own.plural_and_group(), Some(("certificates", "cert-manager.io")));
        let known = KubernetesObject::in_cluster("cj").unwrap();
        assert_eq!(known.plural_and_group(), Some(("cronjobs", "batch")));
        assert_eq!(KubernetesObject::in_cluster("widgets").unwrap().plural_and_group(), Some(("widgets", "")));
    }

    #[test]
    fn names_are_checked() {
        for namespace in ["", "-", "*", "Default", "a/b", "a_b"] {
            let refused = KubernetesObject::in_namespace(namespace, "pods");
            assert_eq!(refused, Err(KubernetesError::BadNamespace), "{namespace}");
        }
        for kind in ["", "*", "a/b", "pods.", "é"] {
            assert_eq!(KubernetesObject::in_cluster(kind), Err(KubernetesError::BadKind), "{kind}");
        }
    }

    #[test]
    fn all_in_a_namespace_is_granted_whole_and_denied_by_its_parts() {
        let all = KubernetesObject::all_in_namespace("prod").unwrap();
        assert_eq!((all.to_string().as_str(), all.plural_and_group()), ("prod/*", None));
        let pattern = |text| ObjectPattern::parse(text).unwrap();
        for (text, grants, denies) in [
            ("prod/*", true, true),
            ("*/*", true, true),
            ("prod/secrets", false, true),
            ("*/pods", false, true),
            ("web/*", false, false),
            ("-/namespaces", false, false),
        ] {
            assert_eq!(
                (pattern(text).grants(&all), pattern(text).denies(&all, None, false)),
                (grants, denies),
                "{text}"
            );
        }
    }

    #[test]
    fn all_namespaces_need_a_rule_for_all() {
        let all = KubernetesObject::in_all_namespaces("pods").unwrap();
        let one = KubernetesObject::in_namespace("default", "pods").unwrap();
        let node = KubernetesObject::in_cluster("node").unwrap();
        let pattern = |text| ObjectPattern::parse(text).unwrap();
        assert!(!pattern("default/pods").grants(&all));
        assert!(pattern("default/pods").denies(&all, None, false));
        assert!(pattern("default/po").grants(&one));
        assert!(pattern("*/pods").grants(&all));
        assert!(pattern("-/nodes").grants(&node));
        assert!(!pattern("-/*").denies(&all, None, false));
        assert!(!pattern("default/*").grants(&node));
        assert!(!pattern("*/pods").grants(&KubernetesObject::cluster()));
        assert!(pattern("*/*").grants(&KubernetesObject::cluster()));
        assert_eq!(ObjectPattern::parse("pods").unwrap_err().at, 4);
        assert_eq!(ObjectPattern::parse("default/").unwrap_err().at, 8);
    }
}
