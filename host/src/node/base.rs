//! What all apps of a node share, and what one of them is started with.
//!
//! An app may do what its tenant may and its own profile too: the grants of both are layers, and each must allow a call.
//! It finds the environment that its file gives it and nothing of the node's own, its own store, and no cluster: that of
//! whoever operates the node is not a tenant's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use starcell_audit::{Audit, Subject};
use starcell_config::AppManifest;
use starcell_edge::Edge;
use starcell_log::{KeptLog, KeptLogs, Level};
use starcell_node::schedule::Timetable;
use starcell_node::subject::digest;
use starcell_node::{
    AppTerms, Deployment, Insights, Launch, NodeShare, NotStarted, Revision, RevisionImages, Sight, Tally, Tenant,
};
use starcell_policy::{CanonicalPath, EnvName, Grants};
use starcell_runtime::kv::DEFAULT_QUOTA;
use starcell_runtime::{
    CapabilityState, Client, Databases, HostFiles, ImageStore, Interpreter, Kubernetes, Kv, KvServer, KvSpace, Limits,
    Mode, Programs,
};
use starcell_telemetry::TracedApp;

use crate::cli::HostCommand;
use crate::folder::MAIN;
use crate::granted::roots_in;
use crate::telemetry::ProcessTelemetry;
use crate::vars::of_app;

use super::files::{AppFiles, MANIFEST, NodeFiles, make_folder};

/// What git keeps beside the files of a work tree, the names of remotes with their passwords included.
const WORK_TREE: &str = ".git";

/// What all apps of a node share.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The command line.
    pub(crate) arguments: Arc<HostCommand>,
    /// The configuration.
    pub(crate) files: NodeFiles,
    /// The name of the node.
    pub(crate) name: String,
    /// The guest.
    pub(crate) interpreter: Arc<Interpreter>,
    /// What all listeners share.
    pub(crate) edge: Arc<Edge>,
    /// The audit log.
    pub(crate) audit: Audit,
    /// Memory, turns and log.
    pub(crate) share: NodeShare,
    /// The last lines of each app.
    pub(crate) kept_logs: KeptLogs,
    /// What is kept of the requests of each app.
    pub(crate) insights: Insights,
    /// The tenants.
    pub(crate) tenants: BTreeMap<String, Arc<Tenant>>,
    /// The server that keeps the stores of the apps; none where folders do.
    pub(crate) kv: Option<KvServer>,
    /// The files of the node, which no app may touch.
    pub(crate) host_files: HostFiles,
    /// The images of its apps; none where nothing is kept.
    pub(crate) images: Option<Arc<ImageStore>>,
    /// What is sent to a collector.
    pub(crate) telemetry: ProcessTelemetry,
}

/// What an app may do.
#[derive(Debug)]
pub(crate) struct AppGrants {
    /// The decision about each of its calls.
    pub(crate) grants: Grants,
    /// Its folder.
    pub(crate) cwd: CanonicalPath,
    /// All that decides in one text, of which the audit log keeps the digest.
    policy: String,
}

impl Base {
    /// The last lines of an app of a tenant. One that changes its owner begins anew: its lines are not the next one's.
    pub(crate) fn kept_log(&self, tenant: &str, app: &str) -> KeptLog {
        self.kept_logs.of(&Self::log_name(tenant, app))
    }

    /// Forgets the last lines of an app that is gone.
    pub(crate) fn forget_log(&self, tenant: &str, app: &str) {
        self.kept_logs.forget(&Self::log_name(tenant, app));
    }

    /// No name has a slash.
    fn log_name(tenant: &str, app: &str) -> String {
        format!("{tenant}/{app}")
    }

    /// The tenant of an app.
    pub(crate) fn tenant(&self, manifest: &AppManifest) -> Result<&Arc<Tenant>, String> {
        let found = self.tenants.get(&manifest.tenant);
        found.ok_or_else(|| format!("unknown tenant {}", manifest.tenant))
    }

