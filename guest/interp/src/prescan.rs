//! Bounds on the shape of a source, checked before it is parsed.
//!
//! starlark's parser, its compiler and the destructors of both recurse along the syntax tree. A few hundred kilobytes of
//! `(`, of `not not not` or of `a+a+a` would overflow the native stack there: in the guest a trap without a message,
//! natively the end of the process. So the token stream, from starlark's own lexer (a scanner of our own could disagree
//! with it about where a string ends), is checked against limits no honest script meets.

use starlark::codemap::{CodeMap, Pos, Span};
use starlark::{Error, ErrorKind};
use starlark_syntax::lexer::{Lexer, Token};

use crate::dialect::DIALECT;
use crate::unneeded;

/// Most levels a syntax tree may have, by the weights below.
///
/// A level costs the parser and the compiler about 2.6 KiB of native stack, measured; 300 of them fit 1 MiB.
pub const MAX_DEPTH: usize = 300;

/// An operator, a call, an attribute, an index.
const OPERATOR: usize = 1;
/// A bracket, with the tower of grammar rules inside it.
const BRACKET: usize = 2;
/// A function inside an expression: its own scope, compiled by recursion.
const LAMBDA: usize = 5;
/// An `if` or `for` block.
const BLOCK: usize = 2;
/// A `def` block.
const DEF: usize = 6;
/// An `elif`: an `if` inside the `else` before it.
const BRANCH: usize = 3;

/// Largest source.
pub const MAX_SOURCE_BYTES: usize = 8 * 1024 * 1024;

/// Checks a source; the error is a syntax error with its position.
pub(crate) fn prescan(source: &CodeMap) -> starlark::Result<()> {
    check_text(source)?;
    let mut shape = Shape::default();
    for lexeme in Lexer::new(source.source(), &DIALECT, source.clone()) {
        let (begin, token, end) = match lexeme {
            Ok(lexeme) => lexeme,
            // What the lexer refuses, the parser refuses at the same place, with a better text.
            Err(refused) => return reserved(source, &refused.into_error()).map_or(Ok(()), Err),
        };
        shape.token(&token).map_err(|text| error(source, begin, end, text))?;
    }
    Ok(())
}

fn check_text(source: &CodeMap) -> starlark::Result<()> {
    let text = source.source();
    if text.len() > MAX_SOURCE_BYTES {
        // Not how many: a host need not read all of it to know this.
        let text = format!("the script has more than {MAX_SOURCE_BYTES} bytes");
        return Err(error(source, 0, 0, text));
    }
    if text.starts_with('\u{feff}') {
        let text = "the script begins with a byte order mark (U+FEFF), save it without one";
        return Err(error(source, 0, 0, text.to_owned()));
    }
    match text.find('\0') {
        Some(at) => Err(error(source, at, at, "NUL byte in the script".to_owned())),
        None => Ok(()),
    }
}

/// The error for a reserved word for which there is something to say.
fn reserved(source: &CodeMap, refused: &Error) -> Option<Error> {
    let span = refused.span()?.span;
    let (begin, end) = (span.begin().get() as usize, span.end().get() as usize);
    let word = source.source().get(begin..end)?;
    let line = source.source().get(begin..)?.lines().next()?;
    let hint = unneeded::reserved(word, line)?;
    Some(error(source, begin, end, format!("cannot use reserved keyword `{word}`: {hint}")))
}

fn error(source: &CodeMap, begin: usize, end: usize, text: String) -> Error {
    let pos = |offset: usize| Pos::new(u32::try_from(offset).unwrap_or(0));
    let span = Span::new(pos(begin), pos(end.max(begin)));
    Error::new_spanned(ErrorKind::Parser(anyhow::Error::msg(text)), span, source)
}

/// What is open at a place in the source, and how deep the tree is there.
#[derive(Debug, Default)]
struct Shape {
    /// The top level, for its branches.
    top: Block,
    /// Indented blocks, outermost first.
    blocks: Vec<Block>,
    /// Expressions around the current one, outermost first.
    around: Vec<Expression>,
    /// The innermost expression that is open.
    current: Expression,
    /// Whether the last token ended an operand, so that a minus now is not a sign.
    operand: bool,
    /// Whether the line has a token already.
    in_line: bool,
    /// Whether the line began with `def`.
    def: bool,
}

/// A block of statements.
#[derive(Debug, Default)]
struct Block {
    weight: usize,
    /// Branches of the `if` last begun in it.
    branches: usize,
}

