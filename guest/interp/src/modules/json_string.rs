//! A string as JSON.

/// The JSON text of a string.
pub(crate) fn string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_string(&mut json, text);
    json
}

/// Appends the JSON text of a string.
pub(super) fn push_string(json: &mut String, text: &str) {
    json.push('"');
    let mut plain = text;
    while let Some(at) = plain.find(must_escape) {
        let (before, rest) = plain.split_at(at);
        json.push_str(before);
        let mut rest = rest.chars();
        if let Some(c) = rest.next() {
            push_escaped(json, c);
        }
        plain = rest.as_str();
    }
    json.push_str(plain);
    json.push('"');
}

fn must_escape(c: char) -> bool {
    c < ' ' || c == '"' || c == '\\'
}

fn push_escaped(json: &mut String, c: char) {
    match c {
        '"' => json.push_str("\\\""),
        '\\' => json.push_str("\\\\"),
        '\n' => json.push_str("\\n"),
        '\r' => json.push_str("\\r"),
        '\t' => json.push_str("\\t"),
        c => json.push_str(&format!("\\u{:04x}", u32::from(c))),
    }
}
