//! Texts of bounded length.

/// Keeps the beginning and the end, where traceback and message are.
pub(crate) fn shorten(text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let head = text.floor_char_boundary(limit / 2);
    let tail = text.ceil_char_boundary(text.len() - limit / 2);
    let (start, end) = (text.get(..head), text.get(tail..));
    format!("{} [... {} bytes left out ...] {}", start.unwrap_or_default(), tail - head, end.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn shortening_keeps_both_ends_and_whole_characters() {
        assert_eq!(shorten("short".to_owned(), 5), "short");
        let text = format!("begin{}end", "\u{e9}".repeat(100));
        let short = shorten(text, 21);
        assert!(short.starts_with("begin\u{e9}"), "{short}");
        assert!(short.ends_with("\u{e9}end"), "{short}");
        assert!(short.contains("bytes left out"), "{short}");
    }
}
