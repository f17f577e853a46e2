//! What the server is asked and what it answers.

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The media type of the body.
    pub content_type: String,
    /// Who asks.
    pub agent: String,
    /// The Host header.
    pub host: String,
    /// The body.
    pub body: String,
}

/// What is answered: status, media type and body.
pub(super) type Answer = (u16, &'static str, String);

/// A status object, as API servers tell what is wrong; `name` is that of the object that it is about.
pub(super) fn failure(code: u16, reason: &str, message: &str, name: &str) -> Answer {
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if !name.is_empty() {
        status["details"] = json!({ "name": name });
    }
    (code, "application/json", status.to_string())
}

/// An object as an answer.
pub(super) fn success(code: u16, object: &Value) -> Answer {
    (code, "application/json", object.to_string())
}
