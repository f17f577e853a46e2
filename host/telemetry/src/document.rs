//! Spans and log lines as OTLP writes them in JSON: ids in hexadecimal digits, 64-bit numbers as texts.

use serde_json::{Map, Value as Json, json};

use crate::ended::{SpanData, Value};

/// What sends the documents, in each of them.
const SCOPE: &str = "starcell";

/// The severities of OTLP, by the names of the log.
const SEVERITIES: [(&str, u8); 4] = [("debug", 5), ("info", 9), ("warn", 13), ("error", 17)];

/// What is the same in all documents of a process.
pub(crate) fn resource(node: &str) -> Json {
    let attributes = [
        ("service.name", json!({"stringValue": "starcell"})),
        ("service.version", json!({"stringValue": env!("CARGO_PKG_VERSION")})),
        ("service.instance.id", json!({"stringValue": node})),
        ("process.pid", json!({"intValue": std::process::id().to_string()})),
    ];
    let attributes: Vec<Json> =
        attributes.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"attributes": attributes})
}

/// A document of spans.
pub(crate) fn traces(resource: &Json, spans: &[SpanData]) -> Json {
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope(), "spans": spans}]}]})
}

/// A document of log lines, each with the time at which it was written.
pub(crate) fn logs(resource: &Json, lines: &[(String, u64)]) -> Json {
    let records: Vec<Json> = lines.iter().filter_map(|(line, time)| record(line, *time)).collect();
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope(), "logRecords": records}]}]})
}

/// A document of metrics.
pub(crate) fn metrics(resource: &Json, metrics: &[Json]) -> Json {
    json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope(), "metrics": metrics}]}]})
}

fn scope() -> Json {
    json!({"name": SCOPE, "version": env!("CARGO_PKG_VERSION")})
}

fn span(span: &SpanData) -> Json {
    let value = |value: &Value| match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Text(text) => json!({"stringValue": text}),
    };
    let own = span.attributes.iter().map(|(key, found)| json!({"key": key, "value": value(found)}));
    let common = span.common.iter().flat_map(|common| common.iter());
    let common = common.map(|(key, text)| json!({"key": key, "value": {"stringValue": text}}));
    let attributes: Vec<Json> = own.chain(common).collect();
    let mut written = json!({
        "traceId": span.own.trace.text(),
        "spanId": span.own.span.text(),
        "flags": u8::from(span.own.is_sampled),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": span.began.to_string(),
        "endTimeUnixNano": span.ended.to_string(),
        "attributes": attributes,
        "status": if span.is_error { json!({"code": 2}) } else { json!({}) },
    });
    if let (Some(parent), Some(fields)) = (span.parent, written.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), parent.text().into());
    }
    written
}

/// A line of the log, which is an object of JSON. Its time, level and message have places of their own.
fn record(line: &str, time: u64) -> Option<Json> {
    let Ok(Json::Object(mut fields)) = serde_json::from_str(line) else { return None };
    fields.remove("time");
    let level = fields.remove("level");
    let level = level.as_ref().and_then(Json::as_str).unwrap_or("info");
    let number = SEVERITIES.iter().find(|(name, _)| *name == level).map_or(9, |(_, number)| *number);
    let body = fields.remove("msg").unwrap_or(Json::Null);
    let trace = fields.get("request").and_then(Json::as_str).filter(|id| crate::ids::parse::<16>(id).is_some());
    let trace = trace.map(str::to_owned);
    let mut written = json!({
        "timeUnixNano": time.to_string(),
        "observedTimeUnixNano": time.to_string(),
        "severityNumber": number,
        "severityText": level,
        "body": any(body),
        "attributes": attributes(fields),
    });
    if let (Some(trace), Some(fields)) = (trace, written.as_object_mut()) {
        fields.insert("traceId".to_owned(), trace.into());
    }
    Some(written)
}

fn attributes(fields: Map<String, Json>) -> Json {
    fields.into_iter().map(|(key, value)| json!({"key": key, "value": any(value)})).collect()
}

/// Any value, as OTLP writes it.
fn any(value: Json) -> Json {
    match value {
        Json::Null => json!({}),
        Json::Bool(flag) => json!({"boolValue": flag}),
        Json::String(text) => json!({"stringValue": text}),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => json!({"intValue": whole.to_string()}),
            None => json!({"doubleValue": number.as_f64()}),
        },
        Json::Array(values) => json!({"arrayValue": {"values": values.into_iter().map(any).collect::<Vec<_>>()}}),
        Json::Object(fields) => json!({"kvlistValue": {"values": attributes(fields)}}),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_record() {
        let line = r#"{"time":"t","level":"warn","msg":"m","request":"0123456789abcdef0123456789abcdef","attrs":{"n":1,"f":1.5,"l":[true,null]}}"#;
        let found = record(line, 7).unwrap();
        assert_eq!((&found["severityNumber"], &found["body"]["stringValue"]), (&13.into(), &"m".into()));
        assert_eq!(
            (&found["traceId"], &found["timeUnixNano"]),
            (&"0123456789abcdef0123456789abcdef".into(), &"7".into())
        );
        let attrs = found["attributes"].as_array().unwrap().iter().find(|one| one["key"] == "attrs").unwrap();
        let list = attrs["value"]["kvlistValue"]["values"].to_string();
        assert!(
            list.contains(r#"{"key":"n","value":{"intValue":"1"}}"#) && list.contains(r#"{"doubleValue":1.5}"#),
            "{list}"
        );
        assert!(list.contains(r#"{"values":[{"boolValue":true},{}]}"#), "{list}");
        assert!(record("no object", 0).is_none());
        assert_eq!(record(r#"{"msg":"x","request":"odd"}"#, 0).unwrap()["traceId"], Json::Null);
    }
}
