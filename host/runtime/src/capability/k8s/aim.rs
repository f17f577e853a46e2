//! From what a script says to the objects it means, without asking a cluster.

use std::sync::Arc;

use hyper::body::Bytes;
use serde::Deserialize;
use starcell_policy::{Grants, K8sFunction as Function, KnownKind, KubernetesError, KubernetesObject, Permit};

use super::reach::Reached;
use super::{Error, Manifest, Objects, Place};
use crate::k8s::cluster::Cluster;
use crate::k8s::route::{Name, Version};

/// Whether a call may be about the objects of all namespaces at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Several {
    No,
    Yes,
}

/// What a call is about.
pub(super) struct Aim {
    /// The cluster, or why there is none: which a script learns only if it may make the call.
    pub(super) cluster: Result<Arc<Cluster>, String>,
    pub(super) object: KubernetesObject,
    pub(super) name: Option<Name>,
    /// The version and the kind that an object says it is of.
    pub(super) said: Option<(Version, String)>,
}

/// What is looked at of an object.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
}

impl Aim {
    /// The same about one object.
    pub(super) fn named(self, call: &Objects<'_>, name: &str) -> Result<Self, Error> {
        Ok(Self { name: Some(call.name(name)?), ..self })
    }

    /// What the deletion of an object takes along: all that is in a namespace, all objects of a kind.
    pub(super) fn taken_along(&self) -> Result<Vec<KubernetesObject>, KubernetesError> {
        let name = self.name.as_ref().map_or("", Name::as_str);
        match self.object.known_kind().map(|known| known.plural) {
            Some("namespaces") => Ok(vec![KubernetesObject::all_in_namespace(name)?]),
            Some("customresourcedefinitions") => {
                Ok(vec![KubernetesObject::in_all_namespaces(name)?, KubernetesObject::in_cluster(name)?])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// How errors call it.
    pub(super) fn subject(&self) -> String {
        match &self.name {
            Some(name) => format!("{}/{}", self.object, name.as_str()),
            None => self.object.to_string(),
        }
    }
}

impl Objects<'_> {
    /// Passes the gate with the objects of an aim, finds out how the cluster serves them, and acts.
    pub(super) async fn pass<'a, T, F>(
        &'a self,
        function: Function,
        aim: Aim,
        act: impl FnOnce(Reached<'a>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(T, u64), Error>>,
    {
        let subject = aim.subject();
        let Aim { cluster, object, name, said } = aim;
        let effect = |permit: Permit<KubernetesObject>| async move {
            let cluster = cluster.map_err(|text| self.failed(&subject, &text))?;
            let reached = self.reach(cluster, permit, (name, subject), said).await?;
            act(reached).await
        };
        self.gate.pass(self.at, |grants: &Grants| grants.k8s(function, object.clone()), effect).await
    }

    /// The objects of a kind in a place.
    pub(super) async fn aim(&self, place: &Place, several: Several) -> Result<Aim, Error> {
        let cluster = match self.cluster().await {
            Ok(cluster) => Ok(cluster),
            Err(Error::Failed(text)) => Err(text),
            Err(error) => return Err(error),
        };
        let chosen = cluster.as_ref().map_or("default", |cluster| cluster.namespace());
        let default = self.target.namespace.as_deref().unwrap_or(chosen);
        let object = object_at(place, default, several);
        let object = object.map_err(|text| self.failed("", &text))?;
        Ok(Aim { cluster, object, name: None, said: None })
    }

    /// Where an object that says what it is goes, and the body that makes it.
    pub(super) async fn aim_of(&self, manifest: Manifest) -> Result<(Aim, Bytes), Error> {
        let failed = |text: &str| self.failed("", text);
        let head: Head = serde_json::from_str(&manifest.object)
            .map_err(|error| failed(&format!("the object: {}", without_place(&error))))?;
        let (group, version) = head.api_version.split_once('/').unwrap_or(("", &head.api_version));
        let version = Version::new(version).map_err(|text| failed(&format!("the object's apiVersion: {text}")))?;
        let namespace = match (manifest.namespace, head.metadata.namespace) {
            (Some(given), Some(own)) if given != own => {
                return Err(failed(&format!("the object says the namespace {own:?}, and the call {given:?}")));
            }
            (given, own) => given.or(own),
        };
        let kind = manifest.kind.unwrap_or_else(|| plural_of(group, &head.kind));
        let aim = self.aim(&Place { kind, namespace }, Several::No).await?;
        let of = aim.object.plural_and_group().map_or("", |(_, group)| group);
        if of != group {
            let text = format!("the object is of the API group {group:?}, and {} of {of:?}", aim.object);
            return Err(failed(&text));
        }
        let name = head.metadata.name.filter(|name| !name.is_empty());
        let name = name.map(|name| self.name(&name)).transpose()?;
        let aim = Aim { name, said: Some((version, head.kind)), ..aim };
        let body = self.body(&aim.subject(), manifest.object)?;
        Ok((aim, body))
    }
}

/// What a place means, `default` being the namespace of one that names none.
fn object_at(place: &Place, default: &str, several: Several) -> Result<KubernetesObject, String> {
    let known = KnownKind::named(&place.kind);
    let kind = || known.map_or_else(|| place.kind.clone(), |known| known.plural.to_owned());
    let object = match (known.map(|known| known.namespaced), place.namespace.as_deref()) {
        (Some(false), None | Some("-")) => KubernetesObject::in_cluster(&place.kind),
        (Some(false), Some(given)) => {
            return Err(format!("{} are in no namespace, but namespace={given:?} is given", kind()));
        }
        (Some(true), Some("-")) => {
            return Err(format!("{} are in namespaces, so namespace=\"-\" means none of them", kind()));
        }
        (None, Some("-")) => KubernetesObject::in_cluster(&place.kind),
        (_, given) => match given.unwrap_or(default) {
            "*" if several == Several::Yes => KubernetesObject::in_all_namespaces(&place.kind),
            "*" => return Err("this needs one namespace, not all of them".to_owned()),
            namespace => KubernetesObject::in_namespace(namespace, &place.kind),
        },
    };
    object.map_err(|error| match error {
        KubernetesError::BadKind => format!("kind {:?}: {error}", place.kind),
        KubernetesError::BadNamespace => error.to_string(),
    })
}

/// The plural name of a kind of object. For one that not every cluster has it is a guess by the rules of English, which
/// the cluster has to confirm; `kind=` says it where the guess is wrong.
fn plural_of(group: &str, kind: &str) -> String {
    if let Some(known) = KnownKind::of_object(group, kind) {
        return known.plural.to_owned();
    }
    let singular = kind.to_ascii_lowercase();
    let before_last = singular.chars().rev().nth(1).unwrap_or_default();
    let plural = match singular.strip_suffix('y') {
        Some(stem) if !"aeiou".contains(before_last) => format!("{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh"].iter().any(|end| singular.ends_with(end)) => format!("{singular}es"),
        _ => format!("{singular}s"),
    };
    if group.is_empty() { plural } else { format!("{plural}.{group}") }
}

/// What is wrong with an object. Where is of no use, since the script wrote no text.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(kind: &str, namespace: Option<&str>, several: Several) -> Result<String, String> {
        let place = Place { kind: kind.to_owned(), namespace: namespace.map(str::to_owned) };
        object_at(&place, "web", several).map(|object| object.to_string())
    }

    #[test]
    fn a_place_is_in_the_namespace_that_it_says() {
        for (kind, namespace, object) in [
            ("Pod", None, "web/pods"),
            ("po", Some("prod"), "prod/pods"),
            ("pods", Some("*"), "*/pods"),
            ("node", None, "-/nodes"),
            ("node", Some("-"), "-/nodes"),
            ("widgets.example.com", None, "web/widgets.example.com"),
            ("widgets.example.com", Some("-"), "-/widgets.example.com"),
        ] {
            assert_eq!(at(kind, namespace, Several::Yes).as_deref(), Ok(object), "{kind} {namespace:?}");
        }
        for (kind, namespace) in
            [("node", Some("prod")), ("node", Some("*")), ("pods", Some("-")), ("pods", Some("A")), ("a/b", None)]
        {
            assert!(at(kind, namespace, Several::Yes).is_err(), "{kind} {namespace:?}");
        }
        assert_eq!(at("pods", Some("*"), Several::No).unwrap_err(), "this needs one namespace, not all of them");
    }

    #[test]
    fn plurals_are_known_or_guessed() {
        for (group, kind, plural) in [
            ("", "Endpoints", "endpoints"),
            ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
            ("cert-manager.io", "Certificate", "certificates.cert-manager.io"),
            ("example.com", "Proxy", "proxies.example.com"),
            ("example.com", "Gateway", "gateways.example.com"),
            ("example.com", "Class", "classes.example.com"),
            ("apps", "Pod", "pods.apps"),
        ] {
            assert_eq!(plural_of(group, kind), plural);
        }
    }
}
