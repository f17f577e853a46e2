//! Kinds that not every cluster has: which version serves them, and whether they live in namespaces.
//!
//! The cluster is asked only after the call was permitted, and its word changes nothing of what was judged. A kind that
//! it does not serve under the very plural name that was judged is an error, never another kind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResource, APIResourceList};
use parking_lot::Mutex;
use starcell_policy::nearest;
use tokio::time::Instant;

use super::route::Version;

/// How long what a cluster said is believed: kinds come with upgrades and installations.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Most versions of groups that are remembered; the cluster of a script's own can have as many as it likes.
const MAX_REMEMBERED: usize = 64;

/// The kinds of one version of one group.
type Served = Arc<Vec<APIResource>>;

/// What one cluster was asked about its kinds.
#[derive(Default)]
pub(crate) struct Kinds {
    served: Mutex<HashMap<(String, String), (Instant, Served)>>,
    preferred: Mutex<HashMap<String, (Instant, Version)>>,
}

/// How the API serves a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) version: Version,
    pub(crate) namespaced: bool,
    /// The kind that objects name.
    pub(crate) kind: String,
}

impl Kinds {
    pub(crate) fn preferred(&self, group: &str) -> Option<Version> {
        let preferred = self.preferred.lock();
        preferred.get(group).filter(|(since, _)| since.elapsed() < MAX_AGE).map(|(_, version)| version.clone())
    }

    /// Remembers the version that a group prefers.
    pub(crate) fn prefer(&self, group: &str, body: &[u8]) -> Result<Version, String> {
        let told: APIGroup =
            serde_json::from_slice(body).map_err(|_| "the cluster's answer is no API group".to_owned())?;
        let first = told.preferred_version.or_else(|| told.versions.into_iter().next());
        let first = first.ok_or_else(|| format!("the API group {group} has no version"))?;
        let version = Version::new(&first.version)?;
        let mut preferred = self.preferred.lock();
        make_room(&mut preferred);
        preferred.insert(group.to_owned(), (Instant::now(), version.clone()));
        Ok(version)
    }

    pub(crate) fn served(&self, group: &str, version: &Version) -> Option<Served> {
        let served = self.served.lock();
        let key = (group.to_owned(), version.as_str().to_owned());
        served.get(&key).filter(|(since, _)| since.elapsed() < MAX_AGE).map(|(_, kinds)| Arc::clone(kinds))
    }

    /// Remembers the kinds of a version of a group.
    pub(crate) fn serve(&self, group: &str, version: &Version, body: &[u8]) -> Result<Served, String> {
        let told: APIResourceList =
            serde_json::from_slice(body).map_err(|_| "the cluster's answer is no list of kinds".to_owned())?;
        // Those with a slash are parts of objects, such as their status.
        let kinds: Served = Arc::new(told.resources.into_iter().filter(|kind| !kind.name.contains('/')).collect());
        let mut served = self.served.lock();
        make_room(&mut served);
        served.insert((group.to_owned(), version.as_str().to_owned()), (Instant::now(), Arc::clone(&kinds)));
        Ok(kinds)
    }
}

fn make_room<K, V>(remembered: &mut HashMap<K, V>) {
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
}

/// The kind with this plural name, or an error that tells what it is called instead.
pub(crate) fn find(served: &[APIResource], plural: &str, group: &str, version: &Version) -> Result<Api, String> {
    if let Some(kind) = served.iter().find(|kind| kind.name == plural) {
        return Ok(Api { version: version.clone(), namespaced: kind.namespaced, kind: kind.kind.clone() });
    }
    let full = |plural: &str| if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    let missing = format!("the cluster has no kind {:?}", full(plural));
    let is_meant = |kind: &&APIResource| {
        let short = kind.short_names.as_deref().unwrap_or_default();
        kind.singular_name == plural
            || kind.kind.eq_ignore_ascii_case(plural)
            || short.iter().any(|name| name == plural)
    };
    let near = || nearest(plural, served.iter().map(|kind| kind.name.as_str()));
    match served.iter().find(is_meant).map(|kind| kind.name.as_str()).or_else(near) {
        Some(name) => Err(format!("{missing}; did you mean {:?}?", full(name))),
        None if group.is_empty() => {
            Err(format!("{missing}; name a custom kind as plural.group, for example certificates.cert-manager.io"))
        }
        None => Err(missing),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const GROUP: &[u8] =
        br#"{"kind":"APIGroup","name":"example.com","versions":[{"groupVersion":"example.com/v2","version":"v2"}],
        "preferredVersion":{"groupVersion":"example.com/v1","version":"v1"}}"#;
    const LIST: &[u8] = br#"{"kind":"APIResourceList","groupVersion":"example.com/v1","resources":[
        {"name":"mice","singularName":"mouse","shortNames":["mo"],"namespaced":false,"kind":"Mouse","verbs":[]},
        {"name":"mice/status","singularName":"","namespaced":false,"kind":"Mouse","verbs":[]}]}"#;

    #[tokio::test]
    async fn a_kind_goes_by_its_plural_name_alone() {
        let kinds = Kinds::default();
        assert_eq!(kinds.preferred("example.com"), None);
        let v1 = kinds.prefer("example.com", GROUP).unwrap();
        assert_eq!((v1.as_str(), kinds.preferred("example.com")), ("v1", Some(v1.clone())));
        let served = kinds.serve("example.com", &v1, LIST).unwrap();
        assert_eq!(kinds.served("example.com", &v1).unwrap().len(), 1);
        let found = find(&served, "mice", "example.com", &v1).unwrap();
        assert_eq!(found, Api { version: v1.clone(), namespaced: false, kind: "Mouse".into() });
        for name in ["mouse", "mo", "mouses", "mise"] {
            let error = find(&served, name, "example.com", &v1).unwrap_err();
            let suggestion = if name == "mouses" { "" } else { "; did you mean \"mice.example.com\"?" };
            assert_eq!(error, format!("the cluster has no kind \"{name}.example.com\"{suggestion}"));
        }
        assert!(
            find(&[], "widgets", "", &v1)
                .unwrap_err()
                .ends_with("name a custom kind as plural.group, for example certificates.cert-manager.io")
        );
        assert!(kinds.prefer("example.com", b"<html>").is_err() && kinds.serve("", &v1, b"[]").is_err());
    }
}
