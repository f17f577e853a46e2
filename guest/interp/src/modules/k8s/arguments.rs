//! The arguments that several functions take, read in one way.

use starlark::typing::Ty;
use starlark::values::dict::DictRef;
use starlark::values::type_repr::StarlarkTypeRepr;
use starlark::values::{UnpackValue, Value};

use crate::error::{expected, usage};
use crate::given::{Given, Text, argument};
use crate::modules::json_encode;

/// What an error says of a selector.
const SELECTOR: &str = "a selector as a str, or a dict of names and values";

/// A text of the script's own.
pub(super) fn owned(text: Text<'_>) -> String {
    text.0.to_owned()
}

argument! {
    /// Most objects of a list.
    Limit<'v>(u32) as i32, "an int from 1 to 100000", |value| {
        value.unpack_i32().and_then(|limit| u32::try_from(limit).ok()).filter(|limit| (1..=100_000).contains(limit))
    }
}

/// One of several words.
pub(super) fn one_of<T: Copy>(
    name: &str,
    given: Option<Given<'_, &str>>,
    words: &[(&str, T)],
) -> starlark::Result<Option<T>> {
    let Some(given) = given.filter(|given| !given.0.is_none()) else { return Ok(None) };
    let found = words.iter().find(|(word, _)| given.0.unpack_str() == Some(word));
    let known = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    found.map(|(_, meant)| Some(*meant)).ok_or_else(|| given.wrong(name, &format!("one of {}", known())))
}

/// A label selector, or a dict of labels and the values that they must have.
pub(super) struct Labels(pub(super) Option<String>);

/// A field selector, or a dict of fields and the values that they must have.
pub(super) struct Fields(pub(super) Option<String>);

impl StarlarkTypeRepr for Labels {
    type Canonical = Value<'static>;

    fn starlark_type_repr() -> Ty {
        Ty::any()
    }
}

impl StarlarkTypeRepr for Fields {
    type Canonical = Value<'static>;

    fn starlark_type_repr() -> Ty {
        Ty::any()
    }
}

impl<'v> UnpackValue<'v> for Labels {
    type Error = starlark::Error;

    fn unpack_value_impl(value: Value<'v>) -> starlark::Result<Option<Self>> {
        let labels = selector(value, |name, value| {
            let plain = |text: &str, also: &str| {
                text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c) || also.contains(c))
            };
            let fits = !name.is_empty() && plain(name, "/") && plain(value, "");
            fits.then(|| format!("{name}={value}"))
        });
        labels.map(|labels| Some(Self(labels))).ok_or_else(|| expected(SELECTOR))
    }
}

impl<'v> UnpackValue<'v> for Fields {
    type Error = starlark::Error;

    fn unpack_value_impl(value: Value<'v>) -> starlark::Result<Option<Self>> {
        let fields = selector(value, |name, value| {
            let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./[]".contains(c));
            let escaped = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            fits.then(|| format!("{name}={escaped}"))
        });
        fields.map(|fields| Some(Self(fields))).ok_or_else(|| expected(SELECTOR))
    }
}

/// A selector as the cluster reads it; an empty dict selects nothing out.
fn selector(value: Value<'_>, requirement: impl Fn(&str, &str) -> Option<String>) -> Option<Option<String>> {
    if let Some(text) = value.unpack_str() {
        return (!text.is_empty()).then(|| Some(text.to_owned()));
    }
    let pairs = DictRef::from_value(value)?;
    let each = pairs.iter().map(|(name, value)| requirement(name.unpack_str()?, value.unpack_str()?));
    let all: Vec<String> = each.collect::<Option<_>>()?;
    Some(Some(all.join(",")).filter(|all| !all.is_empty()))
}

/// A value as one JSON text.
pub(super) fn json(name: &str, value: Value<'_>) -> starlark::Result<String> {
    json_encode::encode(value, None).map_err(|wrong| usage(format!("{name}: {wrong}")))
}
