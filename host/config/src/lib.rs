//! The configuration file, and what can be told about permissions without running anything.
//!
//! Nothing here reads a file or the environment: text goes in, types or an error with its place come out. What a file
//! says is checked as a whole before anything starts, since a misspelt key that is passed over is a limit that is not
//! there.
//!
//! | module | job |
//! |---|---|
//! | `file` | The shape of `starcell.toml`, from which its JSON schema is made too |
//! | `parse`, `error` | Text to [`Config`], or the place of the first mistake |
//! | `node_file`, `node` | The shape of a node's file; text to [`NodeConfig`]: listeners, tenants, profiles |
//! | `app_file`, `app` | The shape of an `app.toml`; text to [`AppManifest`]: hosts, limits, secrets, schedule |
//! | `apps_place` | Where the apps of a node come from: a folder, a bundle, a registry |
//! | `quota`, `quantity`, `cron`, `value` | What the apps of a tenant may use; rates, sizes and times; points in time; names, paths and addresses |
//! | `tokens` | Who may operate a node over an address, and in which role |
//! | `ladder`, `explain`, `diff` | The profiles as a table; why a call or a rule is decided as it is; what two profiles differ in |
//!
//! ```
//! use starcell_config::Config;
//!
//! let config = Config::parse(
//!     r#"
//!     [profiles.default]
//!     base = "allow-fs"
//!     allow = ["http.client(https://api.example.com)"]
//!     deny = ["fs.read(/etc/**)"]
//!     "#,
//!     "starcell.toml",
//! )?;
//! assert_eq!(config.default_profile().name(), "default");
//!
//! let mistake = Config::parse("[profiles.mine]\nallow = [\"fs.raed\"]\n", "starcell.toml").unwrap_err();
//! assert_eq!(
//!     mistake.to_string(),
//!     "starcell.toml:2:14: bad rule: unknown category `raed` of module `fs`; did you mean `read`?"
//! );
//! # Ok::<(), starcell_config::ConfigError>(())
//! ```

#![forbid(unsafe_code)]

mod app;
mod app_file;
mod apps_place;
mod cron;
mod diff;
mod error;
mod explain;
mod file;
mod ladder;
mod node;
mod node_file;
mod parse;
mod quantity;
mod quota;
mod store;
mod tokens;
mod value;

pub use app::{AppLimits, AppManifest, Schedule, SecretSource, When};
pub use apps_place::{AppsPlace, ContentDigest, ManifestVersion, RegistryReference};
pub use cron::Cron;
pub use diff::{Diff, Side, diff};
pub use error::ConfigError;
pub use explain::{Explained, Extent, OfCall, OfRule, QuestionError, explain};
pub use file::schema;
pub use ladder::{ladder_json, ladder_text};
pub use node::{AdminAddress, BundleTerms, KeptRevisions, NodeConfig, NodeListener, TelemetryChoice, TenantConfig};
pub use parse::{Config, UnknownProfile};
pub use quantity::Flow;
pub use quota::{PastQuota, Quota, Quotas};
pub use store::{KvConfig, KvPlace, ServerUrl};
pub use tokens::{OperatorToken, Role, Tokens};
pub use value::is_plain_name;
