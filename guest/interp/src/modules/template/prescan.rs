//! Bounds on the shape of a template, checked before it is parsed.
//!
//! minijinja's parser limits brackets and blocks, but not chains: `a+a+a`, `a|f|f`, `not not`, `elif` after `elif` each
//! add a level to a tree that it compiles and drops by recursion, and a few hundred kilobytes of them would overflow
//! the native stack. So the tokens, from minijinja's own lexer (a scanner of our own could disagree with it about where
//! a string or a tag ends), are checked against limits that no honest template meets.

use minijinja::machinery::{Token, Tokenizer};
use minijinja::syntax::SyntaxConfig;

/// Largest template, its partials included.
const MAX_SOURCE_BYTES: usize = 256 * 1024;

/// Most operators of one tag: whatever can put a level on the tree.
const MAX_OPERATORS: usize = 200;

/// Most blocks around each other, `elif` branches included.
const MAX_BLOCKS: usize = 40;

/// Most operators of all `set` and `with` tags together: `{% set x = [x] %}`, over and over, nests a value that is
/// dropped by recursion.
const MAX_SET_OPERATORS: usize = 2000;

/// Checks templates with their names; the error is the sentence to show.
pub(super) fn check(sources: &[(&str, &str)]) -> Result<(), String> {
    let bytes: usize = sources.iter().map(|(_, source)| source.len()).sum();
    if bytes > MAX_SOURCE_BYTES {
        return Err(format!("the template and its partials have {bytes} bytes, more than {MAX_SOURCE_BYTES}"));
    }
    let mut set_operators = 0;
    for (name, source) in sources {
        let mut shape = Shape::default();
        let mut tokens = Tokenizer::new(source, name, false, SyntaxConfig::default());
        // What the lexer refuses, the parser refuses at the same place.
        while let Ok(Some((token, span))) = tokens.next_token() {
            shape.token(&token).map_err(|sentence| format!("{sentence} (in {name}:{})", span.start_line))?;
        }
        set_operators += shape.set_operators;
    }
    if set_operators > MAX_SET_OPERATORS {
        return Err(format!("more than {MAX_SET_OPERATORS} operators in set and with tags"));
    }
    Ok(())
}

/// What is open at a place in the source.
#[derive(Debug, Default)]
struct Shape<'s> {
    blocks: Vec<&'s str>,
    /// Whether the next token names a block.
    begins: bool,
    /// Whether the tag is a `set` or a `with`.
    sets: bool,
    operators: usize,
    set_operators: usize,
}

impl<'s> Shape<'s> {
    fn token(&mut self, token: &Token<'s>) -> Result<(), String> {
        let begins = std::mem::replace(&mut self.begins, matches!(token, Token::BlockStart));
        match token {
            Token::VariableStart | Token::BlockStart => (self.operators, self.sets) = (0, false),
            Token::Ident(name) if begins => self.block(name)?,
            token if is_operator(token) => self.operator()?,
            _ => {}
        }
        Ok(())
    }

    fn block(&mut self, name: &'s str) -> Result<(), String> {
        match name {
            "set" | "with" => {
                self.sets = true;
                self.operator()?;
            }
            _ => {}
        }
        if let Some(ended) = name.strip_prefix("end") {
            while let Some(open) = self.blocks.pop() {
                if open == ended {
                    break;
                }
            }
        } else if matches!(name, "autoescape" | "block" | "call" | "elif" | "filter" | "for" | "if" | "macro" | "with")
        {
            self.blocks.push(name);
        }
        if self.blocks.len() > MAX_BLOCKS {
            return Err(format!("more than {MAX_BLOCKS} blocks and elif branches around each other"));
        }
        Ok(())
    }

    fn operator(&mut self) -> Result<(), String> {
        self.operators += 1;
        self.set_operators += usize::from(self.sets);
        if self.operators > MAX_OPERATORS {
            return Err(format!("more than {MAX_OPERATORS} operators in one tag"));
        }
        Ok(())
    }
}

fn is_operator(token: &Token<'_>) -> bool {
    match token {
        Token::Ident(name) => matches!(*name, "not" | "and" | "or" | "in" | "is" | "if" | "else"),
        Token::TemplateData(_)
        | Token::VariableStart
        | Token::VariableEnd
        | Token::BlockStart
        | Token::BlockEnd
        | Token::Str(_)
        | Token::String(_)
        | Token::Int(_)
        | Token::Int128(_)
        | Token::Float(_)
        | Token::Comma
        | Token::Colon
        | Token::Assign
        | Token::BracketClose
        | Token::ParenClose
        | Token::BraceClose => false,
        _ => true,
    }
}
