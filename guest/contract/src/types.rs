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

/// Severity of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Detail for whoever debugs the script.
    Debug,
    /// Normal course of events.
    #[default]
    Info,
    /// Something to look at, nothing failed.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The level with a number of `wit/`, counted from 0. The generated bindings of the guest call this by this name.
    #[doc(hidden)]
    #[must_use]
    pub fn _lift(number: u8) -> Self {
        match number {
            0 => Self::Debug,
            1 => Self::Info,
            2 => Self::Warn,
            _ => Self::Error,
        }
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// As `key=value` pairs.
    #[default]
    Text,
    /// As one JSON object.
    Json,
}

impl LogFormat {
    /// The format with a number of `wit/`, counted from 0. The generated bindings of the guest call this by this name.
    #[doc(hidden)]
    #[must_use]
    pub fn _lift(number: u8) -> Self {
        match number {
            0 => Self::Text,
            _ => Self::Json,
        }
    }
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A text, which is read as the type that the script asks for.
    Text(String),
    /// One JSON text, of a value that has a type already.
    Json(String),
}

/// A variable that the operator defines for a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name, in which dots lead into tables.
    pub name: String,
    /// The value.
    pub setting: Setting,
    /// Where the value comes from, for messages: a flag, or the name of a file.
    pub origin: String,
}

/// Nested calls that an evaluation may have when the operator sets no other limit.
pub const DEFAULT_CALL_DEPTH: u32 = 200;

/// What the operator gives a script beside its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// The arguments behind `--` on the command line.
    pub arguments: Vec<String>,
    /// The variables of flags and files, each name once.
    pub variables: Vec<Variable>,
    /// The variables of the environment that stand for those of the script, by their whole names.
    pub environment: Vec<Field>,
    /// Nested calls that an evaluation may have at most.
    pub call_depth: u32,
    /// The least severe lines that the operator wants; `None` leaves it to the script.
    pub log_level: Option<Level>,
    /// How the operator wants lines to be written; `None` leaves it to the script.
    pub log_format: Option<LogFormat>,
}

impl Default for Conditions {
    fn default() -> Self {
        let (arguments, variables, environment) = Default::default();
        Self { arguments, variables, environment, call_depth: DEFAULT_CALL_DEPTH, log_level: None, log_format: None }
    }
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
    /// Advice on what to do about it. Each request that fails so has it, and whoever shows failures shows it once.
    pub hint: Option<String>,
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
