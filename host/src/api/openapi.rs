//! The description of the API, as OpenAPI 3.1 has it. It is made of the table of paths and of the types of the answers, so
//! that neither can say something else; `docs/openapi.json` is a copy of it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use starcell_config::Role;

use super::paths::{ApiPath, PATHS};
use super::views::{
    AppView, AppsView, CanaryBody, DenialsView, DeployBody, DoneView, ErrorView, HealthView, LeastView, LogLineView,
    LogLinesView, NoBody, PreviewBody, RecordsView, RollbackBody, TenantView, TenantsView,
};

/// Where the shapes are in the description.
const SHAPES: &str = "/components/schemas";

/// The description.
#[must_use]
pub fn description() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for entry in &PATHS {
        let methods = paths.entry(entry.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(entry.method.to_lowercase(), operation(entry));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "starcell node",
            "version": "1",
            "description": "How a node of starcell is operated: over a unix socket, or over a loopback address with a token.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:9090", "description": "The address of [admin] in the configuration" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": shapes(),
        },
    })
}

/// The description as text, for a file.
#[must_use]
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&description()).unwrap_or_default();
    text.push('\n');
    text
}

fn operation(entry: &ApiPath) -> Value {
    let ApiPath { id, summary, answer, body, query, errors, role, path, .. } = entry;
    let role = match role {
        Role::Read => "Takes the role `read` or `operate`.",
        Role::Operate => "Takes the role `operate`.",
    };
    let named = ["app", "tenant"].into_iter().filter(|name| path.contains(&format!("{{{name}}}")));
    let in_path = named.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = query.iter().map(
        |(name, kind, meaning)| json!({"name": name, "in": "query", "description": meaning, "schema": {"type": kind}}),
    );
    let shape = answer.map_or_else(|| json!({"type": "object"}), |name| json!({"$ref": format!("#{SHAPES}/{name}")}));
    let mut responses = Map::new();
    let content = json!({"application/json": {"schema": shape}});
    responses.insert("200".to_owned(), json!({"description": "It was answered or done.", "content": content}));
    for status in [400, 401, 403, 405, 413, 503].iter().chain(*errors) {
        let shape = json!({"$ref": format!("#{SHAPES}/ErrorView")});
        let content = json!({"application/json": {"schema": shape}});
        responses.insert(status.to_string(), json!({"description": meaning(*status), "content": content}));
    }
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "description": role,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let (Some(body), Some(operation)) = (body, operation.as_object_mut()) {
        let content = json!({"application/json": {"schema": {"$ref": format!("#{SHAPES}/{body}")}}});
        operation.insert(
            "requestBody".to_owned(),
            json!({"required": matches!(*body, "CanaryBody" | "PreviewBody"), "content": content}),
        );
    }
    operation
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The query or the body is wrong.",
        401 => "The token is missing, or is none of the node.",
        403 => "The role or the tenant of the token does not allow it, or a page of somebody else asks.",
        404 => "There is no such app, tenant or revision, or it is not one of the token's tenant.",
        405 => "The path is for another method.",
        409 => "It cannot be done as things are; the message says why.",
        413 => "The body is too large.",
        422 => "What was to be deployed cannot be; what answered before still does.",
        _ => "The node ends, or cannot record what is to be done.",
    }
}

/// The shapes of the answers and bodies.
fn shapes() -> Value {
    let settings = |settings: &mut schemars::generate::SchemaSettings| settings.definitions_path = SHAPES.into();
    let mut answers = SchemaSettings::draft2020_12().with(settings).for_serialize().into_generator();
    let mut add = |add: &[fn(&mut SchemaGenerator)]| add.iter().for_each(|add| add(&mut answers));
    add(&[shape::<HealthView>, shape::<TenantsView>, shape::<TenantView>, shape::<AppsView>, shape::<AppView>]);
    add(&[shape::<DoneView>, shape::<DenialsView>, shape::<LeastView>, shape::<LogLinesView>, shape::<LogLineView>]);
    add(&[shape::<RecordsView>, shape::<ErrorView>]);
    let mut bodies = SchemaSettings::draft2020_12().with(settings).for_deserialize().into_generator();
    let mut add = |add: &[fn(&mut SchemaGenerator)]| add.iter().for_each(|add| add(&mut bodies));
    add(&[shape::<DeployBody>, shape::<RollbackBody>, shape::<CanaryBody>, shape::<PreviewBody>, shape::<NoBody>]);
    let mut all = answers.take_definitions(true);
    all.extend(bodies.take_definitions(true));
    all.into()
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) {
    let _ = generator.subschema_for::<T>();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_copy_in_the_documents_is_this_description() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let copy = std::fs::read_to_string(&file).unwrap_or_default();
        let hint = "write it anew: starcell docs --openapi --output docs/openapi.json";
        assert!(copy == text(), "{} is not what the node serves; {hint}", file.display());
    }

    #[test]
    fn each_shape_that_is_named_is_there() {
        let (text, shapes) = (text(), shapes());
        for name in text.match_indices("#/components/schemas/").map(|(at, start)| &text[at + start.len()..]) {
            let name = name.split('"').next().unwrap();
            assert!(shapes.get(name).is_some(), "{name}");
        }
    }
}
