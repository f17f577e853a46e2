//! The session of an operator's browser with the console of the node, which no script sees.
//!
//! The decision: the cookie of the console is taken out of every request before an app gets it.
//!
//! The attack it answers: browsers keep cookies by host and not by port. An operator who looks at the console at
//! `127.0.0.1:9090` and then at an app at `127.0.0.1:8080` sends the cookie of the console to the app, whose script would
//! have the operator's session.

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// The name of the cookie.
pub const CONSOLE_COOKIE: &str = "starcell-console";

/// The values of the cookie in a request. There may be several, since an app can set one of the same name.
pub fn values(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(';')).filter_map(|crumb| value_of(crumb.as_bytes()))
}

/// Takes the cookie out of a request.
pub(crate) fn take_out(headers: &mut HeaderMap) {
    let has_it = |field: &HeaderValue| field.as_bytes().split(|byte| *byte == b';').any(is_it);
    // Nearly every request goes by here.
    if !headers.get_all(COOKIE).iter().any(has_it) {
        return;
    }
    let rest: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(without).collect();
    headers.remove(COOKIE);
    headers.extend(rest.into_iter().map(|field| (COOKIE, field)));
}

/// A field without the cookie; none if nothing is left.
fn without(field: &HeaderValue) -> Option<HeaderValue> {
    let crumbs = field.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let rest: Vec<&[u8]> = crumbs.filter(|crumb| !is_it(crumb) && !crumb.is_empty()).collect();
    // It is made of a value that was legal.
    HeaderValue::from_bytes(&rest.join(&b"; "[..])).ok().filter(|rest| !rest.is_empty())
}

fn is_it(crumb: &[u8]) -> bool {
    let name = crumb.split(|byte| *byte == b'=').next().unwrap_or_default();
    name.trim_ascii() == CONSOLE_COOKIE.as_bytes()
}

fn value_of(crumb: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(crumb).ok().filter(|_| is_it(crumb))?;
    text.split_once('=').map(|(_, value)| value.trim())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn headers(fields: &[&'static str]) -> HeaderMap {
        fields.iter().map(|field| (COOKIE, HeaderValue::from_static(field))).collect()
    }

    fn rest(fields: &[&'static str]) -> Vec<String> {
        let mut headers = headers(fields);
        take_out(&mut headers);
        headers.get_all(COOKIE).iter().map(|field| field.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_script_sees_all_cookies_but_that_of_the_console() {
        for (fields, left) in [
            (&["a=1; b=2"][..], &["a=1; b=2"][..]),
            (&["a=1;starcell-console=x; b=2"], &["a=1; b=2"]),
            (&["starcell-console=x"], &[]),
            (&["a=1", " starcell-console = x ;; c"], &["a=1", "c"]),
            (&["starcell-console"], &[]),
            (&["starcell-console2=x; x=starcell-console=y"], &["starcell-console2=x; x=starcell-console=y"]),
            (&[], &[]),
        ] {
            assert_eq!(rest(fields), left, "{fields:?}");
        }
        // hyper appends fields of a name, and `FromIterator` does too.
        assert_eq!(
            values(&headers(&["a=1; starcell-console=x", "starcell-console=y"])).collect::<Vec<_>>(),
            ["x", "y"]
        );
    }
}
