//! Bytes of a client, through the guard and hyper, to the request value of a handler.
//!
//! The law is the one that smuggling breaks: the guard and hyper, two readers of the same bytes, agree on where every
//! message begins and ends. And whatever gets as far as a handler keeps the promises of a request value.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Response;
use starcell_http::framing::Guard;
use starcell_http::request::{self, Origin};
use starcell_http::response::{self, Refusal};
use starcell_http::router::{Found, Routes};

use crate::target::{Target, texts};
use crate::wire;

/// Of a request's head.
const LIMIT: usize = 4096;
const MAX_URL: usize = 1024;

pub(crate) fn target() -> Target {
    Target { name: "request", run, seeds: seeds(), words: WORDS }
}

fn run(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else { return };
    let step = usize::from(step) + 1;
    let messages = messages(data);
    assert_same_verdict(data, step);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let routes = routes();
    let sent = wire::serve(data, step, LIMIT, Some(Guard::default()), |incoming| {
        let (seen, routes) = (Rc::clone(&seen), routes.clone());
        async move {
            let (parts, body) = incoming.into_parts();
            let body = body.collect().await.ok().map(|body| body.to_bytes());
            seen.borrow_mut().push((parts.method.as_str().to_owned(), parts.headers.clone(), body.clone()));
            answer(&routes, &parts, body.unwrap_or_default())
        }
    });
    for (index, (method, headers, body)) in seen.borrow().iter().enumerate() {
        let message = messages.get(index).unwrap_or_else(|| panic!("hyper saw request {index}, the guard did not"));
        let head = &data[message.start..];
        assert!(head.starts_with(format!("{method} ").as_bytes()), "hyper read {method} somewhere else");
        let Some(body) = body else { continue };
        let body_began = message.body.unwrap_or_else(|| panic!("hyper answered a head that the guard saw no end of"));
        let end = message.end.unwrap_or_else(|| panic!("hyper read a body that the guard saw no end of"));
        let framed = &data[body_began..end];
        match headers.contains_key("transfer-encoding") {
            true => assert_eq!(*body, unchunked(framed), "a chunked body"),
            false => assert_eq!(*body, framed, "a body"),
        }
    }
    assert!(sent.is_empty() || sent.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&sent));
}

/// A message by the guard's account.
#[derive(Default)]
struct Message {
    start: usize,
    body: Option<usize>,
    end: Option<usize>,
}

/// Feeds the guard byte by byte and notes where its messages begin and end.
fn messages(data: &[u8]) -> Vec<Message> {
    let (mut guard, mut messages) = (Guard::default(), Vec::<Message>::new());
    for (at, byte) in data.iter().enumerate() {
        let (between, in_head) = (guard.is_between(), guard.is_in_head());
        if guard.feed(std::slice::from_ref(byte)).is_err() {
            break;
        }
        if between && !guard.is_between() {
            messages.push(Message { start: at, ..Message::default() });
        }
        let Some(message) = messages.last_mut() else { continue };
        if in_head && !guard.is_in_head() {
            message.body = Some(at + 1);
        }
        if !between && guard.is_between() {
            message.end = Some(at + 1);
        }
    }
    messages
}

/// How the bytes were cut on their way is no reason to judge them differently.
fn assert_same_verdict(data: &[u8], step: usize) {
    let verdict = |step: usize| {
        let mut guard = Guard::default();
        data.chunks(step).enumerate().find_map(|(index, piece)| {
            let (fit, violation) = guard.feed(piece).err()?;
            assert!(guard.feed(b"G").is_err(), "bytes after a violation are read");
            Some((index * step + fit, violation))
        })
    };
    assert_eq!(verdict(step), verdict(usize::MAX));
}

/// The data of a chunked body that is framed as it must be.
fn unchunked(mut framed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = framed.iter().position(|&byte| byte == b'\r').expect("a chunk has a line with its size");
        let digits = framed[..line].split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).expect("a size is ASCII");
        let size = usize::from_str_radix(digits, 16).expect("a size is hexadecimal");
        framed = &framed[line + 2..];
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&framed[..size]);
        framed = &framed[size + 2..];
    }
}

fn routes() -> Routes {
    let mut routes = Routes::new();
    for pattern in ["/", "GET /a/{x}", "POST /b/{rest...}", "example.com/c/{$}", "/d/"] {
        routes.add(pattern).expect("the pattern is right");
    }
    routes
}

/// What the product does with a request, up to its handler, which sends back what it got.
fn answer(routes: &Routes, parts: &http::request::Parts, body: Bytes) -> Response<Bytes> {
    let host = match request::check(parts, MAX_URL) {
        Ok(host) => host,
        Err(refusal) => return refusal.answer(),
    };
    assert!(host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/@,\\".contains(&byte)), "{host:?}");
    let params = match routes.find(parts.method.as_str(), host, parts.uri.path(), parts.uri.query()) {
        Found::Route { params, .. } => params,
        Found::Redirect { location } => return Refusal::Elsewhere(location).answer(),
        Found::MethodNotAllowed { allow } => return Refusal::WrongMethod(allow).answer(),
        Found::NotFound => return Refusal::NotFound.answer(),
    };
    let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let origin = Origin { remote: "127.0.0.1:1".to_owned(), tls: false, id: "id".to_owned() };
    let request = request::read(parts, parts.uri.path(), host.to_owned(), params, body, origin);
    assert!(!request.path.contains('\0'), "a path with a NUL");
    let fields: Vec<_> = request.headers.split_terminator('\n').map(|line| line.split_once(": ")).collect();
    let fields: Option<Vec<_>> = fields.into_iter().collect();
    let fields = fields.unwrap_or_else(|| panic!("a line that is no field: {:?}", request.headers));
    let hosts = parts.headers.get_all("host").iter().count();
    assert_eq!(fields.len(), parts.headers.len() - hosts, "a field that makes another one, or one too few");
    assert!(fields.iter().all(|(name, _)| *name != "Host"), "the host stands among the headers");
    assert!(request.url.starts_with(&format!("http://{host}")), "{}", request.url);
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    response::script(200, fields, request.body).unwrap_or_else(|_| Refusal::NotFound.answer())
}

const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    "PUT ",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "Host: a\r\n",
    "\r\n\r\n",
    "\r\n",
    "\n",
    "\r",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: ",
    "Connection: close\r\n",
    "Connection: ",
    "keep-alive",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    "chunked",
    "gzip",
    "identity",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "http://a/",
    "%2e",
    "%2f",
    "%00",
    "//",
    "/../",
    "*",
    "Trailer: x\r\n",
    "TE: trailers\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "\u{7f}GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{1}GET /a/b?c=d&e=%20 HTTP/1.1\r\nHost: example.com:80\r\nCookie: a=b\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{7f}POST /b/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{8}POST /b/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{7f}POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        "\u{7f}GET http://a/d/../e//f HTTP/1.1\r\nHost: A\r\nConnection: close\r\n\r\n",
        "\u{7f}\r\n\r\nHEAD /d HTTP/1.0\r\n\r\n",
        "\u{7f}OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "\u{7f}POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ])
}
