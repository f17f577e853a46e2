//! Servers: options, life cycle, refusals, and what handlers may do with them.

use super::common::{Deployed, failure, failure_on, prints_on, text};
use starcell_interp::testing::NativeHost;
use starcell_interp::{FailureKind, Misses, ServerOptions};

#[test]
fn options_merge_and_later_ones_win() {
    let app = Deployed::new(
        r#"
srv = http.server(1, host = "0.0.0.0", read_timeout = "1m30s", write_timeout = "250ms", idle_timeout = "1h",
    shutdown_timeout = "1.5s", max_header_bytes = 1, max_body_bytes = 10000000000, tls_cert = "c.pem", tls_key = "k.pem")
srv.handle("/", lambda req: None)
srv.serve(8443, host = "::1", write_timeout = "0s")
"#,
    );
    assert_eq!(
        app.host.starts(),
        [(
            0,
            ServerOptions {
                host: Some("::1".to_owned()),
                port: Some(8443),
                read_timeout: Some(90_000_000_000),
                write_timeout: None,
                idle_timeout: Some(3_600_000_000_000),
                shutdown_timeout: Some(1_500_000_000),
                max_header_bytes: Some(1),
                max_body_bytes: Some(10_000_000_000),
                tls_cert: Some("c.pem".to_owned()),
                tls_key: Some("k.pem".to_owned()),
                misses: Misses::None,
                written: app.host.starts()[0].1.written.clone(),
            }
        )]
    );
}

#[test]
fn wrong_options_are_errors_that_quote_them() {
    let duration = "a duration such as \"30s\", \"250ms\" or \"1m30s\" (units: ns, us, ms, s, m, h)";
    for (arguments, error) in [
        ("port = \"8080\"", "port must be an int from 0 to 65535, got \"8080\" (string)".to_owned()),
        ("65536", "port must be an int from 0 to 65535, got 65536 (int)".to_owned()),
        ("port = -1", "port must be an int from 0 to 65535, got -1 (int)".to_owned()),
        ("port = True", "port must be an int from 0 to 65535, got True (bool)".to_owned()),
        ("port = 80.0", "port must be an int from 0 to 65535, got 80.0 (float)".to_owned()),
        ("80, port = 80", "port given twice".to_owned()),
        ("host = 1", "host must be a str, got 1 (int)".to_owned()),
        ("read_timeout = 30", format!("read_timeout must be {duration}, got 30 (int)")),
        ("idle_timeout = \"30\"", format!("idle_timeout must be {duration}, got \"30\" (string)")),
        ("write_timeout = \"-1s\"", format!("write_timeout must be {duration}, got \"-1s\" (string)")),
        ("shutdown_timeout = \"\"", format!("shutdown_timeout must be {duration}, got \"\" (string)")),
        ("max_header_bytes = -5", "max_header_bytes must be an int that is not negative, got -5 (int)".to_owned()),
        ("max_body_bytes = \"1MB\"", "max_body_bytes must be an int that is not negative, got \"1MB\" (string)".to_owned()),
        ("tls_cert = \"c.pem\"", "tls_cert given without tls_key; TLS needs both".to_owned()),
        ("tls_key = \"k.pem\"", "tls_key given without tls_cert; TLS needs both".to_owned()),
        ("prot = 80", "unknown argument prot, accepted: port, host, tls_cert, tls_key, read_timeout, write_timeout, idle_timeout, shutdown_timeout, max_header_bytes, max_body_bytes".to_owned()),
        ("80, \"localhost\"", "unexpected positional argument \"localhost\" (string), accepted: port, host, tls_cert, tls_key, read_timeout, write_timeout, idle_timeout, shutdown_timeout, max_header_bytes, max_body_bytes".to_owned()),
    ] {
        let failed = failure(&format!("http.server({arguments})"));
        assert_eq!(failed.message, format!("http.server: {error}"));
        for function in ["start", "serve"] {
            let failed = failure(&format!("srv = http.server()\nsrv.handle(\"/\", lambda req: None)\nsrv.{function}({arguments})"));
            assert_eq!(failed.message, format!("server.{function}: {error}"));
        }
        let failed = failure(&format!("http.serve(lambda req: None, {arguments})"));
        assert_eq!(failed.message, format!("http.serve: {error}"));
    }
}

#[test]
fn handle_refuses_what_is_no_route() {
    for (arguments, error) in [
        ("\"/\", 5", "server.handle: handler must be callable, got 5 (int)"),
        ("\"/\"", "server.handle: missing argument handler"),
        ("5, len", "server.handle: pattern must be a str such as \"GET /users/{id}\", got 5 (int)"),
        ("\"/\", lambda: None", "server.handle: a handler takes one argument, the request; lambda() does not"),
        ("\"/\", lambda a, b: None", "server.handle: a handler takes one argument, the request; lambda(a, b) does not"),
        ("\"/\", len, method = \"GET\"", "server.handle: unknown argument method, accepted: pattern, handler"),
    ] {
        assert_eq!(failure(&format!("http.server().handle({arguments})")).message, error);
    }
    let names =
        Deployed::new("srv = http.server()\nsrv.handle(handler = lambda req: \"x\", pattern = \"/\")\nsrv.serve()");
    assert_eq!(text(&names.get("/").unwrap()), "x");
}

