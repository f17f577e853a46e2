//! `url`: taking URLs apart and putting them together, by RFC 3986.
//!
//! The strict grammar, not what browsers forgive: a backslash, a space or a bare `é` is an error here, because two
//! readers that repair a URL differently are how a check of its host is bypassed. It also needs no tables of Unicode.

use fluent_uri::{ParseError, Uri, UriRef};
use percent_encoding::{percent_decode, percent_encode_byte};
use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::dict::DictRef;
use starlark::values::list_or_tuple::UnpackListOrTuple;
use starlark::values::structs::AllocStruct;
use starlark::values::{Heap, UnpackValue, Value};

use crate::args::describe;
use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::{Given, argument};
use crate::pairs;

#[builtins("url")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The parts of a URL or of a relative reference.
    ///
    /// A struct of `scheme` and `host` (lower-case, an IPv6 address without its brackets), `port` (int or `None`),
    /// `username` and `password` (decoded), `path`, `query` and `fragment` (as written). What is missing is `""`.
    /// Errors: what RFC 3986 does not allow, with its offset; a port over 65535.
    ///
    /// ```text
    /// >>> u = url.parse("https://Example.com:8443/a%20b?q=1#top")
    /// ... [u.scheme, u.host, u.port, u.path, u.query, u.fragment]
    /// ["https", "example.com", 8443, "/a%20b", "q=1", "top"]
    /// ```
    fn parse<'v>(s: &'v str, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let url = UriRef::parse(s).map_err(|e| invalid("s", s, e))?;
        parts(&url, heap).map_err(|wrong| usage(format!("{wrong}, in {}", describe(heap.alloc(s)))))
    }

    /// A reference resolved against an absolute URL, as a link on that page would be.
    ///
    /// Errors: a base without a scheme, and what RFC 3986 does not allow.
    ///
    /// ```text
    /// >>> url.join("https://example.com/a/b?q", "../c#d")
    /// "https://example.com/c#d"
    /// ```
    fn join<'v>(base: Given<'v, &'v str>, reference: &'v str) -> starlark::Result<String> {
        let (text, relative) = (base.take("base")?, reference);
        let absolute = UriRef::parse(text).map_err(|e| invalid("base", text, e))?;
        let relative = UriRef::parse(relative).map_err(|e| invalid("reference", relative, e))?;
        let absolute: Uri<&str> =
            absolute.strip_fragment().try_into().map_err(|_| base.wrong("base", "a URL with a scheme"))?;
        let joined = relative.resolve_against(&absolute);
        let joined = joined.map_err(|_| base.wrong("base", "a URL that references can be relative to"))?;
        Ok(joined.into_string())
    }

    /// A text percent-encoded for use inside one part of a URL; all but letters, digits and `-._~` is encoded.
    ///
    /// `s` is str (as UTF-8) or bytes; `safe` lists further ASCII characters to leave as they are, such as `"/"`.
    ///
    /// ```text
    /// >>> url.quote("a/b c?é")
    /// "a%2Fb%20c%3F%C3%A9"
    /// ```
    fn quote<'v>(s: Bytes<'v>, safe: Option<Safe<'v>>) -> starlark::Result<String> {
        let bytes = s.0;
        let safe = safe.map_or("", |safe| safe.0);
        let mut quoted = String::with_capacity(bytes.len());
        for byte in bytes {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || safe.as_bytes().contains(byte) {
                quoted.push(char::from(*byte));
            } else {
                quoted.push_str(percent_encode_byte(*byte));
            }
        }
        Ok(quoted)
    }

    /// The text of a percent-encoded one; with `plus`, a `+` is a space, as in forms.
    ///
    /// Errors: a `%` that is not followed by two hexadecimal digits, and what is not UTF-8 when decoded.
    ///
    /// ```text
    /// >>> url.unquote("a%2Fb%20c")
    /// "a/b c"
    /// ```
    fn unquote<'v>(s: &'v str, #[starlark(default = false)] plus: bool) -> starlark::Result<String> {
        unquoted(s, plus).map_err(usage)
    }

    /// A query string (or urlencoded form) from a dict, or from pairs, of names and values.
    ///
    /// A value is str, int, float or bool, or a list of them, which repeats the name. Errors: any other value.
    ///
    /// ```text
    /// >>> url.encode_query({"q": "a b&c", "page": 2, "tag": ["x", "y"]})
    /// "q=a+b%26c&page=2&tag=x&tag=y"
    /// ```
    fn encode_query<'v>(params: Value<'v>) -> starlark::Result<String> {
        encode_pairs("params", params)
    }

    /// The names and values of a query string (or urlencoded form), in the shape of `req.query`: a value is a str, or a
    /// list of str where the name repeats. A leading `?` is left out; bytes that are not UTF-8 become U+FFFD.
    ///
    /// ```text
    /// >>> url.decode_query("q=a+b&tag=x&tag=y&flag")
    /// {"q": "a b", "tag": ["x", "y"], "flag": ""}
    /// ```
    fn decode_query<'v>(s: Bytes<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let query = s.0;
        let query = query.strip_prefix(b"?").unwrap_or(query);
        Ok(pairs::dict(form_urlencoded::parse(query).map(|(name, value)| (name, value.into_owned())), heap))
    }
}

