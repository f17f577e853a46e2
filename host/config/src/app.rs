//! An app as its `app.toml` describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use starcell_policy::{EnvName, Profile};
use toml::Spanned;

use crate::app_file::{AppFile, LimitTable, ScheduleTable, SecretTable, SecretValue};
use crate::cron::Cron;
use crate::error::{ConfigError, Source};
use crate::node::NodeConfig;
use crate::parse::MAX_FILE;
use crate::quantity;

/// Memory that an app can be given: what the guest needs to start, and the largest that it can have.
const MEMORY: std::ops::RangeInclusive<u64> = 8 << 20..=256 << 20;

/// Segments and bytes of a prefix; each segment costs a look-up for each request.
const MAX_SEGMENTS: usize = 8;
const MAX_PREFIX: usize = 256;

/// Hosts of one app, and points of its schedule.
const MAX_HOSTS: usize = 100;
const MAX_SCHEDULE: usize = 100;

/// The shortest time between two points of a schedule.
const MIN_EVERY: Duration = Duration::from_secs(1);

/// An app as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct AppManifest {
    /// The owner.
    pub tenant: String,
    /// The hosts that it answers for, in lower case; any that no other app names, where there is none.
    pub hosts: Vec<String>,
    /// The path that it answers below, without a slash at its end: empty for all paths.
    pub prefix: String,
    /// What it may do, within what its tenant may.
    pub profile: Profile,
    /// What each of its instances may use.
    pub limits: AppLimits,
    /// The environment that it finds, without its secrets.
    pub env: BTreeMap<String, String>,
    /// Where its secrets come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What it is configured with.
    pub vars: BTreeMap<String, serde_json::Value>,
    /// The requests that the node makes to it by itself.
    pub schedule: Vec<Schedule>,
    /// Whether it stays in memory, and its script suspended in `serve()`, however long nobody asks it for anything.
    pub resident: bool,
    /// Whether an operator can let clients with a key ask another revision than the one that answers.
    pub preview: bool,
}

/// What each instance of an app may use; what is not given has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppLimits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// CPU time of a request.
    pub cpu: Option<Duration>,
    /// Time of a request, waiting included.
    pub time: Option<Duration>,
    /// Bytes that a request may log.
    pub log: Option<u64>,
}

/// Where a secret comes from. The secret itself is in no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the node's own environment.
    Environment(String),
    /// A file; relative paths start at the folder of the app.
    File(PathBuf),
}

/// A request that the node makes again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When.
    pub when: When,
    /// The path that is asked for, below the prefix of the app.
    pub path: String,
}

/// When something happens again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At points of the clock, in UTC.
    Cron(Cron),
    /// After each such time.
    Every(Duration),
}

impl AppManifest {
    /// Reads a file for a node; `file` is its name in messages.
    ///
    /// # Errors
    /// The place of the first mistake.
    pub fn parse(text: &str, file: &str, node: &NodeConfig) -> Result<Self, ConfigError> {
        let source = Source { text, file };
        if text.len() > MAX_FILE {
            return Err(source.error(MAX_FILE, "the file is longer than 1 MiB", None));
        }
        let parsed: AppFile = toml::from_str(text).map_err(|error| source.toml_error(&error))?;
        let tenant = parsed.tenant.get_ref();
        let owner = node
            .tenant(tenant)
            .map_err(|(problem, suggestion)| source.error(parsed.tenant.span().start, problem, suggestion))?;
        let profile = match &parsed.profile {
            Some(profile) => node.profiles.named(&source, profile)?,
            None => owner.profile.clone(),
        };
        let (env, secrets) = environment(&source, &parsed)?;
        Ok(Self {
            tenant: tenant.clone(),
            hosts: hosts(&source, &parsed.hosts)?,
            prefix: parsed.path.as_ref().map(|path| prefix(&source, path)).transpose()?.unwrap_or_default(),
            profile,
            limits: limits(&source, &parsed.limits)?,
            env,
            secrets,
            vars: vars(&source, &parsed.vars)?,
            schedule: schedule(&source, &parsed.schedule)?,
            resident: parsed.resident,
            preview: parsed.preview,
        })
    }
}

