//! The configuration of a node: its listeners, its profiles, its tenants.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use starcell_policy::{Profile, nearest};
use toml::Spanned;

use crate::apps_place::AppsPlace;
use crate::error::{ConfigError, Source};
use crate::node_file::{
    AdminTable, BundleTable, KvTable, ListenerTable, NodeFile, RevisionTable, TelemetryTable, TenantTable,
};
use crate::parse::{Config, MAX_FILE};
use crate::quantity;
use crate::quota::Quotas;
use crate::store::{KvConfig, KvPlace};

/// The parts that a share of traces is counted in.
const MILLION: u32 = 1_000_000;

/// Turns that a tenant can have for each turn of another one.
const MAX_WEIGHT: u32 = 1000;

/// How long an app goes without a request before it is dropped from memory, where the file does not say.
const IDLE: Duration = Duration::from_secs(600);

/// Bytes of images on disk, where the file does not say: those of ten thousand small apps.
const IMAGES: u64 = 4 << 30;

/// How often a registry is asked what a tag names, where the file does not say; and at most.
const PULL: Duration = Duration::from_secs(60);
const MIN_PULL: Duration = Duration::from_secs(1);

/// Revisions of an app that can be kept.
const MAX_REVISIONS: u32 = 100;

/// The configuration of a node. Paths are as they were written: relative ones start at the folder of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// The name in records; that of the machine where none is given.
    pub name: Option<String>,
    /// The folder of what the node keeps.
    pub state: PathBuf,
    /// Where its apps come from: `NAME/app.toml` beside `NAME/main.star`.
    pub apps: AppsPlace,
    /// How a bundle is had and believed, where the apps are one.
    pub bundle: BundleTerms,
    /// How long an app goes without a request before it is dropped from memory; never, where there is none.
    pub idle: Option<Duration>,
    /// Bytes that the images of its apps may have on disk.
    pub images: u64,
    /// Which revisions of its apps are kept.
    pub revisions: KeptRevisions,
    /// The listeners by name.
    pub listeners: BTreeMap<String, NodeListener>,
    /// Where the node is operated.
    pub admin: Option<AdminAddress>,
    /// Where its metrics are read.
    pub metrics: Option<SocketAddr>,
    /// Where the stores of its apps are kept; in a folder of `state` where nothing is said.
    pub kv: Option<KvConfig>,
    /// Where its traces, metrics and logs are sent.
    pub telemetry: Option<TelemetryChoice>,
    /// The tenants by name.
    pub tenants: BTreeMap<String, TenantConfig>,
    /// The profiles that tenants and apps can have.
    pub profiles: Config,
}

/// Which revisions of an app are kept, beside those that answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptRevisions {
    /// So many at most, the newest ones.
    pub count: u32,
    /// Those that are not older.
    pub age: Duration,
}

impl Default for KeptRevisions {
    /// Ten of the last thirty days.
    fn default() -> Self {
        Self { count: 10, age: Duration::from_secs(30 * 24 * 3600) }
    }
}

/// How a bundle of apps is had and believed. Paths are as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleTerms {
    /// The file of the public key that it must be signed with; none where a bundle needs no signature.
    pub key: Option<PathBuf>,
    /// How often a registry is asked what a tag names.
    pub every: Duration,
    /// The file of the credentials for registries.
    pub credentials_file: Option<PathBuf>,
    /// Whether a registry elsewhere is asked without encryption.
    pub plain_http: bool,
}

impl Default for BundleTerms {
    /// Any bundle, asked for once a minute without credentials over an encrypted connection.
    fn default() -> Self {
        Self { key: None, every: PULL, credentials_file: None, plain_http: false }
    }
}

/// An address that requests come in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeListener {
    /// The address.
    pub address: SocketAddr,
    /// The folder of its certificates; without one, connections are not encrypted.
    pub certificates: Option<PathBuf>,
}

/// Where a node is operated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// An address of this machine, for whoever knows a token.
    Loopback {
        /// The address.
        address: SocketAddr,
        /// The file of the tokens.
        token_file: PathBuf,
    },
    /// A socket in the file system, for whoever may open it.
    Unix(PathBuf),
}

/// Where the traces, metrics and logs of a node are sent, and how much of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryChoice {
    /// The collector, which whoever sends to it reads.
    pub endpoint: String,
    /// How many of a million traces are sent.
    pub sample: u32,
    /// Whether requests go on with the trace that their client names.
    pub trusts_clients: bool,
}

/// The owner of apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantConfig {
    /// What its apps may do at most.
    pub profile: Profile,
    /// Its share of the turns, beside the shares of other tenants.
    pub weight: u32,
    /// What its apps may use together.
    pub quotas: Quotas,
}

