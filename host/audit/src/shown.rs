//! Answers as text and as JSON, safe to show: a log holds many words that scripts chose.

use serde::Serialize;
use starcell_text::escape_json;

/// One JSON text without line ends, every character escaped that acts on a terminal.
pub(crate) fn json(value: &impl Serialize) -> String {
    escape_json(&serde_json::to_string(value).unwrap_or_default())
}

/// The number of calls, as a sentence has it.
pub(crate) fn calls(count: u64) -> String {
    format!("{count} {}", if count == 1 { "call" } else { "calls" })
}

/// The number of calls, and how many of them were denied when they were recorded.
pub(crate) fn calls_denied_then(count: u64, denied_then: u64) -> String {
    let was = if denied_then == 1 { "it was" } else { "they were" };
    match denied_then {
        0 => calls(count),
        _ => format!("{}, {denied_then} of them denied when {was} recorded", calls(count)),
    }
}
