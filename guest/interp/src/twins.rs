//! `try_f` for every `f`, made from it: the two cannot drift apart, and a twin catches whatever its builtin raises, a
//! wrong number of arguments included.
//!
//! The twin of a function is a value of its own, not a second native function: those carry their parameters and
//! documentation, and every one of them would be in each fork's memory twice. The table of a type's methods holds native
//! functions alone, so the twin of a method is one, which finds its original by name.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starlark::docs::{DocItem, DocMember};
use starlark::environment::{Globals, GlobalsBuilder};
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_simple_value;
use starlark::typing::Ty;
use starlark::values::{FrozenValue, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use crate::error::usage;
use crate::result::attempt;

/// What the name of a twin begins with.
const PREFIX: &str = "try_";

/// Adds functions and constants of a module, and the twin of each function that has none among them.
pub(crate) fn with_twins(builder: &mut GlobalsBuilder, module: &str, register: fn(&mut GlobalsBuilder)) {
    let mut members = GlobalsBuilder::new();
    members.set_label(module);
    // What is in it must outlive every script, and the predeclared names are built once.
    let members: &'static Globals = Box::leak(Box::new(members.with(register).build()));
    let mut sorted: Vec<(&str, FrozenValue)> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, value) in &sorted {
        if name.starts_with(PREFIX) {
            builder.set(name, Twin { name: (*name).to_owned(), function: *value, written_out: true });
            continue;
        }
        builder.set(name, *value);
        let twin = format!("{PREFIX}{name}");
        if is_function(*value) && !sorted.iter().any(|(name, _)| *name == twin) {
            builder.set(&twin.clone(), Twin { name: twin, function: *value, written_out: false });
        }
    }
}

fn is_function(value: FrozenValue) -> bool {
    matches!(value.to_value().documentation(), DocItem::Member(DocMember::Function(_)))
}

/// Calls a method of a value, and hands its outcome over as a `Result`.
pub(crate) fn attempt_method<'v>(
    this: Value<'v>,
    method: &str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let Some(function) = this.get_attr(method, eval.heap())? else {
        return Err(usage(format!("{} has no method {method}", this.get_type())));
    };
    let outcome = call(function, args, eval);
    attempt(outcome, eval.heap())
}

fn call<'v>(
    function: Value<'v>,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let heap = eval.heap();
    let positional: Vec<Value<'v>> = args.positions(heap)?.collect();
    let names = args.names_map()?;
    let named: Vec<(&str, Value<'v>)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    eval.eval_function(function, &positional, &named)
}

/// Calls a function and hands its outcome over as a `Result`.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct Twin {
    name: String,
    #[allocative(skip)]
    function: FrozenValue,
    /// True if the function makes the `Result` itself. Errors of its arguments are still caught here.
    written_out: bool,
}

starlark_simple_value!(Twin);

impl fmt::Display for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[starlark_value(type = "function")]
impl<'v> StarlarkValue<'v> for Twin {
    fn invoke(
        &self,
        _me: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        match call(self.function.to_value(), args, eval) {
            Ok(result) if self.written_out => Ok(result),
            outcome => attempt(outcome, eval.heap()),
        }
    }

    fn documentation(&self) -> DocItem {
        let mut item = self.function.to_value().documentation();
        if self.written_out {
            return item;
        }
        if let DocItem::Member(DocMember::Function(function)) = &mut item {
            let original = self.name.trim_start_matches(PREFIX);
            if let Some(docs) = &mut function.docs {
                docs.summary = format!("Like `{original}`, as a `Result`.");
                docs.examples = None;
            }
            function.ret.typ = Ty::any();
        }
        item
    }

    fn typechecker_ty(&self) -> Option<Ty> {
        Some(Ty::any())
    }
}