impl NodeConfig {
    /// Reads a file; `file` is its name in messages.
    ///
    /// # Errors
    /// The place of the first mistake.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let source = Source { text, file };
        if text.len() > MAX_FILE {
            return Err(source.error(MAX_FILE, "the file is longer than 1 MiB", None));
        }
        let parsed: NodeFile = toml::from_str(text).map_err(|error| source.toml_error(&error))?;
        let profiles = Config::of(&source, &parsed.profiles)?;
        let name = parsed.node.name.as_ref().map(|name| source.name("node", name)).transpose()?;
        let apps = &parsed.node.apps;
        let place = apps.get_ref().parse();
        let place = place.map_err(|problem: String| source.error(apps.span().start, problem, None))?;
        let bundle = parsed.bundle.as_ref().map(|table| bundle(&source, table, &place)).transpose()?;
        Ok(Self {
            name,
            state: source.path("state", &parsed.node.state)?,
            apps: place,
            bundle: bundle.unwrap_or_default(),
            idle: idle(&source, parsed.node.idle.as_ref())?,
            images: images(&source, parsed.node.images.as_ref())?,
            revisions: revisions(&source, &parsed.node.revisions)?,
            listeners: listeners(&source, &parsed.listeners)?,
            admin: parsed.admin.as_ref().map(|admin| admin_address(&source, admin)).transpose()?,
            metrics: parsed.metrics.as_ref().map(|table| source.address(&table.address)).transpose()?,
            kv: parsed.kv.as_ref().map(|table| kv(&source, table)).transpose()?,
            telemetry: parsed.telemetry.as_ref().map(|table| telemetry(&source, table)).transpose()?,
            tenants: tenants(&source, &parsed.tenants, &profiles)?,
            profiles,
        })
    }

    /// The tenant of this name, or the sentence about one that there is not, and the name that was probably meant.
    pub(crate) fn tenant(&self, name: &str) -> Result<&TenantConfig, (String, Option<&str>)> {
        self.tenants.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.tenants.keys().map(String::as_str).collect();
            let listed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let shown: String = name.chars().take(64).collect();
            (format!("unknown tenant {shown:?}; the node's file has {listed}"), nearest(name, known))
        })
    }
}

/// The time of `idle`: `never` is none.
fn idle(source: &Source<'_>, written: Option<&Spanned<String>>) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = written else { return Ok(Some(IDLE)) };
    if text.get_ref() == "never" {
        return Ok(None);
    }
    let time = quantity::duration(text.get_ref());
    time.map(Some).map_err(|problem| source.error(text.span().start, format!("{problem}, or \"never\""), None))
}

fn images(source: &Source<'_>, written: Option<&Spanned<String>>) -> Result<u64, ConfigError> {
    let Some(text) = written else { return Ok(IMAGES) };
    quantity::size(text.get_ref()).map_err(|problem| source.error(text.span().start, problem, None))
}

fn listeners(
    source: &Source<'_>,
    tables: &BTreeMap<Spanned<String>, ListenerTable>,
) -> Result<BTreeMap<String, NodeListener>, ConfigError> {
    if tables.is_empty() {
        let problem = "a node needs a listener, such as [listeners.web] with address = \"127.0.0.1:8080\"";
        return Err(source.error(0, problem, None));
    }
    let mut found: BTreeMap<String, NodeListener> = BTreeMap::new();
    for (name, table) in tables {
        let address = source.address(&table.address)?;
        let taken = found.iter().find(|(_, other)| other.address == address && address.port() != 0);
        if let Some((other, _)) = taken {
            let problem = format!("the listener {other} has the address {address} already");
            return Err(source.error(table.address.span().start, problem, None));
        }
        let certificates = table.certificates.as_ref().map(|path| source.path("certificates", path)).transpose()?;
        found.insert(source.name("listener", name)?, NodeListener { address, certificates });
    }
    Ok(found)
}

fn revisions(source: &Source<'_>, table: &RevisionTable) -> Result<KeptRevisions, ConfigError> {
    let usual = KeptRevisions::default();
    let count = match &table.count {
        Some(count) if (1..=MAX_REVISIONS).contains(count.get_ref()) => *count.get_ref(),
        Some(count) => {
            let problem = format!("from 1 to {MAX_REVISIONS} revisions of an app can be kept");
            return Err(source.error(count.span().start, problem, None));
        }
        None => usual.count,
    };
    let age = match &table.age {
        Some(age) => {
            quantity::duration(age.get_ref()).map_err(|problem| source.error(age.span().start, problem, None))?
        }
        None => usual.age,
    };
    Ok(KeptRevisions { count, age })
}

fn admin_address(source: &Source<'_>, table: &AdminTable) -> Result<AdminAddress, ConfigError> {
    let AdminTable { address, token_file } = table;
    if let Some(path) = address.get_ref().strip_prefix("unix:") {
        if let Some(token_file) = token_file {
            let problem = "a unix socket has no token: who may open it is decided by its folder";
            return Err(source.error(token_file.span().start, problem, None));
        }
        return match path.is_empty() {
            true => Err(source.error(
                address.span().start,
                "`unix:` names no path; write it like unix:state/admin.sock",
                None,
            )),
            false => Ok(AdminAddress::Unix(path.into())),
        };
    }
    let found = source.address(address)?;
    if !found.ip().is_loopback() {
        let problem = "a node is operated over a unix socket or a loopback address; write unix:PATH or 127.0.0.1:PORT";
        return Err(source.error(address.span().start, problem, None));
    }
    match token_file {
        Some(file) => Ok(AdminAddress::Loopback { address: found, token_file: source.path("token_file", file)? }),
        None => {
            let problem =
                "an address needs a token, since every process of this machine can connect to it; add token_file";
            Err(source.error(address.span().start, problem, None))
        }
    }
}

