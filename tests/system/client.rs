//! Requests to other servers: what they carry, and every way to an address that was not granted, refused.

use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use starcell_policy::HostName;
use starcell_runtime::Client;
use starcell_runtime::client::resolve::Resolve;
use starcell_runtime::host::BoxFuture;
use starcell_tests::client::Client as TestClient;
use starcell_tests::edge::{Deployed, interpreter, request};
use starcell_tests::process::{Starcell, binary, folder, script};
use starcell_tests::tls::Identity;
use starcell_tests::upstream::{Upstream, response};

/// What a script prints that may ask servers of this machine.
fn run(source: &str) -> String {
    let ended = Starcell::run_in(&folder(), &["--allow-local"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout
}

#[test]
fn each_function_does_what_it_says() {
    let upstream = Upstream::start(|asked| {
        let body = format!("{{\"n\": 1, \"got\": {}}}", asked.body.len());
        (response(201, &[("Content-Type", "application/json"), ("X-Two", "a"), ("X-Two", "b")], body.as_bytes()), false)
    });
    let port = upstream.port;
    let source = format!(
        r#"
u = "http://127.0.0.1:{port}"
r = http.get(u + "/a/../b?q=1#f", headers={{"X-A": "1"}})
print(r.status_code, r.status, r.ok, r.url, r.headers["x-two"], r.headers.get_all("X-Two"))
print(type(r.body), r.json()["n"], r.get_text() == r.body, r.get_bytes() == bytes(r.body), type(r))
http.post(u, "text")
http.post(u, b"\x00\xff")
http.put(u, {{"a": [1, None]}})
http.patch(u, [1], headers={{"content-type": "application/x-mine"}})
http.delete(http.url(u + "/d"))
http.head(u) if False else http.options(u)
http.config(timeout="7s", headers={{"X-App": "cell", "User-Agent": "mine"}})
print(http.url(u).get(headers={{"x-app": "other"}}, timeout="1m").ok, http.url(u).try_post(body="x").ok, str(http.url(u)))
"#
    );
    let expected = format!(
        "201 201 Created True http://127.0.0.1:{port}/b?q=1 a, b [\"a\", \"b\"]\n\
         string 1 True True http.client_response\nTrue True http://127.0.0.1:{port}\n"
    );
    assert_eq!(run(&source), expected);
    let asked = upstream.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /b?q=1 HTTP/1.1",
            "POST / HTTP/1.1",
            "POST / HTTP/1.1",
            "PUT / HTTP/1.1",
            "PATCH / HTTP/1.1",
            "DELETE /d HTTP/1.1",
            "OPTIONS / HTTP/1.1",
            "GET / HTTP/1.1",
            "POST / HTTP/1.1"
        ]
    );
    let sent: Vec<(Option<&str>, &[u8])> =
        asked[1..5].iter().map(|asked| (asked.header("content-type"), asked.body.as_slice())).collect();
    assert_eq!(
        sent,
        [
            (Some("text/plain; charset=utf-8"), &b"text"[..]),
            (Some("application/octet-stream"), b"\x00\xff"),
            (Some("application/json"), b"{\"a\":[1,null]}"),
            (Some("application/x-mine"), b"[1]"),
        ]
    );
    assert_eq!(asked[0].header("host"), Some(format!("127.0.0.1:{port}").as_str()));
    assert_eq!((asked[0].header("x-a"), asked[0].header("user-agent")), (Some("1"), Some("starcell/0.1.0")));
    assert_eq!((asked[7].header("x-app"), asked[7].header("user-agent")), (Some("other"), Some("mine")));
    assert_eq!(asked[8].header("x-app"), Some("cell"));
    // One connection served them all.
    assert!(asked.iter().all(|asked| asked.connection == 0), "{asked:?}");
}

#[test]
fn handlers_have_the_scripts_defaults_and_connections() {
    let upstream = Upstream::saying(200, "text/plain", "hello");
    let source = format!(
        "http.config(headers={{\"X-App\": \"cell\"}})\n\
         http.serve({{\"GET /\": lambda req: http.get(\"http://127.0.0.1:{}/\").body}})\n",
        upstream.port
    );
    let starcell = Starcell::serve(&[], &script(&source));
    let mut client = TestClient::connect(starcell.port());
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "hello");
    }
    let asked = upstream.asked();
    assert!(asked.iter().all(|asked| asked.header("x-app") == Some("cell") && asked.connection == 0), "{asked:?}");
}

