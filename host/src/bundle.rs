//! Bundles as files: a folder that is packed, a file that is read with its signature, and the keys of both.
//!
//! The decision: the signature of `apps.tar.gz` is in `apps.tar.gz.sig`, a line of base64 over the digest of the file. What
//! is packed is what a node would read: regular files under plain names. Names that begin with a dot are left out, so that
//! the `.git` of a work tree, or what an editor left, is in no bundle.
//!
//! What is refused: a link, a device or a name that a bundle cannot have. Leaving it out silently would make a bundle that
//! lacks what the folder has.

#![expect(clippy::disallowed_methods, reason = "reads what the command line or a node's file names")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use starcell_audit::{SignedKind, SigningKey, VerifyingKey};
use starcell_bundle::{Bundle, MAX_ENTRIES, MAX_PACKED, MAX_UNPACKED, digest_of, is_part};
use starcell_config::ContentDigest;
use starcell_runtime::read_source;

use crate::folder::{MAIN, bounded};

/// What is behind the name of a bundle in that of its signature.
const SIGNATURE: &str = ".sig";

/// Bytes of a key, a signature and a file of logins.
const MAX_SMALL: u64 = 64 << 10;

/// Folders within each other.
const MAX_DEPTH: usize = 16;

/// The bytes of a bundle, with what is said to be their signature.
#[derive(Clone, Debug)]
pub(crate) struct PackedBundle {
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// The signature.
    pub(crate) signature: Option<String>,
}

impl PackedBundle {
    /// Reads a file, and the signature that lies beside it. Blocks.
    ///
    /// # Errors
    /// The sentence about a file that cannot be read.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let bytes = beginning(file, MAX_PACKED as u64 + 1)?;
        let beside = signature_of(file);
        let signature = match fs::metadata(&beside) {
            Ok(_) => Some(small_text(&beside)?.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(format!("cannot read {}: {error}", beside.display())),
        };
        Ok(Self { bytes: bytes.into(), signature })
    }

    /// The digest of the bytes.
    pub(crate) fn digest(&self) -> ContentDigest {
        digest_of(&self.bytes)
    }

    /// Signs the bytes.
    pub(crate) fn sign(&mut self, key: &SigningKey) {
        self.signature = Some(key.sign(SignedKind::Bundle, self.digest().as_str()));
    }

    /// Compares the signature with the key in a file. Blocks.
    ///
    /// # Errors
    /// The end of a sentence: there is no signature, or none by that key.
    pub(crate) fn verify(&self, key: &Path) -> Result<(), String> {
        let shown = key.display();
        let pem = beginning(key, MAX_SMALL)?;
        let verifying = VerifyingKey::from_pem(&pem).map_err(|error| format!("cannot use the key {shown}: {error}"))?;
        let Some(signature) = &self.signature else {
            return Err(format!(
                "it has no signature, and `key` of [bundle] asks for one by {shown}; pack or push it with --key"
            ));
        };
        match verifying.verifies(SignedKind::Bundle, self.digest().as_str(), signature) {
            true => Ok(()),
            false => Err(format!("its signature is not by the key {shown}; sign it with the private key of that one")),
        }
    }
}

/// The file of the signature of a bundle.
pub(crate) fn signature_of(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(SIGNATURE);
    name.into()
}

/// Reads a small file of text: a signature, or logins. Blocks.
pub(crate) fn small_text(file: &Path) -> Result<String, String> {
    let bytes = beginning(file, MAX_SMALL)?;
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", file.display()))
}