fn bundle(source: &Source<'_>, table: &Spanned<BundleTable>, apps: &AppsPlace) -> Result<BundleTerms, ConfigError> {
    let BundleTable { key, every, credentials_file, plain_http } = table.get_ref();
    let usual = BundleTerms::default();
    let of_registries = [
        ("every", every.as_ref().map(Spanned::span)),
        ("credentials_file", credentials_file.as_ref().map(Spanned::span)),
        ("plain_http", plain_http.as_ref().map(Spanned::span)),
    ];
    let of_registries = of_registries.iter().find_map(|(name, span)| Some((*name, span.clone()?)));
    match (apps, of_registries) {
        (AppsPlace::Folder(_), _) => {
            let problem = "[bundle] is about apps that are one file or come from a registry, and `apps` of [node] names a \
                           folder; pack it with `starcell app pack`, or leave [bundle] out";
            return Err(source.error(table.span().start, problem, None));
        }
        (AppsPlace::Bundle { .. }, Some((name, span))) => {
            let problem = format!("`{name}` is about a registry, and `apps` of [node] names a file; leave it out");
            return Err(source.error(span.start, problem, None));
        }
        (AppsPlace::Bundle { .. } | AppsPlace::Registry(_), _) => {}
    }
    let path =
        |name: &str, path: &Option<Spanned<String>>| path.as_ref().map(|path| source.path(name, path)).transpose();
    let every = match every {
        None => usual.every,
        Some(every) => match quantity::duration(every.get_ref()) {
            Ok(time) if time >= MIN_PULL => time,
            Ok(_) => return Err(source.error(every.span().start, "a registry is asked once a second at most", None)),
            Err(problem) => return Err(source.error(every.span().start, problem, None)),
        },
    };
    Ok(BundleTerms {
        key: path("key", key)?,
        every,
        credentials_file: path("credentials_file", credentials_file)?,
        plain_http: plain_http.as_ref().is_some_and(|is| *is.get_ref()),
    })
}

fn kv(source: &Source<'_>, table: &KvTable) -> Result<KvConfig, ConfigError> {
    let KvTable { url, password_file } = table;
    let place: KvPlace =
        url.get_ref().parse().map_err(|problem: String| source.error(url.span().start, problem, None))?;
    if let (KvPlace::Folder(_), Some(file)) = (&place, password_file) {
        return Err(source.error(file.span().start, "a folder has no password", None));
    }
    let password_file = password_file.as_ref().map(|file| source.path("password_file", file)).transpose()?;
    Ok(KvConfig { place, password_file })
}

fn telemetry(source: &Source<'_>, table: &TelemetryTable) -> Result<TelemetryChoice, ConfigError> {
    let endpoint = table.endpoint.get_ref();
    if !endpoint.starts_with("http://") {
        let problem = "a collector is reached over http; write it like http://127.0.0.1:4318";
        return Err(source.error(table.endpoint.span().start, problem, None));
    }
    let sample = match &table.sample {
        None => MILLION,
        Some(share) if (0.0..=1.0).contains(share.get_ref()) => parts_of_a_million(*share.get_ref()),
        Some(share) => {
            return Err(source.error(share.span().start, "the share of traces is a number from 0.0 to 1.0", None));
        }
    };
    Ok(TelemetryChoice { endpoint: endpoint.clone(), sample, trusts_clients: table.trust_traceparent })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share from 0 to 1")]
fn parts_of_a_million(share: f64) -> u32 {
    (share * f64::from(MILLION)).round() as u32
}

fn tenants(
    source: &Source<'_>,
    tables: &BTreeMap<Spanned<String>, TenantTable>,
    profiles: &Config,
) -> Result<BTreeMap<String, TenantConfig>, ConfigError> {
    let mut found = BTreeMap::new();
    for (name, table) in tables {
        let profile = match &table.profile {
            Some(profile) => profiles.named(source, profile)?,
            None => Profile::deny_all(),
        };
        let weight = match &table.weight {
            Some(weight) if (1..=MAX_WEIGHT).contains(weight.get_ref()) => *weight.get_ref(),
            Some(weight) => {
                let problem = format!("a weight is a number from 1 to {MAX_WEIGHT}");
                return Err(source.error(weight.span().start, problem, None));
            }
            None => 1,
        };
        let quotas = Quotas::read(source, &table.quotas)?;
        found.insert(source.name("tenant", name)?, TenantConfig { profile, weight, quotas });
    }
    Ok(found)
}
