//! TLS as clients of others see it, and the certificate's whole life.

use std::fs;
use std::time::Duration;

use starcell_tests::client::Client;
use starcell_tests::good::Good;
use starcell_tests::process::{SLACK, Starcell, eventually, script};
use starcell_tests::tls::{self, Identity};
use starcell_tests::tools::{curl, run};

const SCRIPT: &str = r#"
def hello(req):
    return {"proto": req.proto, "tls": req.tls, "name": req.query.get("name", "World"), "host": req.host}
srv = http.server(OPTIONS)
srv.handle("GET /hello", hello)
srv.handle("POST /echo", lambda req: req.body)
srv.handle("GET /page", lambda req: {"headers": {"Content-Type": "text/html"}, "body": "<p id=p>a page</p>"})
srv.serve()
"#;

/// What it says to a client that asks for localhost over HTTP/1.1.
const HELLO: &str = r#"{"proto":"HTTP/1.1","tls":true,"name":"World","host":"localhost"}"#;

fn source(options: &str) -> std::path::PathBuf {
    script(&SCRIPT.replace("OPTIONS", options))
}

fn serve(identity: &Identity) -> Starcell {
    Starcell::serve(&["--no-access-log"], &source(&identity.options()))
}

#[test]
fn curl_is_answered() {
    let identity = Identity::make();
    let starcell = serve(&identity);
    let cert = identity.cert.to_str().unwrap();
    let url = format!("https://127.0.0.1:{}", starcell.port());
    for (flags, proto) in [
        (&["--http1.1"][..], "HTTP/1.1"),
        (&["--http2"], "HTTP/2.0"),
        (&["--http2", "--tls-max", "1.2"], "HTTP/2.0"),
        (&["--http1.1", "--tls-max", "1.2"], "HTTP/1.1"),
        (&["--http2", "--tlsv1.3"], "HTTP/2.0"),
        // Without a protocol to choose from.
        (&["--no-alpn"], "HTTP/1.1"),
    ] {
        let hello = format!("{url}/hello?name=J%C3%BCrgen");
        let answer = curl(&[&["--cacert", cert, &hello], flags].concat()).well();
        let expected =
            format!(r#"{{"proto":"{proto}","tls":true,"name":"Jürgen","host":"127.0.0.1:{}"}}"#, starcell.port());
        assert_eq!(answer.replace(", ", ",").replace(": ", ":"), expected, "{flags:?}");
        // A body both ways, larger than any window or buffer.
        let body = "0123456789abcdef".repeat(20_000);
        let file = identity.cert.with_file_name("body");
        fs::write(&file, &body).unwrap();
        let (data, echo) = (format!("@{}", file.display()), format!("{url}/echo"));
        let answer = curl(&[&["--cacert", cert, "--data-binary", &data, &echo], flags].concat()).well();
        assert!(answer == body, "{flags:?}: {} bytes", answer.len());
    }
    for flags in [&["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"][..], &["--tls-max", "1.0"]] {
        assert!(!curl(&[&["--cacert", cert, &url], flags].concat()).success, "{flags:?}");
    }
}

#[test]
fn openssl_is_answered() {
    let identity = Identity::make();
    let starcell = serve(&identity);
    let client = |flags: &str, input: &str| {
        let wait = if input.is_empty() { "" } else { "-ign_eof" };
        let line = format!(
            "printf '{input}' | openssl s_client -connect 127.0.0.1:{} -servername localhost -CAfile {} \
             -verify_return_error {wait} {flags}",
            starcell.port(),
            identity.cert.display()
        );
        run("sh", "openssl", ["-c", &line])
    };
    let get = "GET /hello HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n";
    for (flags, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = client(&format!("{flags} -alpn http/1.1"), get).well();
        for text in ["HTTP/1.1 200 OK", version, "ALPN protocol: http/1.1", "Verify return code: 0 (ok)", "\"tls\""] {
            assert!(said.contains(text), "{flags}: {text} in {said}");
        }
    }
    let said = client("-alpn h2,http/1.1", "").stdout;
    assert!(said.contains("ALPN protocol: h2"), "{said}");
    assert!(!client("-tls1_1 -cipher DEFAULT@SECLEVEL=0", get).stdout.contains("200 OK"));
    // A protocol that the server does not speak is refused rather than guessed.
    assert!(!client("-alpn spdy/3", get).stdout.contains("200 OK"));
}

#[test]
fn h2load_is_answered() {
    let identity = Identity::make();
    let starcell = serve(&identity);
    let url = format!("https://127.0.0.1:{}/hello", starcell.port());
    for flags in [&["-n", "600", "-c", "6", "-m", "20"][..], &["-n", "300", "-c", "6", "--h1"]] {
        let said = run("h2load", "nghttp2-client", flags.iter().copied().chain([url.as_str()])).well();
        let count = flags[1];
        let all =
            format!("{count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(said.contains(&all) && said.contains(&format!("{count} 2xx")), "{flags:?}: {said}");
    }
}

const PYTHON: &str = r#"
import httpx, ssl, sys, urllib.request
url, cert = sys.argv[1:]
trust = ssl.create_default_context(cafile=cert)
for http2, version in (False, "HTTP/1.1"), (True, "HTTP/2"):
    with httpx.Client(http1=not http2, http2=http2, verify=trust, trust_env=False) as client:
        for n in range(20):
            r = client.get(url + "/hello", params={"name": "a b%d" % n})
            assert (r.status_code, r.http_version, r.json()["name"]) == (200, version, "a b%d" % n), r.text
        body = bytes(range(256)) * 2000
        assert client.post(url + "/echo", content=body).content == body
        def parts():
            for n in range(100):
                yield b"part %d " % n
        assert client.post(url + "/echo", content=parts()).text == "".join("part %d " % n for n in range(100))
        assert client.get(url + "/none").status_code == 404
        assert client.head(url + "/hello").content == b""
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=cert)))
assert b'"tls"' in opener.open(url + "/hello").read()
print("fine")
"#;

