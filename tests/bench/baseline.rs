//! Servers to compare with: hyper alone, and hyper with the same interpreter compiled natively, without any sandbox.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use starcell_interp::testing::NativeHost;
use tokio::net::TcpListener;

use crate::hello::HELLO;

/// Which server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A constant from hyper.
    Hyper,
    /// The handler, natively, in the process.
    Native,
}

/// Serves until the process is killed; says its port as starcell does.
pub(crate) fn serve(kind: Kind) {
    // The frozen module is not for sharing among threads; one core is what is measured anyway.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("serving {kind:?} on http://{}", listener.local_addr().unwrap());
        let host = NativeHost::new();
        let script = starcell_interp::run_native(&host, "bench.star", HELLO).1.unwrap();
        let script = std::rc::Rc::new((host, script));
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let script = std::rc::Rc::clone(&script);
            let service = service_fn(move |request: Request<Incoming>| {
                let response = match kind {
                    Kind::Hyper => Response::new(Full::new(Bytes::from_static(b"Hello, Bob"))),
                    Kind::Native => answer(&script.0, &script.1, peer, &request),
                };
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::task::spawn_local(async move {
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

fn answer(
    host: &NativeHost,
    script: &starcell_interp::Serving,
    peer: std::net::SocketAddr,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let record = starcell_interp::Request {
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        url: format!("http://localhost{}", request.uri()),
        query: starcell_http::query::parse(request.uri().query().unwrap_or_default()),
        headers: headers.collect::<starcell_interp::Fields>().into_lines(),
        remote_addr: peer.to_string(),
        host: "localhost".to_owned(),
        id: "bench".to_owned(),
        proto: "HTTP/1.1".to_owned(),
        ..Default::default()
    };
    let route = match request.uri().path() {
        "/spin" => 1,
        "/loop" => 2,
        "/list" => 3,
        _ => 0,
    };
    let response = script.handle(host, route, record).unwrap();
    let mut answer = Response::new(Full::new(Bytes::from(response.body)));
    *answer.status_mut() = hyper::StatusCode::from_u16(response.status).unwrap();
    for (name, value) in response.headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
        answer.headers_mut().append(name, value.parse().unwrap());
    }
    answer
}
