//! A compiled pattern, and what can be done with one; the module's functions come here as well.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use regex_lite::{Captures, Regex};
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::starlark_simple_value;
use starlark::values::list::AllocList;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use super::found::{Match, Names};
use crate::args::describe;
use crate::callable::is_callable;
use crate::error::usage;
use crate::given::{Given, optional};
use crate::limits::MAX_TEXT_BYTES;
use crate::result::attempt;

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
    pub(super) fn new(regex: Regex, flags: &str) -> Self {
        let names = regex.capture_names().map(|name| name.map(str::to_owned)).collect();
        Self { regex, names, flags: flags.to_owned() }
    }

    pub(super) fn matches<'v>(&self, function: &str, s: Text<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(self.regex.is_match(s.get(function, "s")?)))
    }

    pub(super) fn find<'v>(&self, function: &str, s: Text<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let text = s.get(function, "s")?;
        Ok(match self.regex.captures(text) {
            Some(captures) => heap.alloc(Match::new(&captures, Places::of(text).of_match(&captures), &self.names)),
            None => Value::new_none(),
        })
    }

    pub(super) fn find_all<'v>(
        &self,
        function: &str,
        s: Text<'v>,
        n: Count<'v>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let text = s.get(function, "s")?;
        let most = most(function, n)?;
        let mut places = Places::of(text);
        let mut found = Vec::new();
        for captures in self.regex.captures_iter(text).take(most.unwrap_or(usize::MAX)) {
            enough(function, found.len())?;
            found.push(heap.alloc(Match::new(&captures, places.of_match(&captures), &self.names)));
        }
        Ok(heap.alloc(AllocList(found)))
    }

    pub(super) fn replace<'v>(
        &self,
        function: &str,
        s: Text<'v>,
        repl: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let text = s.get(function, "s")?;
        let replaced = match repl.unpack_str() {
            Some(template) => self.replace_by(function, text, |captures, result| {
                // The most that one expansion can add, checked first: it may be the text many times over.
                let references = template.bytes().filter(|b| *b == b'$').count();
                let whole = captures.get(0).map_or(0, |whole| whole.as_str().len());
                small(function, result.len().saturating_add(references.saturating_mul(whole)))?;
                captures.expand(template, result);
                Ok(())
            }),
            None if is_callable(repl) => {
                let mut places = Places::of(text);
                self.replace_by(function, text, |captures, result| {
                    let found = Match::new(captures, places.of_match(captures), &self.names);
                    let found = eval.heap().alloc(found);
                    let answer = eval.eval_function(repl, &[found], &[])?;
                    let Some(answer) = answer.unpack_str() else {
                        return Err(usage(format!("{function}: repl must return a str, got {}", describe(answer))));
                    };
                    result.push_str(answer);
                    Ok(())
                })
            }
            None => {
                let repl = describe(repl);
                return Err(usage(format!("{function}: repl must be a str or a function of a match, got {repl}")));
            }
        };
        Ok(eval.heap().alloc(replaced?))
    }

    fn replace_by<'t>(
        &self,
        function: &str,
        text: &'t str,
        mut replacement: impl FnMut(&Captures<'t>, &mut String) -> starlark::Result<()>,
    ) -> starlark::Result<String> {
        let mut result = String::with_capacity(text.len());
        let mut after = 0;
        for captures in self.regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else { break };
            result.push_str(text.get(after..whole.start()).unwrap_or_default());
            replacement(&captures, &mut result)?;
            small(function, result.len())?;
            after = whole.end();
        }
        result.push_str(text.get(after..).unwrap_or_default());
        Ok(result)
    }

    /// As Go splits: an empty match at either end makes no empty piece.
    pub(super) fn split<'v>(
        &self,
        function: &str,
        s: Text<'v>,
        n: Count<'v>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let text = s.get(function, "s")?;
        let most = most(function, n)?;
        let mut pieces: Vec<&str> = Vec::new();
        let mut after = 0;
        let mut last_match = None;
        for found in self.regex.find_iter(text) {
            if most.is_some_and(|most| pieces.len() + 1 >= most) {
                break;
            }
            enough(function, pieces.len())?;
            if found.end() > 0 {
                pieces.push(text.get(after..found.start()).unwrap_or_default());
            }
            after = found.end();
            last_match = Some(found.start());
        }
        if most != Some(0) && (last_match != Some(text.len()) || text.is_empty()) {
            pieces.push(text.get(after..).unwrap_or_default());
        }
        Ok(heap.alloc(AllocList(pieces)))
    }
}

