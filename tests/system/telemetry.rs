//! Traces, metrics and logs at a collector: what a node and a script send, and what a collector that fails costs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use starcell_tests::client::Client;
use starcell_tests::node::{NodeFolder, ask, watched_port};
use starcell_tests::process::{Starcell, script, until};
use starcell_tests::upstream::{Upstream, response};

/// A collector: it keeps what it was sent, and answers as it is told.
struct Collector {
    server: Upstream,
    is_away: Arc<AtomicBool>,
}

impl Collector {
    fn start() -> Self {
        let is_away = Arc::new(AtomicBool::new(false));
        let away = Arc::clone(&is_away);
        let server = Upstream::start(move |_| match away.load(Ordering::Relaxed) {
            true => (response(503, &[], b""), false),
            false => (response(200, &[("Content-Type", "application/json")], b"{}"), false),
        });
        Self { server, is_away }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// The documents that a path was sent.
    fn documents(&self, path: &str) -> Vec<Value> {
        let asked = self.server.asked().into_iter().filter(|asked| asked.target() == path);
        let document = |asked: starcell_tests::upstream::Asked| {
            assert_eq!(asked.header("content-type"), Some("application/json"));
            serde_json::from_slice(&asked.body).expect("JSON")
        };
        asked.map(document).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let documents = self.documents("/v1/traces");
        let spans = documents.iter().flat_map(|one| array(&one["resourceSpans"][0]["scopeSpans"][0]["spans"]));
        spans.map(Span::read).collect()
    }

    fn records(&self) -> Vec<Value> {
        let documents = self.documents("/v1/logs");
        documents.iter().flat_map(|one| array(&one["resourceLogs"][0]["scopeLogs"][0]["logRecords"])).cloned().collect()
    }

    /// The points of a metric, of the last reading that has it.
    fn points(&self, name: &str, kind: &str) -> Vec<Value> {
        let documents = self.documents("/v1/metrics");
        let metrics =
            documents.iter().rev().flat_map(|one| array(&one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]));
        let mut found = metrics.filter(|metric| metric["name"] == name);
        found.next().map(|metric| array(&metric[kind]["dataPoints"]).to_vec()).unwrap_or_default()
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A span, with its attributes as texts.
#[derive(Clone, Debug)]
struct Span {
    name: String,
    kind: u64,
    trace: String,
    id: String,
    parent: Option<String>,
    is_error: bool,
    attributes: HashMap<String, String>,
}

impl Span {
    fn read(span: &Value) -> Self {
        let text = |key: &str| span[key].as_str().map(str::to_owned);
        let time = |key: &str| text(key).unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") > 1 << 60 && time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span}");
        Self {
            name: text("name").unwrap(),
            kind: span["kind"].as_u64().unwrap(),
            trace: text("traceId").unwrap(),
            id: text("spanId").unwrap(),
            parent: text("parentSpanId"),
            is_error: span["status"]["code"] == 2,
            attributes: attributes(span),
        }
    }

    fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

fn attributes(of: &Value) -> HashMap<String, String> {
    let value = |value: &Value| {
        let found = value["stringValue"].as_str().or_else(|| value["intValue"].as_str());
        found.map_or_else(|| value.to_string(), str::to_owned)
    };
    array(&of["attributes"]).iter().map(|one| (one["key"].as_str().unwrap().to_owned(), value(&one["value"]))).collect()
}

/// Asks another server on the way, says something, and fails when it is asked to.
const CALLER: &str = r#"
def call(req):
    log.info("on the way", {"n": 1})
    print("printed")
    return http.get(OTHER).body
def fails(req):
    return 1 // 0
srv = http.server()
srv.handle("GET /call/{id}", call)
srv.handle("/fails", fails)
srv.serve()
"#;

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn node(collector: &Collector, other: &Upstream, telemetry: &str) -> NodeFolder {
    let endpoint = collector.url();
    let node = NodeFolder::new(&format!(
        "[telemetry]\nendpoint = \"{endpoint}\"\n{telemetry}[tenants.acme]\nprofile = \"allow-local\"\nquotas = {{ requests = \"1000/s\" }}\n"
    ));
    let script = CALLER.replace("OTHER", &format!("\"http://127.0.0.1:{}/other?secret=1\"", other.port));
    node.app("caller", "tenant = \"acme\"\nhosts = [\"a.example\"]\n", &script);
    node
}

fn ask_with(port: u16, target: &str, traceparent: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\ntraceparent: {traceparent}\r\n\r\n");
    let mut client = Client::connect(port);
    client.send(request.as_bytes()).unwrap();
    client.read(false).unwrap().status
}

#[test]
fn a_node_sends_traces_metrics_and_logs() {
    let (collector, other) = (Collector::start(), Upstream::saying(200, "text/plain", "other"));
    let node = node(&collector, &other, "");
    let running = node.start(&[]);
    let port = running.port();
    // A client that nobody trusts names a trace; it joins none.
    assert_eq!(ask_with(port, "/call/7", GIVEN), 200);
    assert_eq!(ask(port, "a.example", "/fails").status, 500);
    assert_eq!(ask(port, "a.example", "/none").status, 404);
    let ended = running.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);

    let spans = collector.spans();
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"));
    let (request, call) = (of("GET /call/{id}"), of("GET"));
    assert_eq!((request.kind, request.parent.as_ref(), request.is_error), (2, None, false));
    for (key, expected) in [
        ("http.request.method", "GET"),
        ("http.route", "GET /call/{id}"),
        ("http.response.status_code", "200"),
        ("url.path", "/call/7"),
        ("starcell.app", "caller"),
        ("starcell.tenant", "acme"),
        ("starcell.revision", "1"),
        ("starcell.fork", "fresh"),
    ] {
        assert_eq!(request.get(key), expected, "{key}: {request:#?}");
    }
    assert!(request.get("starcell.cpu_us").parse::<u64>().unwrap() > 0);
    assert_eq!(request.trace, request.get("starcell.request"), "the trace is named like the request");
    assert!(!GIVEN.contains(&request.trace));
    let call = spans.iter().find(|span| span.kind == 3).unwrap_or(call);
    assert_eq!((call.trace.as_str(), call.parent.as_deref()), (request.trace.as_str(), Some(request.id.as_str())));
    assert_eq!((call.get("server.address"), call.get("url.path")), ("127.0.0.1", "/other"));
    let sent = other.asked();
    assert_eq!(sent[0].header("traceparent"), Some(format!("00-{}-{}-01", call.trace, call.id).as_str()));
    let failed = of("GET /fails");
    assert!(failed.is_error && failed.get("http.response.status_code") == "500", "{failed:#?}");
    assert!(spans.iter().any(|span| span.get("http.response.status_code") == "404" && !span.is_error), "{spans:#?}");
    assert!(!format!("{spans:?}").contains("secret"), "the query of a URL is where secrets are");

    let records = collector.records();
    let record = |body: &str| {
        let found = records.iter().find(|record| record["body"]["stringValue"].as_str().unwrap().contains(body));
        found.unwrap_or_else(|| panic!("{body}: {records:#?}"))
    };
    let said = record("on the way");
    assert_eq!((said["severityText"].as_str(), said["traceId"].as_str()), (Some("info"), Some(request.trace.as_str())));
    assert_eq!(attributes(said)["script"], "caller");
    assert_eq!(record("printed")["traceId"].as_str(), Some(request.trace.as_str()));
    assert_eq!(record("division by zero")["severityNumber"], 17);
    assert!(!records.iter().any(|record| record["body"]["stringValue"] == "access"), "a request is a span");

    let requests = collector.points("starcell_requests", "sum");
    let ok = requests.iter().find(|point| attributes(point)["code"] == "2xx").unwrap();
    assert_eq!((ok["asDouble"].as_f64(), attributes(ok)["app"].as_str()), (Some(1.0), "caller"));
    assert_eq!(collector.points("starcell_request_duration_seconds", "histogram")[0]["count"], "3");
    assert!(collector.points("starcell_memory_limit_bytes", "gauge")[0]["asDouble"].as_f64().unwrap() > 0.0);
    let resource = &collector.documents("/v1/traces")[0]["resourceSpans"][0]["resource"];
    assert_eq!(
        (attributes(resource)["service.name"].as_str(), attributes(resource)["service.instance.id"].as_str()),
        ("starcell", "node-1")
    );
}

#[test]
fn a_trusted_client_is_followed() {
    let (collector, other) = (Collector::start(), Upstream::saying(200, "text/plain", "other"));
    let node = node(&collector, &other, "trust_traceparent = true\nsample = 0.0\n");
    let running = node.start(&[]);
    let port = running.port();
    let unsampled = GIVEN.replace("-01", "-00");
    // The flag of whoever is trusted decides, and the share decides about others.
    for given in [GIVEN, &unsampled, "no context"] {
        assert_eq!(ask_with(port, "/call/1", given), 200);
    }
    assert_eq!(running.stop().code(), 0);
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let request = spans.iter().find(|span| span.kind == 2).unwrap();
    assert_eq!((request.trace.as_str(), request.parent.as_deref()), (&GIVEN[3..35], Some(&GIVEN[36..52])));
    let sent: Vec<String> = other.asked().iter().map(|asked| asked.header("traceparent").unwrap().to_owned()).collect();
    assert!(sent[0].starts_with(&GIVEN[..35]) && sent[0].ends_with("-01"), "{sent:?}");
    assert!(sent[1].starts_with(&GIVEN[..35]) && sent[1].ends_with("-00"), "{sent:?}");
    assert!(!sent[2].contains(&GIVEN[3..35]) && sent[2].ends_with("-00"), "{sent:?}");
}

#[test]
fn a_script_sends_too_and_names_its_own_context() {
    let (collector, other) = (Collector::start(), Upstream::saying(200, "text/plain", "other"));
    let source = format!(
        "srv = http.server()\nsrv.handle(\"GET /\", lambda req: http.get(\"http://127.0.0.1:{}/\", headers={{\"traceparent\": \"mine\"}}).body)\nsrv.serve()\n",
        other.port
    );
    let running = Starcell::serve(&["--otlp", &collector.url()], &script(&source));
    assert_eq!(Client::connect(running.port()).get("/").text(), "other");
    assert_eq!(running.stop().code(), 0);
    assert_eq!(other.asked()[0].header("traceparent"), Some("mine"));
    let spans = collector.spans();
    assert_eq!(spans.iter().filter(|span| span.kind == 2).count(), 1, "{spans:#?}");
    assert!(!collector.points("starcell_requests", "sum").is_empty());
    let off = Starcell::serve(&[], &script(&source));
    assert_eq!(Client::connect(off.port()).get("/").text(), "other");
    assert_eq!(off.stop().code(), 0);
    for (flags, said) in [
        (["--otlp", "https://collector"], "without TLS"),
        (["--otlp-sample", "0.5"], "--otlp"),
        (["--trust-traceparent", "--dev"], "--otlp"),
    ] {
        let ended = Starcell::spawn(&flags, &script(&source)).wait();
        assert_eq!(ended.code(), 2, "{}", ended.output);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_collector_that_is_away_costs_no_request_and_is_counted() {
    let (collector, other) = (Collector::start(), Upstream::saying(200, "text/plain", "other"));
    collector.is_away.store(true, Ordering::Relaxed);
    let node = node(&collector, &other, "");
    let config = std::fs::read_to_string(node.config()).unwrap();
    std::fs::write(node.config(), format!("{config}[metrics]\naddress = \"127.0.0.1:0\"\n")).unwrap();
    let mut running = node.spawn(&[]);
    let metrics = watched_port(&mut running);
    running.wait_for("serving ");
    let port = running.port();
    let seen = Mutex::new(0);
    until("what is dropped is counted", || {
        assert_eq!(ask(port, "a.example", "/call/1").status, 200);
        *seen.lock().unwrap() += 1;
        let text = ask(metrics, "localhost", "/metrics").text().to_owned();
        let line = text.lines().find(|line| line.starts_with("starcell_telemetry_dropped_spans_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() > 0
    });
    running.wait_for("telemetry does not arrive at");
    collector.is_away.store(false, Ordering::Relaxed);
    let before = collector.spans().len();
    assert_eq!(ask(port, "a.example", "/call/2").status, 200);
    until("spans arrive again", || collector.spans().len() > before);
    assert_eq!(running.stop().code(), 0);
}
