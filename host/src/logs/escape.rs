//! The bound of a value in a log line, and texts for standard output. Which characters are escaped is decided in
//! [`starcell_text`].

use starcell_text::terminal;

/// Bytes of one value; the rest is cut.
pub(super) const MAX_VALUE: usize = 16 << 10;

/// The text of one `print`, with a newline at its end.
pub(super) fn printed(text: &str) -> String {
    terminal(&bounded(text)) + "\n"
}

/// At most [`MAX_VALUE`] bytes of a text.
pub(super) fn bounded(text: &str) -> String {
    if text.len() <= MAX_VALUE {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_VALUE);
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}... ({} bytes more)", text.len() - end)
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    starcell_text::push_json(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_keeps_newlines_and_escapes_the_rest() {
        assert_eq!(printed("a\nb\x1b[31m\u{61c}"), "a\nb\\u001b[31m\\u061c\n");
    }
}
