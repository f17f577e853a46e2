//! The word `assert` in test files: Starlark reserves it, so the parser sees another name in its place.

use std::borrow::Cow;

/// A word that is reserved in Starlark and a function in the tests of Starkite, and the name that it has here, which nobody
/// writes. Both are as long, so that every place stays where it was.
pub(crate) const ASSERT: (&str, &str) = ("assert", "aSSERT");

/// A text of the interpreter about a source, with the word as its author wrote it.
#[must_use]
pub fn as_written(text: &str) -> Cow<'_, str> {
    let (word, name) = ASSERT;
    match text.contains(name) {
        true => Cow::Owned(text.replace(name, word)),
        false => Cow::Borrowed(text),
    }
}
