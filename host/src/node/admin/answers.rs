//! Answers in JSON, which no cache keeps and no browser guesses the kind of.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::api::views::{ErrorBody, ErrorView};
use crate::node::orders::Refused;

use super::stream::AnswerBody;

/// An answer to a request of an operator.
pub(crate) type Answer = Response<AnswerBody>;

/// Something failed that is nobody's mistake outside of the node.
pub(super) fn internal(message: &str) -> Refused {
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", message)
}

/// An answer in JSON.
pub(super) fn json(view: &impl Serialize) -> Answer {
    match serde_json::to_vec(view) {
        Ok(text) => with(Response::new(AnswerBody::Whole(Some(Bytes::from(text)))), CONTENT_TYPE, "application/json"),
        Err(error) => failed(&internal(&format!("the answer is no JSON: {error}"))),
    }
}

/// The answer to a request that is refused.
pub(super) fn failed(refused: &Refused) -> Answer {
    let error = ErrorBody { code: refused.code.to_owned(), message: refused.message.clone() };
    // Two texts are JSON.
    let text = serde_json::to_vec(&ErrorView { error }).unwrap_or_default();
    let mut answer = Response::new(AnswerBody::Whole(Some(Bytes::from(text))));
    *answer.status_mut() = refused.status;
    with(answer, CONTENT_TYPE, "application/json")
}

/// Adds a header, and those of all answers.
pub(crate) fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}
