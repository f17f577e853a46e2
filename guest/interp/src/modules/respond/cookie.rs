//! One `Set-Cookie` value (RFC 6265bis). What a browser would drop without a word is an error.

use std::fmt::Write;

use starlark::values::{UnpackValue, Value};

use crate::args::describe;
use crate::duration;
use crate::error::usage;

/// Largest name and value together that browsers keep.
const MAX_BYTES: usize = 4096;

/// The longest life that browsers grant, in seconds: 400 days.
const MAX_AGE: i64 = 400 * 24 * 3600;

/// A cookie and its attributes.
#[derive(Debug)]
pub(super) struct Cookie<'v> {
    pub(super) name: &'v str,
    pub(super) value: &'v str,
    pub(super) max_age: Option<i64>,
    pub(super) path: &'v str,
    pub(super) domain: Option<&'v str>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: &'v str,
}

/// Seconds, from an int or a duration text; `None` for a cookie that ends with the session.
pub(super) fn max_age(value: Value<'_>) -> starlark::Result<Option<i64>> {
    if value.is_none() {
        return Ok(None);
    }
    let seconds = match value.unpack_str() {
        Some(text) => duration::parse(text).and_then(|nanoseconds| i64::try_from(nanoseconds / 1_000_000_000).ok()),
        None => i64::unpack_value(value)?.filter(|seconds| *seconds >= 0),
    };
    match seconds {
        Some(seconds) if seconds <= MAX_AGE => Ok(Some(seconds)),
        Some(_) => Err(usage("max_age is over 400 days, which browsers do not keep")),
        None => Err(usage(format!(
            "max_age must be seconds as an int of at least 0, or {}, got {}",
            duration::EXPECTED,
            describe(value)
        ))),
    }
}

impl Cookie<'_> {
    /// The header's value; the error is the sentence to show.
    pub(super) fn header(&self) -> Result<String, String> {
        let Self { name, value, path, .. } = self;
        self.check()?;
        let mut header = format!("{name}={value}; Path={path}");
        if let Some(domain) = self.domain {
            header.extend(["; Domain=", domain]);
        }
        if let Some(seconds) = self.max_age {
            // Writing to a String cannot fail.
            let _ = write!(header, "; Max-Age={seconds}");
        }
        header.push_str(if self.secure { "; Secure" } else { "" });
        header.push_str(if self.http_only { "; HttpOnly" } else { "" });
        header.push_str(match self.same_site.to_ascii_lowercase().as_str() {
            "lax" => "; SameSite=Lax",
            "strict" => "; SameSite=Strict",
            "none" if self.secure => "; SameSite=None",
            "none" => return Err("same_site = \"none\" needs secure: browsers refuse it otherwise".to_owned()),
            other => return Err(format!("same_site must be \"lax\", \"strict\" or \"none\", got {other:?}")),
        });
        Ok(header)
    }

    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || !self.name.bytes().all(crate::response::is_token) {
            return Err(format!("illegal name {:?}", self.name));
        }
        if let Some(illegal) = self.value.chars().find(|c| !is_value(*c)) {
            return Err(format!(
                "the value holds {illegal:?}, which no cookie can; encode it with url.quote or base64.encode_url"
            ));
        }
        if self.name.len() + self.value.len() > MAX_BYTES {
            return Err(format!("name and value are over {MAX_BYTES} bytes, which browsers do not keep"));
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
            return Err(format!("path must start with / and hold no space and no semicolon, got {:?}", self.path));
        }
        match self.domain {
            Some(domain) if !is_domain(domain) => Err(format!("domain must be a host name, got {domain:?}")),
            _ => self.check_prefix(),
        }
    }

    /// Names by which browsers hold a cookie to its attributes.
    fn check_prefix(&self) -> Result<(), String> {
        let name = self.name.to_ascii_lowercase();
        if name.starts_with("__secure-") && !self.secure {
            return Err("a __Secure- cookie must be secure".to_owned());
        }
        if name.starts_with("__host-") && !(self.secure && self.domain.is_none() && self.path == "/") {
            return Err("a __Host- cookie must be secure, with path / and no domain".to_owned());
        }
        Ok(())
    }
}

/// RFC 6265 `cookie-octet`.
fn is_value(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\')
}

fn is_domain(domain: &str) -> bool {
    let name = domain.strip_prefix('.').unwrap_or(domain);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}
