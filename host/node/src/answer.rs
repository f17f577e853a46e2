//! From a request to its answer: find its route, read its body, wait for a place, run its handler in a fork, respond.
//!
//! The story is the same whether the bytes of the request came over a socket or from a test. Routing costs no guest and
//! waits for nothing, so a request that has no route is answered at once. Only where the script has middleware for such
//! requests does a guest run for one, and then it is read, waits and is bounded like any other.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};
use starcell_budget::{MemoryUse, SMALL};
use starcell_edge::{Answered, Asked, Body, ClientLimits, Gathered, Held, Peer, RequestId, Responder, Responding};
use starcell_http::request::{self, Origin, Pairs};
use starcell_http::response::{self, Answer, Refusal};
use starcell_http::router::Found;
use starcell_log::Level;
use starcell_runtime::{Destination, Failure, ForkKind, Handled, Limit, Miss, Misses};
use starcell_telemetry::TraceContext;

use crate::bucket::seconds;
use crate::cutoff::{CutOff, Cutoff};
use crate::sight::Seen;
use crate::site::{Handlers, Site};
use crate::terms::AppTerms;

impl<H: Handlers> Responder for Site<H> {
    fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    fn respond(self: Arc<Self>, asked: Asked) -> Responding {
        answer(self, asked)
    }
}

/// Answers a request.
#[must_use]
pub fn answer<H: Handlers>(site: Arc<Site<H>>, asked: Asked) -> Responding {
    let seen = site.terms.sight.as_ref().map(|sight| sight.begin(&asked));
    let Asked { parts, id, peer, prefix, body } = asked;
    let target = match find(&site, &parts, prefix) {
        Ok(target) => target,
        Err(refusal) => {
            let answered = Answered::refused(parts, id, refusal);
            seen.into_iter().for_each(|seen| seen.end(&answered, None));
            return Responding::Now(answered);
        }
    };
    let route = target.index.and_then(|index| site.routes.pattern(index)).map(str::to_owned);
    let trace = seen.as_ref().and_then(Seen::trace);
    let mut story = Story { parts, id, peer, prefix, trace, cpu: None, fork: None, held: Held::default() };
    Responding::Later(Box::pin(async move {
        let result = match story.run(&site, target, body).await {
            Ok(Err(failure)) => Ok(story.failed(&site, &failure)),
            Ok(Ok(answer)) => Ok(answer),
            Err(refusal) => Err(refusal),
        };
        let Story { parts, id, cpu, fork, held, .. } = story;
        let answered = Answered { parts, id, result, route, app: None, cpu, held };
        seen.into_iter().for_each(|seen| seen.end(&answered, fork));
        answered
    }))
}

/// A request that a guest answers.
struct Story {
    parts: Parts,
    id: RequestId,
    peer: Arc<Peer>,
    /// Bytes of its path that are the prefix of the app.
    prefix: usize,
    /// Where in its trace it is.
    trace: Option<TraceContext>,
    /// Time that a guest ran for it.
    cpu: Option<Duration>,
    /// The kind of the fork that ran for it.
    fork: Option<ForkKind>,
    /// What it holds until its response is sent.
    held: Held,
}

/// What a request is for.
struct Target {
    host: String,
    /// Which of the routes; none for a miss.
    index: Option<usize>,
    /// The same for the guest.
    destination: Destination,
    /// The values of its wildcards.
    params: Pairs,
}

/// What of a path is behind a prefix of so many bytes.
fn behind(path: &str, prefix: usize) -> &str {
    match path.get(prefix..) {
        Some("") | None => "/",
        Some(rest) => rest,
    }
}

