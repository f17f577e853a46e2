//! `regexp`: matching in time linear in the text, whatever the pattern.
//!
//! The engine is regex-lite: it never backtracks, and of the engines that do not it is the one made for a fork per
//! request. Compiling takes microseconds and little memory, there are no Unicode tables to keep in the image and no
//! automaton that each fork would build again for a few short texts. Its classes are Go's: `\w`, `\d`, `\s` are ASCII.
//! Missing are `\p{..}`, look-around and back-references; a pattern with one of them is an error that says so.
//!
//! Linear is not small: the work is the text's length times the states in use. So a pattern is limited in length, in
//! compiled size and in groups (each state keeps a slot for every group), and results are limited in number and size.

mod found;
mod pattern;

use regex_lite::{Regex, RegexBuilder};
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::{Heap, Value};

use crate::error::usage;
use crate::given::{Given, optional};

use pattern::Pattern;

/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 16 * 1024;

/// Largest compiled pattern, in bytes: about ten thousand states. `[a-z]{1000}` takes 40 KB.
const MAX_COMPILED_BYTES: usize = 256 * 1024;

/// Most groups, the whole match included.
const MAX_GROUPS: usize = 100;

/// Deepest nesting of a pattern: its parser and its compiler recurse.
const MAX_NESTING: u32 = 50;

/// The types of the values that these functions return.
pub(super) fn types() -> [(&'static str, DocType); 2] {
    [("regexp.match", found::documented()), ("regexp.pattern", pattern::documented())]
}

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Whether a pattern matches anywhere in a text.
    ///
    /// Flags are any of `i` (ignore case), `m` (`^` and `$` match at lines), `s` (`.` matches a newline) and `U`
    /// (swap `x*` and `x*?`). Errors: a pattern that is invalid or too large.
    ///
    /// ```text
    /// >>> regexp.match(r"^\d+$", "42")
    /// True
    /// ```
    fn r#match<'v>(
        pattern: Given<'v, &'v str>,
        s: Given<'v, &'v str>,
        flags: Option<Given<'v, &'v str>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        compiled("regexp.match", pattern, flags)?.matches("regexp.match", s, heap)
    }

    /// The first match in a text, or `None`.
    ///
    /// A match has `text`, `start` and `end` (indices into the text), `groups` (the whole match first, `""` for a group
    /// that took no part) and `group(n)` with a number or a name.
    ///
    /// ```text
    /// >>> regexp.find(r"(\w+)@(?P<host>\w+)", "to ann@example").group("host")
    /// "example"
    /// ```
    fn find<'v>(
        pattern: Given<'v, &'v str>,
        s: Given<'v, &'v str>,
        flags: Option<Given<'v, &'v str>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        compiled("regexp.find", pattern, flags)?.find("regexp.find", s, heap)
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
        pattern: Given<'v, &'v str>,
        s: Given<'v, &'v str>,
        n: Option<Given<'v, i32>>,
        flags: Option<Given<'v, &'v str>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        compiled("regexp.find_all", pattern, flags)?.find_all("regexp.find_all", s, n, heap)
    }

    /// The text with every match replaced.
    ///
    /// In a replacement text `$1` and `${name}` stand for groups and `$$` for a dollar; a function is called with each
    /// match and returns the replacement. Errors: a result larger than 16 MB.
    ///
    /// ```text
    /// >>> regexp.replace(r"(\w+)@(\w+)", "ann@example", "$2: $1")
    /// "example: ann"
    /// >>> regexp.replace(r"\d+", "1 and 22", lambda m: str(int(m.text) * 2))
    /// "2 and 44"
    /// ```
    fn replace<'v>(
        pattern: Given<'v, &'v str>,
        s: Given<'v, &'v str>,
        repl: Value<'v>,
        flags: Option<Given<'v, &'v str>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        compiled("regexp.replace", pattern, flags)?.replace("regexp.replace", s, repl, eval)
    }

    /// The pieces of a text between matches, at most `n` pieces unless it is negative.
    ///
    /// ```text
    /// >>> regexp.split(r"[,;\s]+", "a, b; c  d")
    /// ["a", "b", "c", "d"]
    /// ```
    fn split<'v>(
        pattern: Given<'v, &'v str>,
        s: Given<'v, &'v str>,
        n: Option<Given<'v, i32>>,
        flags: Option<Given<'v, &'v str>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        compiled("regexp.split", pattern, flags)?.split("regexp.split", s, n, heap)
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
        pattern: Given<'v, &'v str>,
        flags: Option<Given<'v, &'v str>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(compiled("regexp.compile", pattern, flags)?))
    }

    /// The pattern that matches a text and nothing else.
    ///
    /// ```text
    /// >>> regexp.escape("1.5 (net)")
    /// "1\\.5 \\(net\\)"
    /// ```
    fn escape<'v>(s: Given<'v, &'v str>) -> starlark::Result<String> {
        Ok(regex_lite::escape(s.get("regexp.escape", "s")?))
    }
}

fn compiled<'v>(
    function: &str,
    pattern: Given<'v, &'v str>,
    flags: Option<Given<'v, &'v str>>,
) -> starlark::Result<Pattern> {
    let text = pattern.get(function, "pattern")?;
    let letters = optional(flags, function, "flags", "")?;
    if text.len() > MAX_PATTERN_BYTES {
        let length = text.len();
        return Err(usage(format!("{function}: the pattern has {length} bytes, more than {MAX_PATTERN_BYTES}")));
    }
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(MAX_COMPILED_BYTES).nest_limit(MAX_NESTING);
    for letter in letters.chars() {
        match letter {
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'U' => builder.swap_greed(true),
            _ => return Err(usage(format!("{function}: flags may be of \"imsU\", got {letters:?}"))),
        };
    }
    match builder.build() {
        Ok(regex) => Ok(Pattern::new(checked(function, regex)?, letters)),
        Err(error) => Err(usage(format!("{function}: {}: {}", quoted(text), reason(&error)))),
    }
}

fn checked(function: &str, regex: Regex) -> starlark::Result<Regex> {
    if regex.captures_len() > MAX_GROUPS {
        let groups = regex.captures_len() - 1;
        return Err(usage(format!("{function}: the pattern has {groups} groups, more than {}", MAX_GROUPS - 1)));
    }
    Ok(regex)
}

/// The engine's sentence, with the number where it reports a limit of ours.
fn reason(error: &regex_lite::Error) -> String {
    match error.to_string().as_str() {
        "compiled regex exceeded size limit" => {
            format!("the compiled pattern takes more than {MAX_COMPILED_BYTES} bytes; repeat less")
        }
        "pattern has too much nesting" => format!("nested more than {MAX_NESTING} deep"),
        sentence => sentence.to_owned(),
    }
}

fn quoted(pattern: &str) -> String {
    crate::diagnostic::shorten(format!("{pattern:?}"), 120)
}
