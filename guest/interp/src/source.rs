//! A source: bytes to text to a syntax tree.

use std::borrow::Cow;

use starlark::codemap::{CodeMap, Pos, Span};
use starlark::syntax::AstModule;
use starlark::{Error, ErrorKind};

use crate::dialect::DIALECT;
use crate::prescan::prescan;
use crate::reserved::ASSERT;

/// How the name of a test file ends.
pub const TEST_FILE_SUFFIX: &str = "_test.star";

/// The source as text; what is not UTF-8 is a syntax error at the first wrong byte.
pub(crate) fn text<'a>(file: &str, source: &'a [u8]) -> starlark::Result<&'a str> {
    std::str::from_utf8(source).map_err(|error| {
        let good = source.get(..error.valid_up_to()).unwrap_or_default();
        // The wrong byte has to be part of the text for its line to exist.
        let shown = format!("{}\u{fffd}", String::from_utf8_lossy(good));
        let codemap = CodeMap::new(file.to_owned(), shown);
        let end = Pos::new(u32::try_from(good.len()).unwrap_or(0));
        let text = format!("the script is not UTF-8: wrong byte at offset {}", good.len());
        Error::new_spanned(ErrorKind::Parser(anyhow::Error::msg(text)), Span::new(end, end), &codemap)
    })
}

/// The syntax tree of a text, as it was written. In a test file `assert` is a function.
pub(crate) fn syntax(name: &str, source: &str) -> starlark::Result<AstModule> {
    let source = match name.ends_with(TEST_FILE_SUFFIX) {
        true => asserting(source),
        false => Cow::Borrowed(source),
    };
    prescan(&CodeMap::new(name.to_owned(), source.clone().into_owned()))?;
    AstModule::parse(name, source.into_owned(), &DIALECT).map_err(as_syntax)
}

/// An error of the parser as one: for some of them starlark has another kind.
fn as_syntax(error: Error) -> Error {
    if let (ErrorKind::Other(_), Some(span)) = (error.kind(), error.span().cloned()) {
        let text = anyhow::Error::msg(error.without_diagnostic().to_string());
        return Error::new_spanned(ErrorKind::Parser(text), span.span, &span.file);
    }
    error
}

/// A source with the word as a name wherever it is code.
fn asserting(source: &str) -> Cow<'_, str> {
    let (word, name) = ASSERT;
    if !source.contains(word) {
        return Cow::Borrowed(source);
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => string_length(rest),
            c if is_part(c) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (piece, after) = rest.split_at(length);
        text.push_str(if piece == word { name } else { piece });
        rest = after;
    }
    Cow::Owned(text)
}

/// The length of the string literal that a text begins with. One without an end goes on to the end of its line, or of the
/// text; the parser says so.
fn string_length(text: &str) -> usize {
    let quote = text.get(..1).unwrap_or_default();
    let triple = text.get(..3).filter(|three| *three == quote.repeat(3));
    let end = triple.unwrap_or(quote);
    let mut at = end.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(end) {
            return at + end.len();
        }
        let mut chars = rest.chars();
        match chars.next() {
            Some('\n') if triple.is_none() => return at,
            // A backslash keeps a quote from ending the literal, in a raw one too.
            Some('\\') => at += 1 + chars.next().map_or(0, char::len_utf8),
            Some(c) => at += c.len_utf8(),
            None => return at,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::asserting;
    use crate::reserved::as_written;

    #[test]
    fn the_word_is_a_name_in_code_alone() {
        for (source, expected) in [
            ("assert(x)", "aSSERT(x)"),
            ("test.assert(x, 'assert')", "test.aSSERT(x, 'assert')"),
            ("assert_eq(1, 1) # assert", "assert_eq(1, 1) # assert"),
            ("x = \"\"\"a 'assert\n\"\"\"\nassert(1)", "x = \"\"\"a 'assert\n\"\"\"\naSSERT(1)"),
            ("'\\'assert' + assert", "'\\'assert' + aSSERT"),
            ("reassert = 1", "reassert = 1"),
            ("'open\nassert(1)", "'open\naSSERT(1)"),
        ] {
            assert_eq!(asserting(source), expected);
            assert_eq!(as_written(expected), source);
        }
    }
}
