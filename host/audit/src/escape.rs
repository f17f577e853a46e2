//! Text that is safe to look at.
//!
//! A script chooses many of the words in the log. Control characters could end a line or drive a terminal, and the
//! characters that turn text around or take no room could show a reader something else than what is there, so all of
//! them are escaped: as JSON in the file, as `\u{..}` on a terminal. JSON escapes read back as the same text.

use std::fmt::Write as _;

/// Marks that a value was longer.
pub(crate) const ELLIPSIS: char = '…';

/// Adds a JSON string of at most `limit` bytes between its quotes. Whether the text was cut to fit.
pub(crate) fn push_json(out: &mut String, text: &str, limit: usize) -> bool {
    out.push('"');
    if text.len() <= limit && text.bytes().all(is_plain) {
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
            c if disturbs(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
        if out.len() - start > limit {
            out.truncate(room_until);
            out.push(ELLIPSIS);
            out.push('"');
            return true;
        }
        if out.len() - start + ELLIPSIS.len_utf8() <= limit {
            room_until = out.len();
        }
    }
    out.push('"');
    false
}

/// The text as a terminal or a log viewer can show it.
pub(crate) fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if disturbs(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Whether a character acts on what shows it instead of being shown.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn json(text: &str, limit: usize) -> (String, bool) {
        let mut out = String::new();
        let cut = push_json(&mut out, text, limit);
        (out, cut)
    }

    #[test]
    fn what_disturbs_is_escaped() {
        for (text, written, shown) in [
            ("plain ~", r#""plain ~""#, "plain ~"),
            ("a\"b\\c", r#""a\"b\\c""#, "a\"b\\c"),
            ("a\r\nb", r#""a\u000d\u000ab""#, "a\\u{d}\\u{a}b"),
            ("\u{1b}[31m", r#""\u001b[31m""#, "\\u{1b}[31m"),
            ("\u{9b}31m\u{7f}", r#""\u009b31m\u007f""#, "\\u{9b}31m\\u{7f}"),
            ("x\u{202e}txt\u{2066}", r#""x\u202etxt\u2066""#, "x\\u{202e}txt\\u{2066}"),
            ("a\u{2028}b\u{200b}", r#""a\u2028b\u200b""#, "a\\u{2028}b\\u{200b}"),
            ("\u{e0041}", r#""\udb40\udc41""#, "\\u{e0041}"),
            ("é 漢", "\"é 漢\"", "é 漢"),
        ] {
            assert_eq!(json(text, 100), (written.to_owned(), false));
            assert_eq!(visible(text), shown);
            assert_eq!(serde_json::from_str::<String>(written).unwrap(), text);
        }
    }

    proptest! {
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
