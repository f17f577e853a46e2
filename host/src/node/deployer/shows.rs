//! What operators see of the apps and tenants of a node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use starcell_config::{AppManifest, PastQuota};
use starcell_node::{Counted, QuotaUse, Revision, Seat, StoreFailures, Tenant};
use starcell_policy::{Fallback, Profile};
use tokio::time::Instant;

use crate::api::views::{
    AppLineView, AppStateView, AppView, CanaryView, CountedView, GrantView, LimitsView, PreviewView, QuotaView,
    RevisionView, StoreFailureView, StoreFailuresView, TenantView,
};
use crate::node::history::KeptRevision;
use crate::node::orders::{AppName, Refused};

use super::Deployer;
use super::known::Known;

impl Deployer {
    /// All apps in short, or those of one tenant.
    pub(super) fn lines(&self, within: Option<&str>) -> Vec<AppLineView> {
        let seen = self.known.iter().filter(|(_, known)| known.is_within(within));
        seen.map(|(name, known)| self.line(name, known)).collect()
    }

    fn line(&self, name: &str, known: &Known) -> AppLineView {
        let (state, revision) = self.state(name);
        let manifest = known.manifest.as_deref();
        let prefix = manifest.map_or("", |manifest| &manifest.prefix);
        AppLineView {
            name: name.to_owned(),
            tenant: known.tenant().map(str::to_owned),
            hosts: manifest.map(|manifest| manifest.hosts.clone()).unwrap_or_default(),
            path: format!("{prefix}/"),
            state,
            revision,
            reason: self.reason(known, state),
            counted: counted(known.tally.counted()),
        }
    }

    fn reason(&self, known: &Known, state: AppStateView) -> Option<String> {
        let ended = || (state == AppStateView::Failed).then(|| "its script has ended; its log says why".to_owned());
        known.failed.clone().or_else(ended)
    }

    /// Whether an app answers, and with which revision.
    pub(super) fn state(&self, name: &str) -> (AppStateView, Option<u64>) {
        let known = self.known.get(name);
        let running = self.node.seat(name).and_then(|seat| seat.running());
        let state = match known {
            _ if running.is_some() => AppStateView::Running,
            Some(known) if known.drained.is_some() => AppStateView::Drained,
            Some(known) if known.is_under_way => AppStateView::SettingUp,
            Some(known) if known.history.stopped => AppStateView::Stopped,
            _ => AppStateView::Failed,
        };
        (state, running.map(|running| running.number()))
    }

    /// An app.
    pub(super) fn view(&self, app: &AppName) -> Result<AppView, Refused> {
        let known = self.known.get(&app.name).filter(|known| known.is_within(app.within.as_deref()));
        let known = known.ok_or_else(|| Refused::no_app(&app.name))?;
        let manifest = known.manifest.as_deref();
        let tenant = manifest.and_then(|manifest| self.base.tenants.get(&manifest.tenant));
        let seat = self.node.seat(&app.name);
        let beside = seat.as_ref().and_then(|seat| seat.beside());
        let canary = beside.as_ref().and_then(|beside| beside.canary.as_ref());
        let paths = |manifest: &AppManifest| manifest.schedule.iter().map(|entry| entry.path.clone()).collect();
        Ok(AppView {
            line: self.line(&app.name, known),
            grants: manifest.map(|manifest| self.grants_of(manifest)),
            limits: manifest.map(|manifest| self.limits_of(manifest)),
            quotas: tenant.map(|tenant| quotas(tenant)).unwrap_or_default(),
            env: manifest.map(|manifest| manifest.env.keys().cloned().collect()).unwrap_or_default(),
            secrets: manifest.map(|manifest| manifest.secrets.keys().cloned().collect()).unwrap_or_default(),
            schedule: manifest.map(paths).unwrap_or_default(),
            revisions: revisions(known, seat.as_deref(), app.within.as_deref()),
            pinned: known.history.pinned.as_ref().map(|pin| pin.revision),
            canary: canary.map(|canary| CanaryView {
                revision: canary.revision().number(),
                percent: canary.percent(),
                counted: counted(canary.revision().tally().counted()),
            }),
            previews_allowed: manifest.is_some_and(|manifest| manifest.preview),
            previews: known.previews.iter().map(|(revision, until)| preview(*revision, *until)).collect(),
            store_failures: self.store_failures(&app.name, known),
        })
    }

