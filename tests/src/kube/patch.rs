//! The four ways of changing an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Who applied which field last: by its JSON pointer.
pub(super) type Owners = BTreeMap<String, String>;

/// An object and its owners after a change.
pub(super) struct Patched {
    pub(super) object: Value,
    pub(super) owners: Owners,
}

/// A code, its reason, and a sentence.
type Refused = (u16, &'static str, String);

/// Server-side apply: fields of others are not touched, and those that another manager owns are a conflict.
pub(super) fn apply(
    mut object: Value,
    mut owners: Owners,
    wanted: &Value,
    manager: Option<&str>,
    force: bool,
) -> Result<Patched, Refused> {
    let Some(manager) = manager else {
        let text =
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err((422, "Invalid", text.to_owned()));
    };
    let mut fields = BTreeMap::new();
    leaves("", wanted, &mut fields);
    let own = |path: &str| !matches!(path, "/apiVersion" | "/kind" | "/metadata/name" | "/metadata/namespace");
    fields.retain(|path, _| own(path));
    let conflict = |(path, value): &(&String, &&Value)| {
        let other = owners.get(*path).is_some_and(|owner| owner != manager);
        other && object.pointer(path) != Some(**value)
    };
    if let Some((path, _)) = fields.iter().find(conflict).filter(|_| !force) {
        let text = format!("Apply failed with 1 conflict: conflict with {:?}: {path}", owners[path]);
        return Err((409, "Conflict", text));
    }
    // What this manager applied before and leaves out now is taken away.
    let gone: Vec<String> = owners
        .iter()
        .filter(|(path, owner)| *owner == manager && !fields.contains_key(*path))
        .map(|(path, _)| path.clone())
        .collect();
    for path in gone {
        owners.remove(&path);
        remove(&mut object, &path);
    }
    merge_value(&mut object, wanted);
    owners.extend(fields.into_keys().map(|path| (path, manager.to_owned())));
    Ok(Patched { object, owners })
}

/// RFC 7386.
pub(super) fn merge(mut object: Value, owners: Owners, patch: &Value) -> Result<Patched, Refused> {
    merge_value(&mut object, patch);
    Ok(Patched { object, owners })
}

/// The same, but containers are merged by their names.
pub(super) fn strategic(mut object: Value, owners: Owners, patch: &Value) -> Result<Patched, Refused> {
    let mut patch = patch.clone();
    for pointer in ["/spec/containers", "/spec/template/spec/containers"] {
        let Some(Value::Array(changed)) = patch.pointer_mut(pointer).map(Value::take) else { continue };
        let mut all = object.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        for change in changed {
            match all.iter_mut().find(|container| container["name"] == change["name"]) {
                Some(container) => merge_value(container, &change),
                None => all.push(change),
            }
        }
        *patch.pointer_mut(pointer).expect("it was there") = Value::Array(all);
    }
    merge_value(&mut object, &patch);
    Ok(Patched { object, owners })
}

/// RFC 6902: `add`, `replace`, `remove` and `test` of members of objects.
pub(super) fn operations(mut object: Value, owners: Owners, patch: &Value) -> Result<Patched, Refused> {
    for operation in patch.as_array().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap_or_default();
        match operation["op"].as_str().unwrap_or_default() {
            "test" if object.pointer(path) == Some(&operation["value"]) => {}
            "add" | "replace" => set(&mut object, path, &operation["value"]),
            "remove" => remove(&mut object, path),
            other => return Err((422, "Invalid", format!("the operation {other} of {path} failed"))),
        }
    }
    Ok(Patched { object, owners })
}

fn merge_value(object: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let fields = object.as_object_mut().expect("made one");
    for (name, change) in changes {
        match change {
            Value::Null => drop(fields.remove(name)),
            _ => merge_value(fields.entry(name.clone()).or_insert(Value::Null), change),
        }
    }
}

fn leaves<'a>(path: &str, value: &'a Value, found: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                leaves(&format!("{path}/{name}"), value, found);
            }
        }
        value => drop(found.insert(path.to_owned(), value)),
    }
}

fn set(object: &mut Value, path: &str, value: &Value) {
    let (parent, name) = path.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).expect("a parent")[name] = value.clone();
}

fn remove(object: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('/').expect("a pointer");
    if let Some(Value::Object(fields)) = object.pointer_mut(parent) {
        fields.remove(name);
    }
}