argument! {
    /// Characters that stay as they are.
    Safe<'v>(&'v str) as &'v str, "ASCII characters", |value| value.unpack_str().filter(|safe| safe.is_ascii())
}

/// Pairs of names and values as a query string; `argument` is what the builtin calls them.
pub(super) fn encode_pairs(argument: &str, pairs: Value<'_>) -> starlark::Result<String> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in given_pairs(argument, pairs)? {
        let Some(name) = name.unpack_str() else {
            let name = describe(name);
            return Err(usage(format!("a name in {argument} must be str, got {name}")));
        };
        match UnpackListOrTuple::<Value<'_>>::unpack_value(value)? {
            None => drop(query.append_pair(name, &scalar(name, value)?)),
            Some(values) => {
                for value in values.items {
                    query.append_pair(name, &scalar(name, value)?);
                }
            }
        }
    }
    Ok(query.finish())
}

fn parts<'v>(url: &UriRef<&str>, heap: Heap<'v>) -> Result<Value<'v>, String> {
    let (mut host, mut port, mut username, mut password) = (String::new(), None, String::new(), String::new());
    if let Some(authority) = url.authority() {
        let written = authority.host();
        let written = written.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(written);
        host = written.to_ascii_lowercase();
        port = authority.port_to_u16().map_err(|_| "the port is over 65535")?;
        let userinfo = authority.userinfo().map_or("", |userinfo| userinfo.as_str());
        let (name, secret) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        username = unquoted(name, false)?;
        password = unquoted(secret, false)?;
    }
    let scheme = url.scheme().map(|scheme| scheme.as_str().to_ascii_lowercase()).unwrap_or_default();
    Ok(heap.alloc(AllocStruct([
        ("scheme", heap.alloc(scheme)),
        ("username", heap.alloc(username)),
        ("password", heap.alloc(password)),
        ("host", heap.alloc(host)),
        ("port", port.map_or(Value::new_none(), |port| heap.alloc(i32::from(port)))),
        ("path", heap.alloc(url.path().as_str())),
        ("query", heap.alloc(url.query().map_or("", |query| query.as_str()))),
        ("fragment", heap.alloc(url.fragment().map_or("", |fragment| fragment.as_str()))),
    ])))
}

/// The error for a text that is no URL, with the character that makes it none.
#[cold]
fn invalid(name: &str, text: &str, error: ParseError) -> starlark::Error {
    let character = text.get(error.index()..).and_then(|rest| rest.chars().next());
    let character = character.map(|c| format!(" ({c:?})")).unwrap_or_default();
    usage(format!("{name} is not a URL: {error}{character}; url.quote encodes what a URL cannot hold"))
}

fn unquoted(text: &str, plus: bool) -> Result<String, String> {
    for (at, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!("a % without two hexadecimal digits after it, at offset {at}"));
        }
    }
    let spaced = if plus { text.replace('+', " ") } else { String::new() };
    let text = if plus { &spaced } else { text };
    let decoded = percent_decode(text.as_bytes()).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|e| format!("not UTF-8 at offset {} once decoded", e.valid_up_to()))
}

/// The pairs of a dict, or of a list of two each.
fn given_pairs<'v>(argument: &str, params: Value<'v>) -> starlark::Result<Vec<(Value<'v>, Value<'v>)>> {
    if let Some(dict) = DictRef::from_value(params) {
        return Ok(dict.iter().collect());
    }
    let wrong = |value: Value<'_>| {
        let text = describe(value);
        usage(format!("{argument} must be a dict or a list of pairs of a name and a value, got {text}"))
    };
    let items = UnpackListOrTuple::<Value<'v>>::unpack_value(params)?.ok_or_else(|| wrong(params))?;
    let pair =
        |item| match UnpackListOrTuple::<Value<'v>>::unpack_value(item)?.as_ref().map(|pair| pair.items.as_slice()) {
            Some([name, value]) => Ok((*name, *value)),
            _ => Err(wrong(params)),
        };
    items.items.into_iter().map(pair).collect()
}

/// A single value as text.
fn scalar(name: &str, value: Value<'_>) -> starlark::Result<String> {
    if let Some(truth) = value.unpack_bool() {
        return Ok(truth.to_string());
    }
    match value.get_type() {
        "string" | "int" | "float" => Ok(value.to_str()),
        _ => Err(usage(format!(
            "the value of {name:?} must be str, int, float, bool or a list of them, got {}",
            describe(value)
        ))),
    }
}
