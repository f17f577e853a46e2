//! Paths and rules against the kernel, in a tree of folders, files and links: a path leads where the kernel says, and a
//! rule for one name of a file is about all of its names and about no other file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use starcell_links::follow;
use starcell_policy::{CanonicalPath, Grants, PathFunction, Profile, Roots, Rule};

use crate::target::{Target, texts};

/// Things in one tree.
const MAX_THINGS: usize = 16;

/// Bytes of one line of an input: together no path becomes longer than the kernel takes.
const MAX_LINE: usize = 80;

pub(crate) fn target() -> Target {
    Target { name: "path", run, seeds: texts(SEEDS), words: WORDS }
}

/// An input is lines: two paths, then what the tree is made of. `d NAME` is a folder, `f NAME` a file, `l NAME TARGET` a
/// link.
fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(['\\', '%', '\0']) || text.lines().any(|line| line.len() > MAX_LINE) {
        return;
    }
    let mut lines = text.lines();
    let (Some(one), Some(other)) = (lines.next(), lines.next()) else { return };
    let root = root();
    // Nothing of an earlier input is left.
    let _ = fs::remove_dir_all(root);
    fs::create_dir(root).expect("the folder of the tree can be made");
    lines.take(MAX_THINGS).for_each(|line| make(root, line));

    let cwd = canonical(root);
    let roots = Roots::new(cwd.clone()).following(follow);
    let resolved = |text: &str| {
        let path = CanonicalPath::resolve(text, &cwd).ok()?;
        let spellings = roots.spellings(path.clone());
        let led = spellings.last().expect("the path itself is one").clone();
        // What the kernel does not find has no place to compare.
        let real = fs::canonicalize(path.as_str()).ok()?;
        assert_eq!(Path::new(led.as_str()), real, "{path}: {spellings:?}");
        Some((path, led))
    };
    let (Some((rule, place)), Some((_, asked))) = (resolved(one), resolved(other)) else { return };
    judge(&rule, &place, &asked, &roots);
}

/// Holds a rule for a path against a call at a place.
fn judge(path: &CanonicalPath, place: &CanonicalPath, asked: &CanonicalPath, roots: &Roots) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if !path.as_str().chars().all(plain) {
        return;
    }
    let rule = Rule::parse(&format!("fs.read({path})")).expect("a plain path is the resource of a rule");
    let all = Rule::parse("fs.read").expect("a rule");
    let none = Profile::deny_all();
    let given = Grants::new(&none, std::slice::from_ref(&rule), &[], roots).expect("no home is needed");
    let taken = Grants::new(&none, &[all], std::slice::from_ref(&rule), roots).expect("no home is needed");
    let is_allowed = |grants: &Grants| grants.decide(PathFunction::ReadText, asked.clone()).is_ok();
    assert_eq!(is_allowed(&given), place == asked, "{rule} and {asked}");
    assert!(place != asked || !is_allowed(&taken), "{rule} does not deny {asked}");
}

/// The folder of the tree, which lies behind no link.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let folder = fs::canonicalize(std::env::temp_dir()).expect("there is a folder for temporary files");
        folder.join(format!("starcell-fuzz-path-{}", std::process::id()))
    })
}

fn canonical(path: &Path) -> CanonicalPath {
    let text = path.to_str().expect("the folder for temporary files has a name that is text");
    CanonicalPath::absolute(text).expect("the folder for temporary files has a plain name")
}

/// Makes one thing of the tree; a line that means nothing is passed over.
fn make(root: &Path, line: &str) {
    let mut words = line.splitn(3, ' ');
    let (Some(kind), Some(name)) = (words.next(), words.next()) else { return };
    let Ok(place) = CanonicalPath::resolve(name, &canonical(root)) else { return };
    let place = Path::new(place.as_str());
    let (Some(folder), true) = (place.parent(), place.starts_with(root) && place != root) else { return };
    // Through a link one could be made outside of the tree.
    if !fs::canonicalize(folder).is_ok_and(|folder| folder.starts_with(root)) || place.symlink_metadata().is_ok() {
        return;
    }
    let _ = match (kind, words.next()) {
        ("d", None) => fs::create_dir(place),
        ("f", None) => fs::write(place, ""),
        // An absolute target leads into the tree as well.
        ("l", Some(target)) if target.starts_with('/') => symlink(format!("{}{target}", root.display()), place),
        ("l", Some(target)) => symlink(target, place),
        _ => Ok(()),
    };
}

const SEEDS: &[&str] = &[
    "alias/secret\nreal/secret\nd real\nf real/secret\nl alias real",
    "a/b/c\nx/y\nd x\nf x/y\nl a x/../loop\nl loop a\nl b /x",
    "up\nreal/secret\nd real\nd real/deep\nf real/secret\nl far real/deep\nl up far/../secret",
    "self/self/f\nf\nf f\nl self .",
    "a/../b\nb\nd a\nf b\nl c ../../../../../../../../etc/hostname\nl d ./a/./../b/",
];

const WORDS: &[&str] =
    &["\nd ", "\nf ", "\nl ", "..", "../", "/", "./", "//", "a", "b", "a/b", " /", " a", " ..", " .", "real", "alias"];