#[test]
fn the_hosts_word_on_a_pattern_is_the_error() {
    let mut host = NativeHost::new();
    host.add_route = Box::new(|_, pattern| match pattern {
        "nopath" => Err("pattern \"nopath\": no slash".to_owned()),
        _ => Ok(()),
    });
    let failed = failure_on(&host, "srv = http.server()\nsrv.handle(\"/\", len)\nsrv.handle(\"nopath\", len)\n");
    assert_eq!((failed.message.as_str(), failed.at.line), ("server.handle: pattern \"nopath\": no slash", 3));
    let source = "srv = http.server()\nr = srv.try_handle(\"nopath\", len)\nprint(r.ok, r.error)\n";
    assert_eq!(prints_on(&host, source), ["False server.handle: pattern \"nopath\": no slash"]);
    assert_eq!(failure_on(&host, "http.serve({\"nopath\": len})").message, "http.serve: pattern \"nopath\": no slash");
}

#[test]
fn the_life_of_a_server() {
    let mut host = NativeHost::new();
    host.wait = Ok(());
    let source = r#"
srv = http.server()
print(srv, type(srv), srv.try_port().error)
print(srv.try_start().error)
srv.handle("/", lambda req: None)
srv.start()
print(srv.port())
print(srv.try_start().error)
print(srv.try_handle("/x", len).error)
print(srv.try_use(len).error)
srv.shutdown()
srv.handle("/x", len)
print(srv.serve(port = 9000))
print(srv.port())
srv.start(port = 9001)
srv.shutdown()
srv.shutdown()
http.serve({"/y": len})
print("after")
"#;
    assert_eq!(
        prints_on(&host, source),
        [
            "<http.server 0> http.server server.port: the server has no port yet, call start() first",
            "server.start: no handlers registered, call handle() first",
            "8080",
            "server.start: server already running, call shutdown() first",
            "server.handle: cannot add handlers while the server is running; call shutdown() first",
            "server.use: cannot add middleware while the server is running; call shutdown() first",
            "None",
            "9000",
            "after",
        ]
    );
    let started: Vec<u32> = host.starts().iter().map(|(server, _)| *server).collect();
    assert_eq!(started, [0, 0, 0, 1]);
    assert_eq!(host.shutdowns(), [0, 0, 0]);
    let routes: Vec<(u32, String)> = host.routes();
    assert_eq!(routes, [(0, "/".to_owned()), (0, "/x".to_owned()), (1, "/y".to_owned())]);
}

#[test]
fn each_start_stores_the_handlers_of_its_server() {
    let source = r#"
a = http.server()
a.handle("/", lambda req: "a")
b = http.server()
b.handle("/", lambda req: "b")
a.start(port = 1)
b.serve(port = 2)
"#;
    assert_eq!(text(&Deployed::new(source).get("/").unwrap()), "b");
}

#[test]
fn serve_takes_a_dict_or_a_handler() {
    assert_eq!(
        failure("http.serve([1])").message,
        "http.serve: routes must be a dict of patterns and handlers, or one handler, got [1] (list)"
    );
    assert_eq!(failure("http.serve({})").message, "http.serve: no handlers registered, call handle() first");
    assert_eq!(failure("http.serve()").message, "http.serve: missing argument routes");
    let app = Deployed::new("http.serve(lambda req: req.path, 9000)");
    assert_eq!(app.host.routes(), [(0, "/".to_owned())]);
    assert_eq!(app.host.starts()[0].1.port, Some(9000));
    assert_eq!(text(&app.get("/x").unwrap()), "/x");
}

#[test]
fn handlers_may_ask_and_shut_down_but_not_set_up() {
    let handler = |call: &str| {
        Deployed::new(&format!(
            "srv = http.server()\ndef handler(req):\n    return [repr({call})]\nsrv.handle(\"/\", handler)\nsrv.serve(port = 9000)\n"
        ))
    };
    let app = handler("srv.port()");
    assert_eq!(text(&app.get("/").unwrap()), "[\"9000\"]");
    let app = handler("srv.shutdown()");
    app.get("/").unwrap();
    assert_eq!(app.host.shutdowns(), [0]);
    for call in ["handle(\"/x\", len)", "use(len)", "start()", "serve()"] {
        let name = call.split('(').next().unwrap();
        let failure = handler(&format!("srv.{call}")).get("/").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Script);
        assert_eq!(
            failure.message,
            format!(
                "server.{name}: a server is set up before it serves, not while handling a request; handlers can call shutdown() and port()"
            )
        );
    }
    let failure = handler("http.server()").get("/").unwrap_err();
    assert_eq!(failure.message, "http.server: servers are made during setup, not while handling a request");
}

#[test]
fn a_script_without_a_server_serves_nothing() {
    let (outcome, serving) = starcell_interp::run_native(&NativeHost::new(), "a.star", "x = 1\n");
    outcome.unwrap();
    assert!(serving.is_none());
}

#[test]
fn servers_have_no_other_attributes() {
    let message = failure("http.server().handel(\"/\", len)").message;
    assert_eq!(message, "Object of type `http.server` has no attribute `handel`, did you mean `handle`?");
    assert!(failure("http.server().port = 5").message.contains("not supported"));
    assert!(failure("http.sever()").message.contains("did you mean `server`"));
}

#[test]
fn garbage_collection_keeps_routes_and_middleware() {
    let app = Deployed::new(
        r#"
srv = http.server()
srv.use(lambda next: lambda req: "a" + next(req))
srv.handle("/", (lambda prefix: lambda req: prefix + req.path)("x" * 3))
for i in range(2000):
    junk = [str(i)] * 100
for i in range(2000):
    junk = [str(i)] * 100
srv.serve()
"#,
    );
    assert_eq!(text(&app.get("/p").unwrap()), "axxx/p");
}
