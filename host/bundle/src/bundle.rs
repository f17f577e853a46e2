//! The files of a bundle, by app.

use std::collections::{BTreeMap, HashMap};

use crate::bounds::{MAX_ENTRIES, MAX_FILE, MAX_UNPACKED};
use crate::error::BundleError;
use crate::name::{check_file, shown};
use crate::{read, write};

/// The two files that make a folder an app.
const PARTS: [&str; 2] = ["app.toml", "main.star"];

/// The apps of a node with their files. There is at least one app, and each name is one that any file system takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle(BTreeMap<String, Vec<u8>>);

impl Bundle {
    /// The files of apps, by `APP/NAME`.
    ///
    /// # Errors
    /// A name that a file cannot have, an app without one of its two files, or more bytes than a bundle has.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Result<Self, BundleError> {
        if files.len() > MAX_ENTRIES {
            return Err(BundleError::TooMany);
        }
        let mut bytes = 0_usize;
        let mut folded: HashMap<String, &str> = HashMap::new();
        for (name, content) in &files {
            check_file(name)?;
            if content.len() > MAX_FILE {
                return Err(BundleError::LargeFile(shown(name)));
            }
            bytes = bytes.saturating_add(content.len());
            if bytes > MAX_UNPACKED {
                return Err(BundleError::LargeUnpacked);
            }
            for above in folders(name) {
                if files.contains_key(above) {
                    return Err(BundleError::FileAndFolder(shown(above)));
                }
            }
            // Folders too: `A/x` and `a/y` are in one folder where case means nothing.
            for part in folders(name).chain([name.as_str()]) {
                let other = *folded.entry(part.to_ascii_lowercase()).or_insert(part);
                if other != part {
                    return Err(BundleError::Case(shown(other), shown(part)));
                }
            }
        }
        let bundle = Self(files);
        for app in bundle.apps() {
            if let Some(part) = PARTS.into_iter().find(|part| !bundle.0.contains_key(&format!("{app}/{part}"))) {
                return Err(BundleError::Lacks(app.to_owned(), part));
            }
        }
        if bundle.0.is_empty() { Err(BundleError::NoApp) } else { Ok(bundle) }
    }

    /// Reads a file that a stranger may have made.
    ///
    /// # Errors
    /// The first thing in it that no bundle has.
    pub fn read(packed: &[u8]) -> Result<Self, BundleError> {
        Self::new(read::files(packed)?)
    }

    /// The bytes of the file: the same for the same files, whoever packs them and when.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        write::packed(&self.0)
    }

    /// The names of the apps, each once.
    pub fn apps(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        let apps = self.0.keys().filter_map(|name| name.split('/').next());
        apps.filter(move |app| last.replace(*app) != Some(*app))
    }

    /// The files of an app by their names in its folder, sorted.
    pub fn files_of(&self, app: &str) -> impl Iterator<Item = (&str, &[u8])> {
        let prefix = format!("{app}/");
        let behind = self.0.range(prefix.clone()..);
        behind.map_while(move |(name, bytes)| Some((name.strip_prefix(&prefix)?, bytes.as_slice())))
    }

    /// The number of its files.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The folders that a name is in, from the top one on.
fn folders(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(end, _)| name.get(..end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<Bundle, BundleError> {
        Bundle::new(names.iter().map(|name| ((*name).to_owned(), b"1".to_vec())).collect())
    }

    const APP: [&str; 2] = ["a/app.toml", "a/main.star"];

    fn with(names: &[&str]) -> Result<Bundle, BundleError> {
        of(&[&APP, names].concat())
    }

    #[test]
    fn apps_are_listed_with_their_own_files() {
        let bundle = with(&["a/lib/x.star", "a-b/app.toml", "a-b/main.star", "b/app.toml", "b/main.star"]).unwrap();
        assert_eq!(bundle.apps().collect::<Vec<_>>(), ["a-b", "a", "b"]);
        let names = |app| bundle.files_of(app).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("a"), ["app.toml", "lib/x.star", "main.star"]);
        assert_eq!((names("b").len(), names("c").len(), bundle.count()), (2, 0, 7));
    }

    #[test]
    fn what_is_no_set_of_apps_is_refused() {
        assert_eq!(of(&[]), Err(BundleError::NoApp));
        assert_eq!(of(&["a/main.star"]), Err(BundleError::Lacks("a".into(), "app.toml")));
        assert_eq!(of(&["a/app.toml"]), Err(BundleError::Lacks("a".into(), "main.star")));
        assert_eq!(with(&["b/readme.md"]), Err(BundleError::Lacks("b".into(), "app.toml")));
        assert_eq!(with(&["readme.md"]), Err(BundleError::Outside("readme.md".into())));
        assert_eq!(with(&["a/x", "a/x/y"]), Err(BundleError::FileAndFolder("a/x".into())));
        assert_eq!(with(&["a/Main.star"]), Err(BundleError::Case("a/Main.star".into(), "a/main.star".into())));
        assert_eq!(with(&["a/L/x", "a/l/y"]), Err(BundleError::Case("a/L".into(), "a/l".into())));
        assert_eq!(with(&["a/../x"]), Err(BundleError::BadName("a/../x".into())));
        with(&["a/l/x", "a/l/X1"]).unwrap();
    }

    #[test]
    fn sizes_are_bounded() {
        let sized = |sizes: &[usize]| {
            let more = sizes.iter().enumerate().map(|(n, size)| (format!("a/{n}"), vec![0; *size]));
            Bundle::new(APP.map(|name| (name.to_owned(), Vec::new())).into_iter().chain(more).collect())
        };
        sized(&[MAX_FILE; MAX_UNPACKED / MAX_FILE]).unwrap();
        assert_eq!(sized(&[MAX_FILE + 1]), Err(BundleError::LargeFile("a/0".into())));
        let over = [&[MAX_FILE; MAX_UNPACKED / MAX_FILE][..], &[1]].concat();
        assert_eq!(sized(&over), Err(BundleError::LargeUnpacked));
    }
}
