//! What a script logs and prints, as the log writes it: one bounded line, nothing in it that acts on a terminal, and no
//! field that passes for one of the host's.

use serde_json::Value;
use starcell_log::{Format, Level, LogStream, Remark, written};
use starcell_text::disturbs;

use crate::target::{Target, texts};

/// No line is longer.
const MAX_LINE: usize = 64 << 10;

/// The fields of the host in a line of a script, in JSON.
const FIELDS: [&str; 7] = ["time", "level", "msg", "request", "at", "attrs", "attributes_left_out"];

pub(crate) fn target() -> Target {
    Target { name: "log", run, seeds: texts(SEEDS), words: WORDS }
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\u{0}');
    let (message, file) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let names: Vec<&str> = parts.collect();
    // As the guest gives them: each value is a JSON text.
    let attributes: Vec<(String, String)> =
        names.iter().map(|name| ((*name).to_owned(), Value::from(*name).to_string())).collect();
    let level = Some(Level::Warn).filter(|_| data.first().is_none_or(|byte| byte % 4 != 3));
    let (format, stream) = (Format::Text, LogStream::Err);
    let remark =
        Remark { level, message, attributes: &attributes, at: (file, 7), request: Some("r-1"), format, stream };
    for format in [Format::Text, Format::Json] {
        let line = written(format, &remark);
        assert!(line.len() <= MAX_LINE && line.ends_with('\n'), "{} bytes", line.len());
        assert!(!line.contains(|c: char| disturbs(c) && c != '\n' && c != '\t'), "{line:?}");
        if level.is_some() {
            assert_eq!(line.matches(['\n', '\t']).count(), 1, "{line:?}");
            match format {
                Format::Json => json(&line, message, &names),
                Format::Text => plain(&line),
            }
        }
    }
}

fn json(line: &str, message: &str, names: &[&str]) {
    let read: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let read = read.as_object().expect("an object");
    assert!(read.keys().all(|name| FIELDS.contains(&name.as_str())), "{line}");
    assert_eq!((&read["level"], &read["request"]), (&"warn".into(), &"r-1".into()), "{line}");
    assert!(read["msg"] == message || line.contains("bytes more"), "{line}");
    let attributes = read.get("attrs").and_then(Value::as_object);
    assert!(attributes.map_or(0, |found| found.len()) <= names.len(), "{line}");
}

/// A field of the host stands once outside of quotes.
fn plain(line: &str) {
    let (mut outside, mut quoted, mut escaped) = (String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            letter if !quoted => outside.push(letter),
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    assert!(!quoted, "a quote is open at the end: {line:?}");
    for field in [" request=", " at="] {
        assert!(outside.matches(field).count() <= 1, "{field} stands twice: {line:?}");
    }
    assert!(!outside.contains(" level=") && !outside.contains(" time="), "{line:?}");
}

const SEEDS: &[&str] = &[
    "order placed\u{0}app.star\u{0}id\u{0}count",
    "access method=\"GET\" status=200\u{0}a.star\u{0}x\" request=\"victim\" y\u{0}a level=error b",
    "m\u{0}a.star\u{0}time\u{0}level\u{0}msg\u{0}script\u{0}request\u{0}at\u{0}attrs",
    "\u{1b}]0;t\u{7}\u{202e}\u{2028}\u{e0041}\u{0}a\u{1b}[2J.star\u{0}k\r\nforged",
    "gprinted\ta\nb\u{9b}\u{0}",
];

const WORDS: &[&str] = &[
    "time", "level", "msg", "request", "at", "attrs", "script", "=", "\"", "\\", " ", "\u{1b}[", "\u{9b}", "\r\n",
    "\u{202e}", "\u{2066}", "{", "}", ",", ":",
];
