//! Patterns as Go and RE2 write them, in the notation of the parser that reads them here.
//!
//! The two differ in little, and where they do the parser would read something else without a word: `[a&&b]` has three
//! characters in Go, and none for a parser that takes `&&` for an intersection; `\<` is a bracket, and there the start of
//! a word. What Go refuses and the parser would take for something else is refused.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The classes `[:name:]`.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// A pattern in the parser's notation; the error is why there is none.
pub(super) fn translated(pattern: &str) -> Result<Cow<'_, str>, String> {
    // Everything that can differ has one of these.
    if !pattern.contains(['\\', '[', '{']) && !pattern.contains("(?") {
        return Ok(Cow::Borrowed(pattern));
    }
    let mut reader = Reader { rest: pattern, written: String::with_capacity(pattern.len() + 16) };
    while let Some(c) = reader.peek() {
        match c {
            '\\' => reader.escape(),
            '[' => reader.class()?,
            '{' => reader.brace(),
            '(' => reader.group()?,
            c => reader.copy(c.len_utf8()),
        }
    }
    Ok(Cow::Owned(reader.written))
}

/// What is left to read, and what is written.
struct Reader<'p> {
    rest: &'p str,
    written: String,
}

impl<'p> Reader<'p> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, bytes: usize) -> &'p str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn copy(&mut self, bytes: usize) {
        let taken = self.take(bytes);
        self.written.push_str(taken);
    }

    /// Writes a character as nothing but itself.
    fn literal(&mut self, c: char) {
        match c.is_ascii_punctuation() || c.is_whitespace() || c.is_control() {
            true => {
                let _ = write!(self.written, "\\x{{{:X}}}", u32::from(c));
            }
            false => self.written.push(c),
        }
    }

    /// `\Q..\E`, octal numbers, brackets with a backslash, negated classes of Unicode; the rest is the same.
    fn escape(&mut self) {
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            self.rest = rest;
            text.chars().for_each(|c| self.literal(c));
            return;
        }
        let after = self.rest.get(1..).unwrap_or_default();
        match after.chars().next() {
            Some(c @ ('<' | '>')) => {
                self.take(2);
                self.literal(c);
            }
            Some('0'..='7') if octal(after).is_some() => {
                let (number, length) = octal(after).unwrap_or_default();
                self.take(1 + length);
                self.literal(number);
            }
            Some('p' | 'P') if after.get(1..).is_some_and(|after| after.starts_with("{^")) => {
                let negated = if after.starts_with('p') { "\\P{" } else { "\\p{" };
                self.take(4);
                self.written.push_str(negated);
                // The name and its brace, which alone would stand for itself in a class.
                self.copy(self.rest.find('}').map_or(0, |end| end + 1));
            }
            // `\b{start}` is a notation of the parser's alone.
            Some('b' | 'B') => self.copy(2),
            Some(c @ ('p' | 'P' | 'x' | 'u' | 'U')) => {
                let braced = after.get(c.len_utf8()..).filter(|after| after.starts_with('{'));
                let length = braced.and_then(|braced| braced.find('}')).map_or(0, |end| end + 1);
                self.copy(2 + length);
            }
            Some(c) => self.copy(1 + c.len_utf8()),
            None => self.copy(1),
        }
    }

    /// A brace begins a repetition, or stands for itself.
    fn brace(&mut self) {
        let inside = self.rest.get(1..).and_then(|rest| rest.split_once('}')).map(|(inside, _)| inside);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let repeats = inside.is_some_and(|inside| match inside.split_once(',') {
            Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
            None => is_number(inside),
        });
        match repeats {
            true => self.copy(inside.map_or(1, str::len) + 2),
            false => {
                self.take(1);
                self.literal('{');
            }
        }
    }

    /// The flags of a group must be Go's.
    fn group(&mut self) -> Result<(), String> {
        if let Some(flags) = self.rest.strip_prefix("(?") {
            let end = flags.find([')', ':', '<', '=', '!']).unwrap_or(flags.len());
            let (flags, after) = flags.split_at(end);
            let is_flags = after.starts_with([')', ':']);
            if let Some(other) = flags.chars().find(|c| is_flags && c.is_alphabetic() && !"imsU".contains(*c)) {
                return Err(format!("the flag {other} is not supported; flags are i, m, s and U"));
            }
        }
        self.copy(1);
        Ok(())
    }

    /// A class in brackets: every item of it in a way that has no other meaning.
    fn class(&mut self) -> Result<(), String> {
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err("unclosed character class".to_owned()),
                Some(']') if !first => {
                    self.copy(1);
                    return Ok(());
                }
                Some('[') if self.named().is_some() => {
                    let name = self.named().unwrap_or_default();
                    if !CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                        return Err(format!("there is no class [:{name}:]"));
                    }
                    self.copy(name.len() + 4);
                }
                Some(_) => self.item(),
            }
            first = false;
        }
    }

    /// The name of the class `[:name:]` that is next.
    fn named(&self) -> Option<&'p str> {
        self.rest.strip_prefix("[:")?.split_once(":]").map(|(name, _)| name)
    }

    /// A character of a class, or a range of two.
    fn item(&mut self) {
        self.member();
        let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1;
        if is_range {
            self.copy(1);
            self.member();
        }
    }

    fn member(&mut self) {
        match self.peek() {
            Some('\\') => self.escape(),
            Some(c) => {
                self.take(c.len_utf8());
                self.literal(c);
            }
            None => {}
        }
    }
}

/// The character of an octal number, with the length of its digits. `\1` to `\7` alone would be a backreference.
fn octal(text: &str) -> Option<(char, usize)> {
    let digits = text.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    if digits == 1 && !text.starts_with('0') {
        return None;
    }
    let number = u32::from_str_radix(text.get(..digits)?, 8).ok()?;
    Some((char::from_u32(number)?, digits))
}
