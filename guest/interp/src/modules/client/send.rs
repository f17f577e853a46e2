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
use crate::host::{Incoming, Outgoing};
use crate::modules::time::Deadline;
use crate::modules::url::encode_pairs;
use crate::modules::{json_encode, server};
use crate::session::{Session, position};

/// Where the defaults are kept: a name that no script can spell, so that freezing the module takes them along.
const DEFAULTS: &str = "http.config";

/// What a request has that does not say otherwise.
#[derive(Clone, Debug, Default)]
struct Defaults {
    timeout: Option<u64>,
    headers: Vec<(String, String)>,
}

/// Largest answer, unpacked: what the host takes for one that is not packed.
pub(super) const MAX_ANSWER: usize = 16 << 20;

/// Redirects that a request follows unless it says otherwise.
const REDIRECTS: u32 = 10;

/// The arguments of a request.
pub(super) struct Question<'v> {
    pub(super) method: &'v str,
    pub(super) url: &'v str,
    pub(super) body: Option<Value<'v>>,
    /// A value that is the body as JSON, whatever its type.
    pub(super) json: Option<Value<'v>>,
    /// Names and values that are added to the query of the URL.
    pub(super) params: Option<Value<'v>>,
    pub(super) headers: Option<DictRef<'v>>,
    pub(super) timeout: Option<Deadline>,
    /// Most redirects to follow.
    pub(super) redirects: u32,
}

/// A request as the host takes it.
pub(super) struct Prepared {
    pub(super) request: Outgoing,
    /// Whether gzip was asked for on behalf of the script.
    pub(super) packed: bool,
}

impl<'v> Question<'v> {
    /// A request that says nothing but this.
    pub(super) fn to(method: &'v str, url: &'v str) -> Self {
        Self { method, url, body: None, json: None, params: None, headers: None, timeout: None, redirects: REDIRECTS }
    }

    /// Sends the request, and returns the response whatever its status.
    pub(super) fn send(self, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let Prepared { mut request, packed } = self.prepare(eval)?;
        let answer = match server::answered(&mut request, eval)? {
            Some(answer) => answer,
            None => Session::of(eval)?.host.client().send(&request, &position(eval)).map_err(from_host)?,
        };
        Ok(eval.heap().alloc(Prepared::read(answer, packed, MAX_ANSWER)?))
    }

    /// The request, with the defaults of `http.config` where it says nothing.
    pub(super) fn prepare(self, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Prepared> {
        let Defaults { timeout, headers } = defaults(eval)?;
        let mut request = Outgoing {
            method: self.method.to_ascii_uppercase(),
            url: with_params(self.url, self.params)?,
            headers,
            timeout: self.timeout.map_or(timeout, |timeout| timeout.0),
            redirects: self.redirects,
            ..Outgoing::default()
        };
        match (self.body, self.json) {
            (Some(_), Some(_)) => return Err(usage("body and json are both given; a request has one of them")),
            (Some(body), None) => set_body(&mut request, body)?,
            (None, Some(value)) => set_json(&mut request, "json", value)?,
            (None, None) => {}
        }
        for (name, value) in self.headers.as_ref().map(pairs).transpose()?.unwrap_or_default() {
            set_header(&mut request.headers, name, value);
        }
        let packed = encoding::ask(&mut request.headers);
        Ok(Prepared { request, packed })
    }
}

impl Prepared {
    /// The response of a request, whose body may have so many bytes.
    pub(super) fn read(mut answer: Incoming, packed: bool, most: usize) -> starlark::Result<ClientResponse> {
        if packed {
            encoding::unpack(&mut answer, most).map_err(usage)?;
        }
        Ok(ClientResponse::new(answer))
    }
}

/// A URL with names and values added to its query.
fn with_params(url: &str, params: Option<Value<'_>>) -> starlark::Result<String> {
    let query = params.map(|params| encode_pairs("params", params)).transpose()?.unwrap_or_default();
    if query.is_empty() {
        return Ok(url.to_owned());
    }
    let (base, fragment) = url.split_once('#').map_or((url, None), |(base, fragment)| (base, Some(fragment)));
    let separator = match base.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, given)) if given.ends_with('&') => "",
        Some(_) => "&",
    };
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    Ok(format!("{base}{separator}{query}{fragment}"))
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
        return set_json(request, "body", body);
    } else if body.is_none() {
        return Ok(());
    } else {
        return Err(wrong("body", "str, bytes, a dict or a list", body));
    };
    request.body = bytes;
    set_header(&mut request.headers, "Content-Type".to_owned(), content_type.to_owned());
    Ok(())
}

/// The body is a value as JSON; `argument` is what the builtin calls it.
fn set_json(request: &mut Outgoing, argument: &str, value: Value<'_>) -> starlark::Result<()> {
    let json = json_encode::encode(value, None).map_err(|wrong| usage(format!("{argument}: {wrong}")))?;
    request.body = json.into_bytes();
    set_header(&mut request.headers, "Content-Type".to_owned(), "application/json".to_owned());
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
