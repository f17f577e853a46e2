//! `http.batch(..)`: several requests at a time, for handlers that ask several servers.
//!
//! A guest has one thread, so the requests leave it together, in one call of the host, which sends them side by side.
//! Each of them is judged, recorded and counted as one of `http.get` is. A request that is written wrongly is an error
//! before anything is sent; whatever becomes of one that was sent is its own `Result`.

use starlark::eval::Evaluator;
use starlark::values::dict::DictRef;
use starlark::values::list::AllocList;
use starlark::values::{UnpackValue, Value};

use super::send::{MAX_ANSWER, Prepared, Question};
use super::url::Address;
use crate::args::describe;
use crate::error::{from_host, usage};
use crate::given::Given;
use crate::modules::time::Deadline;
use crate::result::attempt;
use crate::session::{Session, position};

/// Most requests of one batch: the records of all of them are written, refused or not.
const MAX_REQUESTS: usize = 1000;

/// Most requests at a time: each has a connection.
const MAX_WORKERS: u32 = 64;

/// What a request may say.
const ACCEPTED: [&str; 8] = ["method", "url", "body", "json", "params", "headers", "timeout", "redirects"];

/// Sends all of some requests, and returns a list of a `Result` for each.
pub(super) fn send<'v>(
    requests: Vec<Value<'v>>,
    workers: i32,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let count = requests.len();
    if count > MAX_REQUESTS {
        return Err(usage(format!("{count} requests; one batch may have {MAX_REQUESTS}")));
    }
    let places = u32::try_from(workers).ok().filter(|places| (1..=MAX_WORKERS).contains(places));
    let wrong = || usage(format!("workers must be an int from 1 to {MAX_WORKERS}, got {workers} (int)"));
    let workers = places.ok_or_else(wrong)?;
    let mut outgoing = Vec::with_capacity(count);
    let mut packed = Vec::with_capacity(count);
    for (number, request) in requests.into_iter().enumerate() {
        let prepared = prepare(request, eval)
            .map_err(|error| usage(format!("requests[{number}]: {}", error.without_diagnostic())))?;
        outgoing.push(prepared.request);
        packed.push(prepared.packed);
    }
    if outgoing.is_empty() {
        return Ok(eval.heap().alloc(AllocList::EMPTY));
    }
    let answers = Session::of(eval)?.host.client().send_all(&outgoing, workers, &position(eval));
    // The unpacked answers share one bound, as the packed ones do.
    let mut left = MAX_ANSWER;
    let mut results = Vec::with_capacity(count);
    for (answer, packed) in answers.into_iter().zip(packed) {
        let answer = answer.map_err(from_host).and_then(|answer| Prepared::read(answer, packed, left));
        let value = answer.map(|answer| {
            left = left.saturating_sub(answer.bytes());
            eval.heap().alloc(answer)
        });
        results.push(attempt(value, eval.heap())?);
    }
    Ok(eval.heap().alloc(AllocList(results)))
}

/// A URL, or a dict of the arguments of `http.request`.
fn prepare<'v>(request: Value<'v>, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Prepared> {
    let Some(fields) = DictRef::from_value(request) else {
        let url = Address::unpack_value(request).ok().flatten().ok_or_else(|| {
            usage(format!("a request is a URL, or a dict of arguments of http.request, got {}", describe(request)))
        })?;
        return Question::to("GET", url.0).prepare(eval);
    };
    let unknown = fields.keys().find(|name| !name.unpack_str().is_some_and(|name| ACCEPTED.contains(&name)));
    if let Some(unknown) = unknown {
        return Err(usage(format!("unknown argument {}, accepted: {}", unknown.to_str(), ACCEPTED.join(", "))));
    }
    let method = taken::<&str>(&fields, "method")?.unwrap_or("GET");
    let url = taken::<Address<'v>>(&fields, "url")?.ok_or_else(|| usage("missing argument url"))?;
    let given = |name| fields.get_str(name).filter(|value| !value.is_none());
    let plain = Question::to(method, url.0);
    Question {
        body: given("body"),
        json: given("json"),
        params: given("params"),
        headers: taken(&fields, "headers")?,
        timeout: taken::<Deadline>(&fields, "timeout")?,
        redirects: taken(&fields, "redirects")?.unwrap_or(plain.redirects),
        ..plain
    }
    .prepare(eval)
}

/// One field of a dict, checked as an argument is.
fn taken<'v, T: UnpackValue<'v>>(fields: &DictRef<'v>, name: &str) -> starlark::Result<Option<T>> {
    let given = fields.get_str(name).and_then(|value| Given::unpack_value(value).ok().flatten());
    Given::maybe(given, name)
}
