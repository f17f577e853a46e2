//! What each app of a node may do and use, for whoever checks a configuration before it is used.

use std::fmt::Write as _;

use starcell_config::{AppManifest, SecretSource, TenantConfig, When};
use starcell_policy::{Fallback, Profile};
use starcell_runtime::Limits;

/// The part of an app, in lines of text.
#[must_use]
pub(crate) fn sheet(name: &str, manifest: &AppManifest, tenant: &TenantConfig, limits: &Limits) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, name, manifest, tenant, limits);
    text
}

fn write(
    text: &mut String,
    name: &str,
    manifest: &AppManifest,
    tenant: &TenantConfig,
    limits: &Limits,
) -> std::fmt::Result {
    let hosts = if manifest.hosts.is_empty() { "any host".to_owned() } else { manifest.hosts.join(", ") };
    writeln!(text, "{name}: of the tenant {}, at {hosts}, path {}/", manifest.tenant, manifest.prefix)?;
    writeln!(
        text,
        "  limits: {} MiB, {} ms of CPU and {} ms in all for a request",
        limits.memory() >> 20,
        limits.request_cpu.as_millis(),
        limits.request_wall.as_millis()
    )?;
    for name in manifest.env.keys() {
        writeln!(text, "  env {name}")?;
    }
    for (name, source) in &manifest.secrets {
        match source {
            SecretSource::Environment(variable) => writeln!(text, "  secret {name} of the variable {variable}")?,
            SecretSource::File(file) => writeln!(text, "  secret {name} of the file {}", file.display())?,
        }
    }
    for schedule in &manifest.schedule {
        match &schedule.when {
            When::Every(time) => writeln!(text, "  asked for {} every {} s", schedule.path, time.as_secs())?,
            When::Cron(_) => writeln!(text, "  asked for {} by the clock", schedule.path)?,
        }
    }
    let of_tenant = &tenant.profile;
    match *of_tenant == manifest.profile {
        true => granted(text, "the profile of the tenant", of_tenant),
        false => {
            granted(text, "the profile of the tenant", of_tenant)?;
            granted(text, "of that, no more than the profile of the app", &manifest.profile)
        }
    }
}

fn granted(text: &mut String, what: &str, profile: &Profile) -> std::fmt::Result {
    writeln!(text, "  {what}, {}:", profile.name())?;
    let lineage = profile.lineage();
    for rule in lineage.iter().flat_map(|part| part.allow()) {
        writeln!(text, "    allow {rule}")?;
    }
    for rule in lineage.iter().flat_map(|part| part.deny()) {
        writeln!(text, "    deny {rule}")?;
    }
    match profile.fallback() {
        Fallback::Allow => writeln!(text, "    allow whatever no rule denies"),
        Fallback::Deny if lineage.iter().all(|part| part.allow().is_empty()) => writeln!(text, "    allow nothing"),
        Fallback::Deny => Ok(()),
    }
}
