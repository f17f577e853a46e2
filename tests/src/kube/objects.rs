//! The objects, and what can be done with them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answers::{Answer, Asked, failure, success};
use super::discovery::At;
use super::patch::{Owners, Patched};

/// Group, plural, namespace and name.
type Key = (String, String, String, String);

/// What a server has.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    kept: BTreeMap<Key, (Value, Owners)>,
    changes: u64,
}

type Query = [(String, String)];

impl Objects {
    /// What is there at the start.
    pub(super) fn first() -> Self {
        let mut objects = Self::default();
        for (path, object) in [
            ("/api/v1/namespaces", json!({ "metadata": { "name": "web" } })),
            ("/api/v1/namespaces", json!({ "metadata": { "name": "prod" } })),
            ("/api/v1/nodes", json!({ "metadata": { "name": "n1" } })),
            (
                "/api/v1/namespaces/web/pods",
                json!({
                    "metadata": { "name": "web-0", "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
                }),
            ),
        ] {
            let at = At::of(path).expect("a path of ours");
            let (code, _, said) = objects.create(&at, object);
            assert_eq!(code, 201, "{said}");
        }
        objects
    }

    /// Answers a request. What a dry run would change is changed in a copy, so that the answer is that of the change.
    pub(super) fn answer(&mut self, at: &At, asked: &Asked, query: &Query) -> Answer {
        match dry_run(asked, query) {
            Ok(true) => self.clone().change(at, asked, query),
            Ok(false) => self.change(at, asked, query),
            Err(text) => failure(400, "BadRequest", &text, ""),
        }
    }

    fn change(&mut self, at: &At, asked: &Asked, query: &Query) -> Answer {
        match (asked.method.as_str(), &at.name, at.part.as_deref()) {
            ("GET", None, None) => self.list(at, query),
            ("POST", None, None) => match serde_json::from_str(&asked.body) {
                Ok(object) => self.create(at, object),
                Err(error) => failure(400, "BadRequest", &error.to_string(), ""),
            },
            ("GET", Some(name), None) => match self.kept.get(&key(at, name)) {
                Some((object, _)) => success(200, object),
                None => missing(at, name),
            },
            ("DELETE", Some(name), None) => match self.kept.remove(&key(at, name)) {
                Some(_) => success(200, &json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" })),
                None => missing(at, name),
            },
            ("PATCH", Some(name), None) => self.patch(at, name, asked, query),
            ("PUT", Some(name), None) => match serde_json::from_str(&asked.body) {
                Ok(object) => self.replace(at, name, object),
                Err(error) => failure(400, "BadRequest", &error.to_string(), ""),
            },
            ("GET", Some(name), Some("log")) if at.plural == "pods" => match self.kept.get(&key(at, name)) {
                Some((pod, _)) => log(pod, query),
                None => missing(at, name),
            },
            _ => failure(405, "MethodNotAllowed", "the server does not allow this method", ""),
        }
    }

    fn list(&self, at: &At, query: &Query) -> Answer {
        let parameter = |name: &str| value(query, name);
        let fits = |key: &Key, object: &Value| {
            (&*key.0, &*key.1) == (at.group, at.plural)
                && at.namespace.as_ref().is_none_or(|namespace| key.2 == *namespace)
                && parameter("labelSelector").is_none_or(|selector| labels_match(selector, object))
                && parameter("fieldSelector").is_none_or(|selector| fields_match(selector, object))
        };
        let mut items: Vec<Value> = self
            .kept
            .iter()
            .filter(|(key, (object, _))| fits(key, object))
            .map(|(_, (object, _))| object.clone())
            .collect();
        // Items of a list do not say what they are.
        for item in &mut items {
            let item = item.as_object_mut().expect("an object");
            item.retain(|name, _| !matches!(name.as_str(), "apiVersion" | "kind"));
        }
        let first: usize = parameter("continue").map_or(0, |token| token.parse().expect("a token of ours"));
        let limit: usize = parameter("limit").map_or(usize::MAX, |limit| limit.parse().expect("a limit"));
        let behind = items.split_off(first.min(items.len()));
        let page: Vec<Value> = behind.iter().take(limit).cloned().collect();
        let mut metadata = json!({ "resourceVersion": self.changes.to_string() });
        if page.len() < behind.len() {
            metadata["continue"] = (first + page.len()).to_string().into();
        }
        let kind = format!("{}List", at.kind);
        success(200, &json!({ "kind": kind, "apiVersion": at.api_version(), "metadata": metadata, "items": page }))
    }

    fn create(&mut self, at: &At, mut object: Value) -> Answer {
        if object["kind"].as_str().is_some_and(|kind| kind != at.kind) {
            return failure(400, "BadRequest", "the kind of the object is not that of the path", "");
        }
        let own = object["metadata"]["namespace"].as_str();
        if let (Some(own), Some(namespace)) = (own, &at.namespace)
            && own != namespace
        {
            let text = "the namespace of the provided object does not match the namespace sent on the request";
            return failure(400, "BadRequest", text, "");
        }
        if let (None, Some(prefix)) = (object["metadata"]["name"].as_str(), object["metadata"]["generateName"].as_str())
        {
            let name = format!("{prefix}{}", self.changes);
            object["metadata"]["name"] = name.into();
        }
        let Some(name) = object["metadata"]["name"].as_str().map(str::to_owned) else {
            return failure(422, "Invalid", "metadata.name: Required value: name or generateName is required", "");
        };
        if self.kept.contains_key(&key(at, &name)) {
            return failure(409, "AlreadyExists", &format!("{} {name:?} already exists", at.plural), &name);
        }
        let object = self.keep(at, &name, object, Owners::default());
        success(201, &object)
    }

    fn replace(&mut self, at: &At, name: &str, object: Value) -> Answer {
        let Some((before, owners)) = self.kept.get(&key(at, name)).cloned() else { return missing(at, name) };
        if object["metadata"]["name"] != name {
            return failure(400, "BadRequest", "the name of the object does not match the name on the URL", name);
        }
        let version = &object["metadata"]["resourceVersion"];
        if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
            let text = "the object has been modified; please apply your changes to the latest version and try again";
            return failure(409, "Conflict", text, name);
        }
        success(200, &self.keep(at, name, object, owners))
    }

    fn patch(&mut self, at: &At, name: &str, asked: &Asked, query: &Query) -> Answer {
        let before = self.kept.get(&key(at, name)).cloned();
        let is_apply = asked.content_type == "application/apply-patch+yaml";
        let code = if before.is_none() { 201 } else { 200 };
        let Some((object, owners)) = before.or_else(|| is_apply.then(Default::default)) else {
            return missing(at, name);
        };
        let Ok(patch) = serde_json::from_str(&asked.body) else {
            return failure(400, "BadRequest", "the patch is no JSON", "");
        };
        let patched = match asked.content_type.as_str() {
            "application/apply-patch+yaml" => {
                let force = value(query, "force") == Some("true");
                super::patch::apply(object, owners, &patch, value(query, "fieldManager"), force)
            }
            "application/merge-patch+json" => super::patch::merge(object, owners, &patch),
            "application/json-patch+json" => super::patch::operations(object, owners, &patch),
            "application/strategic-merge-patch+json" if at.group != "example.com" => {
                super::patch::strategic(object, owners, &patch)
            }
            _ => Err((415, "UnsupportedMediaType", "the body of the request was in an unknown format".to_owned())),
        };
        match patched {
            Ok(Patched { object, owners }) => success(code, &self.keep(at, name, object, owners)),
            Err((code, reason, message)) => failure(code, reason, &message, name),
        }
    }

    /// Keeps an object with what a server adds to it.
    fn keep(&mut self, at: &At, name: &str, mut object: Value, owners: Owners) -> Value {
        self.changes += 1;
        object["apiVersion"] = at.api_version().into();
        object["kind"] = at.kind.into();
        object["metadata"]["name"] = name.into();
        if let Some(namespace) = &at.namespace {
            object["metadata"]["namespace"] = namespace.as_str().into();
        }
        object["metadata"]["resourceVersion"] = self.changes.to_string().into();
        self.kept.insert(key(at, name), (object.clone(), owners));
        object
    }
}

fn key(at: &At, name: &str) -> Key {
    (at.group.to_owned(), at.plural.to_owned(), at.namespace.clone().unwrap_or_default(), name.to_owned())
}

fn value<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
}