type Text<'v> = Given<'v, &'v str>;
type Count<'v> = Option<Given<'v, i32>>;

/// A limit as scripts give it: negative is none.
fn most(function: &str, n: Count<'_>) -> starlark::Result<Option<usize>> {
    Ok(usize::try_from(optional(n, function, "n", -1)?).ok())
}

fn enough(function: &str, results: usize) -> starlark::Result<()> {
    if results < MAX_RESULTS {
        return Ok(());
    }
    Err(usage(format!("{function}: more than {MAX_RESULTS} results; give n, or match more at a time")))
}

/// Refuses what replacing makes too large: `$0$0` on itself, a few times over, would be any size.
fn small(function: &str, bytes: usize) -> starlark::Result<()> {
    if bytes <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(usage(format!("{function}: the result would take more than {MAX_TEXT_BYTES} bytes")))
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

    fn of_match(&mut self, captures: &Captures<'_>) -> usize {
        let byte = captures.get(0).map_or(0, |whole| whole.start());
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

#[starlark_module]
fn methods(builder: &mut MethodsBuilder) {
    /// The pattern as it was written.
    #[starlark(attribute)]
    fn pattern<'v>(this: &Pattern, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(this.regex.as_str()))
    }

    /// Whether the pattern matches anywhere in a text.
    fn r#match<'v>(this: &Pattern, s: Given<'v, &'v str>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        this.matches("pattern.match", s, heap)
    }

    /// Like `match`, as a `Result`.
    fn try_match<'v>(this: &Pattern, s: Given<'v, &'v str>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        attempt(this.matches("pattern.try_match", s, heap), heap)
    }

    /// The first match in a text, or `None`.
    fn find<'v>(this: &Pattern, s: Given<'v, &'v str>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        this.find("pattern.find", s, heap)
    }

    /// Like `find`, as a `Result`.
    fn try_find<'v>(this: &Pattern, s: Given<'v, &'v str>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        attempt(this.find("pattern.try_find", s, heap), heap)
    }

    /// The matches in a text, at most `n` unless it is negative.
    fn find_all<'v>(
        this: &Pattern,
        s: Given<'v, &'v str>,
        n: Option<Given<'v, i32>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        this.find_all("pattern.find_all", s, n, heap)
    }

    /// Like `find_all`, as a `Result`.
    fn try_find_all<'v>(
        this: &Pattern,
        s: Given<'v, &'v str>,
        n: Option<Given<'v, i32>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        attempt(this.find_all("pattern.try_find_all", s, n, heap), heap)
    }

    /// The text with every match replaced, by a text or by what a function returns for a match.
    fn replace<'v>(
        this: &Pattern,
        s: Given<'v, &'v str>,
        repl: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        this.replace("pattern.replace", s, repl, eval)
    }

    /// Like `replace`, as a `Result`.
    fn try_replace<'v>(
        this: &Pattern,
        s: Given<'v, &'v str>,
        repl: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(this.replace("pattern.try_replace", s, repl, eval), eval.heap())
    }

    /// The pieces of a text between matches, at most `n` unless it is negative.
    fn split<'v>(
        this: &Pattern,
        s: Given<'v, &'v str>,
        n: Option<Given<'v, i32>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        this.split("pattern.split", s, n, heap)
    }

    /// Like `split`, as a `Result`.
    fn try_split<'v>(
        this: &Pattern,
        s: Given<'v, &'v str>,
        n: Option<Given<'v, i32>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        attempt(this.split("pattern.try_split", s, n, heap), heap)
    }
}
