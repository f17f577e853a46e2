//! What a node answers, as lines for people.
//!
//! Scripts and tenants choose many of the words in it. A cell of a table and a value of a sheet stay on their line whatever
//! is in them; what a terminal would obey is escaped here and by the writer.

use std::fmt::Write as _;

use starcell_text::one_line;

use crate::api::views::{
    AppView, AppsView, CountedView, DenialsView, DoneView, GrantView, HealthView, QuotaView, TenantView, TenantsView,
};

/// The cells of one line of a table.
pub(crate) type Row = Vec<String>;

/// Characters of a cell.
const MAX_CELL: usize = 60;

/// Rows under a head, each column as wide as its widest cell.
pub(crate) fn table(head: &[&str], rows: Vec<Row>) -> String {
    let cell = |text: &str| {
        let text = one_line(text);
        match text.chars().count() > MAX_CELL {
            true => text.chars().take(MAX_CELL - 1).chain(['…']).collect(),
            false => text,
        }
    };
    let mut all: Vec<Row> = vec![head.iter().map(|name| (*name).to_owned()).collect()];
    all.extend(rows.into_iter().map(|row| row.iter().map(|text| cell(text)).collect()));
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A node in one line.
pub(crate) fn node_line(health: &HealthView) -> String {
    let HealthView { node, version, ready, running, down, memory_bytes, memory_limit_bytes, .. } = health;
    let ready = if *ready { "ready" } else { "not ready" };
    let (used, limit) = (memory_bytes >> 20, memory_limit_bytes >> 20);
    let node = one_line(node);
    format!("{node} ({version}): {ready}, {running} apps run, {down} do not, {used} of {limit} MiB\n")
}

/// The apps in short.
pub(crate) fn apps(view: &AppsView) -> String {
    let row = |app: &crate::api::views::AppLineView| {
        let hosts = if app.hosts.is_empty() { "any host".to_owned() } else { app.hosts.join(",") };
        let reason = app.reason.clone().unwrap_or_default();
        vec![
            app.name.clone(),
            app.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            app.state.name().to_owned(),
            app.revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string()),
            app.counted.requests.to_string(),
            app.counted.failed.to_string(),
            format!("{hosts}{}", app.path),
            reason.lines().next().unwrap_or_default().to_owned(),
        ]
    };
    let head = ["APP", "TENANT", "STATE", "REV", "REQUESTS", "5XX", "AT", "REASON"];
    table(&head, view.apps.iter().map(row).collect())
}

/// The tenants.
pub(crate) fn tenants(view: &TenantsView) -> String {
    let row = |tenant: &TenantView| {
        let hits: u64 = tenant.quotas.iter().map(|quota| quota.hits).sum();
        vec![
            tenant.name.clone(),
            tenant.grants.profile.clone(),
            tenant.weight.to_string(),
            tenant.apps.len().to_string(),
            (tenant.memory_bytes >> 20).to_string(),
            tenant.turns_ms.to_string(),
            hits.to_string(),
        ]
    };
    let head = ["TENANT", "PROFILE", "WEIGHT", "APPS", "MIB", "TURNS MS", "PAST QUOTA"];
    table(&head, view.tenants.iter().map(row).collect())
}

/// A tenant.
pub(crate) fn tenant(view: &TenantView) -> String {
    let mut text = format!("{}\n", one_line(&view.name));
    line(&mut text, "weight", &view.weight.to_string());
    line(&mut text, "apps", &view.apps.join(", "));
    line(&mut text, "turns", &format!("{} ms for each of its weight", view.turns_ms));
    quotas(&mut text, &view.quotas);
    grants(&mut text, "grants", &view.grants);
    text
}

