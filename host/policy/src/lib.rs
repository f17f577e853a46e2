//! The permission ladder of starcell: what a script may do, decided without doing it.
//!
//! A pure crate: no async, no clock, no I/O, no wasmtime. The same grants and the same call give the
//! same answer, so every law of the ladder is a property test. What a call meets, in order:
//!
//! | module | job |
//! |---|---|
//! | `path`, `name`, `host`, `url`, `server`, `kubernetes`, `kinds` | Brings a resource to one spelling, or refuses it |
//! | `resource`, `registry`, `capability` | What a kind of resource has to say; the closed list of privileged operations |
//! | `call` | A function and its resource |
//! | `rule`, `path_pattern`, `name_pattern`, `url_pattern`, `glob` | The grammar operators write, parsed once into types |
//! | `roots` | What variables in rules stand for, and where links lead |
//! | `profile`, `ladder` | Named sets of rules; the five that are built in |
//! | `grants` | A profile and added rules, compiled for one app; an app only narrows its tenant |
//! | `decide`, `layer`, `egress` | Deny over allow over fallback; names first, then each resolved address |
//! | `permit` | Proof of the decision, which the effect takes |
//! | `denial`, `explain` | What was refused, why, and what would grant it |
//! | `call_buf` | Calls read from text, and the narrowest rules for them |
//!
//! ```
//! use starcell_policy::{CanonicalPath, Grants, Profile, Roots, Rule, ServerAddress, ServerFunction};
//!
//! let roots = Roots::new(CanonicalPath::absolute("/srv/app")?);
//! let address = ServerAddress::new("127.0.0.1", 8080)?;
//!
//! let grants = Grants::new(&Profile::deny_all(), &[], &[], &roots)?;
//! let denial = grants.decide(ServerFunction::Serve, address).err().map(|d| d.to_string());
//! assert_eq!(
//!     denial.as_deref(),
//!     Some(
//!         "permission denied: http.server(\"127.0.0.1:8080\"): not granted by deny-all; \
//!          granted from allow-local, or by the rule http.server(127.0.0.1:8080)"
//!     )
//! );
//!
//! let rule = Rule::parse("http.server(127.0.0.1:8080)")?;
//! let grants = Grants::new(&Profile::deny_all(), &[rule], &[], &roots)?;
//! let permit = grants.decide(ServerFunction::Serve, address)?;
//! assert_eq!(permit.resource().socket_addr().to_string(), "127.0.0.1:8080");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod call;
mod call_buf;
mod capability;
mod decide;
mod denial;
mod egress;
mod explain;
mod glob;
mod grants;
mod host;
mod kinds;
mod kubernetes;
mod ladder;
mod layer;
mod name;
mod name_pattern;
mod outline;
mod path;
mod path_pattern;
mod permit;
mod profile;
mod registry;
mod resource;
mod roots;
mod rule;
mod server;
mod sql;
mod sql_pattern;
mod suggest;
mod url;
mod url_pattern;

pub use call::Call;
pub use call_buf::{CallBuf, CallError};
pub use capability::{
    Capability, EnvFunction, ExecFunction, Function, HttpMethod, K8sFunction, KvFunction, PathFunction, ResourceKind,
    ServerFunction, SqlFunction,
};
pub use denial::{Denial, DenyReason};
pub use egress::{AddressClass, AddressClasses};
pub use explain::{Explanation, Step};
pub use grants::{Grants, GrantsError};
pub use host::{Host, HostError, HostName};
pub use kinds::KnownKind;
pub use kubernetes::{KubernetesError, KubernetesObject};
pub use layer::{Decider, Source, Verdict};
pub use name::{EnvName, KvKey, NameError};
pub use outline::OutlinedPlace;
pub use path::{CanonicalPath, PathError, ProgramPath};
pub use permit::{Endpoint, Permit, Reached};
pub use profile::{Fallback, Profile, ProfileError};
pub use roots::Roots;
pub use rule::{Rule, RuleError};
pub use server::ServerAddress;
pub use sql::{SqlError, SqlServer, SqlSource};
pub use suggest::nearest;
pub use url::{Scheme, Url, UrlError};
