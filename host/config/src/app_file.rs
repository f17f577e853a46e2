//! The shape of an `app.toml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// An app: whose it is, where it answers, what it may do and use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppFile {
    pub(crate) tenant: Spanned<String>,
    #[serde(default)]
    pub(crate) hosts: Vec<Spanned<String>>,
    pub(crate) path: Option<Spanned<String>>,
    pub(crate) profile: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) limits: LimitTable,
    #[serde(default)]
    pub(crate) env: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub(crate) secrets: BTreeMap<Spanned<String>, Spanned<SecretValue>>,
    #[serde(default)]
    pub(crate) vars: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    #[serde(default)]
    pub(crate) schedule: Vec<Spanned<ScheduleTable>>,
    #[serde(default)]
    pub(crate) resident: bool,
    #[serde(default)]
    pub(crate) preview: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitTable {
    pub(crate) memory: Option<Spanned<String>>,
    pub(crate) cpu: Option<Spanned<String>>,
    pub(crate) time: Option<Spanned<String>>,
    pub(crate) log: Option<Spanned<String>>,
}

/// What is written for a secret.
#[derive(Debug)]
pub(crate) enum SecretValue {
    /// Where it comes from.
    From(SecretTable),
    /// The secret itself, perhaps. It is not kept, so that no error can show it.
    Spelled,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretTable {
    pub(crate) file: Option<Spanned<String>>,
    pub(crate) env: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleTable {
    pub(crate) every: Option<Spanned<String>>,
    pub(crate) cron: Option<Spanned<String>>,
    pub(crate) path: Spanned<String>,
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = SecretValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `file` or `env`")
            }

            fn visit_str<E: Error>(self, _text: &str) -> Result<SecretValue, E> {
                Ok(SecretValue::Spelled)
            }

            fn visit_i64<E: Error>(self, _number: i64) -> Result<SecretValue, E> {
                Ok(SecretValue::Spelled)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretValue, A::Error> {
                SecretTable::deserialize(MapAccessDeserializer::new(map)).map(SecretValue::From)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
