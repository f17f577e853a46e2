//! The bounds of values in a log line. They count bytes as they are written, so that a text which grows sixfold when it
//! is escaped is no way around them. Which characters are escaped is decided in [`starcell_text`].

use std::borrow::Cow;

use starcell_text::{disturbs, push_json, terminal};

/// Bytes of one line, its newline included.
pub(crate) const MAX_LINE: usize = 64 << 10;

/// Bytes of one value as it is written; the rest is cut.
pub(crate) const MAX_VALUE: usize = 16 << 10;

/// Bytes of one name as it is written; the rest is cut.
pub(crate) const MAX_NAME: usize = 256;

/// Bytes that the note of a cut may take besides the limit: `... (N bytes more)`.
const MAX_NOTE: usize = 40;

/// The text of one `print`, with a newline at its end.
pub(crate) fn printed(text: &str) -> String {
    terminal(&bounded(text, MAX_LINE - MAX_NOTE)) + "\n"
}

/// Adds a text as a JSON string of bounded length.
pub(crate) fn push_text(out: &mut String, text: &str) {
    push_json(out, &bounded(text, MAX_VALUE));
}

/// As much of a text as takes `limit` bytes when it is written, with a note of how many bytes are missing.
pub(crate) fn bounded(text: &str, limit: usize) -> Cow<'_, str> {
    // A character takes twelve bytes at most.
    if text.len() <= limit / 12 {
        return text.into();
    }
    let mut written = 0;
    for (at, c) in text.char_indices() {
        written += match c {
            '"' | '\\' => 2,
            c if disturbs(c) => 6 * c.len_utf16(),
            c => c.len_utf8(),
        };
        if written > limit {
            let kept = text.get(..at).unwrap_or_default();
            return format!("{kept}... ({} bytes more)", text.len() - at).into();
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_keeps_newlines_and_escapes_the_rest() {
        assert_eq!(printed("a\nb\x1b[31m"), "a\nb\\u001b[31m\n");
    }

    #[test]
    fn a_bound_counts_what_is_written() {
        for c in ["a", "\x01", "\"", "é", "\u{202e}", "\u{e0041}"] {
            let text = c.repeat(200_000 / c.len());
            let mut out = String::new();
            push_text(&mut out, &text);
            assert!(out.len() > MAX_VALUE - 12 && out.len() <= MAX_VALUE + MAX_NOTE + 2, "{c:?}: {}", out.len());
            assert!(out.ends_with(" bytes more)\""), "{c:?}");
            assert!(printed(&text).len() <= MAX_LINE, "{c:?}");
        }
        assert_eq!(bounded("short", 5), "short");
        assert_eq!(bounded("longer", 5), "longe... (1 bytes more)");
    }
}
