//! A replacement text: pieces of text, and groups by number or by name.
//!
//! A group that the pattern has not is an error, not an empty text: `$2_$1` names a group `2_`, which is hardly ever
//! meant, and would lose what the second group matched.

use regex_automata::util::captures::Captures;

/// One piece.
enum Piece<'t> {
    Text(&'t str),
    Group(usize),
}

/// A replacement text, ready to be filled in.
pub(super) struct Replacement<'t> {
    pieces: Vec<Piece<'t>>,
}

impl<'t> Replacement<'t> {
    /// Reads a replacement text for a pattern with these groups; the error is the sentence to show.
    pub(super) fn new(template: &'t str, names: &[Option<String>]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            let (before, reference) = rest.split_at(at);
            pieces.push(Piece::Text(before));
            let after = reference.get(1..).unwrap_or_default();
            let (piece, length) = piece(after, names)?.unwrap_or((Piece::Text("$"), 0));
            pieces.push(piece);
            rest = after.get(length..).unwrap_or_default();
        }
        pieces.push(Piece::Text(rest));
        Ok(Self { pieces })
    }

    /// How many bytes the replacement of one match has.
    pub(super) fn len(&self, text: &str, captures: &Captures) -> usize {
        self.pieces.iter().map(|piece| piece.text(text, captures).len()).fold(0, usize::saturating_add)
    }

    /// Appends the replacement of one match in a text.
    pub(super) fn push(&self, text: &str, captures: &Captures, result: &mut String) {
        result.extend(self.pieces.iter().map(|piece| piece.text(text, captures)));
    }
}

impl<'t> Piece<'t> {
    fn text<'a>(&'a self, text: &'a str, captures: &Captures) -> &'a str {
        match self {
            Piece::Text(text) => text,
            Piece::Group(number) => captures.get_group(*number).and_then(|span| text.get(span.range())).unwrap_or(""),
        }
    }
}

/// What a dollar sign with this after it stands for, and how many bytes of it are used; nothing for a dollar sign alone.
fn piece<'t>(after: &'t str, names: &[Option<String>]) -> Result<Option<(Piece<'t>, usize)>, String> {
    if after.starts_with('$') {
        return Ok(Some((Piece::Text("$"), 1)));
    }
    if let Some(braced) = after.strip_prefix('{') {
        let Some((name, _)) = braced.split_once('}') else {
            return Err(format!(
                "repl has ${{ without a closing brace at {:?}",
                crate::shorten::shorten(after.to_owned(), 40)
            ));
        };
        let number = number(name, names).ok_or_else(|| unknown(name, names, None))?;
        return Ok(Some((Piece::Group(number), name.len() + 2)));
    }
    // The longest name that there can be, as Go reads it.
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    let name = after.get(..end).unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    match number(name, names) {
        Some(number) => Ok(Some((Piece::Group(number), end))),
        None => {
            let prefixes = (1..end).rev().filter_map(|length| name.split_at_checked(length));
            let meant = prefixes.into_iter().find(|(prefix, _)| number(prefix, names).is_some());
            Err(unknown(name, names, meant))
        }
    }
}

/// The number of a group that is given by number or by name.
fn number(name: &str, names: &[Option<String>]) -> Option<usize> {
    match name.parse::<usize>() {
        Ok(number) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(number).filter(|number| *number < names.len())
        }
        _ => names.iter().position(|given| given.as_deref() == Some(name)),
    }
}

fn unknown(name: &str, names: &[Option<String>], meant: Option<(&str, &str)>) -> String {
    let hint = match meant {
        Some((group, rest)) => format!("write ${{{group}}}{rest} for group {group} and a text behind it"),
        None => format!("the pattern has {} groups; write $$ for a dollar sign", names.len().saturating_sub(1)),
    };
    format!("repl names a group {name:?} that the pattern has not; {hint}")
}