#[test]
fn wrong_arguments_name_the_argument() {
    let table = [
        ("http.get()", "http.get: missing argument url"),
        ("http.get(1)", "http.get: url must be a str or what http.url() returns, got 1 (int)"),
        ("http.get(\"ftp://h/\")", "http.get: the URL does not start with http:// or https://"),
        ("http.get(\"http://u:p@h/\")", "http.get: the URL holds credentials; send them in a header"),
        (
            "http.get(\"http://h/\", body=\"x\")",
            "http.get: unknown argument body, accepted: url, headers, timeout, redirects",
        ),
        ("http.post(\"http://h/\", 1.5)", "http.post: body must be str, bytes, a dict or a list, got 1.5 (float)"),
        ("http.post(\"http://h/\", {\"a\": len})", "http.post: body: $.a: JSON has no value of type function"),
        ("http.get(\"http://h/\", timeout=5)", "http.get: timeout must be a duration such as"),
        ("http.get(\"http://h/\", headers={\"A\": 1})", "http.get: headers must be a dict of str and str"),
        (
            "http.get(\"http://h/\", headers={\"A\": \"x\\r\\nB: y\"})",
            "http.get: the header \"A\" holds a character that headers cannot",
        ),
        ("http.get(\"http://h/\", headers={\"Host\": \"x\"})", "http.get: the header Host is the host's to set"),
        (
            "http.get(\"http://h/\", headers={\"Transfer-Encoding\": \"chunked\"})",
            "http.get: the header Transfer-Encoding is the host's to set",
        ),
        (
            "http.get(\"http://h/\", headers={\"Content-Length\": \"5\"})",
            "http.get: the header Content-Length is the host's to set",
        ),
        ("http.url(5)", "http.url: url must be a non-empty string, got 5 (int)"),
        ("http.config(retries=1)", "http.config: unknown argument retries, accepted: headers, timeout"),
    ];
    let source: String =
        table.iter().map(|(call, _)| format!("print({}.error)\n", call.replacen("http.", "http.try_", 1))).collect();
    let out = run(&source);
    assert_eq!(out.lines().count(), table.len());
    for (line, (call, error)) in out.lines().zip(table) {
        assert!(line.starts_with(error), "{call}: {line}");
    }
}

#[test]
fn rules_are_about_methods_hosts_ports_and_paths() {
    let upstream = Upstream::saying(200, "text/plain", "ok");
    let port = upstream.port;
    let rule = format!("http.client[GET](http://127.0.0.1:{port}/api/**)");
    let source = format!(
        "u = \"http://127.0.0.1:{port}\"\nprint(http.get(u + \"/api/x\").body)\n\
         for r in [http.try_post(u + \"/api/x\"), http.try_get(u + \"/other\"), http.try_get(u + \"/api/../other\"),\n          \
         http.try_get(u + \"/api/%2e%2e/other\"), http.try_get(\"http://127.0.0.1:1/api/x\"),\n          \
         http.try_get(\"https://127.0.0.1:{port}/api/x\"), http.try_get(\"http://localhost:{port}/api/x\")]:\n    print(r.error)\n"
    );
    let ended = Starcell::run_in(&folder(), &["--allow", &rule], &source);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0]), (8, "ok"), "{}", ended.output);
    for line in &lines[1..] {
        assert!(line.starts_with("permission denied: http.client("), "{line}");
    }
    assert_eq!(upstream.asked().len(), 1);
}

