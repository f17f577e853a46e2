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

mod diff;
mod error;
mod explain;
mod file;
mod ladder;
mod parse;

pub use diff::{Diff, Side, diff};
pub use error::ConfigError;
pub use explain::{Explained, Extent, OfCall, OfRule, QuestionError, explain};
pub use file::schema;
pub use ladder::{ladder_json, ladder_text};
pub use parse::{Config, UnknownProfile};
