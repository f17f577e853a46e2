//! The apps of a bundle as folders: `apps/NAME` is a link to `apps/..NAME.DIGEST`, where the files lie.
//!
//! **The decision.** The folder of an app is named by the digest of its files and is written whole before its link leads to
//! it; the link is exchanged by a rename, so that nobody sees half of an app. An app that a new bundle does not change keeps
//! its folder, its link and its revision. The folder that a link has led to until now stays until the exchange after the next
//! one: a revision that answers its last requests still reads from it. Names that begin with a dot are no apps to the node.
//!
//! **What it refuses.** A folder that was there under that name and does not have the files of the bundle as they are: an app
//! that may write to its own folder could have changed them. The app gets a new folder then. The files were judged before,
//! so that none of their names leads anywhere else; and a folder that is written was not there before, so that it has no link.

#![expect(clippy::disallowed_methods, reason = "owns the folder of the apps that come from elsewhere")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use starcell_bundle::{Bundle, digest_of};
use starcell_runtime::read_source;

use crate::node::durable::{remove, write_passing_folder};

/// What stands before the name of an app in that of its folder.
const BEFORE: &str = "..";

/// Characters of the digest in the name of a folder.
const DIGITS: usize = 16;

/// Folders of one app with the same files, of which all but the last have been changed by the app.
const MOST: u32 = 1000;

/// Has the folder of the apps hold those of a bundle and no other. Blocks.
///
/// # Errors
/// The sentence about a file that cannot be written. Then each app is as it was before or as it is in the bundle.
pub(super) fn unpack(apps: &Path, bundle: &Bundle) -> Result<(), String> {
    let cannot = |error: io::Error| format!("cannot write to {}: {error}", apps.display());
    let before = links(apps).map_err(cannot)?;
    let mut now = BTreeMap::new();
    for app in bundle.apps() {
        let linked = before.get(app).map(|target| apps.join(target));
        let folder = match linked.filter(|folder| is_folder_of(folder, app) && is_sound(folder, bundle, app)) {
            Some(folder) => folder,
            None => written(apps, bundle, app).map_err(cannot)?,
        };
        now.insert(app.to_owned(), folder.file_name().map(OsString::from).unwrap_or_default());
    }
    for (app, folder) in now.iter().filter(|(app, folder)| before.get(*app) != Some(*folder)) {
        let beside = apps.join(format!("{BEFORE}{app}.link"));
        let _ = fs::remove_file(&beside);
        symlink(folder, &beside).and_then(|()| fs::rename(&beside, apps.join(app))).map_err(cannot)?;
    }
    for app in before.keys().filter(|app| !now.contains_key(*app)) {
        fs::remove_file(apps.join(app)).map_err(cannot)?;
    }
    let used: BTreeSet<&OsString> = before.values().chain(now.values()).collect();
    for entry in fs::read_dir(apps).map_err(cannot)?.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(BEFORE) && !used.contains(&name) {
            // What cannot be removed takes room and nothing else, and is tried again.
            let _ = remove(&entry.path());
        }
    }
    Ok(())
}

/// The links of the apps that there are, with what they lead to.
fn links(apps: &Path) -> io::Result<BTreeMap<String, OsString>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(apps)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.file_type()?.is_symlink() {
            found.insert(name, fs::read_link(entry.path())?.into_os_string());
        }
    }
    Ok(found)
}

/// Whether a folder is one that was made for an app.
fn is_folder_of(folder: &Path, app: &str) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix(BEFORE).and_then(|rest| rest.strip_prefix(app)).is_some_and(|rest| rest.starts_with('.'))
}

/// Writes the folder of an app, or finds one that is as it would be.
fn written(apps: &Path, bundle: &Bundle, app: &str) -> io::Result<PathBuf> {
    let digest = digest(bundle, app);
    for number in 1..=MOST {
        let end = if number == 1 { String::new() } else { format!("-{number}") };
        let folder = apps.join(format!("{BEFORE}{app}.{digest}{end}"));
        match fs::symlink_metadata(&folder) {
            Ok(_) if is_sound(&folder, bundle, app) => return Ok(folder),
            Ok(_) => {}
            Err(_) => {
                write_passing_folder(&folder, bundle.files_of(app).map(|(name, bytes)| Ok((name, bytes.to_vec()))))?;
                return Ok(folder);
            }
        }
    }
    Err(io::Error::other(format!("{app} has changed each of its folders")))
}