/// A redirect is a request like any other: judged anew, at each hop, and it takes no secret to another server.
#[test]
fn redirects_are_judged_anew() {
    let other = Upstream::saying(200, "text/plain", "other");
    let other_port = other.port;
    let upstream = Upstream::start(move |asked| {
        let location = match asked.target() {
            "/near" => "/end".to_owned(),
            "/far" => format!("http://127.0.0.1:{other_port}/far"),
            "/metadata" => "http://169.254.169.254/latest/meta-data".to_owned(),
            "/mapped" => "http://[::ffff:10.0.0.1]/".to_owned(),
            "/file" => "file:///etc/passwd".to_owned(),
            "/loop" => "/loop".to_owned(),
            _ => return (response(200, &[], asked.target().as_bytes()), false),
        };
        (response(if asked.target() == "/near" { 307 } else { 302 }, &[("Location", &location)], b""), false)
    });
    let port = upstream.port;
    let source = format!(
        "u = \"http://127.0.0.1:{port}\"\nh = {{\"Authorization\": \"s\", \"Cookie\": \"s\", \"X\": \"1\"}}\n\
         r = http.post(u + \"/near\", \"body\", headers=h)\nprint(r.body, r.url)\n\
         r = http.post(u + \"/far\", \"body\", headers=h)\nprint(r.body, r.url)\n\
         print(http.get(u + \"/far\", redirects=0).status_code)\n\
         for path in [\"/metadata\", \"/mapped\", \"/file\", \"/loop\"]:\n    print(http.try_get(u + path).error)\n\
         print(http.try_get(u + \"/loop\", redirects=2).error)\n"
    );
    let out = run(&source);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], format!("/end http://127.0.0.1:{port}/end"));
    assert_eq!(lines[1], format!("other http://127.0.0.1:{other_port}/far"));
    assert_eq!(lines[2], "302");
    assert!(
        lines[3].starts_with("permission denied: http.client(\"http://169.254.169.254/latest/meta-data\")"),
        "{out}"
    );
    assert!(lines[4].starts_with("permission denied: http.client(\"http://10.0.0.1/\")"), "{out}");
    assert_eq!(lines[5], "http.get: the redirect: the URL does not start with http:// or https://");
    assert_eq!((lines[6], lines[7]), ("http.get: more than 10 redirects", "http.get: more than 2 redirects"));
    let near = upstream.asked()[1].clone();
    assert_eq!(
        (near.line.as_str(), near.body.as_slice(), near.header("cookie")),
        ("POST /end HTTP/1.1", &b"body"[..], Some("s"))
    );
    let far = other.asked()[0].clone();
    assert_eq!((far.line.as_str(), far.body.len(), far.header("x")), ("GET /far HTTP/1.1", 0, None));
    assert_eq!((far.header("authorization"), far.header("cookie"), far.header("content-type")), (None, None, None));
}

