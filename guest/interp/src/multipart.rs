//! `multipart/form-data` (RFC 7578), read from memory.
//!
//! The parsers kept for Rust are asynchronous readers of streams; here the whole body is one slice that the host has
//! bounded already, so the parts are found in place and only what a script keeps is copied. What is bounded here is what
//! the size of a body does not: the number of parts and the size of each part's head.

use memchr::memmem::Finder;

/// Longest head of a part. A browser sends a name, a file name and a type.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Longest boundary: RFC 2046's own limit.
const MAX_BOUNDARY_BYTES: usize = 70;

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// The field's name.
    pub(crate) name: String,
    /// The last segment of the file's name; `None` for a field.
    pub(crate) filename: Option<String>,
    /// The part's own content type, if it has one.
    pub(crate) content_type: Option<String>,
    /// The content.
    pub(crate) body: &'a [u8],
}

/// The parts of a body, at most `max_parts`; the error is the sentence to show.
pub(crate) fn parse<'a>(body: &'a [u8], content_type: &str, max_parts: usize) -> Result<Vec<Part<'a>>, String> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("\r\n--{boundary}");
    let finder = Finder::new(&delimiter);
    let mut rest = first(body, &delimiter, &finder)?;
    let mut parts = Vec::new();
    while let Some(part) = after_delimiter(rest)? {
        if parts.len() >= max_parts {
            return Err(format!("more than {max_parts} parts"));
        }
        let (head, after) = head(part)?;
        let end = finder.find(after).ok_or("the last part does not end: the body was cut off")?;
        parts.push(read(head, after.get(..end).unwrap_or_default())?);
        rest = after.get(end + delimiter.len()..).unwrap_or_default();
    }
    Ok(parts)
}

/// The boundary parameter of a content type.
fn boundary(content_type: &str) -> Result<String, String> {
    let boundary = parameter(content_type, "boundary").ok_or("the content type has no boundary")?;
    // RFC 2046 allows fewer characters still; what matters is that none can end a line.
    let legal = boundary.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && !boundary.ends_with(' ');
    match boundary.len() {
        1..=MAX_BOUNDARY_BYTES if legal => Ok(boundary),
        _ => Err("the boundary is empty, too long, or has an illegal character".to_owned()),
    }
}

/// What follows the first delimiter, which needs no line break before it at the very start.
fn first<'a>(body: &'a [u8], delimiter: &str, finder: &Finder<'_>) -> Result<&'a [u8], String> {
    let at_start = delimiter.strip_prefix("\r\n").unwrap_or(delimiter);
    if let Some(rest) = body.strip_prefix(at_start.as_bytes()) {
        return Ok(rest);
    }
    let at = finder.find(body).ok_or("the boundary is nowhere in the body")?;
    Ok(body.get(at + delimiter.len()..).unwrap_or_default())
}

/// What follows the line of a delimiter; `None` after the closing one.
fn after_delimiter(rest: &[u8]) -> Result<Option<&[u8]>, String> {
    if rest.starts_with(b"--") {
        return Ok(None);
    }
    let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let line = rest.get(blank..).unwrap_or_default();
    line.strip_prefix(b"\r\n").map(Some).ok_or_else(|| "a boundary is not followed by a line break".to_owned())
}

/// A part's head, and what follows it.
fn head(part: &[u8]) -> Result<(&str, &[u8]), String> {
    const END: &[u8] = b"\r\n\r\n";
    // A head without any line is empty, and ends with the first of the two breaks.
    if let Some(body) = part.strip_prefix(b"\r\n") {
        return Ok(("", body));
    }
    let window = part.get(..part.len().min(MAX_HEAD_BYTES)).unwrap_or_default();
    let end = memchr::memmem::find(window, END)
        .ok_or_else(|| format!("a part has no end of its head within {MAX_HEAD_BYTES} bytes"))?;
    let head = part.get(..end).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| "a part's head is not UTF-8")?;
    Ok((head, part.get(end + END.len()..).unwrap_or_default()))
}

fn read<'a>(head: &str, body: &'a [u8]) -> Result<Part<'a>, String> {
    let disposition = header(head, "content-disposition").ok_or("a part has no Content-Disposition")?;
    if !disposition.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("form-data") {
        return Err("a part is not form-data".to_owned());
    }
    let name = parameter(disposition, "name").ok_or("a part has no name")?;
    let filename = match parameter(disposition, "filename*").map(|value| extended(&value)) {
        Some(Some(path)) => Some(path),
        Some(None) if parameter(disposition, "filename").is_none() => {
            return Err(format!("the filename* of {name:?} is not UTF-8, percent-encoded"));
        }
        _ => parameter(disposition, "filename"),
    };
    let filename = filename.map(|path| last_segment(&path));
    Ok(Part { name, filename, content_type: header(head, "content-type").map(str::to_owned), body })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (given, value) = line.split_once(':')?;
        given.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The text of a value with a charset, as in `UTF-8''na%C3%AFve.txt` (RFC 8187). RFC 7578 asks senders not to use it for
