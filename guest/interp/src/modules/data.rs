//! A document of a data format as a value, whatever reads it.

use starlark::values::{Heap, Value};

use super::{json_decode, toml, yaml};
use crate::diagnostic;

/// A format in which data is written by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFormat {
    /// JSON, as `json.decode` reads it.
    Json,
    /// TOML, as `toml.decode` reads it.
    Toml,
    /// YAML, as `yaml.decode` reads it.
    Yaml,
}

/// The value of a document; the error is a sentence with line and column.
pub(crate) fn decode<'v>(format: DataFormat, text: &[u8], heap: Heap<'v>) -> Result<Value<'v>, String> {
    match format {
        DataFormat::Json => json_decode::decode(text, heap),
        DataFormat::Toml => toml::read::document(unmarked(text)?, heap),
        DataFormat::Yaml => yaml::read::one(unmarked(text)?, heap).map_err(|error| diagnostic::message(&error)),
    }
}

/// The text without the mark that some editors put before it.
fn unmarked(text: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let (line, column) = json_decode::locate(text, error.valid_up_to());
        format!("line {line}, column {column}: not UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
