//! A compiled pattern, and what can be done with one; the module's functions come here as well.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use regex_automata::util::captures::Captures;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::list::AllocList;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use super::engine::Regex;
use super::found::{Match, Names};
use super::replacement::Replacement;
use crate::args::describe;
use crate::callable::is_callable;
use crate::error::usage;
use crate::limits::MAX_TEXT_BYTES;

/// Most matches or pieces of one call. Each is a value of its own: a `.` on ten megabytes would be gigabytes of them.
const MAX_RESULTS: usize = 100_000;

/// What `regexp.compile` returns.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Pattern {
    #[allocative(skip)]
    regex: Regex,
    names: Names,
    flags: String,
}

starlark_simple_value!(Pattern);

impl Pattern {
    /// Compiles a pattern.
    pub(super) fn new(text: &str, flags: &str) -> starlark::Result<Self> {
        let regex = Regex::new(text, flags).map_err(usage)?;
        let names = regex.names().map(|name| name.map(str::to_owned)).collect();
        Ok(Self { regex, names, flags: flags.to_owned() })
    }

    /// Whether there is a match.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first match, or `None`.
    pub(super) fn find<'v>(&self, text: &str, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let mut found = Value::new_none();
        let mut places = Places::of(text);
        self.regex.each(text, |captures| -> starlark::Result<bool> {
            found = heap.alloc(Match::new(text, captures, places.of_match(captures), &self.names));
            Ok(false)
        })?;
        Ok(found)
    }

    /// The matches, at most `n` of them unless it is negative.
    pub(super) fn find_all<'v>(&self, text: &str, n: i32, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let most = usize::try_from(n).unwrap_or(usize::MAX);
        let mut places = Places::of(text);
        let mut found = Vec::new();
        if most > 0 {
            self.regex.each(text, |captures| -> starlark::Result<bool> {
                enough(found.len())?;
                found.push(heap.alloc(Match::new(text, captures, places.of_match(captures), &self.names)));
                Ok(found.len() < most)
            })?;
        }
        Ok(heap.alloc(AllocList(found)))
    }

    /// The text with every match replaced.
    pub(super) fn replace<'v>(
        &self,
        text: &str,
        repl: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let replaced = match repl.unpack_str() {
            Some(template) => {
                let replacement = Replacement::new(template, &self.names).map_err(usage)?;
                self.replace_by(text, |captures, result| {
                    // Checked first: one replacement may be the text many times over.
                    small(result.len().saturating_add(replacement.len(text, captures)))?;
                    replacement.push(text, captures, result);
                    Ok(())
                })
            }
            None if is_callable(repl) => {
                let mut places = Places::of(text);
                self.replace_by(text, |captures, result| {
                    let found = Match::new(text, captures, places.of_match(captures), &self.names);
                    let found = eval.heap().alloc(found);
                    let answer = eval.eval_function(repl, &[found], &[])?;
                    let Some(answer) = answer.unpack_str() else {
                        return Err(usage(format!("repl must return a str, got {}", describe(answer))));
                    };
                    result.push_str(answer);
                    Ok(())
                })
            }
            None => {
                let repl = describe(repl);
                return Err(usage(format!("repl must be a str or a function of a match, got {repl}")));
            }
        };
        Ok(eval.heap().alloc(replaced?))
    }

    fn replace_by(
        &self,
        text: &str,
        mut replacement: impl FnMut(&Captures, &mut String) -> starlark::Result<()>,
    ) -> starlark::Result<String> {
        let mut result = String::with_capacity(text.len());
        let mut after = 0;
        self.regex.each(text, |captures| -> starlark::Result<bool> {
            let Some(whole) = captures.get_group(0) else { return Ok(false) };
            result.push_str(text.get(after..whole.start).unwrap_or_default());
            replacement(captures, &mut result)?;
            small(result.len())?;
            after = whole.end;
            Ok(true)
        })?;
        result.push_str(text.get(after..).unwrap_or_default());
        Ok(result)
    }

    /// The pieces between matches. As Go splits: an empty match at either end makes no empty piece.
    pub(super) fn split<'v>(&self, text: &str, n: i32, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let most = usize::try_from(n).ok();
        let mut pieces: Vec<&str> = Vec::new();
        let mut after = 0;
        let mut last_match = None;
        self.regex.each(text, |captures| -> starlark::Result<bool> {
            let Some(found) = captures.get_group(0) else { return Ok(false) };
            if most.is_some_and(|most| pieces.len() + 1 >= most) {
                return Ok(false);
            }
            enough(pieces.len())?;
            if found.end > 0 {
                pieces.push(text.get(after..found.start).unwrap_or_default());
            }
            after = found.end;
            last_match = Some(found.start);
            Ok(true)
        })?;
        if most != Some(0) && (last_match != Some(text.len()) || text.is_empty()) {
            pieces.push(text.get(after..).unwrap_or_default());
        }
        Ok(heap.alloc(AllocList(pieces)))
    }
}

