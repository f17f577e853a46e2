//! The audit log that the command line names, and how it names the one app of this process.

use sha2::{Digest as _, Sha256};
use starcell_audit::{Audit, AuditError, Options, Subject, Writer};

use crate::cli::RecordFlags;

/// Who owns the app of a process that runs one script.
const TENANT: &str = "local";

/// Opens or goes on with a log. Without a file nothing is recorded.
///
/// # Errors
/// The file cannot be written, or is no sound audit log.
pub fn open(flags: &RecordFlags) -> Result<(Audit, Option<Writer>), AuditError> {
    let Some(file) = &flags.file else { return Ok((Audit::off(), None)) };
    let mut options = Options::new(file);
    options.rotate_bytes = u64::from(flags.rotate.get()) << 20;
    options.keep = flags.keep.map_or(options.keep, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
    Audit::open(options).map(|(audit, writer)| (audit, Some(writer)))
}

/// One version of the script, as its records name it. `policy` is everything that decides what it may do, in one text.
#[must_use]
pub fn subject(script: &str, source: &[u8], policy: &str) -> Subject {
    Subject {
        node: node(),
        tenant: TENANT.to_owned(),
        app: script.to_owned(),
        script_digest: digest(source),
        policy_digest: digest(policy.as_bytes()),
    }
}

/// The name of this machine, as the kernel has it.
#[expect(clippy::disallowed_methods, reason = "read once, to name this machine in records")]
fn node() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim_end().to_owned()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}
