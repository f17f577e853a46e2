//! The first page: the node, its tenants, and its apps with their last minutes.

use std::collections::BTreeMap;

use starcell_node::TimeSlot;

use crate::api::views::{AppLineView, AppStateView, HealthView, TenantView};
use crate::node::admin::clerk::Clerk;
use crate::node::orders::Refused;

use super::charts::{Drawn, sparkline};
use super::form::Form;
use super::html::{Element, Html, Link, el};
use super::layout::{Visit, a, app_link, cell, code, facts, html, live, nothing, number, page, row, section, table};
use super::units::{bytes, count};

/// Apps on one page.
const PAGE: usize = 100;

const STATES: [AppStateView; 5] = [
    AppStateView::Running,
    AppStateView::SettingUp,
    AppStateView::Failed,
    AppStateView::Stopped,
    AppStateView::Drained,
];

/// The first page.
pub(super) async fn overview(clerk: &Clerk, visit: &Visit, query: &Form) -> Result<Html, Refused> {
    let (tenants, apps) = (clerk.tenants(&visit.operator).await?, clerk.apps(&visit.operator).await?);
    let slots: Vec<Option<Vec<TimeSlot>>> = apps.iter().map(|app| clerk.slots(app)).collect();
    // The numbers of the whole node are not those of one tenant.
    let node = visit.operator.tenant.is_none().then(|| node(&clerk.health()));
    let tenants = section("tenants", "Tenants", live("live-tenants", tenant_table(&tenants, &apps, &slots)));
    let apps = section("apps", "Apps", (filter(query), list(query, &apps, &slots)));
    Ok(page(visit, &format!("Node {}", clerk.base.name), (node, tenants, apps)))
}

fn node(health: &HealthView) -> Element {
    let ready = if health.ready { "yes" } else { "no" };
    let memory = format!("{} of {}", bytes(health.memory_bytes), bytes(health.memory_limit_bytes));
    let recorded = if health.audited { "recorded" } else { "not recorded: start the node with --audit FILE" };
    let node = facts(vec![
        ("Version", html(&health.version)),
        ("Takes traffic", html(ready)),
        ("Apps that answer", html(count(health.running))),
        ("Apps that do not", html(count(health.down))),
        ("Memory", html(memory)),
        ("Calls and actions", html(recorded)),
    ]);
    live("live-node", node)
}

fn tenant_table(tenants: &[TenantView], apps: &[AppLineView], slots: &[Option<Vec<TimeSlot>>]) -> Element {
    let mut sums: BTreeMap<&str, Vec<TimeSlot>> = BTreeMap::new();
    for (app, slots) in apps.iter().zip(slots) {
        let (Some(tenant), Some(slots)) = (&app.tenant, slots) else { continue };
        let sum = sums.entry(tenant).or_insert_with(|| vec![TimeSlot::default(); slots.len()]);
        sum.iter_mut().zip(slots).for_each(|(sum, slot)| sum.add(*slot));
    }
    let line = |tenant: &TenantView| {
        let [requests, errors, cpu] = sparks(sums.get(tenant.name.as_str()).map(Vec::as_slice));
        let hits: u64 = tenant.quotas.iter().map(|quota| quota.hits).sum();
        let name = cell(a(&Link::to(&["tenants", &tenant.name]), &tenant.name));
        let [apps, memory] = [count(tenant.apps.len() as u64), bytes(tenant.memory_bytes)].map(number);
        row([name, apps, requests, errors, cpu, memory, number(count(hits))])
    };
    let heads = ["tenant", "apps", "requests", "errors", "CPU", "memory", "quota hits"];
    table("Tenants", &heads, tenants.iter().map(line).collect())
}

fn filter(query: &Form) -> Element {
    let words = el("input").attr("type", "search").attr("name", "q").attr("value", query.get("q"));
    let words = words.attr("placeholder", "name, tenant or host").attr("aria-label", "Search apps");
    let option = |state: &AppStateView| {
        let chosen = query.get("state") == state.name();
        el("option").attr("value", state.name()).flag("selected", chosen).put(state.name())
    };
    let any = el("option").attr("value", "").put("any state");
    let states = el("select").attr("name", "state").attr("aria-label", "State");
    let states = states.put(any).put(STATES.iter().map(option).collect::<Vec<_>>());
    let form = el("form").attr("method", "get").action(&Link::to(&[])).attr("role", "search");
    form.put(words).put(states).put(el("button").attr("type", "submit").put("Search"))
}

