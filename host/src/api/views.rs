//! The answers of a node, in JSON.
//!
//! A number of bytes ends in `_bytes`, a time in `_ms`. What is not there is `null`, and never left out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a node is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HealthView {
    /// The name of the node.
    pub node: String,
    /// The version of the program.
    pub version: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// Apps that answer.
    pub running: u64,
    /// Apps that do not.
    pub down: u64,
    /// Bytes that bodies, responses, guests and images hold.
    pub memory_bytes: u64,
    /// Bytes that they may hold.
    pub memory_limit_bytes: u64,
    /// Whether actions and privileged calls are recorded.
    pub audited: bool,
}

/// The tenants of a node.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantsView {
    /// The tenants, by name.
    pub tenants: Vec<TenantView>,
}

/// A tenant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantView {
    /// The name.
    pub name: String,
    /// What its apps may do at most.
    pub grants: GrantView,
    /// Its share of the turns, beside the shares of others.
    pub weight: u32,
    /// Its apps.
    pub apps: Vec<String>,
    /// Its quotas.
    pub quotas: Vec<QuotaView>,
    /// Bytes that its apps hold, or all apps of the node where the tenant has no quota of its own.
    pub memory_bytes: u64,
    /// The time that its guests have had, divided by its weight.
    pub turns_ms: u64,
}

/// A quota of a tenant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QuotaView {
    /// The name, as the configuration has it.
    pub name: String,
    /// All of it; CPU time in milliseconds.
    pub limit: f64,
    /// The time of a rate; null for what is held at once.
    pub per_ms: Option<u64>,
    /// What of it is used now; null where that is not known.
    pub used: Option<f64>,
    /// What happens past it: `reject`, `throttle`, `terminate` or `count`.
    pub past: String,
    /// Times that it was used up since the start.
    pub hits: u64,
}

/// Rules of a profile.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GrantView {
    /// The profile.
    pub profile: String,
    /// What is allowed.
    pub allow: Vec<String>,
    /// What is denied, whatever else allows it.
    pub deny: Vec<String>,
    /// Whether all that no rule denies is allowed.
    pub allows_rest: bool,
}

/// The apps of a node.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppsView {
    /// The apps, by name.
    pub apps: Vec<AppLineView>,
}

/// An app in short.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppLineView {
    /// The name.
    pub name: String,
    /// The owner; null while its `app.toml` cannot be read.
    pub tenant: Option<String>,
    /// The hosts that it answers for; any where there is none.
    pub hosts: Vec<String>,
    /// The path that it answers below.
    pub path: String,
    /// Whether it answers.
    pub state: AppStateView,
    /// The revision that answers.
    pub revision: Option<u64>,
    /// Why its last change could not be deployed.
    pub reason: Option<String>,
    /// What its requests came to.
    pub counted: CountedView,
}

/// Whether an app answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppStateView {
    /// It answers.
    Running,
    /// It is set up for the first time, or again.
    SettingUp,
    /// It could not be set up, or its script has ended.
    Failed,
    /// An operator has stopped it.
    Stopped,
    /// It is set up and takes no requests, since an operator has drained it.
    Drained,
}

impl AppStateView {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::SettingUp => "setting-up",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Drained => "drained",
        }
    }
}

/// What requests came to since the start of the node.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CountedView {
    /// Requests that were answered.
    pub requests: u64,
    /// Those with a status from 400 to 499.
    pub refused: u64,
    /// Those with a status from 500 on.
    pub failed: u64,
    /// The time that they took together.
    pub time_ms: u64,
    /// The CPU time of their guests together.
    pub cpu_ms: u64,
}

/// An app.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppView {
    /// The same in short.
    #[serde(flatten)]
    pub line: AppLineView,
    /// What it may do; null while its `app.toml` cannot be read. Where there are two, each must allow a call.
    pub grants: Option<Vec<GrantView>>,
    /// What each of its requests may use.
    pub limits: Option<LimitsView>,
    /// The quotas of its tenant, which hold for all apps of that together.
    pub quotas: Vec<QuotaView>,
    /// The names that it finds in its environment.
    pub env: Vec<String>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    /// The paths that the node asks for by itself.
    pub schedule: Vec<String>,
    /// The revisions that are kept, the newest first.
    pub revisions: Vec<RevisionView>,
    /// The revision that is made to answer instead of the one in the folder of the app.
    pub pinned: Option<u64>,
    /// The revision that answers a part of the requests.
    pub canary: Option<CanaryView>,
    /// Whether its `app.toml` allows previews.
    pub previews_allowed: bool,
    /// The revisions that answer requests with their key.
    pub previews: Vec<PreviewView>,
    /// The calls that its store did not do.
    pub store_failures: StoreFailuresView,
}

