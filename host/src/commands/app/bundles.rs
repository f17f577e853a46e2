//! `starcell app pack` and `starcell app push`: the apps of a node as one file, and on their way to a registry.
//!
//! Neither speaks to a node. What is pushed is read as a node would read it before anything is sent, so that nobody finds out
//! from a node that a bundle is none.

#![expect(clippy::disallowed_methods, reason = "writes the file that the command line names")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use starcell_bundle::Bundle;
use starcell_config::RegistryReference;
use starcell_registry::{Registry, RegistryLogins, RegistryTerms};

use crate::bundle::{PackedBundle, pack as packed, signature_of, small_text};
use crate::dial::OwnNetwork;
use crate::exit::Exit;
use crate::folder::is_folder;
use crate::operate::Failed;
use crate::record::signing_key;
use crate::say::Said;

/// Writes the bundle of a folder to a file.
pub(super) fn pack(folder: &Path, output: &Path, key: Option<&Path>) -> Result<Said, Failed> {
    let usage = |why: String| (Exit::Usage, why);
    let bundle = packed(folder).map_err(usage)?;
    let packed = signed(PackedBundle { bytes: bundle.pack().into(), signature: None }, key)?;
    let write = |file: &Path, bytes: &[u8]| {
        fs::write(file, bytes).map_err(|error| usage(format!("cannot write {}: {error}", file.display())))
    };
    write(output, &packed.bytes)?;
    let beside = signature_of(output);
    match &packed.signature {
        Some(signature) => write(&beside, format!("{signature}\n").as_bytes())?,
        // One that is left from another time would be one of other bytes.
        None => match fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(usage(format!("cannot remove {}: {error}", beside.display())));
            }
            _ => {}
        },
    }
    let (apps, files) = (bundle.apps().count(), bundle.count());
    Ok(Said::Text(format!("{}@{} apps={apps} files={files}\n", output.display(), packed.digest())))
}

/// Sends a bundle to a registry.
pub(super) async fn push(
    source: &Path,
    reference: &RegistryReference,
    (key, credentials, plain_http): (Option<&Path>, Option<&Path>, bool),
) -> Result<Said, Failed> {
    let usage = |why: String| (Exit::Usage, why);
    let packed = match is_folder(source) {
        true => PackedBundle { bytes: packed(source).map_err(usage)?.pack().into(), signature: None },
        false => PackedBundle::read(source).map_err(usage)?,
    };
    Bundle::read(&packed.bytes).map_err(|error| usage(format!("{}: {error}", source.display())))?;
    let PackedBundle { bytes, signature } = signed(packed, key)?;
    let logins = match credentials {
        Some(file) => {
            let text = small_text(file).map_err(usage)?;
            RegistryLogins::parse(&text).map_err(|error| usage(format!("{}: {error}", file.display())))?
        }
        None => RegistryLogins::default(),
    };
    let registry = Registry::new(reference.clone(), RegistryTerms { logins, plain_http }, Arc::new(OwnNetwork));
    let pushed = registry.push(bytes, signature.as_deref()).await;
    let digest = pushed.map_err(|error| (if error.is_away() { Exit::Host } else { Exit::Usage }, error.to_string()))?;
    Ok(Said::Text(format!("{}\n", reference.at(digest))))
}

fn signed(mut packed: PackedBundle, key: Option<&Path>) -> Result<PackedBundle, Failed> {
    if let Some(key) = key {
        let key = signing_key(key).map_err(|error| (Exit::Usage, format!("{error:#}")))?;
        packed.sign(&key);
    }
    Ok(packed)
}
