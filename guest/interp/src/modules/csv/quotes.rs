//! Quotes that are out of place.
//!
//! The csv crate reads on when a quote is never closed, and takes all rows behind it for one field; text between a closing
//! quote and the separator is glued to the field. Both are lost data, so both are looked for first. A quote inside of an
//! unquoted field is a character like any other.

/// Where a scan of a CSV text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    RowStart,
    FieldStart,
    Unquoted,
    /// Inside quotes that opened in this line.
    Quoted(u64),
    /// Behind what closes the field or is the first of two quotes; the line is where the field opened.
    AfterQuote(u64),
    Comment,
}

/// Refuses a quote that is never closed, and text behind one that closes a field; the error is the sentence to show.
pub(super) fn check(text: &str, sep: u8, comment: Option<u8>) -> Result<(), String> {
    // Most texts have no quote, and need no look at each byte.
    if !text.contains('"') {
        return Ok(());
    }
    let (mut at, mut line) = (At::RowStart, 1);
    for byte in text.bytes() {
        let ends_row = matches!(byte, b'\n' | b'\r');
        at = match at {
            At::RowStart if comment == Some(byte) => At::Comment,
            At::RowStart | At::FieldStart if byte == b'"' => At::Quoted(line),
            At::Quoted(opened) if byte == b'"' => At::AfterQuote(opened),
            At::Quoted(opened) => At::Quoted(opened),
            At::AfterQuote(opened) if byte == b'"' => At::Quoted(opened),
            _ if ends_row => At::RowStart,
            At::Comment => At::Comment,
            _ if byte == sep => At::FieldStart,
            At::AfterQuote(_) => {
                return Err(format!(
                    "line {line}: text follows the quote that closes a field; quote the whole field, and \
                     write a quote in it twice"
                ));
            }
            At::RowStart | At::FieldStart | At::Unquoted => At::Unquoted,
        };
        line += u64::from(byte == b'\n');
    }
    match at {
        At::Quoted(opened) => Err(format!("line {opened}: a quote opens here and is never closed")),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::check;

    #[test]
    fn a_quote_that_is_never_closed_is_named_by_its_line() {
        for (text, line) in [
            ("\"", 1),
            ("a,\"b", 1),
            ("id,note\n1,\"open\n2,b\n3,c\n", 2),
            ("\"a\nb\",\"c\nd", 2),
            ("a\r\n\"b\"\"\r\nc", 2),
            ("a\n\n\n\"\"\"", 4),
        ] {
            let error = check(text, b',', None).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: a quote opens")), "{text:?}: {error}");
        }
    }

    #[test]
    fn text_behind_a_closing_quote_is_refused() {
        for text in ["\"x\"y", "a,\"x\" ,b", "\"x\"y\"z\"", "\"a\nb\"c"] {
            assert!(check(text, b',', None).unwrap_err().contains("text follows the quote"), "{text:?}");
        }
    }

    #[test]
    fn quotes_where_they_belong_pass() {
        for text in ["", "a\"b,c\"d\n", "\"a\"\"b\",\"c\n,d\"\r\n\"\"", "\"\",\"\"\n", "5\" pipe,x", "a,\"b\"\r"] {
            assert_eq!(check(text, b',', None), Ok(()), "{text:?}");
        }
        assert_eq!(check("# it's \"open\na;\"b\"\n", b';', Some(b'#')), Ok(()));
        assert_eq!(check("\"a\";b", b';', None), Ok(()));
    }
}
