//! How a version of an app is named in the audit log.

use sha2::{Digest as _, Sha256};
use starcell_audit::Subject;

/// Who owns the app of a process that runs one script.
const TENANT: &str = "local";

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

/// The name of this machine, as the kernel has it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "read once, to name this machine in records")]
pub fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim_end().to_owned()
}

/// The digest of bytes, as records have it.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}