/// Calls that the store of an app did not do, since the start of the node.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StoreFailuresView {
    /// How many there were of each kind, by its word, such as `away` or `full`.
    pub calls: BTreeMap<String, u64>,
    /// The last one.
    pub last: Option<StoreFailureView>,
}

/// A call that the store of an app did not do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StoreFailureView {
    /// When, in RFC 3339.
    pub time: String,
    /// The word for its kind.
    pub kind: String,
    /// What that means.
    pub message: String,
}

/// What each request of an app may use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LimitsView {
    /// Memory of its instance.
    pub memory_bytes: u64,
    /// CPU time.
    pub cpu_ms: u64,
    /// Time, waiting included.
    pub time_ms: u64,
}

/// A revision that is kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RevisionView {
    /// Its number.
    pub number: u64,
    /// When it was deployed first, in RFC 3339.
    pub deployed: String,
    /// Tells script, loaded files and `app.toml`.
    pub digest: String,
    /// Whether it runs: as the one that answers, as a canary, or for a preview.
    pub runs: bool,
    /// What its requests came to while it runs.
    pub counted: Option<CountedView>,
}

/// A revision that answers a part of the requests.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CanaryView {
    /// The revision.
    pub revision: u64,
    /// How many of every hundred requests it answers.
    pub percent: u8,
    /// What its requests came to.
    pub counted: CountedView,
}

/// A revision that answers requests with its key. The key is told once, to whoever asks for the preview.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewView {
    /// The revision.
    pub revision: u64,
    /// The time until it ends.
    pub left_ms: u64,
}

/// An action that was done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DoneView {
    /// The app.
    pub app: String,
    /// The action.
    pub action: String,
    /// Whether the app answers now.
    pub state: AppStateView,
    /// The revision that answers now.
    pub revision: Option<u64>,
    /// The revision that answered before.
    pub previous: Option<u64>,
    /// How clients ask for a preview; null for every other action.
    pub preview: Option<PreviewKeyView>,
    /// What the operator should know beside that.
    pub note: Option<String>,
}

/// How clients ask for a preview.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewKeyView {
    /// The revision.
    pub revision: u64,
    /// The header.
    pub header: String,
    /// Its value.
    pub key: String,
    /// The time until it ends.
    pub left_ms: u64,
}

/// Calls of an app that were refused, the newest last.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DenialsView {
    /// The app.
    pub app: String,
    /// All that were refused, those that are not in the list included.
    pub total: u64,
    /// The last of them.
    pub denials: Vec<DenialView>,
}

/// A call that was refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DenialView {
    /// When, in RFC 3339.
    pub time: String,
    /// The revision.
    pub revision: Option<u64>,
    /// The id of the request; null during setup.
    pub request: Option<String>,
    /// The function.
    pub capability: String,
    /// The resource.
    pub resource: String,
    /// The rule that denied it; null where none allows it.
    pub rule: Option<String>,
    /// The lowest profile that would allow it.
    pub needed: Option<String>,
    /// The file of the script.
    pub file: String,
    /// The line in it.
    pub line: u32,
}

/// The least profile that allows what an app did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LeastView {
    /// The app.
    pub app: String,
    /// The rules.
    pub allow: Vec<String>,
    /// Calls that no rule can be made for, each with its reason.
    pub unjudged: Vec<String>,
    /// The profile as the configuration spells it.
    pub toml: String,
}

/// The last records of the audit log, the newest last.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RecordsView {
    /// The lines of the log.
    pub records: Vec<BTreeMap<String, serde_json::Value>>,
}

/// The last lines of the log of an app, the newest last.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogLinesView {
    /// The app.
    pub app: String,
    /// The lines.
    pub lines: Vec<String>,
}

/// One line of the log of an app, in an answer that goes on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogLineView {
    /// The line; null where lines were missed.
    pub line: Option<String>,
    /// Lines that came too fast to be kept for this reader.
    pub missed: u64,
}

/// Why there is no other answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorView {
    /// The error.
    pub error: ErrorBody,
}

/// An error.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// What a deployment takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployBody {
    /// The files of the app by their names: `main.star`, what it loads, and perhaps `app.toml`. Those in its folder when not
    /// given.
    #[serde(default)]
    pub files: Option<BTreeMap<String, String>>,
}

/// What a rollback takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// The revision; the one before the one that answers when not given.
    #[serde(default)]
    pub revision: Option<u64>,
}

/// What a canary takes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryBody {
    /// The revision.
    pub revision: u64,
    /// How many of every hundred requests it answers; 0 ends the canary.
    pub percent: u8,
}

/// What a preview takes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// The revision.
    pub revision: u64,
    /// How long it lasts: 60 when not given, 1,440 at most.
    #[serde(default)]
    pub minutes: Option<u32>,
}

/// What an action takes that takes nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoBody {}