/// Whether a folder has each file of an app as it is in the bundle. Files that the app has added are its own.
fn is_sound(folder: &Path, bundle: &Bundle, app: &str) -> bool {
    bundle.files_of(app).all(|(name, bytes)| read_source(folder, name).is_ok_and(|found| found == bytes))
}

/// What tells the files of an app from others.
fn digest(bundle: &Bundle, app: &str) -> String {
    let mut all = Vec::new();
    for (name, bytes) in bundle.files_of(app) {
        // Lengths keep two lists of files apart that look alike in a row.
        all.extend_from_slice(format!("{}:{name}:{}:", name.len(), bytes.len()).as_bytes());
        all.extend_from_slice(bytes);
    }
    digest_of(&all).hex().chars().take(DIGITS).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn bundle(apps: &[(&str, &str)]) -> Bundle {
        let files = apps.iter().flat_map(|(app, text)| {
            let file = |name: &str, text: &str| (format!("{app}/{name}"), text.as_bytes().to_vec());
            [file("app.toml", ""), file("main.star", text), file("lib/deep/x.star", "1")]
        });
        Bundle::new(files.collect()).unwrap()
    }

    fn target(apps: &Path, app: &str) -> PathBuf {
        fs::canonicalize(apps.join(app)).unwrap()
    }

    #[test]
    fn what_did_not_change_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let apps = folder.path();
        unpack(apps, &bundle(&[("a", "1"), ("b", "1")])).unwrap();
        assert_eq!(fs::read_to_string(apps.join("a/lib/deep/x.star")).unwrap(), "1");
        let (a, b) = (target(apps, "a"), target(apps, "b"));
        assert_ne!(a, b, "two apps with the same files have a folder each");
        unpack(apps, &bundle(&[("a", "2"), ("b", "1")])).unwrap();
        assert_eq!((target(apps, "b"), fs::read_to_string(apps.join("a/main.star")).unwrap()), (b.clone(), "2".into()));
        assert!(fs::metadata(&a).is_ok(), "a revision may still read from it");
        unpack(apps, &bundle(&[("c", "1"), ("b", "1")])).unwrap();
        assert!(fs::metadata(&a).is_err() && fs::symlink_metadata(apps.join("a")).is_err());
        assert_eq!(target(apps, "b"), b);
    }

    #[test]
    fn an_app_that_changed_its_own_files_gets_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        let apps = folder.path();
        let one = bundle(&[("a", "1")]);
        unpack(apps, &one).unwrap();
        let before = target(apps, "a");
        fs::write(before.join("kept.txt"), "own").unwrap();
        unpack(apps, &one).unwrap();
        assert_eq!(target(apps, "a"), before, "what it has added is its own");
        fs::write(before.join("main.star"), "evil").unwrap();
        unpack(apps, &one).unwrap();
        assert_eq!(fs::read_to_string(apps.join("a/main.star")).unwrap(), "1");
        assert_ne!(target(apps, "a"), before);
        // A link in the place of a file leads nowhere, whatever it leads to.
        let now = target(apps, "a");
        fs::write(folder.path().join("same"), "1").unwrap();
        fs::remove_file(now.join("main.star")).unwrap();
        symlink(folder.path().join("same"), now.join("main.star")).unwrap();
        unpack(apps, &one).unwrap();
        assert_ne!(target(apps, "a"), now);
        // Nor does a link of the app itself.
        fs::remove_file(apps.join("a")).unwrap();
        symlink("/etc", apps.join("a")).unwrap();
        unpack(apps, &one).unwrap();
        assert_eq!(fs::read_to_string(apps.join("a/main.star")).unwrap(), "1");
    }
}
