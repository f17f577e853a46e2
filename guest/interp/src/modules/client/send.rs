//! Arguments of a request, and the defaults that `http.config` sets.

use starlark::environment::Module;
use starlark::eval::{Arguments, Evaluator};
use starlark::values::bytes::StarlarkBytes;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::tuple::{AllocTuple, TupleRef};
use starlark::values::{Value, ValueLike};

use super::response::ClientResponse;
use super::url::Url;
use crate::args::Args;
use crate::duration;
use crate::error::{from_host, usage};
use crate::host::Outgoing;
use crate::modules::json_encode;
use crate::session::{Session, position};

/// Where the defaults are kept: a name that no script can spell, so that freezing the module takes them along.
const DEFAULTS: &str = "http.config";

/// Redirects that are followed unless the script says otherwise.
const REDIRECTS: u32 = 10;

/// The methods there are functions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    const fn has_body(self) -> bool {
        matches!(self, Self::Patch | Self::Post | Self::Put)
    }
}

/// What a request has that does not say otherwise.
#[derive(Clone, Debug, Default)]
struct Defaults {
    timeout: Option<u64>,
    headers: Vec<(String, String)>,
}

/// Sends a request; the URL is the first argument unless it is `this`.
pub(super) fn send<'v>(
    function: &'static str,
    method: Method,
    this: Option<Value<'v>>,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let url = match this {
        Some(this) => this,
        None => args.required("url")?,
    };
    let Some(url) = Url::text(url).or_else(|| url.unpack_str()).map(str::to_owned) else {
        return Err(args.wrong("url", "a str or what http.url() returns", url));
    };
    let Defaults { timeout, headers } = defaults(eval)?;
    let mut request = Outgoing {
        method: method.name().to_owned(),
        url,
        headers,
        timeout,
        redirects: REDIRECTS,
        ..Outgoing::default()
    };
    if method.has_body()
        && let Some(body) = args.either("body")?
    {
        set_body(&mut request, &args, body)?;
    }
    if let Some(headers) = args.take("headers").filter(|headers| !headers.is_none()) {
        for (name, value) in pairs(&args, headers)? {
            set_header(&mut request.headers, name, value);
        }
    }
    if let Some(timeout) = args.take("timeout").filter(|timeout| !timeout.is_none()) {
        request.timeout = Some(time(&args, timeout)?);
    }
    if let Some(redirects) = args.take("redirects") {
        request.redirects = args.int("redirects", "an int from 0 up", redirects)?;
    }
    args.finish(match (this.is_some(), method.has_body()) {
        (false, false) => "url, headers, timeout, redirects",
        (false, true) => "url, body, headers, timeout, redirects",
        (true, false) => "headers, timeout, redirects",
        (true, true) => "body, headers, timeout, redirects",
    })?;
    let response = Session::of(eval)?.host.client().send(&request, &position(eval)).map_err(from_host)?;
    Ok(eval.heap().alloc(ClientResponse::new(response)))
}

/// Sets what later requests have.
pub(super) fn config<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let mut set = defaults(eval)?;
    if let Some(timeout) = args.take("timeout") {
        set.timeout = if timeout.is_none() { None } else { Some(time(&args, timeout)?) };
    }
    if let Some(headers) = args.take("headers") {
        set.headers = if headers.is_none() { Vec::new() } else { pairs(&args, headers)? };
    }
    args.finish("timeout, headers")?;
    let heap = eval.heap();
    let mut parts = vec![set.timeout.map_or_else(Value::new_none, |timeout| heap.alloc(timeout))];
    for (name, value) in &set.headers {
        parts.extend([heap.alloc(name.as_str()), heap.alloc(value.as_str())]);
    }
    eval.module().set(DEFAULTS, heap.alloc(AllocTuple(parts)));
    Ok(Value::new_none())
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
pub(in crate::modules) fn set_body<'v>(
    request: &mut Outgoing,
    args: &Args<'v>,
    body: Value<'v>,
) -> starlark::Result<()> {
    let (content_type, bytes) = if let Some(text) = body.unpack_str() {
        ("text/plain; charset=utf-8", text.as_bytes().to_owned())
    } else if let Some(bytes) = body.downcast_ref::<StarlarkBytes>() {
        ("application/octet-stream", bytes.as_bytes().to_owned())
    } else if DictRef::from_value(body).is_some() || ListRef::from_value(body).is_some() {
        let json = json_encode::encode(body, None).map_err(|wrong| args.error(format_args!("body: {wrong}")))?;
        ("application/json", json.into_bytes())
    } else if body.is_none() {
        return Ok(());
    } else {
        return Err(args.wrong("body", "str, bytes, a dict or a list", body));
    };
    request.body = bytes;
    set_header(&mut request.headers, "Content-Type".to_owned(), content_type.to_owned());
    Ok(())
}

pub(in crate::modules) fn set_header(headers: &mut Vec<(String, String)>, name: String, value: String) {
    headers.retain(|(given, _)| !given.eq_ignore_ascii_case(&name));
    headers.push((name, value));
}

pub(in crate::modules) fn pairs<'v>(args: &Args<'v>, headers: Value<'v>) -> starlark::Result<Vec<(String, String)>> {
    let wrong = || args.wrong("headers", "a dict of str and str", headers);
    let dict = DictRef::from_value(headers).ok_or_else(wrong)?;
    let text = |value: Value<'v>| value.unpack_str().map(str::to_owned);
    dict.iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect::<Option<_>>().ok_or_else(wrong)
}

fn time<'v>(args: &Args<'v>, timeout: Value<'v>) -> starlark::Result<u64> {
    let time = timeout.unpack_str().and_then(duration::parse).filter(|time| *time > 0);
    time.ok_or_else(|| args.wrong("timeout", duration::EXPECTED, timeout))
}
