//! What the API has: its groups, versions and kinds, and the parts of a path.

use serde_json::{Value, json};

use super::answers::{Answer, success};

/// A kind: group, version, plural, short name, kind, whether it is in namespaces.
type Kind = (&'static str, &'static str, &'static str, &'static str, &'static str, bool);

pub(super) const KINDS: [Kind; 8] = [
    ("", "v1", "configmaps", "cm", "ConfigMap", true),
    ("", "v1", "namespaces", "ns", "Namespace", false),
    ("", "v1", "nodes", "no", "Node", false),
    ("", "v1", "pods", "po", "Pod", true),
    ("", "v1", "secrets", "sec", "Secret", true),
    ("apps", "v1", "deployments", "deploy", "Deployment", true),
    ("example.com", "v1", "mice", "mo", "Mouse", false),
    ("example.com", "v1", "widgets", "wi", "Widget", true),
];

/// What a path is about.
#[derive(Debug)]
pub(super) struct At {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    /// `log` and the like.
    pub(super) part: Option<String>,
}

impl At {
    pub(super) fn of(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, rest) = rest.split_first()?;
        let (group, version, plural, _, kind, namespaced) =
            *KINDS.iter().find(|kind| (kind.0, kind.1, kind.2) == (group, version, plural))?;
        if namespace.is_some() && !namespaced {
            return None;
        }
        let mut rest = rest.iter().map(|segment| decoded(segment));
        let namespace = namespace.map(str::to_owned);
        Some(Self { group, version, plural, kind, namespace, name: rest.next(), part: rest.next() })
    }

    pub(super) fn api_version(&self) -> String {
        group_version(self.group, self.version)
    }
}

/// A segment of a path, as it was before it was encoded.
fn decoded(segment: &str) -> String {
    let pairs = starcell_http::query::parse(&format!("segment={}", segment.replace('+', "%2B")));
    pairs.into_iter().map(|(_, value)| value).collect()
}

/// The answer to a question about the API itself.
pub(super) fn answer(path: &str) -> Option<Answer> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let value = match segments.as_slice() {
        ["version"] => json!({ "major": "1", "minor": "32", "gitVersion": "v1.32.4", "platform": "linux/amd64" }),
        ["api"] => json!({ "kind": "APIVersions", "versions": ["v1"] }),
        ["apis"] => {
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [group("apps"), group("example.com")] })
        }
        ["apis", name] if KINDS.iter().any(|kind| kind.0 == *name) => group(name),
        ["api", "v1"] => kinds("", "v1"),
        ["apis", group, "v1"] if KINDS.iter().any(|kind| kind.0 == *group) => kinds(group, "v1"),
        _ => return None,
    };
    Some(success(200, &value))
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn group(name: &str) -> Value {
    let version = json!({ "groupVersion": group_version(name, "v1"), "version": "v1" });
    json!({ "kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version], "preferredVersion": version })
}

fn kinds(group: &str, version: &str) -> Value {
    let of_group = KINDS.iter().filter(|kind| kind.0 == group);
    let verbs = ["create", "delete", "get", "list", "patch"];
    let resources: Vec<Value> = of_group
        .map(|(_, _, plural, short, kind, namespaced)| {
            let (singular, short) = (kind.to_lowercase(), [short]);
            json!({
                "name": plural, "singularName": singular, "shortNames": short, "kind": kind, "namespaced": namespaced,
                "verbs": verbs,
            })
        })
        .collect();
    let version = group_version(group, version);
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources })
}
