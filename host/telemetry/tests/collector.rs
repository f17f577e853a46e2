//! From spans, lines and numbers to what a collector reads, over a real connection.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, StatusCode};
use serde_json::Value;
use starcell_log::{Level, LogChoice, LogTap as _, Logs};
use starcell_telemetry::{CollectorEndpoint, Exporter, Exporting, Telemetry, TelemetryConfig, TracedApp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a collector was sent: paths and documents.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// A collector that takes documents, or says that it is away.
async fn collector(is_away: Arc<AtomicBool>) -> (CollectorEndpoint, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/otlp/", listener.local_addr().unwrap()).parse().unwrap();
    let sent = Sent::default();
    let kept = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, Arc::clone(&kept), Arc::clone(&is_away)));
        }
    });
    (endpoint, sent)
}

async fn talk(mut stream: TcpStream, sent: Sent, is_away: Arc<AtomicBool>) {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap();
        while bytes.len() < length {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
        }
        let body: Vec<u8> = bytes.drain(..length).collect();
        let status = match is_away.load(Ordering::SeqCst) {
            true => "503 Service Unavailable",
            false => {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                sent.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
                "200 OK"
            }
        };
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
    }
}

fn start(endpoint: CollectorEndpoint, sample: f64, trusts_clients: bool) -> (Telemetry, Exporting) {
    let (logs, _writer) = Logs::start(LogChoice { format: None, least: Some(Level::Error) });
    let config = TelemetryConfig { endpoint, sample, trusts_clients, node: "node-1".to_owned() };
    let (telemetry, exporter) = Exporter::with_queue(config);
    let numbers = "# HELP a A.\n# TYPE a counter\na_total{b=\"c\"} 3\n# EOF\n";
    let exporting = exporter.start(Arc::new(move || numbers.to_owned()), logs);
    (telemetry, exporting)
}

fn parts(traceparent: Option<&str>) -> http::request::Parts {
    let mut request = Request::get("/a/b?secret=1");
    if let Some(value) = traceparent {
        request = request.header("traceparent", value);
    }
    request.body(()).unwrap().into_parts().0
}

fn of<'a>(sent: &'a [(String, Value)], path: &str) -> Vec<&'a Value> {
    sent.iter().filter(|(to, _)| to == path).map(|(_, document)| document).collect()
}

const ID: &str = "0123456789abcdef0123456789abcdef";
const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn what_is_left_is_sent_at_the_end() {
    let (endpoint, sent) = collector(Arc::default()).await;
    let (telemetry, exporting) = start(endpoint, 1.0, false);
    let app = TracedApp::new(&telemetry, Some("acme"), "orders", Some(2));
    let span = app.request(&parts(Some(GIVEN)), ID, "192.0.2.1:5");
    let call = span.context().call("GET", "other.example", 443, "/x");
    let value = call.value().unwrap().to_str().unwrap().to_owned();
    assert!(value.starts_with(&format!("00-{ID}-")) && value.ends_with("-01"), "{value}");
    call.answered(StatusCode::NOT_FOUND);
    span.answered(StatusCode::OK, Some("GET /a/{x}"), Some("parked"), Some(Duration::from_micros(7)));
    drop(app.request(&parts(None), "odd", "192.0.2.1:5"));
    telemetry.line(&format!("{{\"time\":\"t\",\"level\":\"error\",\"msg\":\"said\",\"request\":\"{ID}\"}}"));
    exporting.finish().await;

    let sent = sent.lock().unwrap();
    let spans = of(&sent, "/otlp/v1/traces")[0]["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 3);
    let (call, request, given_up) = (&spans[0], &spans[1], &spans[2]);
    assert_eq!(
        (&call["parentSpanId"], &call["kind"], &call["status"]["code"]),
        (&request["spanId"], &3.into(), &2.into())
    );
    assert_eq!(
        (&request["traceId"], &request["name"], &request["kind"]),
        (&ID.into(), &"GET /a/{x}".into(), &2.into())
    );
    assert_eq!((&request["parentSpanId"], &request["status"]["code"]), (&Value::Null, &Value::Null));
    let text = request["attributes"].to_string();
    for part in ["starcell.tenant", "acme", "orders", "parked", "http.route", "\"/a/b\"", "192.0.2.1:5"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("secret"));
    assert!(given_up["attributes"].to_string().contains("given up") && given_up["traceId"] != ID);
    let record = &of(&sent, "/otlp/v1/logs")[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!((&record["body"]["stringValue"], &record["traceId"]), (&"said".into(), &ID.into()));
    let metrics = of(&sent, "/otlp/v1/metrics");
    let metric = &metrics.last().unwrap()["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
    assert_eq!((&metric["name"], &metric["sum"]["dataPoints"][0]["asDouble"]), (&"a".into(), &3.0.into()));
    assert_eq!(telemetry.drops().spans, 0);
}

#[tokio::test]
async fn a_trusted_client_decides_and_the_share_decides_about_others() {
    let (endpoint, sent) = collector(Arc::default()).await;
    let (telemetry, exporting) = start(endpoint, 0.0, true);
    let app = TracedApp::new(&telemetry, None, "orders", None);
    let unsampled = GIVEN.replace("-01", "-00");
    for (given, flag) in [(Some(GIVEN), "-01"), (Some(&*unsampled), "-00"), (None, "-00"), (Some("nonsense"), "-00")] {
        let span = app.request(&parts(given), ID, "a");
        let value = span.context().call("GET", "b", 80, "/").value().unwrap().to_str().unwrap().to_owned();
        assert!(value.ends_with(flag), "{given:?}: {value}");
        assert_eq!(value.contains(&GIVEN[3..35]), given.is_some_and(|given| given.contains(&GIVEN[3..35])), "{value}");
        span.answered(StatusCode::OK, None, None, None);
    }
    exporting.finish().await;
    let sent = sent.lock().unwrap();
    let spans = of(&sent, "/otlp/v1/traces")[0]["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let of_request: Vec<&Value> = spans.iter().filter(|span| span["kind"] == 2).collect();
    assert_eq!((of_request.len(), &of_request[0]["parentSpanId"]), (1, &GIVEN[36..52].into()));
}

#[tokio::test]
async fn what_does_not_arrive_is_counted_and_holds_nobody_up() {
    let is_away = Arc::new(AtomicBool::new(true));
    let (endpoint, sent) = collector(Arc::clone(&is_away)).await;
    let (telemetry, exporting) = start(endpoint, 1.0, false);
    let app = TracedApp::new(&telemetry, None, "orders", None);
    // More than the queue holds, in one go: nothing waits.
    for _ in 0..20_000 {
        app.request(&parts(None), ID, "a").answered(StatusCode::OK, None, None, None);
    }
    let long = format!("{{\"msg\":{:?}}}", "x".repeat(60_000));
    for _ in 0..1000 {
        telemetry.line(&long);
    }
    let drops = telemetry.drops();
    assert!(drops.spans > 5000 && drops.lines > 500, "{drops:?}");
    is_away.store(false, Ordering::SeqCst);
    exporting.finish().await;
    assert!(!of(&sent.lock().unwrap(), "/otlp/v1/metrics").is_empty());
    // Once nobody sends any more, what comes is dropped too.
    app.request(&parts(None), ID, "a").answered(StatusCode::OK, None, None, None);
    assert!(telemetry.drops().spans > drops.spans);
}
