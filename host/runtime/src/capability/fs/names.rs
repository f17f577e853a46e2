//! Matches names with one segment of a pattern, as a shell does.
//!
//! A pattern is taken apart once: a call may compare it with a hundred thousand names. The crate `glob` does not
//! serve here: it refuses patterns that a shell takes, such as `a**`, and backtracks over a pattern that a script chose.

/// One segment of a pattern.
#[derive(Clone, Debug)]
pub(super) struct NamePattern {
    tokens: Vec<Token>,
    /// True if it spells out a leading dot; a name with one is not matched otherwise.
    dotted: bool,
}

/// What stands for one character, or for any number of them.
#[derive(Clone, Debug)]
enum Token {
    /// `*`.
    Many,
    /// `?`.
    One,
    Literal(char),
    /// `[a-z]`, or `[!a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl NamePattern {
    /// Takes a segment apart.
    pub(super) fn new(text: &str) -> Self {
        let characters: Vec<char> = text.chars().collect();
        // Behind the last closing bracket no class can end.
        let last_close = characters.iter().rposition(|c| *c == ']').unwrap_or(0);
        let mut tokens = Vec::new();
        let mut rest = characters.as_slice();
        while let [first, behind @ ..] = rest {
            let at = characters.len() - rest.len();
            let class = (*first == '[' && at < last_close).then(|| class(behind)).flatten();
            rest = match (class, first) {
                (Some((token, after)), _) => {
                    tokens.push(token);
                    after
                }
                (None, '*') => {
                    if !matches!(tokens.last(), Some(Token::Many)) {
                        tokens.push(Token::Many);
                    }
                    behind
                }
                (None, '?') => {
                    tokens.push(Token::One);
                    behind
                }
                (None, literal) => {
                    tokens.push(Token::Literal(*literal));
                    behind
                }
            };
        }
        Self { tokens, dotted: text.starts_with('.') }
    }

    /// Returns whether it matches the whole name. Takes at most the product of the two lengths.
    pub(super) fn matches(&self, name: &str) -> bool {
        if name.starts_with('.') && !self.dotted {
            return false;
        }
        let name: Vec<char> = name.chars().collect();
        let (mut p, mut n) = (0, 0);
        // Where to go on after the last `*` took one more character: each is retried once a position.
        let mut retry: Option<(usize, usize)> = None;
        while let Some(c) = name.get(n) {
            match (self.tokens.get(p), retry) {
                (Some(Token::Many), _) => {
                    retry = Some((p + 1, n));
                    p += 1;
                }
                (Some(token), _) if token.takes(*c) => {
                    p += 1;
                    n += 1;
                }
                (_, Some((star, taken))) => {
                    retry = Some((star, taken + 1));
                    (p, n) = (star, taken + 1);
                }
                (_, None) => return false,
            }
        }
        self.tokens.iter().skip(p).all(|token| matches!(token, Token::Many))
    }
}

impl Token {
    /// Returns whether it stands for this one character.
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Many => false,
            Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// The class that begins behind an opening bracket, and what comes after it. The first character of a class may be a
/// closing bracket.
fn class(behind: &[char]) -> Option<(Token, &[char])> {
    let end = behind.iter().skip(1).position(|c| *c == ']')? + 1;
    let (mut inner, after) = (behind.get(..end)?, behind.get(end + 1..)?);
    let negated = matches!(inner, ['!', ..]);
    if negated {
        inner = inner.get(1..)?;
    }
    let mut ranges = Vec::new();
    while let [first, rest @ ..] = inner {
        inner = match rest {
            ['-', last, rest @ ..] => {
                ranges.push((*first, *last));
                rest
            }
            rest => {
                ranges.push((*first, *first));
                rest
            }
        };
    }
    Some((Token::Class { negated, ranges }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        NamePattern::new(pattern).matches(name)
    }

    #[test]
    fn segments_match_as_in_a_shell() {
        for (pattern, name) in [
            ("*", "a"),
            ("*.txt", "a.txt"),
            ("a*b*c", "aXbbYc"),
            ("?", "ü"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("a[", "a["),
            (".*", ".hidden"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", ".hidden"),
            ("?", ""),
            ("?", "ab"),
            ("*.txt", "a.txt.gz"),
            ("[a-c]x", "dx"),
            ("[!a-c]x", "ax"),
            ("a*b", "a"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(100), &"a".repeat(99)), "and soon");
        // A bracket without its end is looked for once, not at every name.
        assert!(!matches(&("*".to_owned() + &"[".repeat(4000)), &"a".repeat(255)));
    }
}
