//! Servers that a test makes: they answer the requests of that very test, and nobody else's.
//!
//! A test has one thread and no socket. So a server that a test starts is given a port that is nobody's, and a request of
//! the test to that port is answered by its handler in the test itself, which sees what the handler changed. The host
//! finds the route, as it does for every server; nothing is bound, and so nothing needs a permission. Who asks for any
//! other port asks the network, which takes a permission as ever. `http.batch` always does.
//!
//! What such a server has not: middleware for requests without a route, and so an answer to a preflight. The script beside
//! the test has both.

use starlark::eval::Evaluator;
use starlark::values::{Trace, Value};

use crate::error::{from_host, is_stopped, usage};
use crate::host::{HostError, Incoming, MadeServer, Matched, Outgoing, Question, Reply, Response, Routed};
use crate::modules::respond;
use crate::session::{Session, position};
use crate::{diagnostic, request, response};

/// The port of the first server that asks for any; the next ones count on.
const FIRST_PORT: u16 = 49_152;

/// Names of this machine.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// A server while it answers.
#[derive(Clone, Debug, Trace)]
pub(super) struct Made<'v> {
    #[trace(static)]
    pub(super) port: u16,
    #[trace(static)]
    pub(super) server: MadeServer,
    /// For each pattern its handler, inside all middleware.
    pub(super) handlers: Vec<Value<'v>>,
}

/// The port that a server gets.
pub(super) fn port(number: u32, wanted: Option<u16>) -> u16 {
    let number = u16::try_from(number).unwrap_or_default();
    wanted.filter(|port| *port != 0).unwrap_or(FIRST_PORT.saturating_add(number))
}

/// Whether these are patterns that one server can have.
pub(super) fn check(patterns: Vec<String>, eval: &Evaluator<'_, '_, '_>) -> starlark::Result<()> {
    let server = MadeServer { patterns, max_body_bytes: None };
    let question = Question { method: "GET".to_owned(), target: "/".to_owned(), ..Question::default() };
    match Session::of(eval)?.host.tool().route(&server, &question) {
        Ok(_) => Ok(()),
        // What is wrong with a pattern is what is wrong with the call.
        Err(HostError::Failed(text)) => Err(usage(text)),
        Err(error) => Err(from_host(error)),
    }
}

/// A URL of this machine, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) port: u16,
    /// Host and port, as they were written.
    authority: String,
    /// Path and query.
    target: String,
}

/// What a URL says, if it is one of this machine.
pub(super) fn local(url: &str) -> Option<Local> {
    let rest = url.strip_prefix("http://")?;
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = authority.rsplit_once(':')?;
    LOOPBACK.contains(&host).then_some(())?;
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };
    Some(Local { port: port.parse().ok()?, authority: authority.to_owned(), target: format!("{slash}{target}") })
}

/// Turns a request into the one that a redirect asks for; false if the response is none or is not to be followed.
pub(super) fn follow(request: &mut Outgoing, response: &Incoming) -> bool {
    let location = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let Some((_, location)) = location.filter(|_| (300..400).contains(&response.status)) else { return false };
    let Some(left) = request.redirects.checked_sub(1) else { return false };
    request.url = match local(&request.url) {
        Some(here) if location.starts_with('/') && !location.starts_with("//") => {
            format!("http://{}{location}", here.authority)
        }
        _ => location.clone(),
    };
    request.redirects = left;
    // As browsers and the host do: what was posted is not posted again, save where the status says so.
    let is_asked_anew = response.status == 303 || ([301, 302].contains(&response.status) && request.method == "POST");
    if is_asked_anew && request.method != "HEAD" {
        request.method = "GET".to_owned();
        request.body.clear();
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    }
    true
}

impl<'v> Made<'v> {
    /// The response to a request of the test.
    pub(super) fn answer(
        &self,
        request: &Outgoing,
        local: Local,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Incoming> {
        let mut headers = request.headers.clone();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            headers.push(("Host".to_owned(), local.authority));
        }
        let question = Question {
            server: 0,
            method: request.method.clone(),
            target: local.target,
            headers,
            body: request.body.clone(),
        };
        let routed = Session::of(eval)?.host.tool().route(&self.server, &question).map_err(from_host)?;
        let reply = match routed {
            Routed::Reply(reply) => reply,
            Routed::Handler(matched) => self.handled(matched, eval)?,
        };
        let is_bare = request.method == "HEAD" || [204, 304].contains(&reply.status);
        Ok(Incoming {
            status: reply.status,
            reason: respond::reason(reply.status.into()).to_owned(),
            url: request.url.clone(),
            headers: reply.headers,
            body: if is_bare { Vec::new() } else { reply.body },
        })
    }

    /// What the handler of a route makes of a request. A handler that fails is a 500, as over a socket, and the test's
    /// output says why.
    fn handled(&self, matched: Matched, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Reply> {
        let handler = usize::try_from(matched.route).ok().and_then(|route| self.handlers.get(route).copied());
        let handler = handler.ok_or_else(|| usage(format!("no route {}", matched.route)))?;
        let asked = format!("{} {}", matched.request.method, matched.request.path);
        let value = request::allocate(matched.request, eval.heap());
        let failed = match eval.eval_function(handler, &[value], &[]) {
            Ok(returned) => match response::convert(returned) {
                Ok(Response { status, headers, body }) => return Ok(Reply { status, headers, body, failure: None }),
                Err(wrong) => wrong,
            },
            Err(error) if is_stopped(&error) => return Err(error),
            Err(error) => diagnostic::message(&error),
        };
        Session::of(eval)?.host.print(&format!("{asked} failed: {failed}"), &position(eval));
        let headers = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Ok(Reply { status: 500, headers, body: b"500 Internal Server Error\n".to_vec(), failure: Some(failed) })
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn a_url_of_this_machine_has_a_port_and_a_target() {
        for (url, expected) in [
            ("http://localhost:49152/a/b?c=1#d", Some((49152, "localhost:49152", "/a/b?c=1"))),
            ("http://127.0.0.1:8080", Some((8080, "127.0.0.1:8080", "/"))),
            ("http://[::1]:8080?q", Some((8080, "[::1]:8080", "/?q"))),
            ("http://localhost/a", None),
            ("http://localhost:/a", None),
            ("https://localhost:8080/", None),
            ("http://example.com:8080/", None),
            ("http://localhost.example.com:8080/", None),
            ("http://localhost@example.com:8080/", None),
            ("http://localhost:8080@example.com/", None),
        ] {
            let found = local(url);
            let found = found.as_ref().map(|found| (found.port, found.authority.as_str(), found.target.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }
}
