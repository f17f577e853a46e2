//! One call of `debug`, `info`, `warn` or `error`.
//!
//! Attributes come as a positional dict, as `attrs=`, and as keywords, all three. They cross to the host as JSON; a
//! value JSON cannot hold becomes its repr, because a log call must not be what makes a request fail. A line that is not
//! severe enough costs no call of the host.

use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::dict::DictRef;
use starlark::values::none::NoneType;

use super::super::{json_encode, json_string};
use super::attributes::Attributes;
use crate::args::describe;
use crate::error::usage;
use crate::host::{Field, Level, LogLine};
use crate::logging::LogSettings;
use crate::session::{Session, position};

/// Writes a line; without settings of its own, as the functions of the module do.
pub(super) fn log<'v>(
    level: Level,
    (own, inherited): (Option<LogSettings>, &Attributes),
    msg: Value<'v>,
    (attrs, named): (Option<DictRef<'v>>, &DictRef<'v>),
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<NoneType> {
    let session = Session::of(eval)?;
    // A wrong attribute is an error on any level, or a script would fail on the day that its log is looked at.
    let attributes = given(attrs, named)?;
    let settings = own.unwrap_or_else(|| session.log.get()).under(session.host.conditions());
    if level < settings.level {
        return Ok(NoneType);
    }
    let attributes = inherited.with(attributes).fields(settings.format);
    let LogSettings { format, output, .. } = settings;
    session.host.log(&LogLine { level, message: msg.to_str(), attributes, at: position(eval), format, output });
    Ok(NoneType)
}

/// The attributes of a call, those of the dict first.
pub(super) fn given<'v>(attrs: Option<DictRef<'v>>, named: &DictRef<'v>) -> starlark::Result<Vec<Field>> {
    let mut attributes = Vec::new();
    for (name, value) in attrs.iter().flat_map(|attrs| attrs.iter()) {
        let Some(name) = name.unpack_str() else {
            return Err(usage(format!("an attribute's name must be a str, got {}", describe(name))));
        };
        attributes.push((name.to_owned(), json(value)));
    }
    for (name, value) in named.iter() {
        let name = name.unpack_str().unwrap_or_default();
        if attributes.iter().any(|(given, _)| given == name) {
            return Err(usage(format!("attribute {name} given twice")));
        }
        attributes.push((name.to_owned(), json(value)));
    }
    Ok(attributes)
}

fn json(value: Value<'_>) -> String {
    json_encode::encode(value, None).unwrap_or_else(|_| json_string::string(&value.to_repr()))
}
