//! Texts of strangers made safe to read: in log lines, in audit records and on a terminal.
//!
//! The decision: one table, [`disturbs`], names every character that acts on its surroundings instead of being shown.
//! Log lines, audit records and everything that a command writes to a terminal ask this table and no other, so that a
//! character which one of them escapes cannot pass through another.
//!
//! What is refused: controls (they end lines and drive terminals), the characters that turn text around, and those that
//! take no room (two texts that look the same would differ). A refused character is not dropped: a reader sees that it
//! was there. JSON spells it as `\uXXXX`, in surrogates above U+FFFF, which reads back as the same text. A terminal shows
//! it as a Starlark literal would: `\n`, `\t`, `\r`, `\u202e`, `\U000e0041`.
//!
//! The attack it answers: a script logs `"\x1b]0;root\x07"`, a line end and a forged line, or a name that reads
//! differently than it compares.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

/// Ends a value that was longer than its bound.
pub const ELLIPSIS: char = '…';

/// True for a character that acts on what shows it, or that shows nothing.
///
/// These are Unicode's controls, its line and paragraph separators, its default ignorable code points and the
/// interlinear annotations. The variation selectors U+FE00 to U+FE0F are left out: they only choose between two
/// drawings of the character before them, and emoji are written with them.
#[must_use]
pub fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// True for a text that stands as it is in JSON, in a line and on a terminal: printable ASCII without `"` and `\`.
///
/// Looks at all bytes without a branch, which for short texts is faster than stopping at the first bad byte.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// The text on one line of a terminal or of a log.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_one_line(&mut out, text);
    out
}

/// Adds the text on one line.
pub fn push_one_line(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        text.chars().for_each(|c| push_visible(out, c));
    }
}

/// The text on a terminal, its line ends and tabs kept.
#[must_use]
pub fn terminal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\n' | '\t' => out.push(c),
            c => push_visible(&mut out, c),
        }
        out
    })
}

/// Adds the text as a JSON string.
pub fn push_json(out: &mut String, text: &str) {
    let _ = push_json_bounded(out, text, usize::MAX);
}

/// Adds the text as a JSON string with at most `limit` bytes between its quotes, counted as written. Returns true when
/// the text was cut; it then ends in [`ELLIPSIS`], so a limit below 3 bytes is exceeded by it.
pub fn push_json_bounded(out: &mut String, text: &str, limit: usize) -> bool {
    out.push('"');
    if text.len() <= limit && is_plain(text) {
        out.push_str(text);
        out.push('"');
        return false;
    }
    let start = out.len();
    // The last length at which an ellipsis still fits.
    let mut room_until = start;
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if disturbs(c) => push_units(out, c),
            c => out.push(c),
        }
        if out.len() - start > limit {
            out.truncate(room_until);
            out.push(ELLIPSIS);
            out.push('"');
            return true;
        }
        if out.len() - start <= limit.saturating_sub(ELLIPSIS.len_utf8()) {
            room_until = out.len();
        }
    }
    out.push('"');
    false
}

/// A JSON text with the characters escaped that JSON allows inside its strings and that disturb a reader. The line ends
/// and tabs between its tokens are escaped too, so the text must have been written without any.
#[must_use]
pub fn escape_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if disturbs(c) {
            push_units(&mut out, c);
        } else {
            out.push(c);
        }
        out
    })
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        // Writing to a String cannot fail.
        c if disturbs(c) && c <= '\u{ffff}' => drop(write!(out, "\\u{:04x}", u32::from(c))),
        c if disturbs(c) => drop(write!(out, "\\U{:08x}", u32::from(c))),
        c => out.push(c),
    }
}

/// Adds a character as JSON escapes it: by its short name, or one escape for each of its UTF-16 units.
fn push_units(out: &mut String, c: char) {
    match c {
        '\n' => return out.push_str("\\n"),
        '\r' => return out.push_str("\\r"),
        '\t' => return out.push_str("\\t"),
        _ => {}
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn json(text: &str, limit: usize) -> (String, bool) {
        let mut out = String::new();
        let cut = push_json_bounded(&mut out, text, limit);
        (out, cut)
    }

    #[test]
    fn what_disturbs_is_escaped_alike_everywhere() {
        for (text, written, shown) in [
            ("plain ~", r#""plain ~""#, "plain ~"),
            ("a\"b\\c", r#""a\"b\\c""#, "a\"b\\c"),
            ("a\r\nb\t", r#""a\r\nb\t""#, r"a\r\nb\t"),
            ("\u{1b}[31m", r#""\u001b[31m""#, r"\u001b[31m"),
            ("\u{9b}31m\u{7f}", r#""\u009b31m\u007f""#, r"\u009b31m\u007f"),
            ("x\u{202e}txt\u{2066}", r#""x\u202etxt\u2066""#, r"x\u202etxt\u2066"),
            ("a\u{2028}b\u{200b}", r#""a\u2028b\u200b""#, r"a\u2028b\u200b"),
            ("\u{ad}\u{61c}\u{3164}", r#""\u00ad\u061c\u3164""#, r"\u00ad\u061c\u3164"),
            ("\u{e0041}", r#""\udb40\udc41""#, r"\U000e0041"),
            ("é 漢 ❤\u{fe0f}", "\"é 漢 ❤\u{fe0f}\"", "é 漢 ❤\u{fe0f}"),
        ] {
            assert_eq!(json(text, 100), (written.to_owned(), false));
            assert_eq!(one_line(text), shown);
            assert_eq!(terminal(text), shown.replace(r"\n", "\n").replace(r"\t", "\t"));
            assert_eq!(serde_json::from_str::<String>(written).unwrap(), text);
        }
    }

    #[test]
    fn json_that_is_there_keeps_its_meaning() {
        let value = serde_json::json!({ "k\u{202e}": ["\u{9b}", "\u{e0041}", 1, "\u{2028}"] });
        let escaped = escape_json(&value.to_string());
        assert!(!escaped.chars().any(disturbs), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }

    proptest! {
        #[test]
        fn nothing_that_disturbs_passes(text in any::<String>()) {
            prop_assert!(!one_line(&text).chars().any(disturbs));
            prop_assert!(!terminal(&text).chars().any(|c| disturbs(c) && !matches!(c, '\n' | '\t')));
        }

        #[test]
        fn a_value_reads_back_and_stays_within_its_bound(text in any::<String>(), limit in 3..80usize) {
            let (written, cut) = json(&text, limit);
            prop_assert!(written.len() <= limit + 2, "{written}");
            prop_assert!(!written.chars().any(disturbs));
            let read: String = serde_json::from_str(&written).unwrap();
            match read.strip_suffix(ELLIPSIS) {
                Some(kept) if cut => prop_assert!(text.starts_with(kept)),
                _ => prop_assert_eq!(&read, &text),
            }
            prop_assert_eq!(json(&read, limit), (written, false), "what was cut is not cut again");
        }
    }
}
