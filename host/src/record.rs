//! The audit log that the command line names.

use std::path::Path;

use anyhow::Context as _;
use starcell_audit::{AnchorOptions, AnchorPlace, Audit, Options, Rate, SigningKey, Writer};

use crate::cli::RecordFlags;
use crate::folder::bounded;

/// Bytes of a file that a key is read from.
const MAX_KEY: u64 = 64 << 10;

/// Opens a log, or goes on with an existing one. Without a file nothing is recorded. `set_aside_damaged` begins a new
/// file when the existing one is damaged; [`Writer::set_aside`] then names the damaged one.
///
/// # Errors
/// A file cannot be read or written, the log is no sound audit log, or the key is none.
pub(crate) fn open(flags: &RecordFlags, set_aside_damaged: bool) -> anyhow::Result<(Audit, Option<Writer>)> {
    let Some(file) = &flags.file else { return Ok((Audit::off(), None)) };
    let mut options = Options::new(file);
    options.rotate_bytes = u64::from(flags.rotate.get()) << 20;
    options.keep = flags.keep.map_or(options.keep, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
    options.app_rate = (flags.rate > 0).then(|| Rate::mebibytes(flags.rate));
    options.set_aside_damaged = set_aside_damaged;
    options.anchor = flags.anchor.as_ref().map(|place| anchor(place, flags)).transpose()?;
    let (audit, writer) = Audit::open(options)?;
    Ok((audit, Some(writer)))
}

fn anchor(place: &AnchorPlace, flags: &RecordFlags) -> anyhow::Result<AnchorOptions> {
    let key = flags.key.as_deref().map(signing_key).transpose()?;
    Ok(AnchorOptions { place: place.clone(), every: flags.anchor_interval, key })
}

/// The private key in a file.
///
/// # Errors
/// The file cannot be read, or has no such key.
pub(crate) fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let pem = bounded(path, MAX_KEY).with_context(|| format!("cannot read the key {}", path.display()))?;
    SigningKey::from_pem(&pem).with_context(|| format!("cannot use the key {}", path.display()))
}
