//! The shape of a node's configuration file.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::file::ProfileTable;

/// The configuration of a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeFile {
    pub(crate) node: NodeTable,
    #[serde(default)]
    pub(crate) listeners: BTreeMap<Spanned<String>, ListenerTable>,
    pub(crate) admin: Option<AdminTable>,
    pub(crate) bundle: Option<Spanned<BundleTable>>,
    pub(crate) metrics: Option<MetricsTable>,
    pub(crate) kv: Option<KvTable>,
    pub(crate) telemetry: Option<TelemetryTable>,
    #[serde(default)]
    pub(crate) profiles: BTreeMap<Spanned<String>, ProfileTable>,
    #[serde(default)]
    pub(crate) tenants: BTreeMap<Spanned<String>, TenantTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeTable {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) state: Spanned<String>,
    pub(crate) apps: Spanned<String>,
    pub(crate) idle: Option<Spanned<String>>,
    pub(crate) images: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) revisions: RevisionTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevisionTable {
    pub(crate) count: Option<Spanned<u32>>,
    pub(crate) age: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTable {
    pub(crate) address: Spanned<String>,
    pub(crate) certificates: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminTable {
    pub(crate) address: Spanned<String>,
    pub(crate) token_file: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleTable {
    pub(crate) key: Option<Spanned<String>>,
    pub(crate) every: Option<Spanned<String>>,
    pub(crate) credentials_file: Option<Spanned<String>>,
    pub(crate) plain_http: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricsTable {
    pub(crate) address: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KvTable {
    pub(crate) url: Spanned<String>,
    pub(crate) password_file: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetryTable {
    pub(crate) endpoint: Spanned<String>,
    pub(crate) sample: Option<Spanned<f64>>,
    #[serde(default)]
    pub(crate) trust_traceparent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantTable {
    pub(crate) profile: Option<Spanned<String>>,
    pub(crate) weight: Option<Spanned<u32>>,
    #[serde(default)]
    pub(crate) quotas: QuotaTables,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaTables {
    pub(crate) requests: Option<Spanned<QuotaValue>>,
    pub(crate) cpu: Option<Spanned<QuotaValue>>,
    pub(crate) concurrency: Option<Spanned<QuotaValue>>,
    pub(crate) memory: Option<Spanned<QuotaValue>>,
    pub(crate) kv: Option<Spanned<QuotaValue>>,
    pub(crate) egress: Option<Spanned<QuotaValue>>,
    pub(crate) log: Option<Spanned<QuotaValue>>,
}

/// A quota: its limit alone, or a table that also says what happens past it.
#[derive(Debug)]
pub(crate) struct QuotaValue {
    pub(crate) limit: Amount,
    pub(crate) past: Option<Spanned<String>>,
    pub(crate) mode: Option<Spanned<String>>,
}

/// The limit of a quota, as it is written.
#[derive(Debug)]
pub(crate) enum Amount {
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaTable {
    limit: Amount,
    past: Option<Spanned<String>>,
    mode: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for QuotaValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = QuotaValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text such as \"100/s\", a number, or a table with `limit`, `past` and `mode`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<QuotaValue, E> {
                Ok(QuotaValue { limit: Amount::Text(text.to_owned()), past: None, mode: None })
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<QuotaValue, E> {
                Ok(QuotaValue { limit: Amount::Number(number), past: None, mode: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<QuotaValue, A::Error> {
                let QuotaTable { limit, past, mode } = QuotaTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(QuotaValue { limit, past, mode })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text such as \"100/s\", or a number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount::Text(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount::Number(number))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