    fn store_failures(&self, app: &str, known: &Known) -> StoreFailuresView {
        let insight = known.tenant().and_then(|tenant| self.base.insights.find(tenant, app));
        let StoreFailures { calls, last } = insight.map(|insight| insight.store()).unwrap_or_default();
        StoreFailuresView {
            calls: calls.into_iter().map(|(failure, count)| (failure.name().to_owned(), count)).collect(),
            last: last.map(|(time, failure)| StoreFailureView {
                time: humantime::format_rfc3339_millis(time).to_string(),
                kind: failure.name().to_owned(),
                message: failure.sentence().to_owned(),
            }),
        }
    }

    fn grants_of(&self, manifest: &AppManifest) -> Vec<GrantView> {
        let of_tenant = self.base.files.config.tenants.get(&manifest.tenant).map(|tenant| &tenant.profile);
        let of_app = Some(&manifest.profile).filter(|profile| of_tenant != Some(*profile));
        of_tenant.into_iter().chain(of_app).map(grants).collect()
    }

    fn limits_of(&self, manifest: &AppManifest) -> LimitsView {
        let limits = self.base.limits(manifest);
        LimitsView {
            memory_bytes: limits.memory() as u64,
            cpu_ms: millis(limits.request_cpu),
            time_ms: millis(limits.request_wall),
        }
    }

    /// The tenants, or the one of this name.
    pub(super) fn tenant_views(&self, within: Option<&str>) -> Vec<TenantView> {
        let seen = self.base.tenants.iter().filter(|(name, _)| within.is_none_or(|within| within == name.as_str()));
        let mut apps: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, known) in &self.known {
            if let Some(tenant) = known.tenant() {
                apps.entry(tenant).or_default().push(name.clone());
            }
        }
        let view = |(name, tenant): (&String, &Arc<Tenant>)| {
            let config = self.base.files.config.tenants.get(name)?;
            Some(TenantView {
                name: name.clone(),
                grants: grants(&config.profile),
                weight: config.weight,
                apps: apps.get(name.as_str()).cloned().unwrap_or_default(),
                quotas: quotas(tenant),
                memory_bytes: tenant.memory().used(),
                turns_ms: millis(tenant.turns().had()),
            })
        };
        seen.filter_map(view).collect()
    }
}

/// The revisions that somebody of a tenant, or of the node, may make answer: those from before the app changed its owner are
/// somebody else's.
fn revisions(known: &Known, seat: Option<&Seat>, within: Option<&str>) -> Vec<RevisionView> {
    let beside = seat.and_then(Seat::beside);
    let current = seat.and_then(Seat::running);
    let running = |number: u64| -> Option<&Arc<Revision>> {
        let beside = beside.iter().flat_map(|beside| beside.revisions());
        current.iter().chain(beside).find(|revision| revision.number() == number)
    };
    let view = |kept: &KeptRevision| {
        let running = running(kept.number);
        RevisionView {
            number: kept.number,
            deployed: kept.deployed.clone(),
            digest: kept.digest.clone(),
            runs: running.is_some(),
            counted: running.map(|revision| counted(revision.tally().counted())),
        }
    };
    let is_seen = |kept: &&KeptRevision| match (within, &kept.tenant) {
        (Some(within), Some(tenant)) => within == tenant,
        (None, _) | (_, None) => true,
    };
    known.history.kept.iter().rev().filter(is_seen).map(view).collect()
}

fn preview(revision: u64, until: Instant) -> PreviewView {
    PreviewView { revision, left_ms: millis(until.saturating_duration_since(Instant::now())) }
}

fn grants(profile: &Profile) -> GrantView {
    let lineage = profile.lineage();
    GrantView {
        profile: profile.name().to_owned(),
        allow: lineage.iter().flat_map(|part| part.allow()).map(ToString::to_string).collect(),
        deny: lineage.iter().flat_map(|part| part.deny()).map(ToString::to_string).collect(),
        allows_rest: profile.fallback() == Fallback::Allow,
    }
}

fn quotas(tenant: &Tenant) -> Vec<QuotaView> {
    tenant.uses().into_iter().map(quota).collect()
}

fn quota(quota: QuotaUse) -> QuotaView {
    // A quota of CPU time is in nanoseconds.
    let unit = if quota.name == "cpu" { 1e6 } else { 1.0 };
    let past = match quota.past {
        PastQuota::Count => "count",
        PastQuota::Reject => "reject",
        PastQuota::Terminate => "terminate",
        PastQuota::Throttle => "throttle",
    };
    QuotaView {
        name: quota.name.to_owned(),
        limit: quota.limit / unit,
        per_ms: quota.per.map(millis),
        used: quota.used.map(|used| (used / unit).max(0.0)),
        past: past.to_owned(),
        hits: quota.hits,
    }
}

fn counted(counted: Counted) -> CountedView {
    let Counted { requests, refused, failed, time, cpu } = counted;
    CountedView { requests, refused, failed, time_ms: millis(time), cpu_ms: millis(cpu) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
