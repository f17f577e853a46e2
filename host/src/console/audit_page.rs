//! The audit log, with a search.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::node::admin::clerk::Clerk;
use crate::node::admin::trail::FoundRecord;
use crate::node::orders::Refused;

use super::form::Form;
use super::html::{Element, Html, Link, el};
use super::layout::{Visit, a, app_link, cell, code, nothing, page, problem, row, table};

/// Records on the page.
const RECORDS: usize = 200;

/// What is searched for.
#[derive(Clone, Debug)]
struct Wanted {
    words: Vec<String>,
    app: String,
    kind: String,
    decision: String,
}

/// The page.
pub(super) async fn audit(clerk: &Clerk, visit: &Visit, query: &Form) -> Result<Html, Refused> {
    let wanted = Wanted::of(query);
    let within = visit.operator.tenant.clone();
    let found = clerk
        .trail(move |trail| trail.search(RECORDS, within.as_deref(), |line, record| wanted.is_in(line, record)))
        .await;
    let found = match &found {
        Err(refused) => problem(&refused.message),
        Ok(found) if found.is_empty() => nothing("No record is found in the last 8 MiB of the log."),
        Ok(found) => {
            let heads = ["time", "who", "app", "what", "decision", "outcome", ""];
            let table = table("Records", &heads, found.iter().map(line).collect());
            let of =
                if found.len() == RECORDS { format!("The last {RECORDS}") } else { format!("All {}", found.len()) };
            let note = format!("{of} calls and actions that are found in the last 8 MiB of the log, the newest first.");
            el("div").put(el("p").class("quiet").put(note)).put(table)
        }
    };
    Ok(page(visit, "Audit log", (search(query), found)))
}

impl Wanted {
    fn of(query: &Form) -> Self {
        Self {
            words: query.get("q").to_lowercase().split_whitespace().map(str::to_owned).collect(),
            app: query.get("app").to_owned(),
            kind: query.get("kind").to_owned(),
            decision: query.get("decision").to_owned(),
        }
    }

    /// Whether a record has all words, and the values that are chosen.
    fn is_in(&self, line: &str, record: &BTreeMap<String, Value>) -> bool {
        let is = |key: &str, wanted: &str| wanted.is_empty() || text(record, key) == wanted;
        if !is("app", &self.app) || !is("kind", &self.kind) || !is("decision", &self.decision) {
            return false;
        }
        let line = if self.words.is_empty() { String::new() } else { line.to_lowercase() };
        self.words.iter().all(|word| line.contains(word))
    }
}

fn search(query: &Form) -> Element {
    let field = |name: &'static str, kind: &'static str, label: &'static str| {
        let field = el("input").attr("type", kind).attr("name", name).attr("value", query.get(name));
        field.attr("placeholder", label).attr("aria-label", label)
    };
    let select = |name: &'static str, label: &'static str, values: &[&'static str]| {
        let option = |value: &&'static str| {
            el("option").attr("value", value).flag("selected", query.get(name) == *value).put(*value)
        };
        let any = el("option").attr("value", "").put(format!("any {label}"));
        el("select")
            .attr("name", name)
            .attr("aria-label", label)
            .put(any)
            .put(values.iter().map(option).collect::<Vec<_>>())
    };
    el("form")
        .attr("method", "get")
        .action(&Link::to(&["audit"]))
        .attr("role", "search")
        .put(field("q", "search", "words of a record"))
        .put(field("app", "text", "app"))
        .put(select("kind", "kind", &["call", "action", "open", "close", "gap"]))
        .put(select("decision", "decision", &["allow", "deny"]))
        .put(el("button").attr("type", "submit").put("Search"))
}

fn line(found: &FoundRecord) -> Element {
    let record = &found.record;
    let (kind, app) = (text(record, "kind"), text(record, "app"));
    let who = match kind {
        "action" => text(record, "actor").to_owned(),
        "call" => {
            record.get("request").and_then(Value::as_str).map_or("setup".to_owned(), |id| format!("request {id}"))
        }
        _ => "the node".to_owned(),
    };
    let what = match kind {
        "action" => [text(record, "action"), text(record, "detail")].join(" "),
        "call" => format!("{}({})", text(record, "capability"), text(record, "resource")),
        other => other.to_owned(),
    };
    let place = text(record, "file");
    let place = (!place.is_empty()).then(|| {
        let line = record.get("line").and_then(Value::as_u64).unwrap_or_default();
        el("div").class("quiet").put(format!("{place}:{line}"))
    });
    let decision = text(record, "decision");
    let decision = match decision {
        "allow" => el("span").class("allow").put(decision),
        "deny" => el("span").class("deny").put(decision),
        _ => el("span").put(decision),
    };
    let why = ["reason", "rule"].map(|key| text(record, key)).into_iter().find(|text| !text.is_empty());
    let outcome = found.outcome.as_ref().map(|outcome| text(outcome, "outcome"));
    let outcome = outcome.map(|outcome| match outcome {
        "ok" => el("span").class("ok").put(outcome),
        _ => el("span").class("error").put(outcome),
    });
    let app = (!app.is_empty()).then(|| a(&app_link(app), app));
    let whole = serde_json::to_string_pretty(record).unwrap_or_default();
    let whole = el("details").put(el("summary").put("record")).put(el("pre").put(whole));
    row([
        cell(text(record, "time")),
        cell(who),
        cell(app),
        cell((code(what.trim()), place)),
        cell((decision, why.map(|why| el("div").class("quiet").put(why)))),
        cell(outcome),
        cell(whole),
    ])
}

/// A text of a record; empty where there is none.
fn text<'a>(record: &'a BTreeMap<String, Value>, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::layout::html;
    use super::*;

    #[test]
    fn a_search_wants_all_that_it_names() {
        let line = r#"{"kind":"call","app":"orders","decision":"deny","resource":"/etc/Hostname"}"#;
        let record = serde_json::from_str(line).unwrap();
        for (query, found) in [
            ("", true),
            ("q=hostname", true),
            ("q=HOSTNAME+orders", true),
            ("q=hostname+absent", false),
            ("app=orders&kind=call&decision=deny", true),
            ("app=order", false),
            ("decision=allow", false),
        ] {
            assert_eq!(Wanted::of(&Form::read(query)).is_in(line, &record), found, "{query}");
        }
    }

    #[test]
    fn a_record_is_text_whatever_is_in_it() {
        let hostile = "\"><script>alert(1)</script>";
        let record = ["kind", "time", "app", "actor", "action", "detail", "decision", "reason", "file"];
        let record: BTreeMap<String, Value> = record.into_iter().map(|key| (key.to_owned(), hostile.into())).collect();
        for kind in ["action", "call", hostile] {
            let record = BTreeMap::from_iter(record.clone().into_iter().chain([("kind".to_owned(), kind.into())]));
            let shown = html(super::line(&FoundRecord { outcome: Some(record.clone()), record })).into_text();
            assert!(!shown.contains("<script") && shown.contains("&lt;script&gt;"), "{shown}");
        }
    }
}