fn list(query: &Form, apps: &[AppLineView], slots: &[Option<Vec<TimeSlot>>]) -> Element {
    let (words, state) = (query.get("q").to_lowercase(), query.get("state"));
    let finds = |app: &AppLineView| {
        let mut texts = [Some(&app.name), app.tenant.as_ref()].into_iter().flatten().chain(&app.hosts);
        (state.is_empty() || app.state.name() == state)
            && (words.is_empty() || texts.any(|text| text.to_lowercase().contains(&words)))
    };
    let found: Vec<_> = apps.iter().zip(slots).filter(|(app, _)| finds(app)).collect();
    let last = found.len().saturating_sub(1) / PAGE;
    let place = query.number::<usize>("page").unwrap_or_default().min(last);
    let rows = found.iter().skip(place * PAGE).take(PAGE).map(|(app, slots)| line(app, slots.as_deref()));
    let heads = ["app", "tenant", "state", "revision", "requests", "errors", "CPU", "answered", "status 5xx"];
    let to = |place: usize, text: &str| {
        let link = Link::to(&[]).with("q", query.get("q")).with("state", state).with("page", place.to_string());
        a(&link.at("apps"), text)
    };
    let pages = (last > 0).then(|| {
        let before = place.checked_sub(1).map(|before| to(before, "Previous"));
        let after = (place < last).then(|| to(place + 1, "Next"));
        let here = format!(" page {} of {} ({} apps) ", place + 1, last + 1, count(found.len() as u64));
        el("p").put((before, here, after))
    });
    match found.is_empty() {
        true => live("live-apps", nothing("No app is found.")),
        false => live("live-apps", (table("Apps", &heads, rows.collect()), pages)),
    }
}

fn line(app: &AppLineView, slots: Option<&[TimeSlot]>) -> Element {
    let [requests, errors, cpu] = sparks(slots);
    let place = match app.hosts.as_slice() {
        [] => app.path.clone(),
        [host] => format!("{host}{}", app.path),
        [host, rest @ ..] => format!("{host}{} and {} more", app.path, rest.len()),
    };
    let name = cell((a(&app_link(&app.name), &app.name), el("div").class("quiet").put(place)));
    let tenant = app.tenant.as_ref().map(|tenant| a(&Link::to(&["tenants", tenant]), tenant));
    let why = app.reason.as_ref().map(|reason| {
        let first: String = reason.lines().next().unwrap_or_default().chars().take(120).collect();
        el("div").class("quiet").put(first)
    });
    let revision = number(app.revision.map(|revision| revision.to_string()));
    let [answered, failed] = [app.counted.requests, app.counted.failed].map(|number_of| number(count(number_of)));
    row([name, cell(tenant), cell((state(app.state), why)), revision, requests, errors, cpu, answered, failed])
}

/// The word for the state of an app.
pub(super) fn state(state: AppStateView) -> Element {
    let class = match state {
        AppStateView::Running => "state running",
        AppStateView::SettingUp => "state setting-up",
        AppStateView::Failed => "state failed",
        AppStateView::Stopped => "state stopped",
        AppStateView::Drained => "state drained",
    };
    el("span").class(class).put(state.name())
}

fn sparks(slots: Option<&[TimeSlot]>) -> [Element; 3] {
    Drawn::ALL.map(|drawn| cell(sparkline(drawn, slots)))
}

/// Hosts and path of an app.
pub(super) fn places(app: &AppLineView) -> Html {
    match app.hosts.is_empty() {
        true => html(("any host, ", code(&app.path))),
        false => {
            html(app.hosts.iter().map(|host| el("div").put(code(format!("{host}{}", app.path)))).collect::<Vec<_>>())
        }
    }
}
