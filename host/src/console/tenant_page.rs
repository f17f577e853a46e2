//! The page of a tenant: its quotas, who hits them, and what its apps may do at most.

use crate::api::views::{AppLineView, GrantView, QuotaView};
use crate::node::admin::clerk::Clerk;
use crate::node::orders::Refused;

use super::charts::{Drawn, sparkline};
use super::html::{Element, Html, el};
use super::layout::{Visit, a, app_link, cell, code, facts, html, live, nothing, number, page, row, section, table};
use super::overview::state;
use super::units::{bytes, count, millis};

/// The page of a tenant.
pub(super) async fn tenant(clerk: &Clerk, visit: &Visit, name: &str) -> Result<Html, Refused> {
    let tenant = clerk.tenant(&visit.operator, name).await?;
    let mut apps = clerk.apps(&visit.operator).await?;
    apps.retain(|app| app.tenant.as_deref() == Some(tenant.name.as_str()));
    let known = facts(vec![
        ("Weight", html(u64::from(tenant.weight))),
        ("Memory", html(bytes(tenant.memory_bytes))),
        ("Turns had, by weight", html(millis(tenant.turns_ms))),
    ]);
    let quotas = live("live-quotas", (quota_table(&tenant.quotas), hits(clerk, &apps)));
    let parts = (
        live("live-tenant", known),
        section("quotas", "Quotas", quotas),
        (
            section("grants", "What its apps may do at most", grants(std::slice::from_ref(&tenant.grants))),
            section("apps", "Apps", live("live-apps", app_table(clerk, &apps))),
        ),
    );
    Ok(page(visit, &format!("Tenant {}", tenant.name), parts))
}

/// Quotas, what of them is used, and how often they were used up.
pub(super) fn quota_table(quotas: &[QuotaView]) -> Element {
    if quotas.is_empty() {
        return nothing("The tenant has no quota.");
    }
    let line = |quota: &QuotaView| {
        let used = quota.used.map(|used| amount(&quota.name, used));
        let limit = amount(&quota.name, quota.limit);
        let limit = quota.per_ms.map_or_else(|| limit.clone(), |per| format!("{limit} in {}", millis(per)));
        let hits = number(count(quota.hits));
        row([cell(&quota.name), number(used), number(limit), cell(&quota.past), hits])
    };
    let heads = ["quota", "used now", "limit", "past it", "times used up"];
    table("Quotas", &heads, quotas.iter().map(line).collect())
}

/// Which apps had requests that quotas refused.
fn hits(clerk: &Clerk, apps: &[AppLineView]) -> Option<Element> {
    let mut found: Vec<(u64, &str, &'static str)> = Vec::new();
    for app in apps {
        let refused = clerk.insight(app).map(|insight| insight.refused).unwrap_or_default();
        found.extend(refused.into_iter().map(|(quota, times)| (times, app.name.as_str(), quota)));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    let line = |(times, app, quota): &(u64, &str, &'static str)| {
        row([cell(a(&app_link(app), *app)), cell(*quota), number(count(*times))])
    };
    let rows: Vec<Element> = found.iter().take(50).map(line).collect();
    let heads = ["app", "quota", "requests refused"];
    (!rows.is_empty()).then(|| el("div").put(el("h3").put("Who hits them")).put(table("Who hits quotas", &heads, rows)))
}

/// The rules of profiles.
pub(super) fn grants(grants: &[GrantView]) -> Element {
    let list = |label: &'static str, rules: &[String]| {
        let rules: Vec<Element> = rules.iter().map(|rule| el("li").put(code(rule))).collect();
        (!rules.is_empty()).then(|| el("div").put(label).put(el("ul").class("rules").put(rules)))
    };
    let one = |grant: &GrantView| {
        let rest = if grant.allows_rest { "Whatever no rule denies is allowed." } else { "The rest is denied." };
        let title = el("h3").put("Profile ").put(code(&grant.profile));
        let rules = (list("allows", &grant.allow), list("denies", &grant.deny), el("p").class("quiet").put(rest));
        el("div").put(title).put(rules)
    };
    let both = (grants.len() > 1).then(|| el("p").put("Each of these profiles must allow a call."));
    el("div").put(both).put(grants.iter().map(one).collect::<Vec<_>>())
}

fn app_table(clerk: &Clerk, apps: &[AppLineView]) -> Element {
    let line = |app: &AppLineView| {
        let slots = clerk.slots(app);
        let [requests, errors, cpu] = Drawn::ALL.map(|drawn| cell(sparkline(drawn, slots.as_deref())));
        row([cell(a(&app_link(&app.name), &app.name)), cell(state(app.state)), requests, errors, cpu])
    };
    let rows: Vec<Element> = apps.iter().take(100).map(line).collect();
    let more = (apps.len() > 100).then(|| nothing("The list of all apps has the others."));
    el("div").put(table("Apps", &["app", "state", "requests", "errors", "CPU"], rows)).put(more)
}

/// An amount of a quota in its unit.
fn amount(quota: &str, amount: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "to be shown; a cast saturates")]
    let whole = amount.max(0.0).round() as u64;
    match quota {
        "memory" | "kv" | "log" => bytes(whole),
        "cpu" => millis(whole),
        _ => count(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_unit_of_its_quota() {
        let shown = [("cpu", 500.0), ("memory", 1024.0), ("requests", 1000.4), ("egress", -1.0)];
        assert_eq!(shown.map(|(quota, of)| amount(quota, of)), ["500.0 ms", "1.0 KiB", "1,000", "0"]);
    }
}