#[test]
fn python_is_answered() {
    let identity = Identity::make();
    let starcell = serve(&identity);
    let url = format!("https://127.0.0.1:{}", starcell.port());
    // The system's own Python: that is the one which Debian's packages are for.
    let arguments = ["-c", PYTHON, &url, identity.cert.to_str().unwrap()];
    let said = run("/usr/bin/python3", "python3-httpx python3-h2", arguments);
    assert!(!said.stderr.contains("ModuleNotFoundError"), "httpx is missing: .ci/install python3-httpx python3-h2");
    assert_eq!(said.well(), "fine\n");
}

#[test]
fn chromium_is_answered() {
    let identity = Identity::make();
    let starcell = serve(&identity);
    let url = format!("https://127.0.0.1:{}/page", starcell.port());
    let profile = format!("--user-data-dir={}", identity.cert.with_file_name("profile").display());
    let arguments =
        ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--ignore-certificate-errors", &profile];
    let arguments = arguments.into_iter().chain(["--dump-dom", &url]);
    let said = run("chromium-headless-shell", "chromium-headless-shell", arguments);
    assert!(said.stdout.contains("<p id=\"p\">a page</p>"), "{said:?}");
}

/// A connection goes on with the certificate it began with; the next one gets the new.
#[test]
fn a_certificate_is_replaced_under_way() {
    let (identity, second) = (Identity::make(), Identity::make());
    let first = identity.clone();
    let mut old = first.der();
    let starcell = serve(&identity);
    let port = starcell.port();
    let kept = Identity::make();
    kept.become_like(&first);
    let client = tls::connect(port, &[&kept], &["http/1.1"]).unwrap();
    let good = Good::keep_asking(client, "/hello", HELLO);
    for next in [&second, &kept, &second] {
        identity.become_like(next);
        eventually(Duration::from_secs(10), "the new certificate is shown", || {
            let client = tls::connect(port, &[&kept, &second], &["http/1.1"]).unwrap();
            let shown = client.stream.conn.peer_certificates().unwrap()[0].clone();
            assert!(shown == old || shown == next.der(), "one or the other, and never nothing");
            shown == next.der()
        });
        old = next.der();
    }
    let answers = good.finish().len();
    assert!(answers > 20, "{answers} answers");
    // The file is broken: what was served before is served on, and why is said.
    tls::replace(&identity.cert, b"-----BEGIN CERTIFICATE-----\nbroken\n");
    let mut starcell = starcell;
    let line = starcell.wait_for("cert.pem");
    assert!(line.contains(" error ") || line.contains(" warn "), "{line}");
    let mut client = tls::connect(port, &[&second], &["http/1.1"]).unwrap();
    assert_eq!(client.get("/hello").text(), HELLO);
    // And mended again.
    identity.become_like(&kept);
    eventually(Duration::from_secs(10), "the mended certificate is shown", || {
        tls::connect(port, &[&kept], &["http/1.1"]).is_ok()
    });
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_certificate_that_cannot_be_served_is_an_error() {
    let (identity, other) = (Identity::make(), Identity::make());
    let (cert, key) = (identity.cert.to_str().unwrap(), identity.key.to_str().unwrap());
    let broken = identity.cert.with_file_name("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n").unwrap();
    let (broken, other) = (broken.to_str().unwrap(), other.key.to_str().unwrap());
    for (options, said) in [
        (format!("tls_cert={cert:?}"), "tls_key"),
        (format!("tls_key={key:?}"), "tls_cert"),
        (format!("tls_cert={cert:?}, tls_key={other:?}"), other),
        (format!("tls_cert={cert:?}, tls_key={cert:?}"), cert),
        (format!("tls_cert={key:?}, tls_key={key:?}"), key),
        (format!("tls_cert={broken:?}, tls_key={key:?}"), broken),
        (format!("tls_cert=\"/none/cert.pem\", tls_key={key:?}"), "/none/cert.pem"),
        (format!("tls_cert={cert:?}, tls_key=\"/none/key.pem\""), "/none/key.pem"),
        (format!("tls_cert=5, tls_key={key:?}"), "tls_cert"),
        (format!("tls_cert=\"\", tls_key={key:?}"), "tls_cert"),
    ] {
        let ended = Starcell::run(&["--allow-local", "--allow", "fs.read(/**)", "--port", "0"], &source(&options));
        assert_eq!(ended.code(), 1, "{options}: {}", ended.output);
        assert!(ended.stderr.contains(said), "{options}: {said} in {}", ended.stderr);
        assert!(!ended.output.contains("serving "), "{options}: {}", ended.output);
    }
}

/// The files are read under the script's own permissions.
#[test]
fn a_key_is_read_only_with_permission() {
    let identity = Identity::make();
    let path = source(&identity.options());
    let rule = format!("fs.read({})", identity.key.display());
    let ended = Starcell::run(&["--allow-local", "--allow", "fs.read(/**)", "--deny", &rule, "--port", "0"], &path);
    assert_eq!(ended.code(), 5, "{}", ended.output);
    assert!(
        ended.stderr.contains("permission denied: fs.read(") && ended.stderr.contains("key.pem"),
        "{}",
        ended.stderr
    );
}

/// A client that does not speak TLS, or speaks to a server that does not, is shaken off and nobody else notices.
#[test]
fn plain_and_tls_do_not_mix() {
    let identity = Identity::make();
    let (secure, plain) = (serve(&identity), Starcell::serve(&["--no-access-log"], &source("")));
    let mut client = Client::connect(secure.port());
    client.patience(Duration::from_secs(5) + SLACK);
    client.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let rest = client.rest().unwrap_or_default();
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
    assert!(tls::connect(plain.port(), &[&identity], &["http/1.1"]).is_err());
    assert!(tls::connect(secure.port(), &[&identity], &["http/1.1"]).is_ok());
    assert_eq!(Client::connect(plain.port()).get("/hello").status, 200);
}
