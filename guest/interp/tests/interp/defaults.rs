//! Values that mean the default of an option, everywhere an option can be given.

use starcell_interp::ServerOptions;
use starcell_interp::testing::NativeHost;

use super::common::{failure, prints_on};

/// The options that a call started a server with, without what the script wrote.
fn started(call: &str) -> ServerOptions {
    let mut host = NativeHost::new();
    host.wait = Ok(());
    let source = format!("srv = http.server()\nsrv.handle(\"/\", len)\n{call}\n");
    prints_on(&host, &source);
    let starts = host.starts();
    assert_eq!(starts.len(), 1, "{call}");
    ServerOptions { written: Vec::new(), ..starts[0].1.clone() }
}

/// Every way to give an option.
fn ways(option: &str) -> [String; 4] {
    [
        format!("s = http.server({option})\ns.handle(\"/\", len)\ns.serve()"),
        format!("srv.start({option})"),
        format!("srv.serve({option})"),
        format!("http.serve({{\"/\": len}}, {option})"),
    ]
}

const TIMES: [&str; 4] = ["read_timeout", "write_timeout", "idle_timeout", "shutdown_timeout"];

#[test]
fn what_means_the_default_is_the_default() {
    let zero =
        ["\"0s\"", "\"0ms\"", "\"0h\"", "\"0us\"", "\"0ns\"", "\"0m\"", "\"0h0m0s\"", "time.duration(\"0s\")", "None"];
    let times = TIMES.iter().flat_map(|name| zero.iter().map(move |value| format!("{name} = {value}")));
    let sizes = ["max_header_bytes", "max_body_bytes"].into_iter();
    let sizes = sizes.flat_map(|name| ["0", "None"].map(|value| format!("{name} = {value}")));
    let texts = ["host", "tls_cert", "tls_key"].into_iter();
    let texts = texts.flat_map(|name| ["\"\"", "None"].map(|value| format!("{name} = {value}")));
    let others = ["port = None", "None", "tls_cert = \"\", tls_key = None"].map(str::to_owned);
    for option in times.chain(sizes).chain(texts).chain(others) {
        for call in ways(&option) {
            assert_eq!(started(&call), ServerOptions::default(), "{call}");
        }
    }
}

#[test]
fn a_call_takes_an_option_of_its_server_back() {
    let source = |option: &str| {
        let options = "read_timeout = \"1s\", max_body_bytes = 5, host = \"::1\", tls_cert = \"c\", tls_key = \"k\"";
        format!("s = http.server(80, {options})\ns.handle(\"/\", len)\ns.serve({option})")
    };
    let all = started(&source(""));
    assert_eq!(started(&source("read_timeout = None, port = None, host = None, max_body_bytes = None")), all);
    assert_eq!(started(&source("read_timeout = \"0s\"")), ServerOptions { read_timeout: None, ..all.clone() });
    assert_eq!(started(&source("max_body_bytes = 0")), ServerOptions { max_body_bytes: None, ..all.clone() });
    assert_eq!(started(&source("host = \"\"")), ServerOptions { host: None, ..all.clone() });
    assert_eq!(started(&source("port = 0")), ServerOptions { port: Some(0), ..all.clone() });
    let plain = ServerOptions { tls_cert: None, tls_key: None, ..all };
    assert_eq!(started(&source("tls_cert = \"\", tls_key = \"\"")), plain);
}

#[test]
fn what_is_wrong_stays_wrong() {
    for (option, error) in [
        ("max_body_bytes = -1", "max_body_bytes must be an int that is not negative, got -1 (int)"),
        ("max_header_bytes = -1", "max_header_bytes must be an int that is not negative, got -1 (int)"),
        ("max_body_bytes = False", "max_body_bytes must be an int that is not negative, got False (bool)"),
        ("port = \"\"", "port must be an int from 0 to 65535, got \"\" (string)"),
        ("port = \"8080\"", "port must be an int from 0 to 65535, got \"8080\" (string)"),
        ("read_timeout = 0", "read_timeout must be a duration such as"),
        ("write_timeout = \"\"", "write_timeout must be a duration such as"),
        ("idle_timeout = \"-1s\"", "idle_timeout must be a duration such as"),
        ("tls_cert = \"c.pem\"", "tls_cert given without tls_key; TLS needs both"),
        ("tls_cert = \"c.pem\", tls_key = \"\"", "tls_cert given without tls_key; TLS needs both"),
        ("tls_cert = None, tls_key = \"k.pem\"", "tls_key given without tls_cert; TLS needs both"),
    ] {
        for call in ways(option) {
            let message = failure(&format!("srv = http.server()\nsrv.handle(\"/\", len)\n{call}\n")).message;
            let (_, said) = message.split_once(": ").unwrap_or_default();
            assert!(said.starts_with(error), "{call}: {message}");
        }
    }
}

#[test]
fn options_are_kept_as_they_were_written() {
    let mut host = NativeHost::new();
    host.wait = Ok(());
    let source = "s = http.server(write_timeout = \"1m30s\", max_body_bytes = 20 * 1024, host = None)\n\
                  s.handle(\"/\", len)\ns.serve(max_body_bytes = 1 << 10, read_timeout = None)\n";
    prints_on(&host, source);
    let written: Vec<_> = host.starts()[0].1.written.clone();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(written, [pair("write_timeout", "\"1m30s\""), pair("max_body_bytes", "1024")]);
    let host = NativeHost::new();
    prints_on(&host, &format!("http.serve({{\"/\": len}}, host = \"a\" * {})\n", 100_000));
    assert!(host.starts()[0].1.written[0].1.len() < 100, "a long value is shortened");
}

/// A timeout of nothing is no timeout of the script's own.
#[test]
fn a_client_waits_as_long_as_the_host_lets_it() {
    let host = NativeHost::new();
    let source = r#"
http.config(timeout = "5s")
http.get("http://a/", timeout = "0s")
http.url("http://a/").post("x", timeout = "0ms")
http.request("GET", "http://a/", timeout = "0h")
http.batch([{"url": "http://a/", "timeout": "0s"}])
http.get("http://a/", timeout = None)
http.config(timeout = "0s")
http.get("http://a/")
k8s.get("pod", "a", timeout = "0s")
"#;
    prints_on(&host, source);
    let timeouts: Vec<_> = host.client.requests().iter().map(|request| request.timeout).collect();
    assert_eq!(timeouts, [None, None, None, None, Some(5_000_000_000), None]);
    assert_eq!(host.cluster.calls()[0].0.timeout, None);
}
