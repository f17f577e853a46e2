//! Running scripts the way the tests here look at them.

use starcell_interp::testing::NativeHost;
use starcell_interp::{Failure, FailureKind, Request, Response, Serving, run_native};

/// A script that has reached its `serve()`.
pub(crate) struct Deployed {
    pub(crate) host: NativeHost,
    pub(crate) serving: Serving,
}

impl Deployed {
    pub(crate) fn new(source: &str) -> Self {
        Self::on(NativeHost::new(), source)
    }

    pub(crate) fn on(host: NativeHost, source: &str) -> Self {
        let (outcome, serving) = run_native(&host, "app.star", source);
        if let Err(failure) = outcome {
            assert_eq!(failure.kind, FailureKind::Stopped, "{}", failure.report);
        }
        let serving = serving.expect("the script starts a server");
        Self { host, serving }
    }

    pub(crate) fn call(&self, route: u32, request: Request) -> Result<Response, Failure> {
        self.serving.handle(&self.host, route, request)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Response, Failure> {
        self.call(0, request("GET", path))
    }
}

/// A request with a query string.
pub(crate) fn request(method: &str, target: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        url: format!("http://localhost:8080{target}"),
        query: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        remote_addr: "127.0.0.1:40000".to_owned(),
        host: "localhost:8080".to_owned(),
        id: "req-1".to_owned(),
        proto: "HTTP/1.1".to_owned(),
        ..Request::default()
    }
}

/// What a handler with this body returns for `GET /`.
pub(crate) fn answer(body: &str) -> Result<Response, Failure> {
    deployed(body).get("/")
}

/// A server whose only handler has this body.
pub(crate) fn deployed(body: &str) -> Deployed {
    let body = body.replace('\n', "\n    ");
    Deployed::new(&format!("def handler(req):\n    {body}\nhttp.serve({{\"GET /\": handler}}, port = 8080)\n"))
}

/// How a top level that fails fails.
pub(crate) fn failure(source: &str) -> Failure {
    failure_on(&NativeHost::new(), source)
}

pub(crate) fn failure_on(host: &NativeHost, source: &str) -> Failure {
    run_native(host, "app.star", source).0.expect_err("the script fails")
}

/// The lines a top level prints.
pub(crate) fn prints(source: &str) -> Vec<String> {
    prints_on(&NativeHost::new(), source)
}

pub(crate) fn prints_on(host: &NativeHost, source: &str) -> Vec<String> {
    if let (Err(failure), _) = run_native(host, "app.star", source) {
        assert_eq!(failure.kind, FailureKind::Stopped, "{}", failure.report);
    }
    host.prints()
}

pub(crate) fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("UTF-8")
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let fields = response.headers.iter();
    fields.filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect()
}
