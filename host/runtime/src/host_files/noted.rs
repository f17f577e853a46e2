//! What is noted of the host's files while it runs: the secrets of apps, and the folders of apps that lie elsewhere.
//!
//! There may be thousands, and each call of a script that names a file asks, so they are found by path and by inode.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use starcell_policy::CanonicalPath;

use super::file::{Extent, HostFile};

/// What was noted.
#[derive(Debug, Default)]
pub(super) struct Noted {
    places: BTreeMap<String, Place>,
    identities: HashMap<(u64, u64), String>,
    /// The folder of each app that has one elsewhere, under each of its names.
    folders: HashMap<Arc<str>, Vec<String>>,
}

/// A file, or a folder with all that is in it.
#[derive(Debug)]
struct Place {
    file: HostFile,
    /// The apps whose folder it is: it is open to them.
    apps: Vec<Arc<str>>,
}

impl Place {
    fn is_closed_to(&self, app: Option<&str>) -> bool {
        app.is_none_or(|app| self.apps.iter().all(|own| **own != *app))
    }
}

impl Noted {
    /// Notes a file.
    pub(super) fn file(&mut self, path: &CanonicalPath) {
        if !self.places.contains_key(path.as_str()) {
            for file in HostFile::all(path, Extent::File) {
                self.add(file);
            }
        }
    }

    /// Notes the folder of an app, in place of the one that it had.
    pub(super) fn folder(&mut self, path: &CanonicalPath, app: &str) {
        let is_known = |names: &Vec<String>| names.iter().any(|name| name == path.as_str());
        if self.folders.get(app).is_some_and(is_known) {
            return;
        }
        for name in self.folders.remove(app).into_iter().flatten() {
            self.remove(&name, app);
        }
        let app = Arc::<str>::from(app);
        let mut names = Vec::new();
        for folder in HostFile::all(path, Extent::Folder) {
            let place = self.add(folder);
            place.apps.push(Arc::clone(&app));
            names.push(place.file.path.as_str().to_owned());
        }
        self.folders.insert(app, names);
    }

    fn add(&mut self, file: HostFile) -> &mut Place {
        let path = file.path.as_str().to_owned();
        if let Some(identity) = file.identity {
            self.identities.insert(identity, path.clone());
        }
        self.places.entry(path).or_insert(Place { file, apps: Vec::new() })
    }

    fn remove(&mut self, path: &str, app: &str) {
        let Some(place) = self.places.get_mut(path) else { return };
        place.apps.retain(|own| **own != *app);
        if place.apps.is_empty()
            && let Some(Place { file, .. }) = self.places.remove(path)
            && let Some(identity) = file.identity
        {
            self.identities.remove(&identity);
        }
    }

    /// Whether a path is one of these, or lies in one, for an app.
    pub(super) fn has_path(&self, path: &str, app: Option<&str>) -> bool {
        let folders = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        let mut places = folders.chain([path]).filter_map(|name| self.places.get(name));
        places.any(|place| place.file.is_at(path) && place.is_closed_to(app))
    }

    /// Whether one of these lies beneath a path.
    pub(super) fn has_beneath(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.places.range(folder.clone()..).next().is_some_and(|(place, _)| place.starts_with(&folder))
    }

    /// Whether a file is one of these under another name, as they were when they were noted.
    pub(super) fn has(&self, found: (u64, u64), app: Option<&str>) -> bool {
        let place = self.identities.get(&found).and_then(|path| self.places.get(path));
        place.is_some_and(|place| place.is_closed_to(app))
    }

    /// All that are closed to an app.
    pub(super) fn closed_to(&self, app: Option<&str>) -> impl Iterator<Item = &HostFile> {
        self.places.values().filter(move |place| place.is_closed_to(app)).map(|place| &place.file)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::absolute(text).unwrap()
    }

    #[test]
    fn a_file_is_noted_with_nothing_that_merely_looks_alike() {
        let mut noted = Noted::default();
        noted.file(&path("/nowhere/secrets/key"));
        noted.file(&path("/nowhere/secrets/key"));
        assert!(noted.has_path("/nowhere/secrets/key", None) && noted.has_path("/nowhere/secrets/key", Some("a")));
        for other in ["/nowhere/secrets/key2", "/nowhere/secrets/key/deep", "/nowhere/secrets", "/nowhere/secret", "/"]
        {
            assert!(!noted.has_path(other, None), "{other}");
        }
        for above in ["/nowhere/secrets", "/nowhere", "/"] {
            assert!(noted.has_beneath(above), "{above}");
        }
        for other in ["/nowhere/secrets/key", "/nowhere/secret", "/elsewhere", "/nowhere/secrets/k"] {
            assert!(!noted.has_beneath(other), "{other}");
        }
        assert_eq!(noted.closed_to(Some("a")).count(), 1);
    }

    #[test]
    fn a_folder_is_closed_to_all_but_its_apps_until_they_lie_elsewhere() {
        let mut noted = Noted::default();
        noted.folder(&path("/nowhere/one"), "a");
        noted.folder(&path("/nowhere/one"), "b");
        noted.folder(&path("/nowhere/two"), "c");
        for (app, one, two) in
            [(Some("a"), false, true), (Some("b"), false, true), (Some("c"), true, false), (None, true, true)]
        {
            for beneath in ["", "/deep/er"] {
                assert_eq!(noted.has_path(&format!("/nowhere/one{beneath}"), app), one, "{app:?}");
                assert_eq!(noted.has_path(&format!("/nowhere/two{beneath}"), app), two, "{app:?}");
            }
            assert!(!noted.has_path("/nowhere/ones", app) && !noted.has_path("/nowhere", app));
        }
        noted.folder(&path("/nowhere/three"), "a");
        assert!(noted.has_path("/nowhere/one", Some("a")) && !noted.has_path("/nowhere/three", Some("a")));
        noted.folder(&path("/nowhere/three"), "b");
        assert!(!noted.has_path("/nowhere/one", Some("c")), "no app lies there any more");
        assert!(!noted.has_beneath("/nowhere/one") && noted.has_beneath("/nowhere"));
    }

    #[test]
    fn another_name_of_a_folder_is_known_by_its_inode_as_long_as_an_app_lies_there() {
        let folder = tempfile::tempdir().unwrap();
        let identity = starcell_links::identity(folder.path().to_str().unwrap()).unwrap();
        let mut noted = Noted::default();
        noted.folder(&path(folder.path().to_str().unwrap()), "a");
        assert!(noted.has(identity, Some("b")) && !noted.has(identity, Some("a")));
        noted.folder(&path("/nowhere"), "a");
        assert!(!noted.has(identity, Some("b")));
    }
}