    /// What an app may do: what its tenant may, and its own profile.
    pub(crate) fn grants(&self, app: &AppFiles) -> Result<AppGrants, String> {
        let text = app.folder.to_str().ok_or_else(|| format!("{} is not UTF-8", app.folder.display()))?;
        let cwd = CanonicalPath::absolute(text).map_err(|error| format!("{text}: {error}"))?;
        let names = app.environment.names().map(|name| EnvName::new(name).map_err(|error| error.to_string()));
        let roots = roots_in(cwd.clone())?.with_env(names.collect::<Result<_, _>>()?);
        let config = self.files.config.tenants.get(&app.manifest.tenant);
        let of_tenant =
            config.map(|tenant| &tenant.profile).ok_or_else(|| format!("unknown tenant {}", app.manifest.tenant))?;
        let of_app = &app.manifest.profile;
        let grants = |profile| Grants::new(profile, &[], &[], &roots).map_err(|error| error.to_string());
        let tenants = grants(of_tenant)?;
        let grants = if of_tenant == of_app { tenants } else { tenants.narrow(&grants(of_app)?) };
        let policy = format!("{:?}", (of_tenant, of_app, &roots));
        Ok(AppGrants { grants, cwd, policy })
    }

    /// What each instance of an app may use.
    pub(crate) fn limits(&self, manifest: &AppManifest) -> Limits {
        let (usual, own) = (self.arguments.limits.limits(), manifest.limits);
        Limits {
            memory_bytes: own.memory.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usual.memory_bytes),
            request_cpu: own.cpu.unwrap_or(usual.request_cpu),
            request_wall: own.time.unwrap_or(usual.request_wall),
            log_bytes: own.log,
            ..usual
        }
    }

    /// The store of an app: on the server that the node names, or in a folder with one file for each app of each tenant.
    /// Blocks.
    pub(crate) fn kv(&self, app: &str, manifest: &AppManifest) -> Result<Kv, String> {
        if self.arguments.check {
            return Ok(Kv::memory(DEFAULT_QUOTA));
        }
        let tenant = self.tenant(manifest)?;
        let quotas = self.files.config.tenants.get(&manifest.tenant).map(|tenant| &tenant.quotas);
        let quota = quotas.and_then(|quotas| quotas.kv).and_then(|quota| usize::try_from(quota.limit).ok());
        let share = quota;
        let quota = quota.unwrap_or(DEFAULT_QUOTA);
        if let Some(server) = &self.kv {
            let space = KvSpace { tenant: manifest.tenant.clone(), app: app.to_owned(), quota, share };
            return Ok(Kv::on_server(server, &space));
        }
        let folder = self.kv_folder().join(&manifest.tenant);
        make_folder(&folder)?;
        let file = folder.join(format!("{app}.redb"));
        let share = tenant.kv().cloned();
        let opened = match self.arguments.set_aside_damaged {
            true => Kv::when_used_or_set_aside(&file, quota, share),
            false => Kv::when_used(&file, quota, share).map(|kv| (kv, None)),
        };
        let (kv, aside) = opened.map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
        if let Some(aside) = aside {
            let (file, aside) = (file.display(), aside.display());
            let text = format!("the store {file} was damaged: its bytes are kept in {aside}, and a new one begins");
            self.share.logs.say(Level::Error, &text);
        }
        Ok(kv.counted(tenant.memory()))
    }

    /// The folder of the stores.
    fn kv_folder(&self) -> PathBuf {
        let named = self.files.config.kv.as_ref().and_then(|kv| kv.place.folder());
        named.map_or_else(|| self.files.state.join("kv"), |folder| self.files.path(folder))
    }

    /// Sets an app up, until it serves.
    pub(crate) async fn start(
        &self,
        app: AppFiles,
        number: u64,
        kv: Kv,
        tally: Arc<Tally>,
    ) -> Result<Arc<Revision>, NotStarted> {
        let tenant = Arc::clone(self.tenant(&app.manifest)?);
        let AppGrants { grants, cwd, policy } = self.grants(&app)?;
        let limits = self.limits(&app.manifest);
        // Closed to every app, or to every other one, those included that run already.
        for file in app.secret_files() {
            self.host_files.note(&named(&file, &cwd)?);
        }
        if !app.folder.starts_with(&self.files.apps) {
            self.host_files.note_folder(&named(&app.folder, &cwd)?, &app.name);
        }
        // The folders of other apps, and in its own what says what the node runs.
        let own = named(&app.folder, &cwd)?;
        let host_files = self.host_files.clone().of_app(&named(&self.files.apps, &cwd)?, &app.name, &own);
        let host_files = host_files
            .with_source(&named(&app.folder.join(MAIN), &cwd)?)
            .with_file(&named(&app.folder.join(MANIFEST), &cwd)?)
            .with_folder(&named(&app.folder.join(WORK_TREE), &cwd)?);
        let AppFiles { name, folder: _, sources, manifest, written, source, environment } = app;
        let variables = of_app(&manifest.vars)?;
        let subject = Subject {
            node: self.name.clone(),
            tenant: manifest.tenant.clone(),
            app: name.clone(),
            revision: Some(number),
            script_digest: digest(&source),
            policy_digest: digest(policy.as_bytes()),
        };
        let sight = Sight {
            metrics: self.share.metrics.of_app(&manifest.tenant, &name),
            traced: self
                .telemetry
                .queue()
                .map(|queue| TracedApp::new(queue, Some(&manifest.tenant), &name, Some(number))),
        };
        let insight = self.insights.of(tenant.name(), &name, tenant.memory());
        let (denials, stores) = (Some(sight.denials()), Some(sight.stores(Some(insight.clone()))));
        let terms = self.terms(&name, &tenant, &limits, sight);
        let launch = Launch {
            interpreter: Arc::clone(&self.interpreter),
            script: format!("{name}/{MAIN}"),
            folder: Some(sources),
            grants,
            cwd,
            mode: Mode::Enforce,
            audit: self.audit.subject(&subject),
            record_pure: self.arguments.record.pure,
            state: CapabilityState {
                client: tenant.toll().map_or_else(Client::default, Client::tolled),
                environment,
                kubernetes: Kubernetes::default(),
                kv,
                programs: Programs {
                    walls: self.arguments.walls.exec_walls.into(),
                    variables: manifest.env.keys().cloned().collect::<BTreeSet<_>>(),
                },
                sql: Databases::new(self.arguments.record.sql),
            },
            arguments: Vec::new(),
            variables,
            log: self.arguments.log.choice(),
            limits,
            forks: self.arguments.forks.forks(),
            memory: tenant.memory().clone(),
            host: None,
            host_files,
            port: None,
            tool: None,
            denials,
            stores,
        };
        let timetable =
            Timetable { entries: manifest.schedule, host: manifest.hosts.first().cloned(), prefix: manifest.prefix };
        let digest = digest(&[&source[..], b"\0", &written[..]].concat());
        let images = self.images.clone().filter(|_| !manifest.resident);
        let images = images.map(|store| RevisionImages { store, policy });
        let main = MAIN;
        let deployment = Deployment { number, digest, tenant, tally, insight, terms, source, timetable, main, images };
        Revision::start(launch, deployment).await
    }

    fn terms(&self, name: &str, tenant: &Tenant, limits: &Limits, sight: Sight) -> Arc<AppTerms> {
        let edge = &self.arguments.edge;
        Arc::new(AppTerms {
            script: name.to_owned(),
            allow_hosts: Vec::new(),
            dev: false,
            request_time: limits.request_wall,
            max_requests: edge.max_requests,
            max_queue: edge.max_queue,
            queue_time: edge.queue_time,
            max_url_bytes: edge.max_url_bytes as usize,
            memory: tenant.memory().clone(),
            turns: tenant.turns().clone(),
            cpu_cut: tenant.cpu_cut(),
            edge: Arc::clone(&self.edge),
            logs: self.share.logs.of_kept(name, tenant.log(), self.kept_log(tenant.name(), name)),
            sight: Some(sight),
        })
    }
}

/// A file as scripts would speak of it.
fn named(path: &Path, cwd: &CanonicalPath) -> Result<CanonicalPath, String> {
    let judged = crate::owned::judged(path, cwd);
    judged.ok_or_else(|| format!("{} is not a path that rules can speak of", path.display()))
}