/// A name server that gives another answer each time, counting how often it was asked.
#[derive(Debug)]
struct Flipping {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Resolve for Flipping {
    fn resolve<'a>(&'a self, _name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers[asked % self.answers.len()].clone();
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// The name is resolved once for each request, every address is judged, and a judged one is dialled: an answer that
/// changes between the check and the use finds no moment in between.
#[test]
fn a_rebinding_name_never_leads_elsewhere() {
    let upstream = Upstream::saying(200, "text/plain", "granted");
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
    let resolver = Arc::new(Flipping {
        answers: vec![
            addresses(&["127.0.0.1"]),
            addresses(&["169.254.169.254"]),
            addresses(&["10.0.0.1", "::ffff:169.254.169.254", "127.0.0.1"]),
            addresses(&["::ffff:10.0.0.1"]),
            addresses(&[]),
        ],
        asked: AtomicUsize::new(0),
    });
    let source = format!(
        "def ask(req):\n    r = http.try_get(\"http://rebind.example:{}/\")\n    \
         return r.value.body if r.ok else r.error\nhttp.serve(ask)\n",
        upstream.port
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(Arc::clone(&resolver) as Arc<dyn Resolve>);
        let app = Deployed::start_with(&interpreter(), &source, |config| config.state.client = client).await.unwrap();
        for round in 0..10 {
            let mut answers = Vec::new();
            for _ in 0..5 {
                let response = app.serving.answer(0, request("/")).await.result.unwrap();
                answers.push(String::from_utf8(response.body).unwrap());
            }
            assert_eq!((answers[0].as_str(), answers[2].as_str()), ("granted", "granted"), "round {round}");
            for (answer, class) in [(&answers[1], "metadata"), (&answers[3], "private")] {
                let denial = format!(
                    "permission denied: http.client(\"http://rebind.example:{}/\"): it resolves to a {class} address",
                    upstream.port
                );
                assert!(answer.starts_with(&denial), "{answer}");
                assert!(
                    !answer.contains("169.254") && !answer.contains("10.0.0.1"),
                    "the script is not told: {answer}"
                );
            }
            assert!(answers[4].ends_with("the name has no address"), "{}", answers[4]);
        }
        app.stop().await.unwrap();
    });
    assert_eq!(resolver.asked.load(Ordering::Relaxed), 50);
    assert_eq!(upstream.asked().len(), 20);
}

#[test]
fn certificates_are_verified() {
    let (trusted, other) = (Identity::make(), Identity::make());
    let serve = |identity: &Identity, host: &str| {
        let options = identity.options();
        let source = format!(
            "srv = http.server(host={host:?}, {options})\nsrv.handle(\"/\", lambda req: \"secret\")\nsrv.serve()\n"
        );
        Starcell::serve(&[], &script(&source))
    };
    let (good, bad) = (serve(&trusted, "127.0.0.1"), serve(&other, "127.0.0.1"));
    // Its certificate is trusted, and names another host.
    let misnamed = serve(&trusted, "127.0.0.2");
    let ask = |url: String| {
        let mut command = Command::new(binary());
        command.args(["run", "--allow-local"]).env("SSL_CERT_FILE", &trusted.cert).env_remove("SSL_CERT_DIR");
        command.arg(script(&format!("r = http.try_get(\"{url}\")\nprint(r.value.body if r.ok else r.error)\n")));
        Starcell::spawn_command(command).wait().stdout
    };
    assert_eq!(ask(format!("https://localhost:{}/", good.port())), "secret\n");
    assert_eq!(ask(format!("https://127.0.0.1:{}/", good.port())), "secret\n");
    for url in [format!("https://localhost:{}/", bad.port()), format!("https://127.0.0.2:{}/", misnamed.port())] {
        let answer = ask(url.clone());
        assert!(answer.starts_with(&format!("http.get(\"{url}\"): TLS: ")), "{url}: {answer}");
    }
    let clear = ask(format!("https://127.0.0.1:{}/", Upstream::saying(200, "text/plain", "clear").port));
    assert!(clear.contains("TLS: "), "{clear}");
}

#[test]
fn what_a_server_does_wrong_is_an_error() {
    let upstream = Upstream::start(|asked| match asked.target() {
        "/garbage" => (b"garbage\r\n\r\n".to_vec(), true),
        "/cut" => (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec(), true),
        "/huge" => {
            ([&b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"[..], &vec![b'x'; 17 << 20]].concat(), true)
        }
        "/latin1" => (response(200, &[], b"caf\xe9"), false),
        "/slow" => {
            std::thread::sleep(Duration::from_secs(5));
            (Vec::new(), true)
        }
        // Says nothing of it, and closes.
        "/close" => (response(200, &[], b"closing"), true),
        _ => (Vec::new(), true),
    });
    let port = upstream.port;
    let source = format!(
        "u = \"http://127.0.0.1:{port}\"\nfor path in [\"/garbage\", \"/cut\", \"/huge\", \"/nothing\"]:\n    print(http.try_get(u + path).error)\n\
         print(http.try_get(u + \"/slow\", timeout=\"300ms\").error)\n\
         r = http.get(u + \"/latin1\")\nprint(type(r.body), r.try_get_text().error, r.try_json().error)\n\
         print([http.get(u + \"/close\").body for i in range(3)])\nprint(http.try_get(\"http://127.0.0.1:1/\").error)\n\
         print(http.try_get(\"http://nothing.invalid/\").error)\n"
    );
    let began = Instant::now();
    let out = run(&source);
    let lines: Vec<&str> = out.lines().collect();
    for (line, path) in lines.iter().zip(["/garbage", "/cut", "/huge", "/nothing"]) {
        assert!(line.starts_with(&format!("http.get(\"http://127.0.0.1:{port}{path}\"): ")), "{line}");
    }
    assert!(lines[2].ends_with("the response is larger than 16 MiB"), "{}", lines[2]);
    assert_eq!(lines[4], "http.get: no response within 0.3 s");
    assert_eq!(
        lines[5],
        "bytes response.get_text: the body is not UTF-8: wrong byte at offset 3 response.json: the body is not JSON: line 1, column 4: not UTF-8"
    );
    assert_eq!(lines[6], "[\"closing\", \"closing\", \"closing\"]");
    assert_eq!(lines[7], "http.get(\"http://127.0.0.1:1/\"): connection refused");
    assert_eq!(lines[8], "http.get(\"http://nothing.invalid/\"): cannot resolve nothing.invalid");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn no_proxy_of_the_environment_is_asked() {
    let (upstream, proxy) =
        (Upstream::saying(200, "text/plain", "direct"), Upstream::saying(200, "text/plain", "proxied"));
    let mut command = Command::new(binary());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, format!("http://127.0.0.1:{}", proxy.port));
    }
    command
        .args(["run", "--allow-local"])
        .arg(script(&format!("print(http.get(\"http://127.0.0.1:{}/\").body)\n", upstream.port)));
    assert_eq!(Starcell::spawn_command(command).wait().stdout, "direct\n");
    assert!(proxy.asked().is_empty());
}

#[test]
fn one_request_does_not_become_thousands() {
    let upstream = Upstream::saying(200, "text/plain", "ok");
    let source = format!(
        "def many(req):\n    for i in range(1000):\n        r = http.try_get(\"http://127.0.0.1:{}/\")\n        if not r.ok:\n            \
         return \"%d %s\" % (i, r.error)\nhttp.serve(many)\n",
        upstream.port
    );
    let starcell = Starcell::serve(&[], &script(&source));
    for _ in 0..2 {
        let answer = TestClient::connect(starcell.port()).get("/");
        assert_eq!(answer.text(), "100 more than 100 HTTP requests for one request to the script");
    }
    assert_eq!(upstream.asked().len(), 200);
}
