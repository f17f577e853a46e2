//! The value of one match.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;
use std::sync::Arc;

use allocative::Allocative;
use regex_automata::util::captures::Captures;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_simple_value;
use starlark::values::tuple::AllocTuple;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use crate::args::describe;
use crate::error::usage;

/// Names of a pattern's groups by number; shared by all of its matches.
pub(super) type Names = Arc<[Option<String>]>;

/// One match, independent of the text it was found in.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Match {
    /// In characters, as a script indexes the text.
    start: usize,
    end: usize,
    /// The whole match, then each group; nothing for one that took no part.
    groups: Vec<Option<String>>,
    names: Names,
}

starlark_simple_value!(Match);

impl Match {
    /// A match in a text that begins `start` characters into it.
    pub(super) fn new(text: &str, captures: &Captures, start: usize, names: &Names) -> Self {
        let part = |number| captures.get_group(number).and_then(|span| text.get(span.range())).map(str::to_owned);
        let groups: Vec<Option<String>> = (0..captures.group_len()).map(part).collect();
        let length = groups.first().and_then(Option::as_deref).map_or(0, |whole| whole.chars().count());
        Self { start, end: start + length, groups, names: names.clone() }
    }

    fn text(&self) -> &str {
        self.groups.first().and_then(Option::as_deref).unwrap_or_default()
    }

    fn group(&self, wanted: Value<'_>) -> starlark::Result<Option<&str>> {
        let index = match (wanted.unpack_i32(), wanted.unpack_str()) {
            (Some(n), _) => usize::try_from(n).ok(),
            (None, Some(name)) => self.names.iter().position(|given| given.as_deref() == Some(name)),
            (None, None) => {
                let wanted = describe(wanted);
                return Err(usage(format!("n must be an int or the name of a group, got {wanted}")));
            }
        };
        match index.and_then(|index| self.groups.get(index)) {
            Some(text) => Ok(text.as_deref()),
            None => {
                let (last, wanted) = (self.groups.len().saturating_sub(1), describe(wanted));
                Err(usage(format!("no group {wanted}; the pattern has {last} groups")))
            }
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
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

#[builtins("match")]
fn methods(builder: &mut MethodsBuilder) {
    /// The matched text, which `str(match)` gives as well.
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

    /// The texts of the whole match and of each group, as a tuple; `None` for a group that took no part.
    #[starlark(attribute)]
    fn groups<'v>(this: &Match, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let groups =
            this.groups.iter().map(|group| group.as_deref().map_or_else(Value::new_none, |text| heap.alloc(text)));
        Ok(heap.alloc(AllocTuple(groups)))
    }

    /// The text of a group by number (0 is the whole match) or by name; `None` for one that took no part.
    ///
    /// Errors: a group that the pattern has not, a number and a name together.
    fn group<'v>(
        this: &Match,
        n: Option<Value<'v>>,
        #[starlark(require = named)] name: Option<&'v str>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let wanted = match (n, name) {
            (Some(_), Some(_)) => return Err(usage("give n or name, not both")),
            (Some(n), None) => n,
            (None, Some(name)) => heap.alloc(name),
            (None, None) => heap.alloc(0),
        };
        Ok(this.group(wanted)?.map_or_else(Value::new_none, |text| heap.alloc(text)))
    }
}