/// Finds out what a request is for, or why it is refused.
fn find<H: Handlers>(site: &Site<H>, parts: &Parts, prefix: usize) -> Result<Target, Refusal> {
    let host = request::check(parts, site.terms.max_url_bytes)?;
    if !site.hosts.allows(host) {
        return Err(Refusal::WrongHost);
    }
    let (path, query) = (behind(parts.uri.path(), prefix), parts.uri.query());
    let refusal = match site.routes.find(parts.method.as_str(), host, path, query) {
        Found::Route { index, params } => {
            let route = u32::try_from(index).map_err(|_| Refusal::NotFound)?;
            let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let destination = Destination::Route(route);
            return Ok(Target { host: host.to_owned(), index: Some(index), destination, params });
        }
        // A client sees the whole path.
        Found::Redirect { location } => {
            let prefix = parts.uri.path().get(..prefix).unwrap_or_default();
            Refusal::Elsewhere(format!("{prefix}{location}"))
        }
        Found::MethodNotAllowed { allow } => Refusal::WrongMethod(allow),
        Found::NotFound => Refusal::NotFound,
    };
    match missed(site.misses, &parts.method, &refusal) {
        Some(miss) => {
            let destination = Destination::Miss(miss);
            Ok(Target { host: host.to_owned(), index: None, destination, params: Pairs::new() })
        }
        None => Err(refusal),
    }
}

/// A request without a route, if the middleware of the server runs for it. This is the one place that decides it.
fn missed(misses: Misses, method: &Method, refusal: &Refusal) -> Option<Miss> {
    let preflight = method == Method::OPTIONS && matches!(refusal, Refusal::WrongMethod(_));
    let runs = match misses {
        Misses::None => false,
        Misses::Preflights => preflight,
        Misses::All => true,
    };
    runs.then(|| Miss { preflight, response: shown(refusal) })
}

/// The response of the host as middleware sees it.
fn shown(refusal: &Refusal) -> starcell_runtime::Response {
    let (head, body) = refusal.answer().into_parts();
    // The host makes its fields of text.
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (request::canonical(name.as_str()), text(value)));
    starcell_runtime::Response { status: head.status.as_u16(), headers: headers.collect(), body: body.into() }
}

impl Story {
    /// Reads the request whole, waits for a place and for memory, and runs what answers it in a fork.
    async fn run<H: Handlers>(
        &mut self,
        site: &Site<H>,
        target: Target,
        body: Body,
    ) -> Result<Result<Answer, Failure>, Refusal> {
        let gathered = body.read().await;
        if let Err(Refusal::NoMemory) = gathered {
            refuse(&site.terms);
        }
        let Gathered { bytes, taken: of_body } = gathered?;
        let origin = Origin { remote: self.peer.address.clone(), tls: self.peer.tls, id: self.id.text().to_owned() };
        let path = behind(self.parts.uri.path(), self.prefix);
        let request = request::read(&self.parts, path, target.host, target.params, bytes, origin);
        let (patience, memory) = (site.terms.queue_time, &site.terms.memory);
        let place = site.queue.enter(patience).await.ok_or(Refusal::Busy)?;
        let full = |purpose, bytes| {
            refuse(&site.terms);
            match memory.is_short(purpose, bytes) {
                true => Refusal::Quota("memory", 1),
                false => Refusal::Busy,
            }
        };
        let of_fork = memory.take(MemoryUse::Small, site.handlers.bytes(), patience).await;
        let of_fork = of_fork.ok_or_else(|| full(MemoryUse::Small, site.handlers.bytes()))?;
        let in_guest = site.terms.sight.as_ref().map(|sight| sight.metrics.enter_guest());
        let handlers = Arc::clone(&site.handlers);
        let answering = handlers.answer(target.destination, crossing(request), self.trace.take());
        let time = site.handler_time;
        let late = |cpu| Ok(Handled { result: Err(Failure::Limit(Limit::Wall(time))), cpu, fork: None });
        let cut = Cutoff::new(answering, site.terms.cpu_cut.clone());
        let answer = match site.terms.turns.run_within(time, cut).await.unwrap_or_else(late) {
            Ok(handled) => handled,
            Err(CutOff { spent, wait }) => {
                self.cpu = Some(spent);
                return Err(Refusal::Quota("cpu", seconds(wait)));
            }
        };
        drop((of_body, of_fork, in_guest));
        (self.cpu, self.fork) = (Some(answer.cpu), answer.fork);
        let response = match answer.result {
            Ok(response) => response,
            Err(failure) => return Ok(Err(failure)),
        };
        // The response is there already. If there is no room to keep it while the client takes it, it is dropped.
        let fields = response.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let bytes = (response.body.len() + fields) as u64;
        let purpose = if bytes <= SMALL { MemoryUse::Small } else { MemoryUse::Response };
        let of_response = memory.try_take(purpose, bytes).ok_or_else(|| full(purpose, bytes))?;
        // A client that does not take its response keeps its place as well: else a server would make more of them.
        self.held = Held::new((place, of_response));
        Ok(response::script(response.status, response.headers, response.body).map_err(Failure::Host))
    }

