//! Arguments as they were given, for the few builtins that have too many options to list each in a signature, and how
//! errors quote a value. Nothing that was given is silently left out.

use starlark::eval::Arguments;
use starlark::values::{Heap, UnpackValue, Value};

use crate::error::usage;

/// Longest quotation of a value in an error.
const MAX_QUOTED_BYTES: usize = 120;

/// The arguments of one call, not yet interpreted.
#[derive(Debug)]
pub(crate) struct Args<'v> {
    pub(crate) positional: Vec<Value<'v>>,
    pub(crate) named: Vec<(&'v str, Value<'v>)>,
}

impl<'v> Args<'v> {
    pub(crate) fn new(args: &Arguments<'v, '_>, heap: Heap<'v>) -> starlark::Result<Self> {
        let names = args.names_map()?;
        Ok(Self {
            positional: args.positions(heap)?.collect(),
            named: names.iter().map(|(k, v)| (k.as_str(), *v)).collect(),
        })
    }

    /// Takes the first positional argument, if there is one.
    pub(crate) fn shift(&mut self) -> Option<Value<'v>> {
        if self.positional.is_empty() {
            return None;
        }
        Some(self.positional.remove(0))
    }

    /// Takes a named argument, if it was given.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value<'v>> {
        let at = self.named.iter().position(|(given, _)| *given == name)?;
        Some(self.named.remove(at).1)
    }

    /// Takes an argument that may come first or by name, but not both.
    pub(crate) fn either(&mut self, name: &str) -> starlark::Result<Option<Value<'v>>> {
        match (self.shift(), self.take(name)) {
            (Some(_), Some(_)) => Err(usage(format!("{name} given twice"))),
            (first, second) => Ok(first.or(second)),
        }
    }

    /// Like [`Self::either`], for an argument that must be given.
    pub(crate) fn required(&mut self, name: &str) -> starlark::Result<Value<'v>> {
        self.either(name)?.ok_or_else(|| usage(format!("missing argument {name}")))
    }

    /// Refuses what no one took.
    pub(crate) fn finish(&self, accepted: &str) -> starlark::Result<()> {
        if let Some((name, _)) = self.named.first() {
            return Err(usage(format!("unknown argument {name}, accepted: {accepted}")));
        }
        match self.positional.first() {
            Some(value) => {
                Err(usage(format!("unexpected positional argument {}, accepted: {accepted}", describe(*value))))
            }
            None => Ok(()),
        }
    }
}

/// A value as an unsigned integer, if it is one.
pub(crate) fn int(value: Value<'_>) -> Option<u64> {
    u64::unpack_value(value).ok().flatten()
}

/// A value as errors quote it: its repr, shortened, and its type.
pub(crate) fn describe(value: Value<'_>) -> String {
    let text = crate::shorten::shorten(value.to_repr(), MAX_QUOTED_BYTES);
    if value.is_none() {
        return text;
    }
    format!("{text} ({})", value.get_type())
}
