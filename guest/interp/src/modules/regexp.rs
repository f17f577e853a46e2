//! `regexp`: matching in time linear in the text, whatever the pattern. See [`engine`] for what patterns are.

mod engine;
mod found;
mod pattern;
mod re2;
mod replacement;

use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::{Heap, Value};

use pattern::Pattern;

/// The types of the values that these functions return.
pub(super) fn types() -> [(&'static str, DocType); 2] {
    [("regexp.match", found::documented()), ("regexp.pattern", pattern::documented())]
}

#[builtins("regexp")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Whether a pattern matches anywhere in a text.
    ///
    /// Patterns are Go's: letters are those of Unicode, with classes such as `\pL` and `\p{Greek}`; `\w`, `\d`, `\s` and
    /// `\b` are ASCII. Flags are any of `i` (ignore case), `m` (`^` and `$` match at lines), `s` (`.` matches a newline) and `U`
    /// (swap `x*` and `x*?`). Errors: a pattern that is invalid or too large.
    ///
    /// ```text
    /// >>> regexp.match(r"^\d+$", "42")
    /// True
    /// ```
    fn r#match<'v>(pattern: &'v str, s: &'v str, #[starlark(default = "")] flags: &'v str) -> starlark::Result<bool> {
        Ok(Pattern::new(pattern, flags)?.matches(s))
    }

    /// The first match in a text, or `None`.
    ///
    /// A match has `text`, `start` and `end` (indices into the text), `groups` (the whole match first, `None` for a group
    /// that took no part) and `group(n)` with a number or a name.
    ///
    /// ```text
    /// >>> regexp.find(r"(\w+)@(?P<host>\w+)", "to ann@example").group("host")
    /// "example"
    /// ```
    fn find<'v>(
        pattern: &'v str,
        s: &'v str,
        #[starlark(default = "")] flags: &'v str,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Pattern::new(pattern, flags)?.find(s, heap)
    }

    /// The matches in a text that do not overlap, at most `n` of them unless it is negative.
    ///
    /// Errors: more than 100000 matches.
    ///
    /// ```text
    /// >>> [m.text for m in regexp.find_all(r"\d+", "1, 22, 333", n = 2)]
    /// ["1", "22"]
    /// ```
    fn find_all<'v>(
        pattern: &'v str,
        s: &'v str,
        #[starlark(default = -1)] n: i32,
        #[starlark(default = "")] flags: &'v str,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Pattern::new(pattern, flags)?.find_all(s, n, heap)
    }

    /// The text with every match replaced.
    ///
    /// In a replacement text `$1` and `${name}` stand for groups and `$$` for a dollar; write `${1}` where a letter, a
    /// digit or `_` follows. A function is called with each match and returns the replacement. Errors: a group that the
    /// pattern has not; a result larger than 16 MB.
    ///
    /// ```text
    /// >>> regexp.replace(r"(\w+)@(\w+)", "ann@example", "$2: $1")
    /// "example: ann"
    /// >>> regexp.replace(r"\d+", "1 and 22", lambda m: str(int(m.text) * 2))
    /// "2 and 44"
    /// ```
    fn replace<'v>(
        pattern: &'v str,
        s: &'v str,
        repl: Value<'v>,
        #[starlark(default = "")] flags: &'v str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Pattern::new(pattern, flags)?.replace(s, repl, eval)
    }

    /// The pieces of a text between matches, at most `n` pieces unless it is negative.
    ///
    /// ```text
    /// >>> regexp.split(r"[,;\s]+", "a, b; c  d")
    /// ["a", "b", "c", "d"]
    /// ```
    fn split<'v>(
        pattern: &'v str,
        s: &'v str,
        #[starlark(default = -1)] n: i32,
        #[starlark(default = "")] flags: &'v str,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Pattern::new(pattern, flags)?.split(s, n, heap)
    }

    /// A compiled pattern, with the functions of this module as methods.
    ///
    /// Compile at the top level what every request uses: requests then find it ready. Errors: a pattern that is
    /// invalid, longer than 16 KiB, too large once compiled, or with more than 99 groups.
    ///
    /// ```text
    /// >>> regexp.compile("error: (.+)", flags = "i").find("ERROR: disk full").group(1)
    /// "disk full"
    /// ```
    fn compile<'v>(
        pattern: &'v str,
        #[starlark(default = "")] flags: &'v str,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(Pattern::new(pattern, flags)?))
    }

    /// The pattern that matches a text and nothing else.
    ///
    /// ```text
    /// >>> regexp.escape("1.5 (net)")
    /// "1\\.5 \\(net\\)"
    /// ```
    fn escape<'v>(s: &'v str) -> starlark::Result<String> {
        Ok(regex_syntax::escape(s))
    }
}
