//! Whether an input of a session ends inside of something, so that the next line belongs to it.
//!
//! Asked of starlark's own lexer, which knows where a text ends. A block goes on until a line that is empty or begins at
//! the margin: that line belongs to the input, since it could be an `else`.

use starlark::Error;
use starlark::codemap::CodeMap;
use starlark_syntax::lexer::{Lexer, Token};

use crate::dialect::DIALECT;

/// Whether what was typed so far is not all of it.
pub(crate) fn is_open(input: &str) -> bool {
    let last = input.rsplit('\n').next().unwrap_or_default();
    let (mut brackets, mut after_colon) = (0_usize, false);
    let codemap = CodeMap::new(String::new(), input.to_owned());
    for lexeme in Lexer::new(input, &DIALECT, codemap) {
        match lexeme {
            Ok((_, token, _)) => match token {
                Token::OpeningRound | Token::OpeningSquare | Token::OpeningCurly => brackets += 1,
                Token::ClosingRound | Token::ClosingSquare | Token::ClosingCurly => {
                    brackets = brackets.saturating_sub(1);
                    after_colon = false;
                }
                Token::Comment(_) | Token::Newline | Token::Indent | Token::Dedent => {}
                token => after_colon = matches!(token, Token::Colon),
            },
            Err(error) => return last.ends_with('\\') || is_open_text(&error.into_error()),
        }
    }
    let in_block = after_colon || last.starts_with([' ', '\t']);
    brackets > 0 || last.ends_with('\\') || (in_block && !last.trim().is_empty())
}

/// Whether an error is that of a text in three quotes that has no end yet.
fn is_open_text(error: &Error) -> bool {
    let Some(span) = error.span() else { return false };
    let begin = span.source_span().trim_start_matches(['r', 'b', 'f']);
    error.without_diagnostic().to_string().contains("unfinished string literal")
        && (begin.starts_with("\"\"\"") || begin.starts_with("'''"))
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn an_input_is_open_until_it_can_be_whole() {
        for open in [
            "x = [",
            "f(1,\n  2",
            "x = {",
            "x = \"\"\"a",
            "x = r'''a\nb",
            "x = '''it's",
            "def f():",
            "def f():  # why",
            "def f():\n    return 1",
            "if x:\n    a()\nelse:",
            "for i in x:\n    a()\n    b()",
            "x = 1 + \\",
        ] {
            assert!(is_open(open), "{open}");
        }
        for whole in [
            "",
            "1 + 1",
            "x = [1,\n2]",
            "def f():\n    return 1\n",
            "def f():\n    return 1\nf()",
            "for i in x: print(i)",
            "x = 'a",
            "x = \"a:\"",
            "\"\"\"a\"\"\"",
            "x = )",
            "{1: 2}",
            "# a comment:",
            "x = 1 ? 2",
        ] {
            assert!(!is_open(whole), "{whole}");
        }
    }
}
