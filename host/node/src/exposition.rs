//! The formats that numbers are read in: OpenMetrics, and the older text format of Prometheus for readers that ask for it.
//!
//! The two differ in how a counter is declared, and in the line at the end. `promtool check metrics` reads the older one.

use http::HeaderMap;
use http::header::ACCEPT;

/// The name of each format.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(crate) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a reader asks for the older format: it takes plain text, and names no OpenMetrics.
pub(crate) fn wants_plain(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let names = |name: &str| accepted.iter().any(|value| value.to_ascii_lowercase().contains(name));
    names("text/plain") && !names("openmetrics")
}

/// The same numbers in the older format.
pub(crate) fn plain(open_metrics: &str) -> String {
    let mut plain = String::with_capacity(open_metrics.len());
    // The help stands before the type, which decides how both are named.
    let mut help = None;
    for line in open_metrics.lines() {
        match line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) {
            Some(("HELP", told)) => help = Some(told),
            Some(("TYPE", told)) => {
                let (name, kind) = told.split_once(' ').unwrap_or((told, "untyped"));
                let end = if kind == "counter" { "_total" } else { "" };
                if let Some((_, text)) = help.take().and_then(|help| help.split_once(' ')) {
                    plain.push_str(&format!("# HELP {name}{end} {text}\n"));
                }
                plain.push_str(&format!("# TYPE {name}{end} {kind}\n"));
            }
            _ if line.starts_with('#') => {}
            _ => {
                plain.push_str(line);
                plain.push('\n');
            }
        }
    }
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn counters_are_declared_by_the_name_of_their_samples() {
        let open = "# HELP a_requests Requests.\n# TYPE a_requests counter\na_requests_total{b=\"# c\"} 1\n\
                    # HELP a_memory Bytes.\n# TYPE a_memory gauge\n# UNIT a_memory bytes\na_memory 2\n# EOF\n";
        let expected = "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\na_requests_total{b=\"# c\"} 1\n\
                        # HELP a_memory Bytes.\n# TYPE a_memory gauge\na_memory 2\n";
        assert_eq!(plain(open), expected);
    }

    #[test]
    fn the_older_format_is_for_those_who_ask_for_it() {
        for (accept, wanted) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/plain"), true),
            (Some("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (ACCEPT, accept.parse().unwrap())));
            assert_eq!(wants_plain(&headers), wanted, "{accept:?}");
        }
    }
}
