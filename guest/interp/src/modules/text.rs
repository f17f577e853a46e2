//! A document that a script hands over to be read: str, or bytes that are UTF-8.

use super::json_decode::locate;
use crate::bytes::Bytes;
use crate::error::usage;

/// The text of a document, without the byte order mark that some editors put in front.
pub(super) fn document(Bytes(bytes): Bytes<'_>) -> starlark::Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = locate(bytes, error.valid_up_to());
        usage(format!("line {line}, column {column}: not UTF-8"))
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