fn enough(results: usize) -> starlark::Result<()> {
    if results < MAX_RESULTS {
        return Ok(());
    }
    Err(usage(format!("more than {MAX_RESULTS} results; give n, or match more at a time")))
}

/// Refuses what replacing makes too large: `$0$0` on itself, a few times over, would be any size.
fn small(bytes: usize) -> starlark::Result<()> {
    if bytes <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(usage(format!("the result would take more than {MAX_TEXT_BYTES} bytes")))
}

/// Turns byte offsets that only grow into indices of characters.
struct Places<'t> {
    text: &'t str,
    byte: usize,
    index: usize,
}

impl<'t> Places<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, byte: 0, index: 0 }
    }

    fn of_match(&mut self, captures: &Captures) -> usize {
        let byte = captures.get_group(0).map_or(0, |whole| whole.start);
        self.index += self.text.get(self.byte..byte).map_or(0, |between| between.chars().count());
        self.byte = byte;
        self.index
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?}, flags={:?})", self.regex.as_str(), self.flags)
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Pattern>()
}

#[starlark_value(type = "regexp.pattern")]
impl<'v> StarlarkValue<'v> for Pattern {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("regexp.pattern", methods);
        Some(METHODS.methods())
    }
}

#[builtins("pattern")]
fn methods(builder: &mut MethodsBuilder) {
    /// The pattern as it was written.
    #[starlark(attribute)]
    fn pattern<'v>(this: &Pattern, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(this.regex.as_str()))
    }

    /// How many groups the pattern has, the whole match not counted.
    #[starlark(attribute)]
    fn group_count(this: &Pattern) -> starlark::Result<usize> {
        Ok(this.names.len().saturating_sub(1))
    }

    /// The names of the groups that have one, as a list in the order of the pattern.
    #[starlark(attribute)]
    fn group_names<'v>(this: &Pattern, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocList(this.names.iter().flatten().map(String::as_str))))
    }

    /// Whether the pattern matches anywhere in a text.
    fn r#match<'v>(this: &Pattern, s: &'v str) -> starlark::Result<bool> {
        Ok(this.matches(s))
    }

    /// The first match in a text, or `None`.
    fn find<'v>(this: &Pattern, s: &'v str, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        this.find(s, heap)
    }

    /// The matches in a text, at most `n` unless it is negative.
    fn find_all<'v>(
        this: &Pattern,
        s: &'v str,
        #[starlark(default = -1)] n: i32,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        this.find_all(s, n, heap)
    }

    /// The text with every match replaced, by a text or by what a function returns for a match; see `regexp.replace`.
    fn replace<'v>(
        this: &Pattern,
        s: &'v str,
        repl: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        this.replace(s, repl, eval)
    }

    /// The pieces of a text between matches, at most `n` unless it is negative.
    fn split<'v>(
        this: &Pattern,
        s: &'v str,
        #[starlark(default = -1)] n: i32,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        this.split(s, n, heap)
    }
}
