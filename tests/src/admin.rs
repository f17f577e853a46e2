//! A client of the API that a node is operated by, and the check that its answers are as they are described.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::client::{Client, Response};
use crate::process::{PATIENCE, Starcell};

/// How a node is asked.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Over its unix socket.
    Unix(PathBuf),
    /// Over an address, with a token.
    Loopback(u16, Option<String>),
}

/// An answer of a node.
#[derive(Clone, Debug)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The JSON.
    pub json: Value,
}

/// Where a node is operated, as it said at its start: `http://ADDRESS` or `unix:PATH`.
#[must_use]
pub fn operated_at(starcell: &Starcell) -> &str {
    starcell.seen().lines().find_map(|line| line.split_once("operated at ")).expect("it is told").1.trim()
}

/// The port of that address.
#[must_use]
pub fn admin_port(starcell: &Starcell) -> u16 {
    operated_at(starcell).rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

impl Operator {
    /// Whoever has this token, or may use the socket, where the node said that it is operated.
    #[must_use]
    pub fn of(starcell: &Starcell, token: Option<&str>) -> Self {
        match operated_at(starcell).strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Loopback(admin_port(starcell), token.map(str::to_owned)),
        }
    }

    /// Asks over a connection of its own.
    #[must_use]
    pub fn ask(&self, method: &str, target: &str, body: &str) -> Response {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).expect("the node listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
                Client::over(stream).request(method, target, &[], body.as_bytes())
            }
            Self::Loopback(port, token) => {
                let token = token.as_ref().map(|token| format!("Bearer {token}"));
                let headers: Vec<(&str, &str)> = token.iter().map(|token| ("Authorization", token.as_str())).collect();
                Client::connect(*port).request(method, target, &headers, body.as_bytes())
            }
        }
    }

    /// Asks, and checks that the answer is one that the description has for this operation.
    #[must_use]
    pub fn told(&self, method: &str, target: &str, body: &str) -> Told {
        let response = self.ask(method, target, body);
        let json: Value = serde_json::from_slice(&response.body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}: {response:?}"));
        Description::of_documents().check(method, target, response.status, &json);
        Told { status: response.status, json }
    }

    /// Asks for what must be there.
    #[must_use]
    pub fn get(&self, target: &str) -> Value {
        let told = self.told("GET", target, "");
        assert_eq!(told.status, 200, "{target}: {}", told.json);
        told.json
    }

    /// Asks for an action that must be done.
    pub fn post(&self, target: &str, body: &str) -> Value {
        let told = self.told("POST", target, body);
        assert_eq!(told.status, 200, "{target}: {}", told.json);
        told.json
    }

    /// Asks for what must be refused, and returns the status, the word and the sentence.
    #[must_use]
    pub fn refused(&self, method: &str, target: &str, body: &str) -> (u16, String, String) {
        let told = self.told(method, target, body);
        assert!(told.status >= 400, "{method} {target}: {}", told.json);
        let text = |key: &str| told.json["error"][key].as_str().expect("a text").to_owned();
        (told.status, text("code"), text("message"))
    }
}

/// The description of the API.
#[derive(Debug)]
pub struct Description(Value);

impl Description {
    /// The one in the documents of the repository.
    #[must_use]
    pub fn of_documents() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let text = std::fs::read_to_string(file).expect("docs/openapi.json");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    /// The description itself.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Checks an answer to a request.
    pub fn check(&self, method: &str, target: &str, status: u16, answer: &Value) {
        let path = target.split('?').next().expect("a path");
        let paths = self.0["paths"].as_object().expect("paths");
        let Some(found) = paths.iter().find(|(pattern, _)| is_at(pattern, path)) else {
            assert!([401, 404].contains(&status), "{method} {path} is described nowhere: {status}");
            return self.shape("ErrorView", answer);
        };
        let Some(operation) = found.1.get(method.to_lowercase()) else {
            assert!([401, 405].contains(&status), "{method} {path} is described nowhere: {status}");
            return self.shape("ErrorView", answer);
        };
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{method} {path}: status {status} is not described: {answer}");
        let schema = &response["content"]["application/json"]["schema"];
        self.valid(schema, answer, &format!("{method} {path}"));
    }

    /// Checks that a value has a shape of the description.
    pub fn shape(&self, name: &str, value: &Value) {
        self.valid(&self.0["components"]["schemas"][name], value, name);
    }

    /// Checks a value against a schema: types, `required`, `enum`, `$ref`, `anyOf`, and that no field is undescribed.
    fn valid(&self, schema: &Value, value: &Value, at: &str) {
        if let Err(problem) = self.judged(schema, value, at) {
            panic!("{problem}");
        }
    }

    fn judged(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let Some(schema) = schema.as_object() else {
            return if schema == &Value::Bool(true) { Ok(()) } else { Err(format!("{at}: no schema")) };
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.rsplit('/').next().expect("a name");
            return self.judged(&self.0["components"]["schemas"][name], value, at);
        }
        if let Some(choices) = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)?.as_array()) {
            let problems: Vec<String> =
                choices.iter().filter_map(|choice| self.judged(choice, value, at).err()).collect();
            return if problems.len() < choices.len() { Ok(()) } else { Err(problems.join("; ")) };
        }
        if let Some(constant) = schema.get("const") {
            return if constant == value { Ok(()) } else { Err(format!("{at}: {value} is not {constant}")) };
        }
        if let Some(known) = schema.get("enum").and_then(Value::as_array) {
            return if known.contains(value) { Ok(()) } else { Err(format!("{at}: {value} is none of {known:?}")) };
        }
        let kinds: Vec<&str> = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return Ok(()),
        };
        if !kinds.iter().any(|kind| is_a(kind, value)) {
            return Err(format!("{at}: {value} is no {}", kinds.join(" or ")));
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, at),
            Value::Array(items) => {
                let of = schema.get("items").unwrap_or(&Value::Bool(true));
                items.iter().enumerate().try_for_each(|(place, item)| self.judged(of, item, &format!("{at}[{place}]")))
            }
            _ => Ok(()),
        }
    }

    fn object(&self, schema: &Map<String, Value>, fields: &Map<String, Value>, at: &str) -> Result<(), String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                return Err(format!("{at}: {name} is missing"));
            }
        }
        // A schema of any object has neither.
        let open = properties.is_none();
        for (name, field) in fields {
            let at = format!("{at}.{name}");
            match properties.and_then(|properties| properties.get(name)).or(schema.get("additionalProperties")) {
                Some(schema) => self.judged(schema, field, &at)?,
                None if open => {}
                None => return Err(format!("{at} is not described")),
            }
        }
        Ok(())
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn is_at(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(a, b)| a == b || (a.starts_with('{') && !b.is_empty()))
}