fn beginning(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    bounded(file, most).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// Packs a folder: one app, if `main.star` is in it, or else the apps in its folders. Blocks.
///
/// # Errors
/// The sentence about what cannot be packed, with the fix.
pub(crate) fn pack(folder: &Path) -> Result<Bundle, String> {
    let shown = folder.display();
    let real = fs::canonicalize(folder).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut packing = Packing::default();
    if fs::metadata(real.join(MAIN)).is_ok() {
        let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        packing.add(&real, name, "", MAX_DEPTH)?;
    } else {
        for (name, kind) in entries(&real)? {
            // A node reads no file beside the folders of its apps.
            if kind.is_dir() {
                packing.add(&real.join(&name), &name, "", MAX_DEPTH)?;
            } else if kind.is_symlink() {
                return Err(link(&real.join(&name)));
            }
        }
    }
    Bundle::new(packing.files).map_err(|error| format!("cannot pack {shown}: {error}"))
}

/// Files on their way into a bundle.
#[derive(Default)]
struct Packing {
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl Packing {
    /// Adds what is in a folder of an app; `above` is the path of the folder in that of the app.
    fn add(&mut self, root: &Path, app: &str, above: &str, depth: usize) -> Result<(), String> {
        let folder = root.join(above);
        for (name, kind) in entries(&folder)? {
            let path = folder.join(&name);
            let inner = format!("{above}{name}");
            if kind.is_dir() && depth > 0 {
                self.add(root, app, &format!("{inner}/"), depth - 1)?;
                continue;
            }
            if kind.is_symlink() {
                return Err(link(&path));
            }
            if !kind.is_file() {
                let what = if kind.is_dir() { "lies in too many folders" } else { "is no regular file" };
                return Err(format!("{} {what}; leave it out, or begin its name with a `.`", path.display()));
            }
            let bytes =
                read_source(root, &inner).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            self.bytes = self.bytes.saturating_add(bytes.len());
            self.files.insert(format!("{app}/{inner}"), bytes);
            if self.bytes > MAX_UNPACKED || self.files.len() > MAX_ENTRIES {
                let most = format!("{MAX_ENTRIES} files or {} MiB", MAX_UNPACKED >> 20);
                return Err(format!("{} has more than {most}; leave out what is no part of an app", root.display()));
            }
        }
        Ok(())
    }
}

/// The entries of a folder by name, sorted, but for those that begin with a dot.
fn entries(folder: &Path) -> Result<Vec<(String, fs::FileType)>, String> {
    let cannot = |error: std::io::Error| format!("cannot read the folder {}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if !is_part(&name) {
            let shown = entry.path();
            return Err(format!(
                "{} has a name that no file of a bundle has: ASCII letters, digits, `-`, `_` and `.`; rename it, or begin \
                 its name with a `.` to leave it out",
                shown.display()
            ));
        }
        found.push((name, entry.file_type().map_err(cannot)?));
        if found.len() > MAX_ENTRIES {
            return Err(format!("{} has more than {MAX_ENTRIES} entries", folder.display()));
        }
    }
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn link(path: &Path) -> String {
    format!("{} is a link, and a bundle holds files alone; put what it leads to in its place", path.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(folder: &Path, files: &[&str]) {
        for file in files {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "1").unwrap();
        }
    }

    #[test]
    fn a_work_tree_is_packed_without_what_is_hidden() {
        let temporary = tempfile::tempdir().unwrap();
        let tree = temporary.path().join("shop");
        write(&tree, &["app.toml", "main.star", "lib/x.star", ".git/config", "lib/.x.swp", "data/a.json"]);
        let bundle = pack(&tree).unwrap();
        let names: Vec<&str> = bundle.files_of("shop").map(|(name, _)| name).collect();
        assert_eq!(names, ["app.toml", "data/a.json", "lib/x.star", "main.star"]);
        // The folder above, with a file of its own that no node reads.
        write(temporary.path(), &["README.md", ".git/config"]);
        assert_eq!(pack(temporary.path()).unwrap(), bundle);
        write(temporary.path(), &["docs/index.md"]);
        assert!(pack(temporary.path()).unwrap_err().contains("the app docs has no app.toml"));
    }

    #[test]
    fn what_a_bundle_cannot_hold_is_named() {
        let temporary = tempfile::tempdir().unwrap();
        let tree = temporary.path().join("shop");
        write(&tree, &["app.toml", "main.star"]);
        symlink("/etc/passwd", tree.join("passwd")).unwrap();
        assert!(pack(&tree).unwrap_err().contains("passwd is a link"));
        fs::remove_file(tree.join("passwd")).unwrap();
        write(&tree, &["a b"]);
        assert!(pack(&tree).unwrap_err().contains("rename it"));
        fs::rename(tree.join("a b"), tree.join(".a b")).unwrap();
        pack(&tree).unwrap();
        fs::rename(&tree, temporary.path().join("Shop")).unwrap();
        assert!(pack(&temporary.path().join("Shop")).unwrap_err().contains("is not the name of an app"));
        assert!(pack(&temporary.path().join("none")).unwrap_err().contains("cannot read"));
    }

    #[test]
    fn a_signature_is_one_of_the_bytes_by_the_key() {
        let temporary = tempfile::tempdir().unwrap();
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("audit/tests/keys");
        let key = SigningKey::from_pem(&bounded(&keys.join("private.pem"), MAX_SMALL).unwrap()).unwrap();
        let file = temporary.path().join("apps.tar.gz");
        fs::write(&file, "bytes").unwrap();
        let mut packed = PackedBundle::read(&file).unwrap();
        let (public, other) = (keys.join("public.pem"), keys.join("other.pem"));
        assert!(packed.verify(&public).unwrap_err().contains("has no signature"));
        packed.sign(&key);
        packed.verify(&public).unwrap();
        assert!(packed.verify(&other).unwrap_err().contains("is not by the key"));
        assert!(packed.verify(&keys.join("private.pem")).unwrap_err().contains("cannot use the key"));
        fs::write(signature_of(&file), format!("{}\n", packed.signature.unwrap())).unwrap();
        PackedBundle::read(&file).unwrap().verify(&public).unwrap();
        fs::write(&file, "other bytes").unwrap();
        assert!(PackedBundle::read(&file).unwrap().verify(&public).unwrap_err().contains("is not by the key"));
    }
}
