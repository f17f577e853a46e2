//! The documents that a client has open, as they are in its editor.

use std::collections::HashMap;

use serde_json::Value;

/// Texts by their URI.
#[derive(Debug, Default)]
pub(super) struct Documents(HashMap<String, String>);

/// A place in a document: its text, and the byte offset of the cursor's line and of the cursor in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'d> {
    pub(super) text: &'d str,
    pub(super) line: &'d str,
    /// Bytes of the line before the cursor.
    pub(super) at: usize,
}

impl Documents {
    pub(super) fn opened(&mut self, params: &Value) {
        if let (Some(uri), Some(text)) = (uri(params), params.pointer("/textDocument/text").and_then(Value::as_str)) {
            self.0.insert(uri.to_owned(), text.to_owned());
        }
    }

    pub(super) fn changed(&mut self, params: &Value) {
        if let (Some(uri), Some(text)) = (uri(params), params.pointer("/contentChanges/0/text").and_then(Value::as_str))
        {
            self.0.insert(uri.to_owned(), text.to_owned());
        }
    }

    pub(super) fn closed(&mut self, params: &Value) {
        if let Some(uri) = uri(params) {
            self.0.remove(uri);
        }
    }

    /// The place that a question is about.
    pub(super) fn place(&self, params: &Value) -> Option<Place<'_>> {
        let text = self.0.get(uri(params)?)?;
        let number = |name: &str| params.pointer(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let line = text.split('\n').nth(number("/position/line")?)?;
        let at = from_utf16(line, number("/position/character")?);
        Some(Place { text, line, at })
    }
}

fn uri(params: &Value) -> Option<&str> {
    params.pointer("/textDocument/uri").and_then(Value::as_str)
}

/// The byte offset of a column of the protocol, which counts in UTF-16.
fn from_utf16(line: &str, column: usize) -> usize {
    let mut units = 0;
    for (at, c) in line.char_indices() {
        if units >= column {
            return at;
        }
        units += c.len_utf16();
    }
    line.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_count_in_utf_16() {
        assert_eq!(from_utf16("é\u{1f600}x", 3), "é\u{1f600}".len());
        assert_eq!(from_utf16("abc", 99), 3);
    }

    #[test]
    fn a_place_is_found_in_what_the_editor_has() {
        let mut documents = Documents::default();
        let params =
            json!({"textDocument": {"uri": "file:///a", "text": "x\nfs."}, "position": {"line": 1, "character": 3}});
        assert!(documents.place(&params).is_none());
        documents.opened(&params);
        let place = documents.place(&params).unwrap();
        assert_eq!((place.line, place.at), ("fs.", 3));
        documents.changed(&json!({"textDocument": {"uri": "file:///a"}, "contentChanges": [{"text": "y\nkv."}]}));
        assert_eq!(documents.place(&params).unwrap().line, "kv.");
        documents.closed(&params);
        assert!(documents.place(&params).is_none());
    }
}
