//! What servers written for Starkite do, here as there: its ten examples and the servers of its documentation, by
//! scripts of our own (`tests/scripts/starkite`), each asked over real sockets.
//!
//! State that requests share is the exception: a request runs in a fork of the module, so it is in `kv`.

use starcell_tests::client::Client;
use starcell_tests::process::{Ended, Starcell, fixture};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const NONE: &str = "";

/// A request, and the response to it. `status` 405 and 404 are the router's.
struct Ask {
    /// Method, target, and header fields behind them, as in `GET /a Authorization:x`.
    line: &'static str,
    body: &'static str,
    status: u16,
    kind: &'static str,
    answer: &'static str,
}

const fn ask(line: &'static str, body: &'static str, status: u16, kind: &'static str, answer: &'static str) -> Ask {
    Ask { line, body, status, kind, answer }
}

const fn get(line: &'static str, kind: &'static str, answer: &'static str) -> Ask {
    ask(line, "", 200, kind, answer)
}

/// The scripts with one server, and what each is asked, in order.
#[rustfmt::skip]
const SERVERS: &[(&str, &[Ask])] = &[
    ("one_handler.star", &[
        get("GET /greet", TEXT, "Good morning!"),
        ask("HEAD /greet", "", 200, TEXT, ""),
        ask("POST /greet", "", 405, TEXT, "Method Not Allowed\n"),
    ]),
    ("json_routes.star", &[
        get("GET /api/crew", JSON, r#"{"crew":[{"id":1,"name":"Ada","rank":"captain"},{"id":2,"name":"Bo","rank":"cook"}],"count":2}"#),
        get("GET /api/health", TEXT, "healthy"),
    ]),
    ("layers.star", &[
        get("GET /open", TEXT, "open"),
        get("PUT /open", TEXT, "open"),
        ask("GET /vault", "", 401, TEXT, "who are you?"),
        get("GET /vault Authorization:x", TEXT, "gold"),
        get("GET /text", TEXT, "a text has no headers to change"),
        ask("GET /none", "", 404, TEXT, "404 page not found\n"),
    ]),
    ("path_values.star", &[
        get("GET /boats/42", JSON, r#"{"id":42,"name":"Argo"}"#),
        ask("GET /boats/1", "", 404, TEXT, "no such boat"),
        get("GET /boats/42/cabins/7%2F8", JSON, r#"{"boat":"42","cabin":"7/8"}"#),
        get("GET /charts/north/a%20b.png", JSON, r#"{"chart":"north/a b.png"}"#),
        get("GET /charts/", JSON, r#"{"chart":""}"#),
        get("GET /berths/3", JSON, r#"{"berth":"3","side":"port"}"#),
    ]),
    ("passed_along.star", &[
        get("GET /me/mail x-token:t1", JSON, r#"{"user":"ada","topic":"mail"}"#),
        get("GET /me/mail", JSON, r#"{"user":"nobody","topic":"mail"}"#),
    ]),
    ("query_values.star", &[
        get("GET /search", JSON, r#"{"q":"","limit":10,"found":["Aden","Bergen","Cork"]}"#),
        get("GET /search?q=e&limit=1", JSON, r#"{"q":"e","limit":1,"found":["Aden"]}"#),
        get("GET /tagged", JSON, r#"{"tags":[],"found":[]}"#),
        get("GET /tagged?tag=warm", JSON, r#"{"tags":["warm"],"found":["Aden"]}"#),
        get("GET /tagged?tag=warm&tag=cold", JSON, r#"{"tags":["warm","cold"],"found":["Aden","Bergen","Cork"]}"#),
        get("GET /transaction?action=write Authorization:me", "text/plain", "Action: write, Auth: me"),
        get("GET /transaction", "text/plain", "Action: read, Auth: none"),
    ]),
    ("bodies.star", &[
        ask("POST /echo", "hello é", 200, TEXT, "hello é"),
        ask("POST /echo", "", 200, TEXT, ""),
        ask("POST /api/items", "", 400, TEXT, "a body, please"),
        ask("POST /api/items", r#"{"name":"rope","price":9.99}"#, 201, JSON, r#"{"name":"rope","price":9.99,"id":1}"#),
        ask("POST /api/items", r#"{"name":"sail"}"#, 201, JSON, r#"{"name":"sail","id":2}"#),
        get("GET /api/items", JSON, r#"{"items":[{"name":"rope","price":9.99,"id":1},{"name":"sail","id":2}],"count":2}"#),
    ]),
    ("returned_values.star", &[
        get("GET /text", TEXT, "only a text"),
        ask("GET /nothing", "", 204, NONE, ""),
        ask("GET /explicit", "", 201, "text/html; charset=utf-8", "<h1>Made</h1>"),
        get("GET /json", JSON, r#"{"name":"Argo","masts":2,"crew":["Ada","Bo"]}"#),
    ]),
    ("tasks.star", &[
        get("GET /api/tasks", JSON, r#"{"tasks":[]}"#),
        ask("POST /api/tasks", "", 400, TEXT, "a body, please"),
        ask("POST /api/tasks", r#"{"title":"Row","done":false}"#, 201, JSON, r#"{"title":"Row","done":false,"id":1}"#),
        get("GET /api/tasks/1", JSON, r#"{"title":"Row","done":false,"id":1}"#),
        ask("PUT /api/tasks/1", r#"{"title":"Row","done":true}"#, 200, JSON, r#"{"title":"Row","done":true,"id":1}"#),
        get("GET /api/tasks", JSON, r#"{"tasks":[{"title":"Row","done":true,"id":1}]}"#),
        ask("DELETE /api/tasks/1", "", 204, NONE, ""),
        ask("DELETE /api/tasks/1", "", 404, TEXT, "no such task"),
        ask("PUT /api/tasks/9", "{}", 404, TEXT, "no such task"),
        ask("PATCH /api/tasks/9", "{}", 405, TEXT, "Method Not Allowed\n"),
    ]),
    ("hook.star", &[
        get("GET /health", TEXT, "ok"),
        ask("POST /hook", "", 400, TEXT, "nothing was sent"),
        ask("POST /hook", r#"{"event":"push","branch":"main"}"#, 200, JSON, r#"{"received":true,"event":"push"}"#),
        ask("POST /hook", "{}", 200, JSON, r#"{"received":true,"event":"unknown"}"#),
    ]),
    ("factory.star", &[
        ask("POST /sailors", r#"{"name":"Ada"}"#, 201, JSON, r#"{"created":"Ada"}"#),
        ask("GET /sailors", "", 405, TEXT, "Method Not Allowed\n"),
    ]),
    ("route_table.star", &[
        get("GET /", TEXT, "home of /"),
        get("GET /a/b", TEXT, "home of /a/b"),
        get("GET /healthz", TEXT, "ok"),
        ask("POST /healthz", "", 405, TEXT, "Method Not Allowed\n"),
    ]),
    ("main_serves.star", &[ask("POST /echo", "ping", 200, TEXT, "echo:ping")]),
];

/// Those that are asked in another way, below.
const OTHERS: [&str; 2] = ["main_function.star", "two_servers.star"];

fn serve(script: &str) -> Starcell {
    Starcell::serve(&["--allow", "kv.*", "--no-access-log"], &fixture(&format!("starkite/{script}")))
}

fn check(client: &mut Client, script: &str, ask: &Ask) {
    let mut parts = ask.line.split(' ');
    let (method, target) = (parts.next().unwrap(), parts.next().unwrap());
    let headers: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once(':')).collect();
    let response = client.request(method, target, &headers, ask.body.as_bytes());
    let said = (response.status, response.header("content-type").unwrap_or_default(), response.text());
    assert_eq!(said, (ask.status, ask.kind, ask.answer), "{script}: {}", ask.line);
}

#[test]
fn each_server_answers_as_it_would_there() {
    for (script, asks) in SERVERS {
        let server = serve(script);
        let mut client = Client::connect(server.port());
        for ask in *asks {
            check(&mut client, script, ask);
        }
        let ended = server.stop();
        assert_eq!(ended.code(), 0, "{script}: {}", ended.output);
    }
}

#[test]
fn each_script_is_asked() {
    let files = std::fs::read_dir(fixture("starkite")).unwrap();
    let mut files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let mut asked: Vec<&str> = SERVERS.iter().map(|(script, _)| *script).chain(OTHERS).collect();
    files.sort();
    asked.sort_unstable();
    assert_eq!(files, asked);
}

#[test]
fn headers_are_those_that_handlers_and_middleware_set() {
    for (script, target, name, value) in [
        ("json_routes.star", "/api/health", "x-health", Some("fine")),
        ("layers.star", "/vault", "access-control-allow-origin", Some("*")),
        ("layers.star", "/text", "access-control-allow-origin", None),
        ("query_values.star", "/transaction", "x-engine", Some("starcell")),
        ("returned_values.star", "/explicit", "x-custom", Some("yes")),
    ] {
        let server = serve(script);
        let response = Client::connect(server.port()).get(target);
        assert_eq!(response.header(name), value, "{script} {target}");
    }
}

#[test]
fn two_servers_go_on_side_by_side() {
    let mut server = serve("two_servers.star");
    if server.ports.len() < 2 {
        server.wait_for("serving ");
    }
    let mut clients = [0, 1].map(|number| Client::connect(server.ports[number]));
    for (number, ask) in [
        (0, get("GET /", JSON, r#"{"service":"api"}"#)),
        (0, get("GET /metrics", JSON, r#"{"service":"api"}"#)),
        (1, get("GET /", JSON, r#"{"service":"ops"}"#)),
        (1, get("GET /metrics", JSON, r#"{"requests":0}"#)),
    ] {
        check(&mut clients[number], "two_servers.star", &ask);
    }
    let port = server.ports[0];
    let ended = server.stop();
    assert!(ended.stdout.contains(&format!("api on {port}\n")), "{}", ended.output);
    assert_eq!(ended.code(), 0);
}

#[test]
fn printf_of_a_handler_is_written_as_it_comes() {
    let mut server = serve("hook.star");
    let mut client = Client::connect(server.port());
    let event = br#"{"event":"push","branch":"main"}"#;
    assert_eq!(client.request("POST", "/hook", &[], event).status, 200);
    assert_eq!(server.wait_for("[hook]"), "[hook] POST /hook");
    assert_eq!(server.wait_for("event="), "  event=push branch=main");
    assert_eq!(server.wait_for("->"), "  -> a build would begin");
    let ended = server.stop();
    assert!(ended.stdout.starts_with("waiting for events\n"), "{}", ended.stdout);
}

/// `time.format(time.now(), time.Kitchen)` is the time as a clock in a kitchen shows it.
#[test]
fn middleware_writes_a_line_for_each_request() {
    let mut server = serve("layers.star");
    assert_eq!(Client::connect(server.port()).get("/open").status, 200);
    let line = server.wait_for("GET /open");
    let (time, rest) = line.trim_start_matches('[').split_once("] ").unwrap();
    assert_eq!(rest, "GET /open");
    let (clock, half) = time.split_at(time.len() - 2);
    let (hour, minute) = clock.split_once(':').unwrap();
    assert!((1..=12).contains(&hour.parse::<u32>().unwrap()) && minute.parse::<u32>().unwrap() < 60, "{line}");
    assert!(["AM", "PM"].contains(&half) && minute.len() == 2, "{line}");
}

#[test]
fn options_of_a_server_hold() {
    let mut server = serve("factory.star");
    let mut large = Client::connect(server.port());
    large.send(b"POST /sailors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n").unwrap();
    assert_eq!(large.read(false).unwrap().status, 413);
    assert_eq!(Client::connect(server.port()).request("POST", "/sailors", &[], br#"{"name":"Ada"}"#).status, 201);
    let line = server.wait_for(" info  request ");
    assert!(line.contains(r#"method="POST""#) && line.contains(r#"path="/sailors""#), "{line}");
}

/// The documentation's way to test a server in one script: start it, ask it, stop it, all from `main()`.
#[test]
fn a_server_is_started_asked_and_stopped_from_main() {
    let ended: Ended = Starcell::run(&["--allow-local", "--no-access-log"], &fixture("starkite/main_function.star"));
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let told: Vec<&str> = ended.stdout.lines().filter(|line| !line.contains("serving ")).collect();
    assert_eq!(told, ["200 200 OK Hello from GET", "True 404", "False"]);
    assert_eq!(ended.stderr, "");
}

/// Their grant is the same: without it nothing is bound, and the message says what would help.
#[test]
fn none_of_them_serves_without_a_permission() {
    for script in SERVERS.iter().map(|(script, _)| *script).chain(OTHERS) {
        let ended = Starcell::run(&[], &fixture(&format!("starkite/{script}")));
        assert_eq!(ended.code(), 5, "{script}: {}", ended.output);
        assert!(ended.stderr.contains("permission denied: http.server"), "{script}: {}", ended.stderr);
        assert!(ended.stderr.contains("granted from allow-local"), "{script}: {}", ended.stderr);
    }
}
