//! The arguments of what reads and writes CSV.

use starlark::values::Value;
use starlark::values::list::ListRef;

use crate::error::usage;
use crate::given::argument;

/// What an error says of a separator.
const ONE_CHARACTER: &str = "one ASCII character, neither a quote nor a line's end";

argument! {
    /// What stands between fields.
    Separator<'v>(u8) as &'v str, ONE_CHARACTER, |value| character(value.unpack_str()?)
}

argument! {
    /// What lines begin with that are left out; an empty text is none.
    Comment<'v>(Option<u8>) as &'v str, ONE_CHARACTER, |value| match value.unpack_str()? {
        "" => Some(None),
        text => character(text).map(Some),
    }
}

argument! {
    /// A number of rows.
    Rows<'v>(usize) as i32, "an int that is not negative", |value| usize::try_from(value.unpack_i32()?).ok()
}

/// The separator, a comma unless given.
pub(in crate::modules) fn separator(given: Option<Separator<'_>>) -> u8 {
    given.map_or(b',', |sep| sep.0)
}

/// One ASCII character that cannot be part of a quoted field or end a line.
fn character(text: &str) -> Option<u8> {
    match *text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(byte),
        _ => None,
    }
}

/// The names of columns.
pub(in crate::modules) fn names(headers: &ListRef<'_>) -> starlark::Result<Vec<String>> {
    let name = |value: Value<'_>| match value.unpack_str() {
        Some(name) => Ok(name.to_owned()),
        None => {
            let value = crate::args::describe(value);
            Err(usage(format!("headers must be a list of str, got {value} in it")))
        }
    };
    headers.iter().map(name).collect()
}