/// An app.
pub(crate) fn app(view: &AppView) -> String {
    let AppView { line: short, .. } = view;
    let mut text = format!("{}\n", one_line(&short.name));
    line(&mut text, "tenant", short.tenant.as_deref().unwrap_or("unknown"));
    let hosts = if short.hosts.is_empty() { "any host".to_owned() } else { short.hosts.join(", ") };
    line(&mut text, "at", &format!("{hosts}, path {}", short.path));
    let revision = short.revision.map(|revision| format!(", revision {revision}")).unwrap_or_default();
    line(&mut text, "state", &format!("{}{revision}", short.state.name()));
    // A traceback has lines.
    for reason in short.reason.iter().flat_map(|reason| reason.lines()) {
        line(&mut text, "reason", reason);
    }
    line(&mut text, "requests", &counted(&short.counted));
    if let Some(last) = &view.store_failures.last {
        let kinds: Vec<String> =
            view.store_failures.calls.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let last = format!("the last at {}: {}", last.time, last.message);
        line(&mut text, "store", &format!("failed calls: {}; {last}", kinds.join(", ")));
    }
    if let Some(limits) = view.limits {
        let memory = limits.memory_bytes >> 20;
        let limits = format!("{memory} MiB, {} ms of CPU, {} ms in all", limits.cpu_ms, limits.time_ms);
        line(&mut text, "limits", &limits);
    }
    quotas(&mut text, &view.quotas);
    for (name, names) in [("env", &view.env), ("secrets", &view.secrets), ("schedule", &view.schedule)] {
        if !names.is_empty() {
            line(&mut text, name, &names.join(", "));
        }
    }
    if let Some(pinned) = view.pinned {
        line(&mut text, "pinned", &format!("revision {pinned} answers instead of what is in the folder"));
    }
    if let Some(canary) = view.canary {
        let part = format!("revision {}, {} % of the requests", canary.revision, canary.percent);
        line(&mut text, "canary", &format!("{part}; {}", counted(&canary.counted)));
    }
    for preview in &view.previews {
        let left = preview.left_ms / 60_000;
        line(&mut text, "preview", &format!("revision {}, {left} more minutes", preview.revision));
    }
    for revision in &view.revisions {
        let runs = if revision.runs { ", runs" } else { "" };
        let digest: String = revision.digest.chars().take(19).collect();
        line(&mut text, "revision", &format!("{} of {}, {digest}{runs}", revision.number, revision.deployed));
    }
    for (place, found) in view.grants.iter().flatten().enumerate() {
        grants(&mut text, if place == 0 { "tenant may" } else { "app may" }, found);
    }
    text
}

/// An action that was done.
pub(crate) fn done(view: &DoneView) -> String {
    let (app, action) = (one_line(&view.app), one_line(&view.action));
    let answers = match view.revision {
        Some(revision) => format!("revision {revision} answers"),
        None => view.state.name().to_owned(),
    };
    let before = view.previous.filter(|previous| Some(*previous) != view.revision);
    let before = before.map(|previous| format!(", revision {previous} did before")).unwrap_or_default();
    let mut text = format!("{app}: {action} is done; {answers}{before}\n");
    if let Some(preview) = &view.preview {
        let (header, key) = (one_line(&preview.header), one_line(&preview.key));
        let _ = writeln!(text, "revision {} answers requests with this header for a while:", preview.revision);
        let _ = writeln!(text, "{header}: {key}");
    }
    if let Some(note) = &view.note {
        let _ = writeln!(text, "{}", one_line(note));
    }
    text
}

/// Calls that were refused.
pub(crate) fn denials(view: &DenialsView) -> String {
    let row = |denial: &crate::api::views::DenialView| {
        vec![
            denial.time.clone(),
            denial.revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string()),
            format!("{}({})", denial.capability, denial.resource),
            denial.rule.clone().unwrap_or_else(|| "no rule".to_owned()),
            denial.needed.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{}:{}", denial.file, denial.line),
        ]
    };
    let head = ["TIME", "REV", "CALL", "DENIED BY", "NEEDS", "AT"];
    let count = format!("{} calls were refused\n", view.total);
    count + &table(&head, view.denials.iter().map(row).collect())
}

fn counted(counted: &CountedView) -> String {
    let CountedView { requests, refused, failed, time_ms, cpu_ms } = counted;
    format!("{requests}, of them {refused} with 4xx and {failed} with 5xx; {time_ms} ms, {cpu_ms} ms of CPU")
}

fn quotas(text: &mut String, quotas: &[QuotaView]) {
    for quota in quotas {
        let per = quota.per_ms.map(|per| format!(" in {} s", per / 1000)).unwrap_or_default();
        let used = quota.used.map(|used| format!("{used:.0} of ")).unwrap_or_default();
        let hits = format!("{}, past it {} times", quota.past, quota.hits);
        line(text, "quota", &format!("{}: {used}{}{per}; {hits}", quota.name, quota.limit));
    }
}

fn grants(text: &mut String, what: &str, grants: &GrantView) {
    line(text, what, &format!("profile {}", grants.profile));
    for (word, rules) in [("allow", &grants.allow), ("deny", &grants.deny)] {
        for rule in rules {
            line(text, word, rule);
        }
    }
    if grants.allows_rest {
        line(text, "allow", "whatever no rule denies");
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {name:10} {}", one_line(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_in_its_line_and_is_bounded() {
        let hostile = format!("a\nb\x1b[2J{}", "x".repeat(100));
        let text = table(&["NAME", "N"], vec![vec![hostile, "1".to_owned()], vec!["b".to_owned(), "22".to_owned()]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(!text.contains('\x1b') && text.contains("a\\nb\\x1b") | text.contains("a\\nb\\u"), "{text}");
        let ends: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(ends.iter().all(|end| *end <= MAX_CELL + 4), "{ends:?}");
    }
}