    /// The response to a request whose handler failed. The client gets the request id and no more; what the script
    /// raised is noted with that id, and shown where the operator is its developer.
    fn failed<H: Handlers>(&self, site: &Site<H>, failure: &Failure) -> Answer {
        site.failures.note(&self.parts, self.id.text(), failure);
        let status = match failure.is_for_memory() {
            true => {
                refuse(&site.terms);
                StatusCode::SERVICE_UNAVAILABLE
            }
            false => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let detail = site.terms.dev.then(|| failure.report());
        response::failed(status, self.id.text(), detail.as_deref())
    }
}

/// Counts a request that is refused for lack of memory; the log tells of all of a second in one line.
fn refuse(terms: &AppTerms) {
    if terms.memory.refuse() {
        let refused = terms.memory.refused();
        let text =
            format!("no memory for a request, as for {refused} so far: see --memory-budget and the quota `memory`");
        terms.logs.say(Level::Warn, &text);
    }
}

/// The request as it crosses the border.
fn crossing(request: request::Request) -> starcell_runtime::Request {
    starcell_runtime::Request {
        method: request.method,
        path: request.path,
        url: request.url,
        params: request.params,
        query: request.query,
        headers: request.headers,
        body: request.body.into(),
        remote_addr: request.remote_addr,
        host: request.host,
        tls: request.tls,
        id: request.id,
        proto: request.proto.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Mutex;

    use bytes::Bytes;
    use starcell_budget::MemoryBudget;
    use starcell_edge::{Edge, EdgeConfig, Ids};
    use starcell_http::router::Routes;
    use starcell_log::{Level, LogChoice, LogRate, Logs};
    use starcell_runtime::ServerOptions;

    use super::*;
    use crate::hosts::Hosts;
    use crate::site::FailureNotes;
    use crate::terms::AppTerms;
    use crate::turns::Turns;

    /// Handlers that say what they were asked, or fail.
    #[derive(Debug)]
    struct Fake;

    impl Handlers for Fake {
        async fn answer(
            self: Arc<Self>,
            destination: Destination,
            request: starcell_runtime::Request,
            _trace: Option<TraceContext>,
        ) -> starcell_runtime::Handled {
            let body = match destination {
                Destination::Route(route) => format!("{route} {} {}", request.path, request.body.len()),
                Destination::Miss(Miss { preflight, response }) => {
                    let starcell_runtime::Response { status, headers, body } = response;
                    format!("miss {preflight} {status} {headers:?} {}", body.len())
                }
            };
            let result = match request.path.as_str() {
                "/fails" => Err(Failure::Host("secret".to_owned())),
                "/full" => Err(Failure::Limit(Limit::Budget)),
                "/large" => Ok(vec![0; 1 << 20]),
                _ => Ok(body.into_bytes()),
            };
            let result = result.map(|body| starcell_runtime::Response { status: 200, headers: Vec::new(), body });
            starcell_runtime::Handled { result, cpu: Duration::from_micros(5), fork: Some(ForkKind::Fresh) }
        }

        fn bytes(&self) -> u64 {
            1000
        }
    }

    #[derive(Debug, Default)]
    struct Notes(Mutex<Vec<String>>);

    impl FailureNotes for Notes {
        fn note(&self, parts: &Parts, _id: &str, failure: &Failure) {
            self.0.lock().unwrap().push(format!("{}: {failure}", parts.uri.path()));
        }
    }

    struct Told {
        site: Arc<Site<Fake>>,
        notes: Arc<Notes>,
        memory: MemoryBudget,
    }

    fn site(memory: u64, dev: bool) -> Told {
        site_with(memory, dev, Misses::None)
    }

    fn site_with(memory: u64, dev: bool, misses: Misses) -> Told {
        let (logs, _writer) = Logs::start(LogChoice { format: None, least: Some(Level::Error) });
        let second = Duration::from_secs(1);
        let config = EdgeConfig {
            max_connections: None,
            max_connections_per_address: NonZeroU32::MIN,
            handshake_time: second,
            header_time: second,
            idle_time: second,
            stall_time: second,
            min_rate: NonZeroU32::MIN,
            max_header_bytes: 1000,
            max_body_bytes: 10,
            memory_time: second,
            h2c: false,
            trust_request_id: false,
            access_log: false,
        };
        let memory = MemoryBudget::new(memory);
        let rate = LogRate { bytes_per_second: NonZeroU32::MIN };
        let terms = AppTerms {
            script: "a.star".to_owned(),
            allow_hosts: Vec::new(),
            dev,
            request_time: second,
            max_requests: 1,
            max_queue: 0,
            queue_time: second,
            max_url_bytes: 100,
            memory: memory.clone(),
            turns: Turns::new(1).tenant(1),
            cpu_cut: None,
            edge: Edge::new(config, memory.clone(), logs.clone()),
            logs: logs.of_script("a.star", rate),
            sight: None,
        };
        let mut routes = Routes::new();
        for pattern in ["GET /{name}", "POST /{name}"] {
            routes.add(pattern).unwrap();
        }
        let notes = Arc::new(Notes::default());
        let hosts = Hosts::Only { names: ["a".to_owned()].into(), loopback: false };
        let options = ServerOptions { misses, ..ServerOptions::default() };
        let site = Site::with(Arc::new(routes), Fake, &options, &Arc::new(terms), hosts, notes.clone());
        Told { site, notes, memory }
    }

    fn asked(told: &Told, method: &str, host: &str, path: &str, body: &'static str) -> Responding {
        let request = http::Request::builder().method(method).uri(path).header("host", host).body(()).unwrap();
        let peer = Arc::new(Peer::within("192.0.2.1:1".to_owned()));
        let body = Body::whole(Bytes::from(body), told.site.client_limits());
        answer(
            Arc::clone(&told.site),
            Asked { parts: request.into_parts().0, id: Ids::new().next(), peer, prefix: 0, body },
        )
    }

    async fn later(told: &Told, method: &str, path: &str, body: &'static str) -> Answered {
        match asked(told, method, "a", path, body) {
            Responding::Later(answered) => answered.await,
            Responding::Now(answered) => panic!("at once: {answered:?}"),
        }
    }

    #[tokio::test]
    async fn a_request_without_a_route_is_answered_at_once() {
        let told = site(1 << 20, false);
        for (method, host, path, status) in
            [("GET", "a", "/a/b", 404), ("PUT", "a", "/a", 405), ("GET", "b", "/a", 421), ("GET", "a b", "/a", 400)]
        {
            let Responding::Now(answered) = asked(&told, method, host, path, "") else { panic!("{path}") };
            assert_eq!(answered.into_answer().status(), status, "{method} {host} {path}");
        }
    }

    #[tokio::test]
    async fn middleware_sees_the_misses_that_it_is_for() {
        let nosniff = "(\"Content-Type\", \"text/plain; charset=utf-8\"), (\"X-Content-Type-Options\", \"nosniff\")";
        let preflight = format!("miss true 405 [{nosniff}, (\"Allow\", \"GET, HEAD, POST\")] 19");
        for (misses, method, path, expected) in [
            (Misses::None, "OPTIONS", "/a", None),
            (Misses::Preflights, "OPTIONS", "/a", Some(preflight.clone())),
            (Misses::Preflights, "PUT", "/a", None),
            (Misses::Preflights, "OPTIONS", "/a/b", None),
            (Misses::Preflights, "OPTIONS", "//a", None),
            (Misses::Preflights, "OPTIONS", "*", None),
            (Misses::All, "OPTIONS", "/a", Some(preflight.clone())),
            (Misses::All, "PUT", "/a", Some(preflight.replace("true", "false"))),
            (Misses::All, "GET", "/a/b", Some(format!("miss false 404 [{nosniff}] 19"))),
            (Misses::All, "GET", "//a", Some(format!("miss false 307 [{nosniff}, (\"Location\", \"/a\")] 0"))),
        ] {
            let told = site_with(1 << 20, false, misses);
            let case = format!("{misses:?} {method} {path}");
            match (asked(&told, method, "a", path, ""), expected) {
                (Responding::Now(answered), None) => assert!(answered.result.is_err(), "{case}"),
                (Responding::Later(answered), Some(expected)) => {
                    let answered = answered.await;
                    assert_eq!(answered.route, None, "{case}");
                    assert_eq!(String::from_utf8_lossy(answered.into_answer().body()), expected, "{case}");
                }
                (other, _) => panic!("{case}: {other:?}"),
            }
        }
        // What no route may see does not reach middleware either, and a body over the limit is refused first.
        let told = site_with(1 << 20, false, Misses::All);
        for (method, host, path, status) in [("GET", "b", "/a/b", 421), ("GET", "a b", "/a/b", 400)] {
            let Responding::Now(answered) = asked(&told, method, host, path, "") else { panic!("{path}") };
            assert_eq!(answered.into_answer().status(), status, "{method} {host} {path}");
        }
        assert_eq!(later(&told, "PUT", "/a", "12345678901").await.result.unwrap_err(), Refusal::LargeBody(10));
        let head = later(&told, "HEAD", "/a/b", "").await.into_answer();
        assert!(head.body().is_empty() && head.headers().contains_key("content-length"), "{head:?}");
    }

    #[tokio::test]
    async fn a_handler_answers() {
        let told = site(1 << 20, false);
        let answered = later(&told, "POST", "/x", "body").await;
        assert_eq!((answered.route.as_deref(), answered.cpu), (Some("POST /{name}"), Some(Duration::from_micros(5))));
        let answer = answered.into_answer();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"1 /x 4"[..]));
        assert_eq!(later(&told, "HEAD", "/x", "").await.into_answer().headers()["content-length"], "6");
        assert_eq!(later(&told, "POST", "/x", "12345678901").await.result.unwrap_err(), Refusal::LargeBody(10));
    }