fn hosts(source: &Source<'_>, written: &[Spanned<String>]) -> Result<Vec<String>, ConfigError> {
    let mut found = BTreeSet::new();
    for host in written {
        let error = |problem: String| source.error(host.span().start, problem, None);
        let text = host.get_ref().strip_suffix('.').unwrap_or(host.get_ref()).to_ascii_lowercase();
        let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let labels = || text.split('.').all(|label| (1..=63).contains(&label.len()));
        let is_name = text.len() <= 253 && text.bytes().all(name) && labels();
        if !is_name && text.parse::<IpAddr>().is_err() {
            let problem = format!(
                "{:?} is no host; write a name such as orders.example.com, without scheme, port and `*`",
                host.get_ref()
            );
            return Err(error(problem));
        }
        if !found.insert(text.clone()) {
            return Err(error(format!("the host {text} is named twice")));
        }
        if found.len() > MAX_HOSTS {
            return Err(error(format!("an app has at most {MAX_HOSTS} hosts")));
        }
    }
    Ok(found.into_iter().collect())
}

fn prefix(source: &Source<'_>, written: &Spanned<String>) -> Result<String, ConfigError> {
    let text = written.get_ref();
    let error = |problem: String| source.error(written.span().start, problem, None);
    let Some(rest) = text.strip_prefix('/') else {
        return Err(error(format!("{text:?} is no path; it begins with a slash")));
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Ok(String::new());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    if !rest.split('/').all(segment) {
        let problem = "segments have letters, digits, `-`, `.`, `_` and `~`, and none is empty, `.` or `..`";
        return Err(error(format!("{text:?} is no prefix: its {problem}")));
    }
    if rest.split('/').count() > MAX_SEGMENTS || rest.len() > MAX_PREFIX {
        return Err(error(format!("a prefix has at most {MAX_SEGMENTS} segments and {MAX_PREFIX} bytes")));
    }
    Ok(format!("/{rest}"))
}

fn limits(source: &Source<'_>, table: &LimitTable) -> Result<AppLimits, ConfigError> {
    let duration = |written: &Option<Spanned<String>>| {
        let read = |text: &Spanned<String>| {
            quantity::duration(text.get_ref()).map_err(|problem| source.error(text.span().start, problem, None))
        };
        written.as_ref().map(read).transpose()
    };
    let size = |text: &Spanned<String>| {
        quantity::size(text.get_ref()).map_err(|problem| source.error(text.span().start, problem, None))
    };
    let memory = |text: &Spanned<String>| {
        let error = |problem: String| source.error(text.span().start, problem, None);
        let bytes = quantity::size(text.get_ref()).map_err(error)?;
        match MEMORY.contains(&bytes) {
            true => Ok(bytes),
            false => Err(error(format!("an app has {} to {} MiB of memory", MEMORY.start() >> 20, MEMORY.end() >> 20))),
        }
    };
    Ok(AppLimits {
        memory: table.memory.as_ref().map(memory).transpose()?,
        cpu: duration(&table.cpu)?,
        time: duration(&table.time)?,
        log: table.log.as_ref().map(size).transpose()?,
    })
}

type Variables = (BTreeMap<String, String>, BTreeMap<String, SecretSource>);

fn environment(source: &Source<'_>, file: &AppFile) -> Result<Variables, ConfigError> {
    let name = |name: &Spanned<String>| {
        let checked = EnvName::new(name.get_ref());
        let problem = |error| source.error(name.span().start, format!("{:?}: {error}", name.get_ref()), None);
        checked.map(|name| name.to_string()).map_err(problem)
    };
    let mut env = BTreeMap::new();
    for (key, value) in &file.env {
        if value.get_ref().contains('\0') {
            return Err(source.error(value.span().start, "a variable cannot hold a NUL", None));
        }
        env.insert(name(key)?, value.get_ref().clone());
    }
    let mut secrets = BTreeMap::new();
    for (key, table) in &file.secrets {
        let found = name(key)?;
        if env.contains_key(&found) {
            let problem = format!("{found} is in `env` already");
            return Err(source.error(key.span().start, problem, None));
        }
        secrets.insert(found, secret(source, table)?);
    }
    Ok((env, secrets))
}

fn secret(source: &Source<'_>, table: &Spanned<SecretValue>) -> Result<SecretSource, ConfigError> {
    match table.get_ref() {
        SecretValue::Spelled => {
            let problem =
                "a secret is not written into this file: { file = \"PATH\" } or { env = \"NAME\" } says where it is";
            Err(source.error(table.span().start, problem, None))
        }
        SecretValue::From(SecretTable { file: Some(file), env: None }) => {
            Ok(SecretSource::File(source.path("file", file)?))
        }
        SecretValue::From(SecretTable { file: None, env: Some(variable) }) => {
            let checked = EnvName::new(variable.get_ref());
            let problem =
                |error| source.error(variable.span().start, format!("{:?}: {error}", variable.get_ref()), None);
            checked.map(|name| SecretSource::Environment(name.to_string())).map_err(problem)
        }
        SecretValue::From(_) => {
            let problem = "a secret comes from one place: { file = \"PATH\" } or { env = \"NAME\" }";
            Err(source.error(table.span().start, problem, None))
        }
    }
}

fn vars(
    source: &Source<'_>,
    written: &BTreeMap<Spanned<String>, Spanned<toml::Value>>,
) -> Result<BTreeMap<String, serde_json::Value>, ConfigError> {
    let mut found = BTreeMap::new();
    for (name, value) in written {
        let json = json(value.get_ref()).ok_or_else(|| {
            let problem = format!("the value of {} is no text, number, bool, list or table of these", name.get_ref());
            source.error(value.span().start, problem, None)
        })?;
        found.insert(name.get_ref().clone(), json);
    }
    Ok(found)
}

fn json(value: &toml::Value) -> Option<serde_json::Value> {
    Some(match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)?.into(),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Array(values) => values.iter().map(json).collect::<Option<Vec<_>>>()?.into(),
        toml::Value::Table(table) => {
            let pairs = table.iter().map(|(name, value)| Some((name.clone(), json(value)?)));
            serde_json::Value::Object(pairs.collect::<Option<_>>()?)
        }
        toml::Value::Datetime(_) => return None,
    })
}

