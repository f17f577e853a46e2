//! How a version of an app is named in the audit log.

use sha2::{Digest as _, Sha256};
use starcell_audit::Subject;
use starcell_runtime::machine_name;

/// Who owns the app of a process that runs one script.
pub const TENANT: &str = "local";

/// One version of a script, as its records name it. `policy` is everything that decides what it may do, in one text.
#[must_use]
pub fn subject(script: &str, source: &[u8], policy: &str) -> Subject {
    Subject {
        node: machine(),
        tenant: TENANT.to_owned(),
        app: script.to_owned(),
        revision: None,
        script_digest: digest(source),
        policy_digest: digest(policy.as_bytes()),
    }
}

/// The name of this machine; empty if it has none that is text.
#[must_use]
pub fn machine() -> String {
    machine_name().unwrap_or_default()
}

/// The digest of bytes, as records have it.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}
