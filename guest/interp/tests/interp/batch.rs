//! `http.batch` and `http.request`: what of their arguments reaches the host, and what becomes of each answer.

use starcell_interp::testing::NativeHost;
use starcell_interp::{FailureKind, HostError, Incoming, run_native};

use super::common::{Deployed, failure, prints_on, request};

#[test]
fn each_form_of_a_request_reaches_the_host() {
    let host = NativeHost::new();
    let source = r#"
http.config(headers = {"X-App": "cell"}, timeout = "7s")
results = http.batch([
    "http://a/",
    http.url("http://b/"),
    {"url": "http://c/?x=1#top", "params": {"q": "a b", "n": [1, 2]}, "timeout": "1s", "redirects": 0},
    {"method": "post", "url": http.url("http://d/"), "json": {"a": [None]}, "headers": {"X-App": "own"}},
    {"method": "PUT", "url": "http://e/", "body": b"\x00", "json": None, "timeout": None},
], workers = 3)
print([r.ok for r in results], [r.value.url for r in results], type(results[0]))
print(http.batch([]), http.batch(()))
"#;
    assert_eq!(
        prints_on(&host, source),
        [
            "[True, True, True, True, True] [\"http://a/\", \"http://b/\", \"http://c/?x=1&q=a+b&n=1&n=2#top\", \
             \"http://d/\", \"http://e/\"] Result",
            "[] []",
        ]
    );
    assert_eq!(host.client.batches(), [3], "an empty batch asks for nothing");
    let sent = host.client.requests();
    let methods: Vec<&str> = sent.iter().map(|sent| sent.method.as_str()).collect();
    assert_eq!(methods, ["GET", "GET", "GET", "POST", "PUT"]);
    let of = |number: usize, name: &str| -> Option<&str> {
        let found = sent[number].headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!((of(0, "X-App"), of(3, "X-App")), (Some("cell"), Some("own")));
    assert_eq!((of(3, "Content-Type"), sent[3].body.as_slice()), (Some("application/json"), &b"{\"a\":[null]}"[..]));
    assert_eq!((of(4, "Content-Type"), sent[4].body.as_slice()), (Some("application/octet-stream"), &b"\0"[..]));
    let second = 1_000_000_000;
    let timeouts: Vec<_> = sent.iter().map(|sent| sent.timeout).collect();
    assert_eq!(timeouts, [7, 7, 1, 7, 7].map(|seconds| Some(seconds * second)));
    let redirects: Vec<_> = sent.iter().map(|sent| sent.redirects).collect();
    assert_eq!(redirects, [10, 10, 0, 10, 10]);
}

#[test]
fn workers_are_eight_unless_a_script_says() {
    let host = NativeHost::new();
    prints_on(
        &host,
        "http.batch([\"http://a/\"])\nhttp.batch([\"http://a/\"], 1)\nhttp.batch([\"http://a/\"], workers = 64)\n",
    );
    assert_eq!(host.client.batches(), [8, 1, 64]);
}

#[test]
fn wrong_requests_are_errors_before_anything_is_sent() {
    let dict = "{\"url\": \"http://a/\", ";
    for (arguments, error) in [
        ("\"http://a/\"".to_owned(), "http.batch: requests must be list or tuple, got \"http://a/\" (string)"),
        (
            "[\"http://a/\", 5]".to_owned(),
            "http.batch: requests[1]: a request is a URL, or a dict of arguments of http.request, got 5 (int)",
        ),
        ("[{}]".to_owned(), "http.batch: requests[0]: missing argument url"),
        (
            "[{\"url\": 5}]".to_owned(),
            "http.batch: requests[0]: url must be a str or what http.url() returns, got 5 (int)",
        ),
        (
            format!("[{dict}\"verb\": 1}}]"),
            "http.batch: requests[0]: unknown argument verb, accepted: method, url, body, json, params, headers, timeout, redirects",
        ),
        (format!("[{dict}\"method\": 1}}]"), "http.batch: requests[0]: method must be str, got 1 (int)"),
        (format!("[{dict}\"timeout\": 5}}]"), "http.batch: requests[0]: timeout must be a duration such as"),
        (format!("[{dict}\"headers\": []}}]"), "http.batch: requests[0]: headers must be dict"),
        (format!("[{dict}\"redirects\": -1}}]"), "http.batch: requests[0]: redirects must be"),
        (
            format!("[{dict}\"body\": 1.5}}]"),
            "http.batch: requests[0]: body must be str, bytes, a dict or a list, got 1.5 (float)",
        ),
        (
            format!("[{dict}\"body\": \"x\", \"json\": 1}}]"),
            "http.batch: requests[0]: body and json are both given; a request has one of them",
        ),
        (format!("[{dict}\"json\": len}}]"), "http.batch: requests[0]: json: "),
        (format!("[{dict}\"params\": 5}}]"), "http.batch: requests[0]: params must be a dict or a list of pairs"),
        ("[\"http://a/\"], workers = 0".to_owned(), "http.batch: workers must be an int from 1 to 64, got 0"),
        ("[\"http://a/\"], workers = 65".to_owned(), "http.batch: workers must be an int from 1 to 64, got 65"),
        ("[\"http://a/\"] * 1001".to_owned(), "http.batch: 1001 requests; one batch may have 1000"),
    ] {
        let host = NativeHost::new();
        let (outcome, _) = run_native(&host, "app.star", &format!("http.batch({arguments})\n"));
        let message = outcome.unwrap_err().message;
        assert!(message.starts_with(error), "{arguments}: {message}");
        assert_eq!((host.client.requests().len(), host.client.batches().len()), (0, 0), "{arguments}");
    }
}

#[test]
fn a_failure_is_the_result_of_its_own_request() {
    let mut host = NativeHost::new();
    host.client.answer = Err(HostError::Denied("permission denied: http.client(\"http://a/\")".to_owned()));
    let source = "for r in http.batch([\"http://a/\", \"http://b/\"]):\n    print(r.ok, r.value, r.error)\n";
    let denied = "False None permission denied: http.client(\"http://a/\")";
    assert_eq!(prints_on(&host, source), [denied, denied]);
    host.client.answer = Err(HostError::Stopped);
    let (outcome, _) = run_native(&host, "app.star", "http.try_batch([\"http://a/\"])\n");
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Stopped);
}

