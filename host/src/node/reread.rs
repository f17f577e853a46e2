//! What a configuration changes that is read again while the node serves.
//!
//! **The decision.** Listeners, profiles and tenants follow their file at SIGHUP. An app whose tenant or profile may have
//! changed is set up anew beside its running revision, like any change of an app. The rest is what the process was built
//! from: it keeps what it had, and the log names each such table with the words "needs a restart".
//!
//! **What it refuses.** A file with a mistake, as a whole. The end of a tenant that still has apps: they would answer on under
//! quotas that nobody can read any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use starcell_node::Tenant;

use super::base::Base;
use super::files::{NodeFiles, host_files};

/// A configuration that was read again, and what follows from it.
pub(crate) struct Reread {
    /// What all apps share from now on.
    pub(crate) base: Base,
    /// The apps that are to be set up anew.
    pub(crate) apps: Vec<String>,
    /// Sentences for the operator about what stays as it is.
    pub(crate) notes: Vec<String>,
    changes_listeners: bool,
}

impl Reread {
    /// Reads the configuration of a node; none where it says what it did before. `apps` are those that answer, each with its
    /// tenant. Blocks.
    ///
    /// # Errors
    /// The sentence about a mistake, with its place.
    pub(crate) fn new(base: &Base, apps: &[(String, String)]) -> Result<Option<Self>, String> {
        let mut files = NodeFiles::read(&base.arguments.config)?;
        let mut notes = keep(&mut files, &base.files);
        keep_tenants(&mut files, &base.files, apps, &mut notes);
        if files.config == base.files.config {
            // What needs a restart is told each time.
            return match notes.is_empty() {
                true => Ok(None),
                false => Ok(Some(Self { base: base.clone(), apps: Vec::new(), notes, changes_listeners: false })),
            };
        }
        let host_files = host_files(&files, &base.arguments.record)?;
        let mut tenants = BTreeMap::new();
        for (name, config) in &files.config.tenants {
            let tenant = match (base.tenants.get(name), base.files.config.tenants.get(name)) {
                (Some(tenant), Some(before)) if before == config => Arc::clone(tenant),
                (Some(tenant), _) => tenant.changed(config, &base.share),
                (None, _) => Tenant::new(name, config, &base.share),
            };
            tenants.insert(name.clone(), tenant);
        }
        // A profile may stand for any rule of any app.
        let all = files.config.profiles != base.files.config.profiles;
        let is_changed = |tenant: &str| files.config.tenants.get(tenant) != base.files.config.tenants.get(tenant);
        let apps = apps.iter().filter(|(_, tenant)| all || is_changed(tenant)).map(|(app, _)| app.clone()).collect();
        let changes_listeners = files.config.listeners != base.files.config.listeners;
        let base = Base { files, tenants, host_files, ..base.clone() };
        Ok(Some(Self { base, apps, notes, changes_listeners }))
    }

    /// Whether listeners are to follow.
    pub(crate) fn changes_listeners(&self) -> bool {
        self.changes_listeners
    }

    /// Takes the listeners back to what they are.
    pub(crate) fn keep_listeners(&mut self, before: &Base) {
        self.base.files.config.listeners.clone_from(&before.files.config.listeners);
    }
}

/// Keeps what the process was built from, and names what would be another one.
fn keep(files: &mut NodeFiles, before: &NodeFiles) -> Vec<String> {
    let (new, old) = (&mut files.config, &before.config);
    let changed = [
        ("node.name", new.name != old.name),
        ("node.state", files.state != before.state),
        ("node.apps", files.apps != before.apps || new.apps != old.apps),
        ("node.idle", new.idle != old.idle),
        ("node.images", new.images != old.images),
        ("admin", new.admin != old.admin),
        ("bundle", new.bundle != old.bundle),
        ("metrics", new.metrics != old.metrics),
        ("telemetry", new.telemetry != old.telemetry),
        ("kv", new.kv != old.kv),
    ];
    let mut notes: Vec<String> = changed.iter().filter(|(_, is)| *is).map(|(name, _)| restart(name)).collect();
    new.name.clone_from(&old.name);
    (new.state, new.apps) = (old.state.clone(), old.apps.clone());
    (new.idle, new.images) = (old.idle, old.images);
    new.admin.clone_from(&old.admin);
    new.bundle.clone_from(&old.bundle);
    new.metrics = old.metrics;
    new.telemetry.clone_from(&old.telemetry);
    new.kv.clone_from(&old.kv);
    (files.state, files.apps) = (before.state.clone(), before.apps.clone());
    for (name, tenant) in &mut new.tenants {
        let Some(before) = old.tenants.get(name).filter(|before| before.quotas.kv != tenant.quotas.kv) else {
            continue;
        };
        notes.push(restart(&format!("tenants.{name}.quotas.kv")));
        tenant.quotas.kv = before.quotas.kv;
    }
    notes
}

fn keep_tenants(files: &mut NodeFiles, before: &NodeFiles, apps: &[(String, String)], notes: &mut Vec<String>) {
    for (name, tenant) in &before.config.tenants {
        let owns: Vec<&str> = apps.iter().filter(|(_, owner)| owner == name).map(|(app, _)| app.as_str()).collect();
        if files.config.tenants.contains_key(name) || owns.is_empty() {
            continue;
        }
        notes.push(format!("tenants.{name} stays as it is, since it has apps: {}; remove them first", owns.join(", ")));
        files.config.tenants.insert(name.clone(), tenant.clone());
    }
}

fn restart(name: &str) -> String {
    format!("{name} has changed and needs a restart: until then it stays as it was")
}
