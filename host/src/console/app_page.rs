//! The page of an app.

use starcell_node::{InsightNow, LiveRequest};

use crate::api::views::{AppStateView, AppView};
use crate::node::admin::clerk::Clerk;
use crate::node::orders::{AppName, Refused};

use super::charts::{Drawn, histogram, quantile, sparkline};
use super::failures::failures;
use super::form::Form;
use super::html::{Content, Element, Html, Link, el};
use super::layout::{
    Visit, a, cell, code, facts, form, html, live, nothing, number, page, problem, row, section, table,
};
use super::overview::{places, state};
use super::revisions::revisions;
use super::tenant_page::{grants, quota_table};
use super::units::{bytes, count, millis, time};

/// Lines of the log on the page.
const LINES: usize = 100;

/// Actions that a page can say it has done.
const DONE: [(&str, &str); 6] = [
    ("deploy", "What is in the folder of the app answers now."),
    ("rollback", "The revision answers now."),
    ("canary", "The part of the canary is changed."),
    ("stop", "The app is stopped."),
    ("start", "The app answers again."),
    ("drain", "The app takes no more requests."),
];

/// The page of an app.
pub(super) async fn app(clerk: &Clerk, visit: &Visit, name: AppName, query: &Form) -> Result<Html, Refused> {
    let view = clerk.app(name.clone()).await?;
    let insight = clerk.insight(&view.line).unwrap_or_default();
    let failed = failures(clerk, &name, &insight.failures).await;
    let (_, log) = clerk.log(name).await?;
    let lines: String = log.tail(LINES).lines.iter().flat_map(|line| [line, "\n"]).collect();
    let log = match lines.is_empty() {
        true => nothing("Nothing was logged."),
        false => el("pre").class("lines").attr("tabindex", "0").put(lines),
    };
    let done = DONE.iter().find(|(act, _)| *act == query.get("done"));
    let parts: Vec<Element> = vec![
        el("div").put(done.map(|(_, text)| el("p").class("note").attr("role", "status").put(*text))),
        live("live-app", about(&view)),
        el("div").put(visit.operates().then(|| acts(visit, &view))),
        section("requests", "Requests", live("live-requests", requests(&insight))),
        section("errors", "Errors", live("live-errors", failed)),
        section("revisions", "Revisions", live("live-revisions", revisions(visit, &view))),
        section("grants", "Permissions", permissions(&view)),
        section("quotas", "Quotas", live("live-quotas", quotas(&view, &insight))),
        section("log", "Log", live("live-log", log)),
    ];
    Ok(page(visit, &format!("App {}", view.line.name), parts))
}

fn about(view: &AppView) -> Html {
    let line = &view.line;
    let none = || html(el("span").class("quiet").put("none"));
    let tenant = line.tenant.as_ref().map_or_else(none, |tenant| html(a(&Link::to(&["tenants", tenant]), tenant)));
    let names = |names: &[String]| if names.is_empty() { none() } else { html(code(names.join(", "))) };
    let mut known = vec![
        ("State", html(state(line.state))),
        ("Tenant", tenant),
        ("Answers at", places(line)),
        ("Revision", line.revision.map_or_else(none, html)),
        ("Answered", html(count(line.counted.requests))),
        ("Status 4xx", html(count(line.counted.refused))),
        ("Status 5xx", html(count(line.counted.failed))),
        ("CPU time", html(millis(line.counted.cpu_ms))),
    ];
    if let Some(limits) = view.limits {
        known.push(("Memory of a request", html(bytes(limits.memory_bytes))));
        known.push(("CPU time of a request", html(millis(limits.cpu_ms))));
        known.push(("Time of a request", html(millis(limits.time_ms))));
    }
    known.push(("Environment", names(&view.env)));
    known.push(("Secrets, by name", names(&view.secrets)));
    known.push(("Schedule", names(&view.schedule)));
    if let Some(last) = &view.store_failures.last {
        let calls: u64 = view.store_failures.calls.values().sum();
        known.push(("Calls that the store did not do", html(count(calls))));
        known.push(("The last of them", html(format!("{}: {}", last.time, last.message))));
    }
    html((facts(known), line.reason.as_ref().map(|reason| problem(reason))))
}

/// The forms of the app as a whole.
fn acts(visit: &Visit, view: &AppView) -> Element {
    let act = |act: &'static str, text: &'static str| {
        let button = el("button").attr("type", "submit").put(text);
        form(visit, &Link::to(&["apps", &view.line.name, act])).put(button)
    };
    let deploy = act("deploy", "Deploy the folder");
    let start = act("start", "Start");
    let acts = match view.line.state {
        AppStateView::Running => vec![deploy, act("drain", "Drain"), act("stop", "Stop")],
        AppStateView::SettingUp => vec![act("stop", "Stop")],
        AppStateView::Failed => vec![deploy, start, act("stop", "Stop")],
        AppStateView::Drained => vec![deploy, start, act("stop", "Stop")],
        AppStateView::Stopped => vec![start],
    };
    el("div").class("acts").attr("role", "group").attr("aria-label", "Actions").put(acts)
}

fn requests(insight: &InsightNow) -> Html {
    let chart = |drawn: Drawn, title: &'static str| {
        el("div").put(el("h3").put(title)).put(sparkline(drawn, Some(&insight.slots)))
    };
    let [first, second, third] = Drawn::ALL;
    let charts = [chart(first, "Requests"), chart(second, "Errors"), chart(third, "CPU time")];
    let charts = el("div").class("acts").put(charts);
    let times = match quantile(&insight.times, 50) {
        None => html(nothing("No request was answered yet.")),
        Some(half) => {
            let part = |percent: u64| html(quantile(&insight.times, percent));
            let known = facts(vec![("Half took", html(half)), ("90 % took", part(90)), ("99 % took", part(99))]);
            html((known, histogram(&insight.times)))
        }
    };
    let left = el("div").put(el("h3").put("How long requests took")).put(times);
    let right = el("div").put(el("h3").put("Under way now")).put(under_way(insight));
    html((charts, el("div").class("halves").put(left).put(right)))
}

fn under_way(insight: &InsightNow) -> Html {
    let line = |request: &LiveRequest| {
        let what = code(format!("{} {}", request.method, request.path));
        row([number(time(request.age)), cell(what), cell(code(&request.request))])
    };
    let rows: Vec<Element> = insight.live.iter().map(line).collect();
    let more = (insight.unlisted > 0).then(|| nothing(&format!("and {} more", count(insight.unlisted))));
    match rows.is_empty() {
        true => html((nothing("No request is under way."), more)),
        false => html((table("Requests under way", &["for", "request", "id"], rows), more)),
    }
}

fn permissions(view: &AppView) -> impl Content {
    let link = Link::to(&["apps", &view.line.name, "permissions"]);
    let more = el("p").put(a(&link, "What of this was used, refused calls, and the least profile"));
    (view.grants.as_ref().map(|all| grants(all)), more)
}

fn quotas(view: &AppView, insight: &InsightNow) -> Html {
    let line = |(quota, times): (&&'static str, &u64)| row([cell(*quota), number(count(*times))]);
    let rows: Vec<Element> = insight.refused.iter().map(line).collect();
    let refused = match rows.is_empty() {
        true => nothing("No request of this app was refused by a quota."),
        false => table("Requests of this app that quotas refused", &["quota", "requests of this app refused"], rows),
    };
    html((el("p").put("The apps of a tenant have its quotas together."), quota_table(&view.quotas), refused))
}
