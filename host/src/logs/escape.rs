//! What is made of text before it may stand in a line.

use std::fmt::Write as _;

/// Bytes of one value; the rest is cut.
pub(super) const MAX_VALUE: usize = 16 << 10;

/// A text for a terminal: of several lines, with everything escaped that could disturb it.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\n' | '\t' => out.push(c),
            c => push_visible(&mut out, c),
        }
        out
    })
}

/// What `print` wrote, with a newline at its end.
pub(super) fn printed(text: &str) -> String {
    shown(&bounded(text)) + "\n"
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

/// Adds a text as a JSON string; most need nothing escaped.
pub(super) fn push_quoted(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&quoted(text));
    }
}

/// Whether a text can stand in a line as it is, quoted or not. Looks at all of it at once, which for short texts is
/// faster than stopping at the first byte that cannot.
pub(super) fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// A text as a JSON string, with everything escaped that could disturb a reader.
pub(super) fn quoted(text: &str) -> String {
    escaped(&serde_json::Value::from(text).to_string())
}

/// A JSON text with the characters escaped that JSON allows and terminals do not survive.
pub(super) fn escaped(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if disturbing(c) {
            let _ = write!(out, "\\u{:04x}", c as u32);
        } else {
            out.push(c);
        }
        out
    })
}

/// Adds a text, on one line.
pub(super) fn push_line(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        text.chars().for_each(|c| push_visible(out, c));
    }
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if disturbing(c) => {
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
        c => out.push(c),
    }
}

/// Control characters, and those that change the direction or the lines of text around them.
fn disturbing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_keeps_newlines_and_escapes_the_rest() {
        assert_eq!(printed("a\nb\x1b[31m"), "a\nb\\u001b[31m\n");
    }
}