#[test]
fn an_answer_that_cannot_be_unpacked_is_an_error_of_its_request() {
    let mut host = NativeHost::new();
    let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())];
    host.client.answer = Ok(Incoming { status: 200, headers, body: b"no gzip".to_vec(), ..Incoming::default() });
    let source = r#"
own = {"url": "http://b/", "headers": {"Accept-Encoding": "gzip"}}
for r in http.batch(["http://a/", own]):
    print(r.ok, r.value.body if r.ok else r.error)
"#;
    assert_eq!(
        prints_on(&host, source),
        ["False the answer of http://a/ is gzip: not a gzip: invalid gzip header", "True no gzip"]
    );
}

#[test]
fn a_handler_batches_with_the_defaults_of_its_script() {
    let source = r#"
http.config(timeout = "3s")
def handler(req):
    return [r.value.status_code for r in http.batch(["http://a/"] * 3)]
http.serve(handler)
"#;
    let app = Deployed::new(source);
    assert_eq!(app.call(0, request("GET", "/")).unwrap().body, b"[200,200,200]");
    assert!(app.host.client.requests().iter().all(|sent| sent.timeout == Some(3_000_000_000)));
}

#[test]
fn request_takes_any_method_in_any_case() {
    let host = NativeHost::new();
    let source = r#"
http.request("get", "http://a/", params = [("q", "1")])
http.request("DELETE", url = http.url("http://b/"))
http.request(method = "Post", url = "http://c/", json = "text")
http.request("PATCH", "http://d/?", {"a": 1}, params = {}, headers = {"X": "1"}, timeout = "1s", redirects = 0)
"#;
    prints_on(&host, source);
    let sent = host.client.requests();
    let lines: Vec<(&str, &str)> = sent.iter().map(|sent| (sent.method.as_str(), sent.url.as_str())).collect();
    assert_eq!(
        lines,
        [("GET", "http://a/?q=1"), ("DELETE", "http://b/"), ("POST", "http://c/"), ("PATCH", "http://d/?")]
    );
    assert_eq!((sent[2].body.as_slice(), sent[3].body.as_slice()), (&b"\"text\""[..], &b"{\"a\":1}"[..]));
    assert_eq!((sent[3].timeout, sent[3].redirects), (Some(1_000_000_000), 0));
    assert_eq!(failure("http.request(\"GET\")").message, "http.request: missing argument url");
    assert_eq!(
        failure("http.request(\"POST\", \"http://a/\", 1, json = 2)").message,
        "http.request: body and json are both given; a request has one of them"
    );
}
