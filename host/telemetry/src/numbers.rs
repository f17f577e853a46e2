//! The numbers of a node as OTLP writes them, read from the text that Prometheus reads. So there is one registry, and no
//! number that the two could disagree about.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// Samples of one family, in the order of the text.
#[derive(Default)]
struct Family<'a> {
    kind: &'a str,
    help: &'a str,
    samples: Vec<Sample<'a>>,
}

struct Sample<'a> {
    name: &'a str,
    labels: Vec<(String, String)>,
    value: &'a str,
}

/// The metrics of a text in the format of OpenMetrics, counted since `began` and read `now`.
pub(crate) fn metrics(text: &str, began: u64, now: u64) -> Vec<Json> {
    let mut families: Vec<(&str, Family<'_>)> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (Some(what), Some(name), told) = (words.next(), words.next(), words.next().unwrap_or_default()) else {
                continue;
            };
            if families.last().is_none_or(|(last, _)| *last != name) {
                families.push((name, Family::default()));
            }
            let Some((_, family)) = families.last_mut() else { continue };
            match what {
                "TYPE" => family.kind = told,
                "HELP" => family.help = told,
                _ => {}
            }
        } else if let (Some(sample), Some((_, family))) = (sample(line), families.last_mut()) {
            family.samples.push(sample);
        }
    }
    families.iter().filter_map(|(name, family)| metric(name, family, began, now)).collect()
}

fn metric(name: &str, family: &Family<'_>, began: u64, now: u64) -> Option<Json> {
    let times = |attributes: &[(String, String)]| {
        let attributes: Vec<Json> =
            attributes.iter().map(|(key, text)| json!({"key": key, "value": {"stringValue": text}})).collect();
        json!({"attributes": attributes, "startTimeUnixNano": began.to_string(), "timeUnixNano": now.to_string()})
    };
    let point = |sample: &Sample<'_>| {
        let mut point = times(&sample.labels);
        point.as_object_mut()?.insert("asDouble".to_owned(), sample.value.parse::<f64>().ok()?.into());
        Some(point)
    };
    let data = match family.kind {
        "gauge" => json!({"gauge": {"dataPoints": family.samples.iter().filter_map(point).collect::<Vec<_>>()}}),
        "counter" => {
            let points: Vec<Json> = family.samples.iter().filter_map(point).collect();
            json!({"sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points}})
        }
        "histogram" => {
            let points: Vec<Json> = histograms(name, &family.samples, times);
            json!({"histogram": {"aggregationTemporality": 2, "dataPoints": points}})
        }
        _ => return None,
    };
    let mut metric = json!({"name": name, "description": family.help});
    metric.as_object_mut()?.extend(data.as_object().cloned()?);
    Some(metric)
}

/// The histograms of a family: for each set of labels its buckets, which OTLP does not add up.
fn histograms(name: &str, samples: &[Sample<'_>], times: impl Fn(&[(String, String)]) -> Json) -> Vec<Json> {
    #[derive(Default)]
    struct Found {
        bounds: Vec<f64>,
        upto: Vec<u64>,
        sum: f64,
        count: u64,
    }
    let mut found: BTreeMap<Vec<(String, String)>, Found> = BTreeMap::new();
    for sample in samples {
        let (bound, labels): (Vec<_>, Vec<_>) = sample.labels.iter().cloned().partition(|(key, _)| key == "le");
        let one = found.entry(labels).or_default();
        match sample.name.strip_prefix(name) {
            Some("_sum") => one.sum = sample.value.parse().unwrap_or_default(),
            Some("_count") => one.count = sample.value.parse().unwrap_or_default(),
            Some("_bucket") => {
                one.upto.push(sample.value.parse().unwrap_or_default());
                // The last one has no bound.
                one.bounds.extend(bound.first().and_then(|(_, le)| le.parse().ok()).filter(|le: &f64| le.is_finite()));
            }
            _ => {}
        }
    }
    let point = |(labels, one): (Vec<(String, String)>, Found)| {
        let before = std::iter::once(0).chain(one.upto.iter().copied());
        let counts: Vec<String> =
            one.upto.iter().zip(before).map(|(upto, before)| upto.saturating_sub(before).to_string()).collect();
        let mut point = times(&labels);
        if let Some(fields) = point.as_object_mut() {
            fields.insert("count".to_owned(), one.count.to_string().into());
            fields.insert("sum".to_owned(), one.sum.into());
            fields.insert("bucketCounts".to_owned(), counts.into());
            fields.insert("explicitBounds".to_owned(), one.bounds.into());
        }
        point
    };
    found.into_iter().map(point).collect()
}

/// One line: a name, labels in braces, and a value.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    Some(Sample { name, labels, value: rest.split_whitespace().next()? })
}

/// The labels up to the closing brace, and what follows it. A value may hold any character, some of them escaped.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (key, after) = rest.split_once("=\"")?;
        let (mut value, mut characters) = (String::new(), after.char_indices());
        rest = loop {
            match characters.next()? {
                (end, '"') => break after.get(end + 1..)?,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        found.push((key.to_owned(), value));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP starcell_requests Requests by app.
# TYPE starcell_requests counter
starcell_requests_total{tenant="a\"b\\c",app="{x},"} 5
starcell_requests_total{tenant="t",app="y"} 0
# HELP starcell_time Time.
# TYPE starcell_time histogram
# UNIT starcell_time seconds
starcell_time_sum{app="y"} 1.5
starcell_time_count{app="y"} 3
starcell_time_bucket{le="0.1",app="y"} 1
starcell_time_bucket{le="1.0",app="y"} 3
starcell_time_bucket{le="+Inf",app="y"} 3
# HELP starcell_memory Bytes.
# TYPE starcell_memory gauge
starcell_memory 7
# EOF
"#;

    #[test]
    fn counters_gauges_and_histograms_are_read() {
        let found = metrics(TEXT, 1, 2);
        assert_eq!(found.len(), 3, "{found:#?}");
        let point = &found[0]["sum"]["dataPoints"][0];
        assert_eq!((found[0]["name"].as_str(), point["asDouble"].as_f64()), (Some("starcell_requests"), Some(5.0)));
        assert_eq!(point["attributes"][0]["value"]["stringValue"], "a\"b\\c");
        assert_eq!(point["attributes"][1]["value"]["stringValue"], "{x},");
        assert_eq!((point["startTimeUnixNano"].as_str(), point["timeUnixNano"].as_str()), (Some("1"), Some("2")));
        let point = &found[1]["histogram"]["dataPoints"][0];
        assert_eq!(point["bucketCounts"], json!(["1", "2", "0"]));
        assert_eq!(
            (&point["explicitBounds"], &point["count"], &point["sum"]),
            (&json!([0.1, 1.0]), &json!("3"), &json!(1.5))
        );
        assert_eq!(found[2]["gauge"]["dataPoints"][0]["asDouble"], 7.0);
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        for text in ["", "\n", "x", "{", "# TYPE", "a{b=\"c", "a{b=\"c\"}", "# TYPE a counter\na{b 1\na_total{} x\n"] {
            let found = metrics(text, 0, 0);
            assert!(
                found.iter().all(|one| one["sum"]["dataPoints"].as_array().is_none_or(Vec::is_empty)),
                "{text}: {found:?}"
            );
        }
    }
}
