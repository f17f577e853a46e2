//! `m.try_f` for every `m.f`, made from it: the two cannot drift apart, and a twin catches whatever its function raises,
//! a wrong number of arguments included.
//!
//! A twin is a value of its own, not a second native function: those carry their parameters and documentation, and every
//! one of them would be in each fork's memory twice.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starlark::docs::{DocItem, DocMember};
use starlark::environment::{Globals, GlobalsBuilder};
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_simple_value;
use starlark::typing::Ty;
use starlark::values::{FrozenValue, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use crate::result::attempt;

/// Adds a module with its functions and constants, and the twin of each function.
pub(super) fn namespace(builder: &mut GlobalsBuilder, name: &str, register: fn(&mut GlobalsBuilder)) {
    builder.namespace(name, |builder| members(builder, register));
}

/// Adds functions and constants, and the twin of each function.
pub(super) fn members(builder: &mut GlobalsBuilder, register: fn(&mut GlobalsBuilder)) {
    // What is in it must outlive every script, and the predeclared names are built once.
    let members: &'static Globals = Box::leak(Box::new(GlobalsBuilder::new().with(register).build()));
    let mut sorted: Vec<(&str, FrozenValue)> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, value) in sorted {
        builder.set(name, value);
        if is_function(value) {
            let name = format!("try_{name}");
            builder.set(&name.clone(), Twin { name, function: value });
        }
    }
}

fn is_function(value: FrozenValue) -> bool {
    matches!(value.to_value().documentation(), DocItem::Member(DocMember::Function(_)))
}

/// Calls a function and hands its outcome over as a `Result`.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct Twin {
    name: String,
    #[allocative(skip)]
    function: FrozenValue,
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
        let heap = eval.heap();
        let positional: Vec<Value<'v>> = args.positions(heap)?.collect();
        let names = args.names_map()?;
        let named: Vec<(&str, Value<'v>)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        attempt(eval.eval_function(self.function.to_value(), &positional, &named), heap)
    }

    fn documentation(&self) -> DocItem {
        let mut item = self.function.to_value().documentation();
        if let DocItem::Member(DocMember::Function(function)) = &mut item {
            let original = self.name.trim_start_matches("try_");
            if let Some(docs) = &mut function.docs {
                docs.summary = format!("Like `{original}`, as a `Result`.");
                docs.details = None;
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