    #[tokio::test]
    async fn a_failure_is_noted_and_not_told() {
        for (dev, shown) in [(false, false), (true, true)] {
            let told = site(1 << 20, dev);
            let answer = later(&told, "GET", "/fails", "").await.into_answer();
            assert_eq!(answer.status(), 500);
            assert_eq!(String::from_utf8_lossy(answer.body()).contains("secret"), shown);
            assert_eq!(*told.notes.0.lock().unwrap(), ["/fails: secret"]);
        }
        let answer = later(&site(1 << 20, false), "GET", "/full", "").await.into_answer();
        assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_and_memory_are_held_until_the_response_is_sent() {
        let told = site(1 << 20, false);
        let answered = later(&told, "GET", "/x", "").await;
        assert_eq!(told.memory.used(), 6);
        assert_eq!(later(&told, "GET", "/x", "").await.result.unwrap_err(), Refusal::Busy, "there is one place");
        drop(answered);
        assert_eq!(told.memory.used(), 0);
        assert!(later(&told, "GET", "/x", "").await.result.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_refused() {
        let told = site(500, false);
        assert_eq!(later(&told, "GET", "/x", "").await.result.unwrap_err(), Refusal::Busy, "no room for a fork");
        let told = site(1 << 20, false);
        assert_eq!(later(&told, "GET", "/large", "").await.result.unwrap_err(), Refusal::Busy);
        assert_eq!(told.memory.used(), 0);
    }
}
