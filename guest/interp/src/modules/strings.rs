//! `strings`: what the methods of str leave out.

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::tuple::AllocTuple;
use starlark::values::{Heap, Value};

use crate::error::usage;
use crate::given::Given;

/// Widest field, in characters: enough for any table, and no way to fill the memory with one call.
const MAX_WIDTH: usize = 1 << 20;

#[builtins("strings")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// `s` at the left of a field of `width` characters, filled up with `fillchar` (a space unless given).
    ///
    /// A text that is longer stays as it is. Errors: a width over 1048576, a `fillchar` that is not one character.
    ///
    /// ```text
    /// >>> strings.ljust("ab", 4, ".")
    /// "ab.."
    /// ```
    fn ljust<'v>(
        s: &'v str,
        width: Given<'v, i32>,
        #[starlark(default = " ")] fillchar: &'v str,
    ) -> starlark::Result<String> {
        let field = Field::new(s, width, fillchar)?;
        Ok(field.text(0, field.missing))
    }

    /// Like `ljust`, at the right.
    ///
    /// ```text
    /// >>> strings.rjust("7", 3, "0")
    /// "007"
    /// ```
    fn rjust<'v>(
        s: &'v str,
        width: Given<'v, i32>,
        #[starlark(default = " ")] fillchar: &'v str,
    ) -> starlark::Result<String> {
        let field = Field::new(s, width, fillchar)?;
        Ok(field.text(field.missing, 0))
    }

    /// Like `ljust`, in the middle; what cannot be shared evenly goes to the right.
    ///
    /// ```text
    /// >>> strings.center("ab", 5, "-")
    /// "-ab--"
    /// ```
    fn center<'v>(
        s: &'v str,
        width: Given<'v, i32>,
        #[starlark(default = " ")] fillchar: &'v str,
    ) -> starlark::Result<String> {
        let field = Field::new(s, width, fillchar)?;
        let left = field.missing / 2;
        Ok(field.text(left, field.missing - left))
    }

    /// What is before and after the first `sep`, and whether it was found: `(before, after, found)`.
    ///
    /// ```text
    /// >>> strings.cut("host:80", ":")
    /// ("host", "80", True)
    /// ```
    fn cut<'v>(s: &'v str, sep: &'v str, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let (before, after, found) = match s.split_once(sep) {
            Some((before, after)) => (heap.alloc(before), heap.alloc(after), true),
            None => (heap.alloc(s), heap.alloc(""), false),
        };
        Ok(heap.alloc(AllocTuple([before, after, Value::new_bool(found)])))
    }

    /// Whether two texts are the same but for case. Not for secrets: it stops at the first difference.
    ///
    /// ```text
    /// >>> strings.equal("Straße", "STRASSE")
    /// True
    /// ```
    fn equal<'v>(s: &'v str, t: &'v str) -> starlark::Result<bool> {
        Ok(folded(s).eq(folded(t)))
    }

    /// Whether `s` holds any of the characters of `chars`.
    ///
    /// ```text
    /// >>> strings.has_any("hello!", "?!")
    /// True
    /// ```
    fn has_any<'v>(s: &'v str, chars: &'v str) -> starlark::Result<bool> {
        Ok(s.contains(|c| chars.contains(c)))
    }

    /// `s` in double quotes, with quotes, backslashes and control characters escaped, as Go and JSON readers take it.
    ///
    /// ```text
    /// >>> strings.quote("a \"b\"")
    /// "\"a \\\"b\\\"\""
    /// ```
    fn quote<'v>(s: &'v str) -> starlark::Result<String> {
        Ok(quoted(s))
    }

    /// The text that `quote` made this from. Errors: no double quotes around it, an unknown or incomplete escape.
    ///
    /// ```text
    /// >>> strings.unquote("\"caf\\u00e9\"")
    /// "café"
    /// ```
    fn unquote<'v>(s: &'v str) -> starlark::Result<String> {
        unquoted(s).map_err(usage)
    }
}

/// A text, and how much is missing to the width of its field.
struct Field<'v> {
    text: &'v str,
    fill: char,
    missing: usize,
}

impl<'v> Field<'v> {
    fn new(text: &'v str, width: Given<'v, i32>, fillchar: &str) -> starlark::Result<Self> {
        let given = width.take("width")?;
        let given = usize::try_from(given).unwrap_or(0);
        if given > MAX_WIDTH {
            return Err(width.wrong("width", "at most 1048576"));
        }
        let mut fill = fillchar.chars();
        let (Some(fill), None) = (fill.next(), fill.next()) else {
            return Err(usage(format!("fillchar must be one character, got {fillchar:?}")));
        };
        Ok(Self { text, fill, missing: given.saturating_sub(text.chars().count()) })
    }

    fn text(&self, left: usize, right: usize) -> String {
        let fill = |count| std::iter::repeat_n(self.fill, count);
        fill(left).chain(self.text.chars()).chain(fill(right)).collect()
    }
}

/// Characters such that texts that differ in case only have the same.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// A text in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn unquoted(text: &str) -> Result<String, String> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|_| text.len() >= 2);
    let mut rest = inner.ok_or("no double quotes around it")?;
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (before, special) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let Some(escape) = special.strip_prefix('\\') else {
            return Err("a quote or a line break in it that is not escaped".to_owned());
        };
        rest = unescape(escape, &mut bytes).ok_or_else(|| {
            let shown: String = special.chars().take(10).collect();
            format!("an unknown or incomplete escape at {shown:?}")
        })?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| "its \\x escapes are not UTF-8".to_owned())
}

/// Reads what follows a backslash; returns what follows that.
fn unescape<'a>(escape: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let kind = escape.chars().next()?;
    let rest = escape.get(kind.len_utf8()..)?;
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => {
            bytes.push(match kind {
                'a' => 0x07,
                'b' => 0x08,
                'f' => 0x0c,
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'v' => 0x0b,
                '\\' | '"' | '\'' => u8::try_from(kind).ok()?,
                _ => return None,
            });
            return Some(rest);
        }
    };
    let written = rest.get(..digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let number = u32::from_str_radix(written, 16).ok()?;
    match kind {
        // A byte, not a character: two of them can be one.
        'x' => bytes.push(u8::try_from(number).ok()?),
        _ => bytes.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes()),
    }
    rest.get(digits..)
}