/// file names, and some do.
fn extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    if !matches!(charset.to_ascii_lowercase().as_str(), "utf-8" | "us-ascii") {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// A file name without the folders that a client put before it: they are never ours.
fn last_segment(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// A parameter of a header value, unquoted.
pub(crate) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (given, after) = rest.split_once('=')?;
        let (text, after) = unquote(after.trim_start());
        if given.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = after;
    }
}

/// A token or quoted string, and what follows it. Only a quote and a backslash are ever escaped: file names of Windows
/// are sent with their backslashes bare.
fn unquote(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (token.trim_end().to_owned(), rest);
    };
    let mut unquoted = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (unquoted, quoted.get(at + 1..).unwrap_or_default()),
            '\\' if chars.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                unquoted.extend(chars.next().map(|(_, next)| next));
            }
            c => unquoted.push(c),
        }
    }
    (unquoted, "")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn parts(body: &str) -> Result<Vec<(String, Option<String>, String)>, String> {
        let parts = parse(body.as_bytes(), TYPE, 10)?;
        Ok(parts.into_iter().map(|p| (p.name, p.filename, String::from_utf8_lossy(p.body).into_owned())).collect())
    }

    fn part(disposition: &str, body: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{body}\r\n")
    }

    #[test]
    fn reads_fields_and_files() {
        let body = part("name=\"a\"", "1") + &part("name=b; filename=\"x.txt\"", "two\r\n--X\r\n") + "--XX--\r\n";
        let field = ("a".to_owned(), None, "1".to_owned());
        let file = ("b".to_owned(), Some("x.txt".to_owned()), "two\r\n--X\r\n".to_owned());
        assert_eq!(parts(&body).unwrap(), [field.clone(), file.clone()]);
        let around = format!("preamble\r\n{body}epilogue");
        assert_eq!(parts(&around).unwrap(), [field, file]);
    }

    #[test]
    fn heads() {
        let typed = "--XX  \r\ncontent-type: text/csv\r\nCONTENT-DISPOSITION:form-data;name=a\r\n\r\n\r\n--XX--";
        let read = parse(typed.as_bytes(), TYPE, 1).unwrap();
        let expected = Part { name: "a".into(), filename: None, content_type: Some("text/csv".into()), body: b"" };
        assert_eq!(read, [expected]);
        for (disposition, name, filename) in [
            ("name=\"a\\\"b\\\\c\"", "a\"b\\c", None),
            ("name=\"a;b=c\"; filename=\"\"", "a;b=c", Some("")),
            ("filename=\"C:\\dir\\x.txt\"; name=\"n\"", "n", Some("x.txt")),
            ("name=n; filename=\"../../etc/passwd\"", "n", Some("passwd")),
            ("name=\"\u{e9}\"; filename=\"\u{e9}\t.txt\"", "\u{e9}", Some("\u{e9}.txt")),
            ("NAME=\"open", "open", None),
            ("name=n; filename*=UTF-8''na%C3%AFve.txt", "n", Some("na\u{ef}ve.txt")),
            ("name=n; filename=\"x.txt\"; filename*=utf-8'en'%e2%82%ac.txt", "n", Some("\u{20ac}.txt")),
            ("name=n; filename*=UTF-8''..%2F..%5Cpass%00wd", "n", Some("passwd")),
            ("name=n; filename*=ISO-8859-1''%EF.txt; filename=plain.txt", "n", Some("plain.txt")),
            ("name=n; filename*=UTF-8''%FF; filename=plain.txt", "n", Some("plain.txt")),
        ] {
            let body = part(disposition, "x") + "--XX--";
            let read = parts(&body).unwrap();
            assert_eq!((read[0].0.as_str(), read[0].1.as_deref()), (name, filename), "{disposition}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let cut = part("name=a", "1");
        for (body, error) in [
            (String::new(), "the boundary is nowhere"),
            ("--YY--".to_owned(), "the boundary is nowhere"),
            (cut.trim_end().to_owned(), "does not end"),
            (cut, "does not end"),
            ("--XXX\r\n".to_owned(), "not followed by a line break"),
            ("--XX\r\n\r\nx\r\n--XX--".to_owned(), "no Content-Disposition"),
            ("--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--".to_owned(), "no name"),
            ("--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XX--".to_owned(), "not form-data"),
            (format!("--XX\r\nA: {}\r\n\r\n\r\n--XX--", "a".repeat(9000)), "within 8192 bytes"),
            (part("name=a; filename*=UTF-8''%ff", "") + "--XX--", "not UTF-8"),
            (part("name=a; filename*=plain.txt", "") + "--XX--", "not UTF-8"),
            (part("name=a", "").repeat(11) + "--XX--", "more than 10 parts"),
        ] {
            let wrong = parts(&body).unwrap_err();
            assert!(wrong.contains(error), "{body:?}: {wrong}");
        }
        assert!(parse(b"--XX\r\nA: \xff\r\n\r\n\r\n--XX--", TYPE, 1).unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn boundaries() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=a", Some("a")),
            ("multipart/form-data;charset=x; Boundary=\"a b\" ; x=y", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"a\r\nb\"", None),
            ("multipart/form-data; boundary=\"a \"", None),
        ] {
            assert_eq!(super::boundary(content_type).ok().as_deref(), boundary, "{content_type:?}");
        }
        assert!(super::boundary(&format!("m; boundary={}", "a".repeat(71))).is_err());
    }
}
