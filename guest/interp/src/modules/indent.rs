//! The argument `indent` of encoders.

use starlark::typing::Ty;
use starlark::values::Value;
use starlark::values::type_repr::StarlarkTypeRepr;

use crate::given::argument;

/// Widest indentation. Each level of nesting repeats it, so it multiplies what a script can make the encoder write.
const MAX_INDENT: usize = 16;

/// What the signature shows.
pub(crate) struct WidthOrText;

impl StarlarkTypeRepr for WidthOrText {
    type Canonical = Self;

    fn starlark_type_repr() -> Ty {
        Ty::union2(Ty::int(), Ty::string())
    }
}

argument! {
    /// What each level of nesting begins with.
    Indent<'v>(Value<'v>) as WidthOrText, "None, an int from 0 to 16, or up to 16 spaces and tabs", |value| {
        let fits = match value.unpack_str() {
            Some(text) => text.len() <= MAX_INDENT && text.bytes().all(|b| b == b' ' || b == b'\t'),
            None => usize::try_from(value.unpack_i32()?).is_ok_and(|width| width <= MAX_INDENT),
        };
        fits.then_some(value)
    }
}

impl Indent<'_> {
    /// What to write for each level.
    pub(super) fn text(self) -> String {
        match self.0.unpack_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(self.0.unpack_i32().and_then(|width| usize::try_from(width).ok()).unwrap_or(0)),
        }
    }
}
