//! The shape of `starcell.toml`. What it says about each key is what an editor shows, through the JSON schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// The configuration of starcell.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "starcell.toml")]
pub(crate) struct File {
    /// The profile that applies when none is named. Without it that is the profile called `default`, and without that
    /// `deny-all`.
    #[schemars(with = "Option<String>")]
    pub(crate) default_profile: Option<Spanned<String>>,

    /// Profiles by name: 1 to 64 lower-case ASCII letters, digits, `-` and `_`. Built-in names are taken.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ProfileTable>")]
    pub(crate) profiles: BTreeMap<Spanned<String>, ProfileTable>,
}

/// A profile: what its base allows, more rules, and denials that win over both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileTable {
    /// The profile it adds to: a built-in one or one of this file. `deny-all` when there is none.
    #[schemars(with = "Option<String>")]
    pub(crate) base: Option<Spanned<String>>,

    /// Rules that allow, such as `fs.read($CWD/**)`, `http.client(https://api.example.com)` or `kv.*`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) allow: Vec<Spanned<String>>,

    /// Rules that deny, whatever else allows.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) deny: Vec<Spanned<String>>,
}

/// The JSON schema of the file.
#[must_use]
pub fn schema() -> String {
    let mut schema = serde_json::to_string_pretty(&schemars::schema_for!(File)).unwrap_or_default();
    schema.push('\n');
    schema
}
