//! What a handler may return, and the response it means.
//!
//! | returned | response |
//! |---|---|
//! | `None` | 204 |
//! | a dict with no other keys than `status`, `headers`, `body` | that response; missing: 200, none, empty |
//! | any other dict (`{}` too), a list, a tuple, a struct | JSON, 200 |
//! | `str` | `text/plain; charset=utf-8`, 200 |
//! | `bytes` | `application/octet-stream`, 200 |
//!
//! Everything else is an error that says what was wrong: a response that is silently something else than the script
//! meant is found by its users. Header names and values are checked here so that a script that copies a request's value
//! into a header cannot be made to write a second header or a second response (CR, LF).

use starlark::values::bytes::StarlarkBytes;
use starlark::values::dict::{AllocDict, DictRef};
use starlark::values::list::ListRef;
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{Heap, Value, ValueLike};

use crate::args::describe;
use crate::bytes::text_or_bytes;
use crate::host::Response;
use crate::modules::json_encode;
use crate::pairs;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// Converts what a handler returned; the error is the sentence to show after the handler's name.
pub(crate) fn convert(returned: Value<'_>) -> Result<Response, String> {
    if returned.is_none() {
        return Ok(Response { status: 204, ..Response::default() });
    }
    if let Some(dict) = DictRef::from_value(returned)
        && is_response(&dict)
    {
        return from_dict(&dict);
    }
    let Some((body, content_type)) = body(returned)? else {
        return Err(format!(
            "returned {}; a response is None, str, bytes, a dict, a list, a tuple or a struct",
            describe(returned)
        ));
    };
    Ok(with_body(200, Vec::new(), body, content_type))
}

/// A response as the dict that a handler could have returned, for middleware that looks at it.
pub(crate) fn to_dict<'v>(response: &Response, heap: Heap<'v>) -> Value<'v> {
    let fields = response.headers.iter().map(|(name, value)| (name, value.as_str()));
    heap.alloc(AllocDict([
        ("status", heap.alloc(i32::from(response.status))),
        ("headers", pairs::dict(fields, heap)),
        ("body", text_or_bytes(&response.body, heap)),
    ]))
}

/// Whether a dict describes a response, not data: it has keys, and all of them are a response's. The empty dict is data:
/// whoever returns `{}` from an API wants `{}`, not an empty page.
fn is_response(dict: &DictRef<'_>) -> bool {
    !dict.is_empty() && dict.keys().all(|key| matches!(key.unpack_str(), Some("status" | "headers" | "body")))
}

fn from_dict(dict: &DictRef<'_>) -> Result<Response, String> {
    let status = match dict.get_str("status") {
        None => 200,
        Some(status) => self::status(status)?,
    };
    let headers = match dict.get_str("headers") {
        None => Vec::new(),
        Some(headers) => self::headers(headers)?,
    };
    let (body, content_type) = match dict.get_str("body") {
        None => (Vec::new(), None),
        Some(value) if value.is_none() => (Vec::new(), None),
        Some(value) => body(value)?.ok_or_else(|| no_body(value))?,
    };
    Ok(with_body(status, headers, body, content_type))
}

/// Checks the parts of a response that a script is about to return.
pub(crate) fn check(status: Value<'_>, headers: Value<'_>, body: Value<'_>) -> Result<(), String> {
    self::status(status)?;
    self::headers(headers)?;
    if body.is_none() || body.unpack_str().is_some() || body.downcast_ref::<StarlarkBytes>().is_some() || is_json(body)
    {
        return Ok(());
    }
    Err(no_body(body))
}

fn no_body(value: Value<'_>) -> String {
    format!("body must be str, bytes, None, or a dict or list to send as JSON, got {}", describe(value))
}

fn status(value: Value<'_>) -> Result<u16, String> {
    value
        .unpack_i32()
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..=999).contains(status))
        .ok_or_else(|| format!("status must be an int from 100 to 999, got {}", describe(value)))
}

/// Bytes, and the content type they imply.
type Body = (Vec<u8>, Option<&'static str>);

/// The bytes of a body and the content type they imply; `None` for a value that is no body.
fn body(value: Value<'_>) -> Result<Option<Body>, String> {
    if let Some(text) = value.unpack_str() {
        return Ok(Some((text.as_bytes().to_vec(), Some(TEXT))));
    }
    if let Some(bytes) = value.downcast_ref::<StarlarkBytes>() {
        return Ok(Some((bytes.as_bytes().to_vec(), Some(BYTES))));
    }
    if !is_json(value) {
        return Ok(None);
    }
    let text = json_encode::encode(value, None).map_err(|e| format!("cannot send as JSON: {e}"))?;
    Ok(Some((text.into_bytes(), Some(JSON))))
}

fn is_json(value: Value<'_>) -> bool {
    DictRef::from_value(value).is_some()
        || ListRef::from_value(value).is_some()
        || TupleRef::from_value(value).is_some()
        || StructRef::from_value(value).is_some()
}

fn with_body(status: u16, mut headers: Vec<(String, String)>, body: Vec<u8>, content_type: Option<&str>) -> Response {
    let chosen = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
    if let Some(content_type) = content_type
        && !headers.iter().any(chosen)
    {
        headers.push(("Content-Type".to_owned(), content_type.to_owned()));
    }
    Response { status, headers, body }
}

fn headers(value: Value<'_>) -> Result<Vec<(String, String)>, String> {
    let Some(dict) = DictRef::from_value(value) else {
        return Err(format!("headers must be a dict of names and values, got {}", describe(value)));
    };
    let mut fields = Vec::with_capacity(dict.len());
    for (name, value) in dict.iter() {
        let name = header_name(name)?;
        match ListRef::from_value(value) {
            None => fields.push((name.to_owned(), header_value(name, value)?)),
            Some(values) => {
                for value in values.iter() {
                    fields.push((name.to_owned(), header_value(name, value)?));
                }
            }
        }
    }
    Ok(fields)
}

fn header_name<'v>(name: Value<'v>) -> Result<&'v str, String> {
    name.unpack_str()
        .filter(|text| !text.is_empty() && text.bytes().all(is_token))
        .ok_or_else(|| format!("illegal header name {}", describe(name)))
}

fn header_value(name: &str, value: Value<'_>) -> Result<String, String> {
    let Some(text) = value.unpack_str() else {
        return Err(format!("header {name} must be a str or a list of str, got {}", describe(value)));
    };
    if text.bytes().any(is_control) {
        return Err(format!(
            "header {name} has a line break or another control character in its value: {}",
            describe(value)
        ));
    }
    Ok(text.to_owned())
}

/// RFC 9110 `tchar`.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a field value must not hold; a tab may be in one.
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}