/// The inside of a bracket, or a line outside of all.
#[derive(Debug, Default)]
struct Expression {
    /// Levels above it.
    base: usize,
    /// Levels above whatever comes next in this item: signs, `not`, `lambda`, `else`.
    above: usize,
    /// Levels of what came already: operators group to the left, so each puts one more on top.
    below: usize,
    /// The deepest item before the last comma.
    deepest: usize,
    /// Parameter lists of `lambda` that are open: a comma there separates no items.
    parameters: usize,
}

impl Shape {
    /// Takes in one token; the error is the sentence to show.
    fn token(&mut self, token: &Token) -> Result<(), String> {
        match token {
            Token::Newline => self.ended_line(),
            Token::Indent => self.indented(),
            Token::Dedent => self.dedented(),
            token => self.in_line(token),
        }
        if self.current.base + self.current.depth() > MAX_DEPTH {
            return Err(format!(
                "nested or chained too deeply: operators, brackets, lambdas, elif branches and blocks may add up to \
                 {MAX_DEPTH} levels"
            ));
        }
        self.operand = ends_operand(token);
        Ok(())
    }

    fn in_line(&mut self, token: &Token) {
        let first = !std::mem::replace(&mut self.in_line, true);
        if first {
            self.def = matches!(token, Token::Def);
        }
        match token {
            Token::OpeningRound | Token::OpeningSquare | Token::OpeningCurly => self.opened(),
            Token::FStringExprStart => self.opened(),
            Token::ClosingRound | Token::ClosingSquare | Token::ClosingCurly => self.closed(),
            Token::FStringExprEnd => self.closed(),
            Token::Semicolon => self.ended(),
            Token::Elif => self.branched(|branches| branches + BRANCH),
            Token::If if first => self.branched(|_| 0),
            token => self.inside(token),
        }
    }

    fn opened(&mut self) {
        let inner = Expression { base: self.current.base + self.current.above + BRACKET, ..Expression::default() };
        let around = std::mem::replace(&mut self.current, inner);
        self.around.push(around);
    }

    fn closed(&mut self) {
        let Some(around) = self.around.pop() else {
            return;
        };
        let inner = std::mem::replace(&mut self.current, around);
        let depth = inner.deepest.max(inner.depth());
        self.current.below = self.current.below.max(depth) + BRACKET;
    }

    fn ended_line(&mut self) {
        self.in_line = false;
        self.ended();
    }

    fn ended(&mut self) {
        self.around.clear();
        self.current = Expression {
            base: std::iter::once(&self.top).chain(&self.blocks).map(|block| block.weight + block.branches).sum(),
            ..Expression::default()
        };
    }

    fn indented(&mut self) {
        self.blocks.push(Block { weight: if self.def { DEF } else { BLOCK }, branches: 0 });
        self.ended_line();
    }

    fn dedented(&mut self) {
        self.blocks.pop();
        self.ended_line();
    }

    fn branched(&mut self, count: impl FnOnce(usize) -> usize) {
        let block = self.blocks.last_mut().unwrap_or(&mut self.top);
        block.branches = count(block.branches);
        self.ended();
    }

    fn inside(&mut self, token: &Token) {
        let operand = self.operand;
        let expression = &mut self.current;
        match token {
            Token::Comma if expression.parameters == 0 => {
                expression.deepest = expression.deepest.max(expression.depth());
                (expression.above, expression.below) = (0, 0);
            }
            Token::Colon => expression.parameters = expression.parameters.saturating_sub(1),
            Token::Lambda => {
                expression.above += LAMBDA;
                expression.parameters += 1;
            }
            Token::Not | Token::Else | Token::Tilde => expression.above += OPERATOR,
            Token::Minus | Token::Plus if !operand => expression.above += OPERATOR,
            token if is_operator(token) => expression.below += OPERATOR,
            _ => {}
        }
    }
}

impl Expression {
    /// Levels of the item so far.
    fn depth(&self) -> usize {
        self.above + self.below
    }
}

/// Whether an operand can end with this token.
fn ends_operand(token: &Token) -> bool {
    matches!(
        token,
        Token::Identifier(_)
            | Token::Int(_)
            | Token::Float(_)
            | Token::String(_)
            | Token::Bytes(_)
            | Token::FStringEnd
            | Token::ClosingRound
            | Token::ClosingSquare
            | Token::ClosingCurly
    )
}

fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::And
            | Token::Or
            | Token::In
            | Token::If
            | Token::For
            | Token::Dot
            | Token::Plus
            | Token::Minus
            | Token::Star
            | Token::StarStar
            | Token::Slash
            | Token::SlashSlash
            | Token::Percent
            | Token::Ampersand
            | Token::Pipe
            | Token::Caret
            | Token::LessLess
            | Token::GreaterGreater
            | Token::EqualEqual
            | Token::BangEqual
            | Token::LessThan
            | Token::LessEqual
            | Token::GreaterThan
            | Token::GreaterEqual
    )
}
