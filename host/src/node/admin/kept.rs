//! The files of a kept revision, as far as somebody may see them.
//!
//! The decision: an operator of a tenant sees the files of revisions that were that tenant's. An app can change its owner,
//! and the revisions before that have the script of somebody else. Of `app.toml` nobody sees the text but what it comes to:
//! values of the environment, and the files that secrets come from, are in it.

use std::collections::BTreeMap;

use http::StatusCode;
use starcell_config::{AppManifest, NodeConfig};

use crate::node::archive::Archive;
use crate::node::files::MANIFEST;
use crate::node::orders::{AppName, Refused};

/// The files of a revision.
#[derive(Debug)]
pub(crate) struct KeptFiles {
    /// What its `app.toml` says, with the profiles as the node has them now; else why it cannot be read.
    pub(crate) manifest: Result<AppManifest, String>,
    /// The script and what it loads, by name. Bytes that are no text are shown as such.
    pub(crate) sources: BTreeMap<String, String>,
}

/// Reads the files of a revision. Blocks.
pub(crate) fn kept_files(
    archive: &Archive,
    config: &NodeConfig,
    app: &AppName,
    number: u64,
) -> Result<KeptFiles, Refused> {
    let unknown = || {
        let message = format!("no revision {number} of the app {} is kept", app.name);
        Refused::new(StatusCode::NOT_FOUND, "unknown_revision", message)
    };
    let mut files = archive.files(&app.name, number).map_err(|why| {
        let message = format!("revision {number} of the app {} cannot be read: {why}", app.name);
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", message)
    })?;
    let written = files.remove(MANIFEST).ok_or_else(unknown)?;
    let name = format!("{}/{MANIFEST}", app.name);
    let manifest = AppManifest::parse(&String::from_utf8_lossy(&written), &name, config);
    let manifest = manifest.map_err(|error| error.to_string());
    if let Some(tenant) = &app.within
        && manifest.as_ref().map_or(true, |manifest| manifest.tenant != *tenant)
    {
        return Err(unknown());
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(KeptFiles { manifest, sources: files.into_iter().map(|(name, bytes)| (name, text(bytes))).collect() })
}