fn schedule(source: &Source<'_>, tables: &[Spanned<ScheduleTable>]) -> Result<Vec<Schedule>, ConfigError> {
    if let Some(table) = tables.get(MAX_SCHEDULE) {
        let problem = format!("a schedule has at most {MAX_SCHEDULE} entries");
        return Err(source.error(table.span().start, problem, None));
    }
    tables.iter().map(|table| point(source, table)).collect()
}

fn point(source: &Source<'_>, table: &Spanned<ScheduleTable>) -> Result<Schedule, ConfigError> {
    let ScheduleTable { every, cron, path } = table.get_ref();
    let when = match (every, cron) {
        (Some(every), None) => {
            let error = |problem| source.error(every.span().start, problem, None);
            let time = quantity::duration(every.get_ref()).map_err(error)?;
            if time < MIN_EVERY {
                return Err(error("a schedule repeats at most once a second".to_owned()));
            }
            When::Every(time)
        }
        (None, Some(cron)) => {
            let parsed = Cron::parse(cron.get_ref());
            When::Cron(parsed.map_err(|problem| source.error(cron.span().start, problem, None))?)
        }
        _ => {
            let problem = "an entry of a schedule has either `every` or `cron`";
            return Err(source.error(table.span().start, problem, None));
        }
    };
    let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>');
    if !path.get_ref().starts_with('/') || !path.get_ref().bytes().all(legal) {
        let problem = format!("{:?} is no path; write it like /tick or /report?kind=daily", path.get_ref());
        return Err(source.error(path.span().start, problem, None));
    }
    Ok(Schedule { when, path: path.get_ref().clone() })
}
