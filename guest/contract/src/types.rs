//! Records that several interfaces use.

/// A name and its value.
pub type Field = (String, String);

/// A position in a script: lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Name of the file as the operator gave it.
    pub file: String,
    /// Line, from 1; 0 when the position is unknown.
    pub line: u32,
    /// Column in characters, from 1; 0 when the position is unknown.
    pub column: u32,
}

/// Why the host refused or failed a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The script's grants do not cover the call. The text is the whole denial.
    #[error("{0}")]
    Denied(String),
    /// The call was allowed and failed: a busy port, an unreadable certificate, a wrong option.
    #[error("{0}")]
    Failed(String),
    /// The host ends this script here; no code of it may run any further. Not catchable by `try_` forms.
    #[error("stopped by the host")]
    Stopped,
}

/// A script to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Name of the file, as it stands in messages.
    pub name: String,
    /// The text. The interpreter refuses a text that is not UTF-8, with a position.
    pub source: Vec<u8>,
}

/// What kind of failure ended an evaluation; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The script raised, or used a value wrongly.
    Script,
    /// The source does not parse, or names something undefined.
    Syntax,
    /// A privileged call was refused and the script did not catch it.
    Denied,
    /// The host stopped the script.
    Stopped,
}

/// Why an evaluation ended without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// The error alone, without position or traceback.
    pub message: String,
    /// Everything a developer needs: traceback, position and source excerpt, then the message.
    pub report: String,
    /// Where it was raised.
    pub at: Position,
}

/// One request. The host has read and bounded all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method, as sent.
    pub method: String,
    /// Path, percent-decoded.
    pub path: String,
    /// Scheme, host and the raw request target.
    pub url: String,
    /// Wildcards of the matched pattern, in pattern order.
    pub params: Vec<Field>,
    /// Query pairs, decoded, in order, repeats kept.
    pub query: Vec<Field>,
    /// The header fields in order, repeats kept: for each its name in canonical form (`Content-Type`), a colon and a
    /// space, its value, a line feed.
    pub headers: String,
    /// The whole body.
    pub body: Vec<u8>,
    /// `ip:port` of the client.
    pub remote_addr: String,
    /// The Host header or the HTTP/2 authority.
    pub host: String,
    /// Whether the request came over TLS.
    pub tls: bool,
    /// The request id, also in every log line about this request.
    pub id: String,
    /// `HTTP/1.1` and the like.
    pub proto: String,
}

/// A request that no route serves, as the host would answer it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Miss {
    /// Whether the method is OPTIONS and other methods have a route here, so that all middleware runs.
    pub preflight: bool,
    /// The response of the host.
    pub response: Response,
}

/// A response as the script decided it; the host checks it once more before it goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status, 100 to 999.
    pub status: u16,
    /// Header fields in order, repeats kept.
    pub headers: Vec<Field>,
    /// The whole body.
    pub body: Vec<u8>,
}
