//! `starcell top`: the apps of a node that use most, again and again.
//!
//! On a terminal each table takes the place of the one before it. Elsewhere they follow each other, and with `--once` there
//! is one, of all that was counted since the node started.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tokio::time::{Instant, sleep};

use crate::api::views::{AppLineView, AppsView, CountedView, HealthView};
use crate::cli::Top;
use crate::exit::Exit;
use crate::operate::{Failed, NodeClient};
use crate::say::{Said, fail, put, redraw, say};
use crate::sheets::{Row, node_line, table};

/// Shows the table until whoever looks has seen enough.
pub async fn top(arguments: &Top) -> Exit {
    match run(arguments).await {
        Ok(exit) => exit,
        Err((exit, error)) => fail(exit, &error),
    }
}

async fn run(arguments: &Top) -> Result<Exit, Failed> {
    let client = NodeClient::new(&arguments.node)?;
    let (most, json) = (usize::try_from(arguments.lines.get()).unwrap_or(usize::MAX), arguments.node.json);
    let mut look = Look::new(&client).await?;
    if arguments.once {
        let said = if json { Said::Json(look.text) } else { Said::Text(look.totals(most)) };
        return Ok(say(Exit::Ok, &said));
    }
    loop {
        sleep(arguments.interval).await;
        let next = Look::new(&client).await?;
        let goes_on = if json { put(&Said::Json(next.text.clone())) } else { redraw(&next.since(&look, most)) };
        if !goes_on {
            return Ok(Exit::Ok);
        }
        look = next;
    }
}

/// What a node said at a moment.
struct Look {
    at: Instant,
    health: HealthView,
    apps: Vec<AppLineView>,
    text: String,
}

impl Look {
    async fn new(client: &NodeClient) -> Result<Self, Failed> {
        let (health, _) = client.get::<HealthView>("/v1/health").await?;
        let (AppsView { apps }, text) = client.get::<AppsView>("/v1/apps").await?;
        Ok(Self { at: Instant::now(), health, apps, text })
    }

    /// What was counted since the start of the node.
    fn totals(&self, most: usize) -> String {
        let mut apps: Vec<&AppLineView> = self.apps.iter().collect();
        apps.sort_by_key(|app| Reverse((app.counted.cpu_ms, app.counted.requests)));
        let row = |app: &AppLineView| {
            let CountedView { requests, refused, failed, time_ms, cpu_ms } = app.counted;
            let counted = [requests.to_string(), refused.to_string(), failed.to_string()];
            let times = [mean(time_ms, requests), format!("{cpu_ms}")];
            named(app).into_iter().chain(counted).chain(times).collect()
        };
        let head = ["APP", "TENANT", "STATE", "REV", "REQUESTS", "4XX", "5XX", "MEAN MS", "CPU MS"];
        node_line(&self.health) + &table(&head, apps.into_iter().take(most).map(row).collect())
    }

    /// What was counted since an earlier look, for each second.
    fn since(&self, before: &Self, most: usize) -> String {
        let seconds = self.at.saturating_duration_since(before.at).as_secs_f64().max(0.001);
        let then: BTreeMap<&str, CountedView> =
            before.apps.iter().map(|app| (app.name.as_str(), app.counted)).collect();
        let mut apps: Vec<(&AppLineView, CountedView)> = Vec::new();
        for app in &self.apps {
            let then = then.get(app.name.as_str()).copied().unwrap_or_default();
            apps.push((app, less(app.counted, then)));
        }
        apps.sort_by_key(|(app, counted)| Reverse((counted.cpu_ms, counted.requests, app.counted.cpu_ms)));
        let row = |(app, counted): (&AppLineView, CountedView)| {
            let CountedView { requests, refused, failed, time_ms, cpu_ms } = counted;
            let rate = |number: u64| format!("{:.1}", number as f64 / seconds);
            let counted = [rate(requests), rate(refused), rate(failed)];
            let times = [mean(time_ms, requests), format!("{:.1}", cpu_ms as f64 / seconds / 10.0)];
            named(app).into_iter().chain(counted).chain(times).collect()
        };
        let head = ["APP", "TENANT", "STATE", "REV", "REQ/S", "4XX/S", "5XX/S", "MEAN MS", "CPU %"];
        node_line(&self.health) + &table(&head, apps.into_iter().take(most).map(row).collect())
    }
}

fn named(app: &AppLineView) -> Row {
    let revision = app.revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string());
    vec![app.name.clone(), app.tenant.clone().unwrap_or_default(), app.state.name().to_owned(), revision]
}

fn less(now: CountedView, then: CountedView) -> CountedView {
    CountedView {
        requests: now.requests.saturating_sub(then.requests),
        refused: now.refused.saturating_sub(then.refused),
        failed: now.failed.saturating_sub(then.failed),
        time_ms: now.time_ms.saturating_sub(then.time_ms),
        cpu_ms: now.cpu_ms.saturating_sub(then.cpu_ms),
    }
}

fn mean(time_ms: u64, requests: u64) -> String {
    match requests {
        0 => "-".to_owned(),
        requests => format!("{:.1}", time_ms as f64 / requests as f64),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::views::AppStateView;

    fn look(at: Instant, counted: &[(&str, u64, u64)]) -> Look {
        let health = HealthView {
            node: "node-1".to_owned(),
            version: "1".to_owned(),
            ready: true,
            running: 2,
            down: 0,
            memory_bytes: 1 << 20,
            memory_limit_bytes: 1 << 30,
            audited: false,
        };
        let app = |(name, requests, cpu_ms): &(&str, u64, u64)| AppLineView {
            name: (*name).to_owned(),
            tenant: Some("acme".to_owned()),
            hosts: Vec::new(),
            path: "/".to_owned(),
            state: AppStateView::Running,
            revision: Some(3),
            reason: None,
            counted: CountedView {
                requests: *requests,
                cpu_ms: *cpu_ms,
                time_ms: 2 * requests,
                ..CountedView::default()
            },
        };
        Look { at, health, apps: counted.iter().map(app).collect(), text: String::new() }
    }

    #[test]
    fn the_app_that_uses_most_comes_first() {
        let began = Instant::now();
        let before = look(began, &[("calm", 1000, 9000), ("busy", 0, 0)]);
        let after = look(began + Duration::from_secs(2), &[("calm", 1002, 9000), ("busy", 50, 500), ("new", 0, 0)]);
        let table = after.since(&before, 2);
        let lines: Vec<&str> = table.lines().collect();
        let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert_eq!(words.last().map(|last| last.join(" ")).as_deref(), Some("calm acme running 3 1.0 0.0 0.0 2.0 0.0"));
        assert!(table.contains("25.0"), "{table}");
        assert!(after.totals(1).ends_with("9000\n"), "{}", after.totals(1));
    }
}
