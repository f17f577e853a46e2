//! The value of one match.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;
use std::sync::Arc;

use allocative::Allocative;
use regex_lite::Captures;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_module;
use starlark::starlark_simple_value;
use starlark::values::tuple::AllocTuple;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use crate::args::describe;
use crate::error::usage;
use crate::result::attempt;

/// Names of a pattern's groups by number; shared by all of its matches.
pub(super) type Names = Arc<[Option<String>]>;

/// One match, independent of the text it was found in.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Match {
    /// In characters, as a script indexes the text.
    start: usize,
    end: usize,
    /// The whole match, then each group.
    groups: Vec<String>,
    names: Names,
}

starlark_simple_value!(Match);

impl Match {
    /// A match that begins `start` characters into the text.
    pub(super) fn new(captures: &Captures<'_>, start: usize, names: &Names) -> Self {
        let text = |group: Option<regex_lite::Match<'_>>| group.map_or_else(String::new, |m| m.as_str().to_owned());
        let groups: Vec<String> = captures.iter().map(text).collect();
        let length = groups.first().map_or(0, |whole| whole.chars().count());
        Self { start, end: start + length, groups, names: names.clone() }
    }

    fn text(&self) -> &str {
        self.groups.first().map_or("", String::as_str)
    }

    fn group<'v>(&self, function: &str, n: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let index = match (n.unpack_i32(), n.unpack_str()) {
            (Some(n), _) => usize::try_from(n).ok(),
            (None, Some(name)) => self.names.iter().position(|given| given.as_deref() == Some(name)),
            (None, None) => {
                return Err(usage(format!("{function}: n must be an int or the name of a group, got {}", describe(n))));
            }
        };
        match index.and_then(|index| self.groups.get(index)) {
            Some(text) => Ok(heap.alloc(text.as_str())),
            None => {
                let (last, n) = (self.groups.len().saturating_sub(1), describe(n));
                Err(usage(format!("{function}: no group {n}; the pattern has {last} groups")))
            }
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Match({:?}, start={}, end={})", self.text(), self.start, self.end)
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Match>()
}

#[starlark_value(type = "regexp.match")]
impl<'v> StarlarkValue<'v> for Match {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("regexp.match", methods);
        Some(METHODS.methods())
    }
}

#[starlark_module]
fn methods(builder: &mut MethodsBuilder) {
    /// The matched text.
    #[starlark(attribute)]
    fn text<'v>(this: &Match, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(this.text()))
    }

    /// Index of the match's first character.
    #[starlark(attribute)]
    fn start(this: &Match) -> starlark::Result<usize> {
        Ok(this.start)
    }

    /// Index after the match's last character.
    #[starlark(attribute)]
    fn end(this: &Match) -> starlark::Result<usize> {
        Ok(this.end)
    }

    /// The texts of the whole match and of each group, as a tuple.
    #[starlark(attribute)]
    fn groups<'v>(this: &Match, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocTuple(this.groups.iter().map(String::as_str))))
    }

    /// The text of a group by number (0 is the whole match) or by name; `""` for one that took no part.
    fn group<'v>(this: &Match, n: Option<Value<'v>>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        this.group("match.group", n.unwrap_or_else(|| heap.alloc(0)), heap)
    }

    /// Like `group`, as a `Result`.
    fn try_group<'v>(this: &Match, n: Option<Value<'v>>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        attempt(this.group("match.try_group", n.unwrap_or_else(|| heap.alloc(0)), heap), heap)
    }
}
