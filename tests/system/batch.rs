//! `http.batch`: requests side by side, each judged, recorded and counted by itself.
//!
//! How many are under way is measured by barriers and counters in the server that is asked, never by time.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;
use starcell_tests::client::Client;
use starcell_tests::log::lines;
use starcell_tests::process::{Ended, Starcell, folder, script};
use starcell_tests::upstream::{Upstream, response};

/// Runs a script that may ask servers of this machine, and says what it printed.
fn run(source: &str) -> String {
    let ended = Starcell::run_in(&folder(), &["--allow-local"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout
}

fn ok(body: &[u8]) -> (Vec<u8>, bool) {
    (response(200, &[("Content-Type", "text/plain")], body), false)
}

/// A server that answers only once so many requests are there at the same time, and the most that ever were.
fn meeting(places: usize) -> (Upstream, Arc<AtomicUsize>) {
    let (barrier, present, most) = (Barrier::new(places), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let upstream = Upstream::start(move |asked| {
        let now = present.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(now, Ordering::SeqCst);
        barrier.wait();
        present.fetch_sub(1, Ordering::SeqCst);
        ok(asked.target().as_bytes())
    });
    (upstream, most)
}

#[test]
fn requests_are_sent_side_by_side_and_answered_in_order() {
    for (workers, places) in [("", 8), (", workers = 4", 4), (", workers = 64", 64), (", workers = 1", 1)] {
        let (upstream, most) = meeting(places);
        let count = places * 2;
        let source = format!(
            "urls = [\"http://127.0.0.1:{}/%d\" % n for n in range({count})]\n\
             print([r.value.body for r in http.batch(urls{workers})] == [\"/%d\" % n for n in range({count})])\n",
            upstream.port
        );
        assert_eq!(run(&source), "True\n", "{workers}");
        assert_eq!(most.load(Ordering::SeqCst), places, "{workers}");
        assert_eq!(upstream.asked().len(), count, "{workers}");
    }
}

/// The first of three is answered once the third is there: with two workers that takes the place of the second.
#[test]
fn a_slow_request_keeps_one_place_and_no_more() {
    let third = Arc::new((Mutex::new(false), Condvar::new()));
    let upstream = Upstream::start(move |asked| {
        let (came, told) = &*third;
        match asked.target() {
            "/0" => drop(told.wait_while(came.lock().unwrap(), |came| !*came).unwrap()),
            "/2" => {
                *came.lock().unwrap() = true;
                told.notify_all();
            }
            _ => {}
        }
        ok(asked.target().as_bytes())
    });
    let source = format!(
        "urls = [\"http://127.0.0.1:{}/%d\" % n for n in range(3)]\n\
         print([r.value.body for r in http.batch(urls, workers = 2)])\n",
        upstream.port
    );
    assert_eq!(run(&source), "[\"/0\", \"/1\", \"/2\"]\n");
}

#[test]
fn each_form_of_a_request_is_sent() {
    let upstream = Upstream::start(|asked| ok(&asked.body));
    let source = format!(
        r#"
u = "http://127.0.0.1:{}/"
results = http.batch([
    u, http.url(u),
    {{"url": u, "method": "post", "json": {{"a": 1}}}},
    {{"url": u + "?x=1", "params": {{"q": "a b"}}, "headers": {{"X-A": "1"}}}},
    {{"url": u, "method": "PUT", "body": b"\x00"}},
], workers = 1)
print([(r.ok, r.error, r.value.status_code) for r in results] == [(True, None, 200)] * 5, results[2].value.json())
print(http.request("DELETE", u + "gone").ok, http.try_request("SPY", u).error)
"#,
        upstream.port
    );
    assert_eq!(run(&source), "True {\"a\": 1}\nTrue http.spy: no method \"SPY\"\n");
    let asked = upstream.asked();
    let lines: Vec<&str> = asked.iter().filter_map(|asked| asked.line.strip_suffix(" HTTP/1.1")).collect();
    assert_eq!(lines, ["GET /", "GET /", "POST /", "GET /?x=1&q=a+b", "PUT /", "DELETE /gone"]);
    assert_eq!((asked[3].header("x-a"), asked[4].body.as_slice()), (Some("1"), &b"\0"[..]));
}

fn audited(folder: &Path, flags: &[&str], source: &str) -> Ended {
    let log = folder.join("audit.jsonl");
    let flags: Vec<&str> = ["--audit", log.to_str().unwrap()].iter().chain(flags).copied().collect();
    let work = folder.join("work");
    fs::create_dir_all(&work).unwrap();
    Starcell::run_in(&work, &flags, source)
}

/// The calls of a log about other servers, by their resource: decision and outcome.
fn records(folder: &Path) -> Vec<(String, String, String)> {
    let log = folder.join("audit.jsonl");
    let outcomes = lines(&log, "outcome");
    let outcome = |id: &Value| {
        let found = outcomes.iter().find(|line| line["id"] == *id);
        found.map_or_else(String::new, |line| line["outcome"].as_str().unwrap().to_owned())
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let calls = lines(&log, "call").into_iter().filter(|call| call["category"] == "http.client");
    let mut found: Vec<_> =
        calls.map(|call| (text(&call["resource"]), text(&call["decision"]), outcome(&call["id"]))).collect();
    found.sort();
    found
}

#[test]
fn each_request_is_judged_and_recorded_by_itself() {
    let upstream = Upstream::saying(200, "text/plain", "fine");
    let port = upstream.port;
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let source = format!(
        r#"
u = "http://127.0.0.1:{port}"
for r in http.batch([u + "/api/a", u + "/secret", {{"url": u + "/api/b", "method": "POST"}}, "http://127.0.0.1:{closed}/api/c",
                     "ftp://h/", u + "/api/d"]):
    print(r.ok, r.value.body if r.ok else r.error)
"#
    );
    let folder = folder();
    let rules = [
        format!("http.client[GET](http://127.0.0.1:{port}/api/**)"),
        format!("http.client(http://127.0.0.1:{closed})"),
    ];
    let ended = audited(&folder, &["--allow", &rules[0], "--allow", &rules[1]], &source);
    let printed: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(printed.len(), 6, "{}", ended.output);
    assert_eq!((printed[0], printed[5]), ("True fine", "True fine"));
    for (line, error) in [
        (1, "False permission denied: http.client(".to_owned()),
        (2, "False permission denied: http.client(".to_owned()),
        (3, format!("False http.get(\"http://127.0.0.1:{closed}/api/c\"): ")),
        (4, "False http.get: the URL does not start with http:// or https://".to_owned()),
    ] {
        assert!(printed[line].starts_with(&error), "{error}: {}", printed[line]);
    }
    assert_eq!(upstream.asked().len(), 2, "what is denied is not sent");
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let record = |url: String, decision: &str, outcome: &str| (url, decision.to_owned(), outcome.to_owned());
    let mut expected = vec![
        record("ftp://h/".to_owned(), "deny", ""),
        record(format!("http://127.0.0.1:{closed}/api/c"), "allow", "error"),
        record(url("/api/a"), "allow", "ok"),
        record(url("/api/b"), "deny", ""),
        record(url("/api/d"), "allow", "ok"),
        record(url("/secret"), "deny", ""),
    ];
    expected.sort();
    assert_eq!(records(&folder), expected);
    // Without a grant nothing is sent, and no error ends the script.
    let denied = audited(&self::folder(), &[], &source);
    assert_eq!((denied.code(), denied.stdout.matches("permission denied").count()), (0, 5), "{}", denied.output);
}

#[test]
fn requests_of_batches_count_like_single_ones() {
    let upstream = Upstream::saying(200, "text/plain", "fine");
    let source = format!(
        r#"
u = "http://127.0.0.1:{}/"
def handler(req):
    http.get(u)
    results = http.batch([u] * 60) + http.batch([u] * 60)
    failed = [r for r in results if not r.ok]
    return {{"failed": len(failed), "error": failed[0].error, "last": results[98].ok, "next": results[99].ok,
             "single": http.try_get(u).error}}
http.serve(handler)
"#,
        upstream.port
    );
    let starcell = Starcell::serve(&["--no-access-log"], &script(&source));
    // The count is that of one request.
    for _ in 0..2 {
        let answer = Client::connect(starcell.port()).get("/");
        let said: Value = serde_json::from_str(answer.text()).unwrap();
        let over = "more than 100 HTTP requests for one request to the script";
        let expected = serde_json::json!({"failed": 21, "error": over, "last": true, "next": false, "single": over});
        assert_eq!(said, expected);
    }
    assert_eq!(upstream.asked().len(), 200);
}

#[test]
fn all_answers_of_a_batch_share_one_bound() {
    let body = vec![b'x'; 6 << 20];
    let upstream = Upstream::start(move |asked| match asked.target() {
        "/small" => ok(b"small"),
        _ => ok(&body),
    });
    let source = format!(
        r#"
u = "http://127.0.0.1:{}/"
for r in http.batch([u, u, u, u + "small"], workers = 1):
    print(len(r.value.body) if r.ok else r.error)
print(len(http.get(u).body))
"#,
        upstream.port
    );
    let printed = run(&source);
    let printed: Vec<&str> = printed.lines().collect();
    assert_eq!((printed[0], printed[1], printed[3], printed[4]), ("6291456", "6291456", "5", "6291456"), "{printed:?}");
    assert!(printed[2].ends_with("the responses of the batch are together larger than 16 MiB"), "{printed:?}");
}

#[test]
fn all_bodies_of_a_batch_share_one_bound() {
    let upstream = Upstream::start(|asked| ok(asked.body.len().to_string().as_bytes()));
    let source = format!(
        r#"
large = {{"url": "http://127.0.0.1:{}/", "method": "POST", "body": "x" * (6 << 20)}}
for r in http.batch([large, large, large], workers = 2):
    print(r.value.body if r.ok else r.error)
"#,
        upstream.port
    );
    let expected = "6291456\n6291456\nthe bodies of the batch are together larger than 16 MiB\n";
    assert_eq!(run(&source), expected);
    assert_eq!(upstream.asked().len(), 2);
}

/// A server that never answers `/hangs`.
fn hanging() -> Upstream {
    Upstream::start(|asked| {
        if asked.target().starts_with("/hangs") {
            std::thread::sleep(Duration::from_secs(600));
        }
        ok(b"fine")
    })
}

#[test]
fn each_request_has_its_own_time() {
    let source = format!(
        r#"
u = "http://127.0.0.1:{}/"
late = {{"url": u + "hangs", "timeout": "300ms"}}
for r in http.batch([late, u, late, u], workers = 4):
    print(r.value.body if r.ok else r.error)
"#,
        hanging().port
    );
    let late = "http.get: no response within 0.3 s";
    assert_eq!(run(&source), format!("{late}\nfine\n{late}\nfine\n"));
}

/// The time of the request to the script ends the batch, and what was under way is recorded as cancelled.
#[test]
fn a_batch_ends_with_its_request() {
    let upstream = hanging();
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let source = format!(
        "urls = [\"http://127.0.0.1:{}/\" + path for path in [\"hangs/0\", \"fine\", \"hangs/2\", \"hangs/3\"]]\n\
         def handler(req):\n    return [r.ok for r in http.batch(urls, workers = 3)]\nhttp.serve(handler)\n",
        upstream.port
    );
    let flags = ["--request-time", "1s", "--audit", log.to_str().unwrap()];
    let starcell = Starcell::serve(&flags, &script(&source));
    assert_eq!(Client::connect(starcell.port()).get("/").status, 500);
    let ended = starcell.stop();
    assert!(ended.stderr.contains("time limit of 1 s reached"), "{}", ended.stderr);
    let mut outcomes: Vec<String> = records(&folder).into_iter().map(|(.., outcome)| outcome).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["cancelled", "cancelled", "cancelled", "ok"], "three had a place, and one made room");
}

#[test]
fn a_redirect_in_a_batch_is_judged_anew() {
    let upstream = Upstream::start(|asked| match asked.target() {
        "/near" => (response(302, &[("Location", "/end")], &vec![b'x'; 5 << 20]), false),
        "/metadata" => (response(302, &[("Location", "http://169.254.169.254/")], b""), false),
        _ => ok(b"end"),
    });
    let source = format!(
        r#"
u = "http://127.0.0.1:{}"
for r in http.batch([u + "/near"] * 5 + [u + "/metadata", {{"url": u + "/near", "redirects": 0}}], workers = 2):
    print(r.value.status_code if r.ok else r.error.split("(")[0])
"#,
        upstream.port
    );
    // Bodies of redirects that were followed do not count, once they are dropped.
    assert_eq!(run(&source), "200\n200\n200\n200\n200\npermission denied: http.client\n302\n");
}
