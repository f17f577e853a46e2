//! The revisions of an app: which are kept, two of them compared, and one of them made to answer.

use crate::api::views::{AppView, CountedView, RevisionView};

use super::html::{Element, Link, el};
use super::layout::{Visit, cell, code, form, nothing, number, row, table};
use super::units::count;

/// The revisions with their forms.
pub(super) fn revisions(visit: &Visit, app: &AppView) -> Element {
    if app.revisions.is_empty() {
        return nothing("No revision is kept.");
    }
    let name = app.line.name.as_str();
    let line = |revision: &RevisionView| {
        let counted = |of: fn(&CountedView) -> u64| number(revision.counted.as_ref().map(|counted| count(of(counted))));
        let acts = visit.operates().then(|| acts(visit, app, revision)).flatten();
        row([
            number(revision.number.to_string()),
            cell(&revision.deployed),
            cell(part(app, revision.number)),
            counted(|counted| counted.requests),
            counted(|counted| counted.failed),
            cell(code(revision.digest.chars().take(19).collect::<String>())),
            cell(acts),
        ])
    };
    let heads = ["revision", "deployed", "part", "answered", "status 5xx", "digest", ""];
    let rows = app.revisions.iter().map(line).collect();
    el("div").put(table("Revisions", &heads, rows)).put((app.revisions.len() > 1).then(|| compare(name, app)))
}

/// What part a revision has.
fn part(app: &AppView, number: u64) -> String {
    let mut parts = Vec::new();
    if app.line.revision == Some(number) {
        parts.push("answers".to_owned());
    }
    if app.pinned == Some(number) {
        parts.push("pinned".to_owned());
    }
    if let Some(canary) = app.canary.filter(|canary| canary.revision == number) {
        parts.push(format!("canary, {} %", canary.percent));
    }
    if app.previews.iter().any(|preview| preview.revision == number) {
        parts.push("preview".to_owned());
    }
    parts.join(", ")
}

/// The forms of a revision: none for the one that answers.
fn acts(visit: &Visit, app: &AppView, revision: &RevisionView) -> Option<Element> {
    if app.line.revision == Some(revision.number) {
        return None;
    }
    let number = revision.number.to_string();
    let to = |act: &str| Link::to(&["apps", &app.line.name, act]);
    let hidden = || el("input").attr("type", "hidden").attr("name", "revision").attr("value", &number);
    let back = el("button").attr("type", "submit").put(format!("Roll back to {number}"));
    let back = form(visit, &to("rollback")).put(hidden()).put(back);
    let percent = el("input").attr("type", "number").attr("name", "percent").attr("min", "0").attr("max", "100");
    let percent = percent.attr("value", "10").attr("aria-label", format!("Percent of requests for {number}"));
    let canary = el("button").attr("type", "submit").put("Canary, %");
    let canary = app.line.revision.is_some().then(|| form(visit, &to("canary")).put(hidden()).put((percent, canary)));
    Some(el("div").class("acts").put(back).put(canary))
}

/// The form that compares two revisions.
fn compare(name: &str, app: &AppView) -> Element {
    let select = |field: &'static str, label: &'static str, chosen: Option<u64>| {
        let option = |revision: &RevisionView| {
            let is_chosen = Some(revision.number) == chosen;
            let text = revision.number.to_string();
            el("option").attr("value", &text).flag("selected", is_chosen).put(&text)
        };
        let options: Vec<Element> = app.revisions.iter().map(option).collect();
        el("label").put(label).put(el("select").attr("name", field).put(options))
    };
    let mut newest = app.revisions.iter().map(|revision| revision.number);
    let (last, before) = (newest.next(), newest.next());
    el("form")
        .attr("method", "get")
        .action(&Link::to(&["apps", name, "compare"]))
        .class("acts")
        .put(select("from", "Compare ", before))
        .put(select("to", "with ", last))
        .put(el("button").attr("type", "submit").put("Compare"))
}
