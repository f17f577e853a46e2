//! What the apps of a tenant may use together, and what happens past it.

use std::num::NonZeroU32;

use toml::Spanned;

use crate::error::{ConfigError, Source};
use crate::node_file::{Amount, QuotaTables, QuotaValue};
use crate::quantity::{self, Flow};

/// The quotas of a tenant; one that is not given does not limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Requests in a time.
    pub requests: Option<Quota<Flow>>,
    /// CPU time of guests in a time, in nanoseconds.
    pub cpu: Option<Quota<Flow>>,
    /// Requests at once.
    pub concurrency: Option<Quota<NonZeroU32>>,
    /// Bytes that bodies, responses, guests and images hold at once.
    pub memory: Option<Quota<u64>>,
    /// Bytes in the stores of its apps.
    pub kv: Option<Quota<u64>>,
    /// Requests to other servers in a time.
    pub egress: Option<Quota<Flow>>,
    /// Bytes of log in a time.
    pub log: Option<Quota<Flow>>,
}

/// A limit over time or over several requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota<T> {
    /// What is allowed.
    pub limit: T,
    /// What happens to what is past it.
    pub past: PastQuota,
}

/// What happens to work that is past a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PastQuota {
    /// It is done all the same, and counted.
    Count,
    /// It is refused.
    #[default]
    Reject,
    /// It is refused, and what is under way is ended.
    Terminate,
    /// It waits for a while, and is refused then.
    Throttle,
}

/// What a quota can do to what is past it.
#[derive(Clone, Copy)]
struct Can {
    throttle: bool,
    terminate: bool,
    count: bool,
}

/// Work that comes piece by piece can be held back or let through; what is held cannot.
const WORK: Can = Can { throttle: true, terminate: false, count: true };
const HELD: Can = Can { throttle: false, terminate: false, count: false };
/// What takes time can be ended while it does.
const TIME: Can = Can { terminate: true, ..WORK };

impl Quotas {
    pub(crate) fn read(source: &Source<'_>, tables: &QuotaTables) -> Result<Self, ConfigError> {
        let reader = Reader { source };
        let QuotaTables { requests, cpu, concurrency, memory, kv, egress, log } = tables;
        Ok(Self {
            requests: reader.text("requests", requests.as_ref(), WORK, quantity::events)?,
            cpu: reader.text("cpu", cpu.as_ref(), TIME, quantity::cpu)?,
            concurrency: reader.concurrency(concurrency.as_ref())?,
            memory: reader.text("memory", memory.as_ref(), HELD, quantity::size)?,
            kv: reader.text("kv", kv.as_ref(), HELD, quantity::size)?,
            egress: reader.text("egress", egress.as_ref(), WORK, quantity::events)?,
            log: reader.text("log", log.as_ref(), HELD, quantity::bytes)?,
        })
    }
}

struct Reader<'a> {
    source: &'a Source<'a>,
}

impl Reader<'_> {
    fn text<T>(
        &self,
        name: &str,
        value: Option<&Spanned<QuotaValue>>,
        can: Can,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Quota<T>>, ConfigError> {
        let Some(value) = value else { return Ok(None) };
        let limit = match &value.get_ref().limit {
            Amount::Text(text) => parse(text),
            // What a text looks like is in the error for one that is none.
            Amount::Number(number) => parse(&number.to_string()),
        };
        self.quota(name, value, can, limit).map(Some)
    }

    fn concurrency(&self, value: Option<&Spanned<QuotaValue>>) -> Result<Option<Quota<NonZeroU32>>, ConfigError> {
        let Some(value) = value else { return Ok(None) };
        let wrong = || "a number of requests at once is expected, from 1 on".to_owned();
        let limit = match &value.get_ref().limit {
            Amount::Number(number) => u32::try_from(*number).ok().and_then(NonZeroU32::new).ok_or_else(wrong),
            Amount::Text(_) => Err(wrong()),
        };
        self.quota("concurrency", value, WORK, limit).map(Some)
    }

    fn quota<T>(
        &self,
        name: &str,
        value: &Spanned<QuotaValue>,
        can: Can,
        limit: Result<T, String>,
    ) -> Result<Quota<T>, ConfigError> {
        let at = value.span().start;
        let limit = limit.map_err(|problem| self.source.error(at, format!("the quota {name}: {problem}"), None))?;
        let QuotaValue { past, mode, .. } = value.get_ref();
        let can_do = [("reject", true), ("throttle", can.throttle), ("terminate", can.terminate)];
        let past = past.as_ref().map(|past| self.word(name, "past", past, &can_do)).transpose()?;
        let mode = mode.as_ref().map(|mode| self.word(name, "mode", mode, &[("enforce", true), ("count", can.count)]));
        let past = match (mode.transpose()?, past) {
            (Some("count"), _) => PastQuota::Count,
            (_, Some("throttle")) => PastQuota::Throttle,
            (_, Some("terminate")) => PastQuota::Terminate,
            _ => PastQuota::Reject,
        };
        Ok(Quota { limit, past })
    }

    /// The word that a key says, of those that the quota takes.
    fn word(
        &self,
        name: &str,
        key: &str,
        written: &Spanned<String>,
        words: &[(&'static str, bool)],
    ) -> Result<&'static str, ConfigError> {
        let text = written.get_ref().as_str();
        let taken: Vec<&'static str> = words.iter().filter(|(_, taken)| *taken).map(|(word, _)| *word).collect();
        if let Some(word) = taken.iter().find(|word| **word == text) {
            return Ok(word);
        }
        let known = match taken.split_last() {
            Some((last, [])) => format!("`{last}`"),
            Some((last, others)) => format!("`{}` or `{last}`", others.join("`, `")),
            None => String::new(),
        };
        let problem = format!("the quota {name}: `{key}` is {known}, not {text:?}");
        let suggestion = starcell_policy::nearest(text, taken.iter().copied());
        Err(self.source.error(written.span().start, problem, suggestion))
    }
}
