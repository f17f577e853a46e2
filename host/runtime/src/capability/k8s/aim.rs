//! From what a script says to the objects it means, without asking a cluster.

use std::sync::Arc;

use hyper::body::Bytes;
use serde::Deserialize;
use starcell_policy::{KnownKind, KubernetesError, KubernetesObject, Permit};

use super::objects::Objects;
use super::reach::Reached;
use crate::bindings::starcell::guest::k8s::{Manifest, Place};
use crate::call_error::{HostCallError, shown};
use crate::k8s::cluster::Cluster;
use crate::k8s::route::{Name, Version};

/// The namespaces that a call may be about: one, or all of them at once.
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
    /// This aim, about one object of its kind.
    pub(super) async fn named(self, call: &Objects<'_>, name: &str) -> Result<Self, HostCallError> {
        let name = call.name(&self.object.to_string(), name).await?;
        Ok(Self { name: Some(name), ..self })
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
        aim: Aim,
        act: impl FnOnce(Reached<'a>) -> F,
    ) -> Result<T, HostCallError>
    where
        F: Future<Output = Result<(T, u64), HostCallError>>,
    {
        let subject = aim.subject();
        let Aim { cluster, object, name, said } = aim;
        let name_asked = name.clone();
        let effect = |permit: Permit<KubernetesObject>| async move {
            let cluster = cluster.map_err(|text| self.failed(&subject, text))?;
            let reached = self.reach(cluster, permit, (name, subject), said).await?;
            act(reached).await
        };
        let gate = self.gate(name_asked.as_ref().map(Name::as_str));
        gate.pass(self.at, self.function, object, effect).await
    }

    /// The objects of a kind in a place.
    pub(super) async fn aim(&self, place: &Place, several: Several) -> Result<Aim, HostCallError> {
        let cluster = self.cluster().await?;
        let chosen = cluster.as_ref().map_or("default", |cluster| cluster.namespace());
        let default = self.target.namespace.as_deref().unwrap_or(chosen);
        match object_at(place, default, several) {
            Ok(object) => Ok(Aim { cluster, object, name: None, said: None }),
            Err(text) => Err(self.misnamed(place, default, text).await),
        }
    }

    /// Records a call on a kind or a namespace that there cannot be.
    async fn misnamed(&self, place: &Place, default: &str, text: String) -> HostCallError {
        let namespace = place.namespace.as_deref().unwrap_or(default);
        let asked = format!("{}/{}", shown(namespace), shown(&place.kind));
        self.gate(None).unjudged(self.function, &asked, self.at).await;
        self.failed("", text)
    }

    /// Where an object that says what it is goes, and the body that makes it.
    pub(super) async fn aim_of(&self, manifest: Manifest) -> Result<(Aim, Bytes), HostCallError> {
        let about = manifest.kind.clone().unwrap_or_default();
        let Said { group, version, kind, name, place } = match Said::by(&manifest) {
            Ok(said) => said,
            Err(text) => return Err(self.contradicted(&about, text).await),
        };
        let aim = self.aim(&place, Several::No).await?;
        let of = aim.object.plural_and_group().map_or("", |(_, group)| group);
        if of != group {
            let text = format!("the object is of the API group {:?}, and {} of {of:?}", shown(&group), aim.object);
            return Err(self.contradicted(&about, text).await);
        }
        let name = match name {
            Some(name) => Some(self.name(&aim.object.to_string(), &name).await?),
            None => None,
        };
        let aim = Aim { name, said: Some((version, kind)), ..aim };
        let body = self.body(&aim.subject(), manifest.object).await?;
        Ok((aim, body))
    }

    /// Records a call with an object that is none, or that contradicts the call.
    async fn contradicted(&self, about: &str, text: String) -> HostCallError {
        self.gate(None).unjudged(self.function, about, self.at).await;
        self.failed("", text)
    }
}

/// What an object says of itself, and where the call puts it.
struct Said {
    group: String,
    version: Version,
    kind: String,
    name: Option<String>,
    place: Place,
}

impl Said {
    /// Reads the head of an object; the error says what is wrong with it.
    fn by(manifest: &Manifest) -> Result<Self, String> {
        let head: Head =
            serde_json::from_str(&manifest.object).map_err(|error| format!("the object: {}", without_place(&error)))?;
        let (group, version) = head.api_version.split_once('/').unwrap_or(("", &head.api_version));
        let version = Version::new(version).map_err(|text| format!("the object's apiVersion: {text}"))?;
        // An empty namespace is none, to clusters as well.
        let own = head.metadata.namespace.filter(|namespace| !namespace.is_empty());
        let namespace = match (manifest.namespace.clone(), own) {
            (Some(given), Some(own)) if given != own => {
                let (own, given) = (shown(&own), shown(&given));
                return Err(format!("the object says the namespace {own:?}, and the call {given:?}"));
            }
            (given, own) => given.or(own),
        };
        let kind = manifest.kind.clone().unwrap_or_else(|| plural_of(group, &head.kind));
        let name = head.metadata.name.filter(|name| !name.is_empty());
        Ok(Self { group: group.to_owned(), version, kind: head.kind, name, place: Place { kind, namespace } })
    }
}

/// What a place means, `default` being the namespace of one that names none.
fn object_at(place: &Place, default: &str, several: Several) -> Result<KubernetesObject, String> {
    let known = KnownKind::named(&place.kind);
    let kind = || known.map_or_else(|| place.kind.clone(), |known| known.plural.to_owned());
    let object = match (known.map(|known| known.namespaced), place.namespace.as_deref()) {
        (Some(false), None | Some("-")) => KubernetesObject::in_cluster(&place.kind),
        (Some(false), Some(given)) => {
            return Err(format!("{} are in no namespace, but namespace={:?} is given", kind(), shown(given)));
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
        KubernetesError::BadKind => format!("kind {:?}: {error}", shown(&place.kind)),
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

    /// Fails when serde_json says in another way where in a text an error is.
    #[test]
    fn an_error_of_an_object_has_no_place() {
        let error = serde_json::from_str::<Head>("{\"kind\": \"Pod\"}").err().unwrap();
        assert_eq!(error.to_string(), "missing field `apiVersion` at line 1 column 15");
        assert_eq!(without_place(&error), "missing field `apiVersion`");
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
