//! `<<` that loses no bits.
//!
//! starlark 0.14.2 shifts small integers in 32 bits and checks the distance only, so `2 << 31` is 0 there. A script must
//! not compute a wrong number without a word: `a << b` is compiled as a call of the function below, under a name that
//! no script can spell. `a <<= b` cannot be replaced in the syntax tree and is refused before parsing.

use std::collections::HashMap;
use std::sync::OnceLock;

use num_bigint::BigInt;
use starlark::environment::{Globals, GlobalsBuilder};
use starlark::starlark_module;
use starlark::values::{Heap, UnpackValue, Value, ValueError};

use crate::error::usage;

/// The operator, and the name of the function that stands for it.
pub(crate) const LEFT_SHIFT: &str = "<<";

/// Longest distance, in bits: starlark's own bound.
const MAX_DISTANCE: u32 = 100_000;

/// What to replace in a parsed module.
pub(crate) fn replacement() -> HashMap<String, String> {
    HashMap::from([(LEFT_SHIFT.to_owned(), LEFT_SHIFT.to_owned())])
}

/// Adds the function.
pub(crate) fn register(globals: &mut GlobalsBuilder) {
    // Functions are named by their Rust names; this one gets its own from here, and must outlive where it comes from.
    static FUNCTION: OnceLock<Globals> = OnceLock::new();
    let function = FUNCTION.get_or_init(|| GlobalsBuilder::new().with(functions).build());
    for (_, value) in function.iter() {
        globals.set(LEFT_SHIFT, value);
    }
}

#[starlark_module]
fn functions(globals: &mut GlobalsBuilder) {
    /// `a << b` for integers of any size.
    fn left_shift<'v>(
        #[starlark(require = pos)] a: Value<'v>,
        #[starlark(require = pos)] b: Value<'v>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let ints = (BigInt::unpack_value(a)?, BigInt::unpack_value(b)?);
        let (Some(number), Some(distance)) = ints else {
            let (left, right) = (a.get_type().to_owned(), b.get_type().to_owned());
            let error = ValueError::OperationNotSupportedBinary { op: LEFT_SHIFT.to_owned(), left, right };
            return Err(error.into());
        };
        match u32::try_from(&distance) {
            Ok(distance @ 0..=MAX_DISTANCE) => Ok(heap.alloc(number << distance)),
            Ok(_) => Err(usage("Integer overflow computing left shift")),
            Err(_) if distance < BigInt::ZERO => Err(usage("Negative left shift")),
            Err(_) => Err(usage("Integer overflow computing left shift")),
        }
    }
}
