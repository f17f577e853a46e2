//! Arguments of a request, and the defaults that `http.config` sets.

use starlark::environment::Module;
use starlark::eval::Evaluator;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::tuple::{AllocTuple, TupleRef};
use starlark::values::{Value, ValueLike};

use super::encoding;
use super::response::ClientResponse;
use crate::args::describe;
use crate::error::{from_host, usage};
use crate::given::{Given, wrong};
use crate::host::Outgoing;
use crate::modules::json_encode;
use crate::modules::time::Deadline;
use crate::session::{Session, position};

/// Where the defaults are kept: a name that no script can spell, so that freezing the module takes them along.
const DEFAULTS: &str = "http.config";

/// What a request has that does not say otherwise.
#[derive(Clone, Debug, Default)]
struct Defaults {
    timeout: Option<u64>,
    headers: Vec<(String, String)>,
}

/// The arguments of a request.
pub(super) struct Question<'v> {
    pub(super) method: &'static str,
    pub(super) url: &'v str,
    pub(super) body: Option<Value<'v>>,
    pub(super) headers: Option<DictRef<'v>>,
    pub(super) timeout: Option<Deadline>,
    /// Most redirects to follow.
    pub(super) redirects: u32,
}

impl<'v> Question<'v> {
    /// Sends the request, and returns the response whatever its status.
    pub(super) fn send(self, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let Defaults { timeout, headers } = defaults(eval)?;
        let mut request = Outgoing {
            method: self.method.to_owned(),
            url: self.url.to_owned(),
            headers,
            timeout: self.timeout.map_or(timeout, |timeout| timeout.0),
            redirects: self.redirects,
            ..Outgoing::default()
        };
        if let Some(body) = self.body {
            set_body(&mut request, body)?;
        }
        for (name, value) in self.headers.as_ref().map(pairs).transpose()?.unwrap_or_default() {
            set_header(&mut request.headers, name, value);
        }
        let packed = encoding::ask(&mut request.headers);
        let mut response = Session::of(eval)?.host.client().send(&request, &position(eval)).map_err(from_host)?;
        if packed {
            encoding::unpack(&mut response).map_err(usage)?;
        }
        Ok(eval.heap().alloc(ClientResponse::new(response)))
    }
}

/// Sets what later requests have: what is given, and `None` for nothing.
pub(super) fn config<'v>(
    headers: Option<Given<'v, DictRef<'v>>>,
    timeout: Option<Given<'v, Deadline>>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<()> {
    let mut set = defaults(eval)?;
    if timeout.is_some() {
        set.timeout = Given::maybe(timeout, "timeout")?.and_then(|timeout| timeout.0);
    }
    if headers.is_some() {
        set.headers = Given::maybe(headers, "headers")?.as_ref().map(pairs).transpose()?.unwrap_or_default();
    }
    let heap = eval.heap();
    let mut parts = vec![set.timeout.map_or_else(Value::new_none, |timeout| heap.alloc(timeout))];
    for (name, value) in &set.headers {
        parts.extend([heap.alloc(name.as_str()), heap.alloc(value.as_str())]);
    }
    eval.module().set(DEFAULTS, heap.alloc(AllocTuple(parts)));
    Ok(())
}

/// The defaults: of this very request, else of the script.
fn defaults<'v>(eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Defaults> {
    if let Some(own) = own_defaults(eval.module()) {
        return Ok(own);
    }
    let Some(script) = Session::of(eval)?.script else { return Ok(Defaults::default()) };
    let kept = script.get_option(DEFAULTS).map_err(|error| usage(error.to_string()))?;
    Ok(kept.and_then(|kept| unpacked(kept.value())).unwrap_or_default())
}

fn own_defaults(module: &Module<'_>) -> Option<Defaults> {
    module.get(DEFAULTS).and_then(unpacked)
}

fn unpacked(value: Value<'_>) -> Option<Defaults> {
    let (timeout, headers) = TupleRef::from_value(value)?.content().split_first()?;
    let pair = |pair: &[Value<'_>]| match pair {
        [name, value] => Some((name.unpack_str()?.to_owned(), value.unpack_str()?.to_owned())),
        _ => None,
    };
    Some(Defaults { timeout: crate::args::int(*timeout), headers: headers.chunks(2).map(pair).collect::<Option<_>>()? })
}

/// A str is text, bytes are bytes, a dict or a list is JSON.
pub(in crate::modules) fn set_body(request: &mut Outgoing, body: Value<'_>) -> starlark::Result<()> {
    let (content_type, bytes) = if let Some(text) = body.unpack_str() {
        ("text/plain; charset=utf-8", text.as_bytes().to_owned())
    } else if let Some(bytes) = body.downcast_ref::<StarlarkBytes>() {
        ("application/octet-stream", bytes.as_bytes().to_owned())
    } else if DictRef::from_value(body).is_some() || ListRef::from_value(body).is_some() {
        let json = json_encode::encode(body, None).map_err(|wrong| usage(format!("body: {wrong}")))?;
        ("application/json", json.into_bytes())
    } else if body.is_none() {
        return Ok(());
    } else {
        return Err(wrong("body", "str, bytes, a dict or a list", body));
    };
    request.body = bytes;
    set_header(&mut request.headers, "Content-Type".to_owned(), content_type.to_owned());
    Ok(())
}

/// Sets a header field, in place of those of its name.
pub(in crate::modules) fn set_header(headers: &mut Vec<(String, String)>, name: String, value: String) {
    headers.retain(|(given, _)| !given.eq_ignore_ascii_case(&name));
    headers.push((name, value));
}

/// Header fields as a script gives them.
pub(in crate::modules) fn pairs(headers: &DictRef<'_>) -> starlark::Result<Vec<(String, String)>> {
    let pair = |(name, value): (Value<'_>, Value<'_>)| match (name.unpack_str(), value.unpack_str()) {
        (Some(name), Some(value)) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(usage(format!(
            "headers must be a dict of str and str, got {}: {} in it",
            describe(name),
            describe(value)
        ))),
    };
    headers.iter().map(pair).collect()
}