/// Whether a request only asks what a change would do. An API server reads that from the query, but for a deletion that
/// has a body from the body alone.
fn dry_run(asked: &Asked, query: &Query) -> Result<bool, String> {
    let body: Value = match (asked.method.as_str(), asked.body.as_str()) {
        ("DELETE", body) if !body.is_empty() => serde_json::from_str(body).map_err(|error| error.to_string())?,
        _ => Value::Null,
    };
    let stages: Vec<&str> = match &body {
        Value::Null => value(query, "dryRun").into_iter().collect(),
        body => body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    match stages.as_slice() {
        [] => Ok(false),
        ["All"] => Ok(true),
        other => Err(format!("dryRun: Unsupported value: {other:?}: supported values: \"All\"")),
    }
}

fn missing(at: &At, name: &str) -> Answer {
    failure(404, "NotFound", &format!("{} {name:?} not found", at.plural), name)
}

/// Selectors of the forms `a=b` and `a in (b,c)`, with commas between them.
fn labels_match(selector: &str, object: &Value) -> bool {
    let label = |name: &str| object["metadata"]["labels"][name].as_str().unwrap_or_default().to_owned();
    match selector.split_once(" in (") {
        Some((name, values)) => values.trim_end_matches(')').split(',').any(|value| value.trim() == label(name)),
        None => selector.split(',').filter_map(|one| one.split_once('=')).all(|(name, value)| label(name) == value),
    }
}

fn fields_match(selector: &str, object: &Value) -> bool {
    selector.split(',').filter_map(|one| one.split_once('=')).all(|(path, value)| {
        let pointer = format!("/{}", path.replace('.', "/"));
        object.pointer(&pointer).and_then(Value::as_str) == Some(value)
    })
}

fn log(pod: &Value, query: &Query) -> Answer {
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    if let Some(name) = value(query, "container")
        && !containers.iter().any(|container| container["name"] == name)
    {
        return failure(400, "BadRequest", &format!("container {name} is not valid for pod"), "");
    }
    let lines: Vec<String> = (1..=5).map(|line| format!("line {line}\n")).collect();
    let tail: usize = value(query, "tailLines").map_or(lines.len(), |tail| tail.parse().expect("a number"));
    let shown = lines[lines.len() - tail.min(lines.len())..].concat();
    let limit = value(query, "limitBytes").map_or(usize::MAX, |limit| limit.parse().expect("a number"));
    (200, "text/plain", shown[..shown.len().min(limit)].to_owned())
}
