//! Follows symbolic links, one at a time and as the kernel does.
//!
//! Rules are followed with this when they are made, and the host's own files when they are registered, so that both are
//! compared under every name that they have. The kernel's own resolution is the measure: a fuzz target holds the two
//! against each other.

#![forbid(unsafe_code)]

use rustix::fs::{Mode, OFlags, readlink};
use starcell_policy::CanonicalPath;

/// Most links that are followed within one step; Linux has the same number for a whole path.
const MAX_NESTED: usize = 40;

/// The target of the first link on a path, with the rest of the path behind it; none for a path without links. Blocks for
/// as long as the file system takes.
#[must_use]
pub fn follow(path: &CanonicalPath) -> Option<CanonicalPath> {
    let mut walked = Vec::new();
    let mut names = path.as_str().split('/').filter(|name| !name.is_empty());
    while let Some(name) = names.next() {
        walked.push(name.to_owned());
        if let Some(target) = link_at(&walked) {
            walked.pop();
            let mut place = beyond(walked, &target, 0)?;
            place.extend(names.map(str::to_owned));
            return CanonicalPath::absolute(&joined(&place)).ok();
        }
    }
    None
}

/// The place that a link's text means when it lies in `folder`, which no link leads to. A `..` behind a link means the
/// folder above where that one leads, so such a link is followed at once.
#[must_use]
pub fn beyond(folder: Vec<String>, target: &str, nested: usize) -> Option<Vec<String>> {
    if nested > MAX_NESTED {
        return None;
    }
    let mut place = if target.starts_with('/') { Vec::new() } else { folder };
    let mut names = target.split('/').filter(|name| !matches!(*name, "" | ".")).peekable();
    while let Some(name) = names.next() {
        if name == ".." {
            // Above the root there is the root.
            place.pop();
            continue;
        }
        place.push(name.to_owned());
        if names.peek() == Some(&"..")
            && let Some(inner) = link_at(&place)
        {
            place.pop();
            place = beyond(place, &inner, nested + 1)?;
        }
    }
    Some(place)
}

/// The text of the link at a place; none if there is no link, or its text is no text.
fn link_at(place: &[String]) -> Option<String> {
    readlink(joined(place), Vec::new()).ok()?.into_string().ok()
}

fn joined(place: &[String]) -> String {
    format!("/{}", place.join("/"))
}

/// Device and inode of what is at a path, links followed; none if there is nothing.
#[must_use]
pub fn identity(path: &str) -> Option<(u64, u64)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let stat = rustix::fs::fstat(rustix::fs::open(path, flags, Mode::empty()).ok()?).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::fs::{canonicalize, create_dir_all, write};
    use std::os::unix::fs::symlink;

    use starcell_policy::Roots;

    use super::*;

    /// The kernel's own resolution is the measure.
    #[test]
    fn links_lead_where_the_kernel_says() {
        let folder = tempfile::tempdir().unwrap();
        let root = canonicalize(folder.path()).unwrap();
        create_dir_all(root.join("real/deep/er")).unwrap();
        write(root.join("real/secret"), "x").unwrap();
        for (target, link) in [
            ("real", "alias"),
            ("alias", "first"),
            ("../real", "real/again"),
            ("real/deep/er", "far"),
            ("far/../../secret", "up"),
            ("./alias/./deep", "dots"),
            ("loop", "loop"),
            ("/../../", "root"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        symlink(root.join("real"), root.join("absolute")).unwrap();
        let path = |text: &str| CanonicalPath::absolute(root.join(text).to_str().unwrap()).unwrap();
        let roots = Roots::new(path("")).following(follow);
        for text in [
            "alias/secret",
            "first/deep/er",
            "real/again/again/secret",
            "far",
            "up",
            "dots/er",
            "absolute/secret",
            "root",
        ] {
            let spellings = roots.spellings(path(text));
            let expected = canonicalize(root.join(text)).unwrap();
            assert_eq!(spellings.last().unwrap().as_str(), expected.to_str().unwrap(), "{text}: {spellings:?}");
        }
        assert_eq!(follow(&path("real/secret")), None);
        assert_eq!(follow(&path("not/there")), None);
        assert_eq!(roots.spellings(path("loop")).len(), 1, "a link to itself leads nowhere");
        assert!(roots.spellings(path("alias/new")).ends_with(&[path("real/new")]), "what is not there yet");
    }
}
