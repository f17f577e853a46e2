//! Answers with a page, and what browsers may do with it.
//!
//! The decision: a page runs the one script and the one style sheet of this node and nothing that stands in it, asks nobody
//! else, is in no frame, is kept by no cache, and tells no other page where it comes from. `Referrer-Policy` is `same-origin`
//! and not `no-referrer`, since browsers send `Origin: null` with forms under the latter.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};

use crate::node::admin::answers::Answer;
use crate::node::admin::stream::AnswerBody;

use super::html::{Html, Link};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const FIELDS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A page.
pub(super) fn page(status: StatusCode, page: Html) -> Answer {
    whole(status, "text/html; charset=utf-8", Bytes::from(page.into_text()))
}

/// A file that comes with the program.
pub(super) fn file(kind: &'static str, text: &'static str) -> Answer {
    whole(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()))
}

/// Leads the browser to another page of the console.
pub(super) fn see(link: &Link) -> Answer {
    let mut answer = whole(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Bytes::new());
    // A link is ASCII.
    if let Ok(location) = HeaderValue::from_str(link.as_str()) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

/// Sets a cookie.
pub(super) fn with_cookie(mut answer: Answer, cookie: &str) -> Answer {
    if let Ok(mut cookie) = HeaderValue::from_str(cookie) {
        cookie.set_sensitive(true);
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn whole(status: StatusCode, kind: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(AnswerBody::Whole(Some(bytes)));
    *answer.status_mut() = status;
    for (name, value) in FIELDS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
