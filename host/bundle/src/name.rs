//! Which names the files of a bundle can have.
//!
//! The decision: names that mean one thing on every file system and in every shell: ASCII letters, digits, `-`, `_` and `.`.
//! No part begins with a dot, which leaves out `..`, the `.git` of a work tree, and what editors and volumes of Kubernetes
//! hide; and none that differs from another one in its case alone.

use starcell_config::is_plain_name;

use crate::error::BundleError;
use crate::header::has_room;

/// Bytes of a name, with the folder of its app; what a header of tar has room for.
const MAX_NAME: usize = 255;

/// Parts of a name. Far above what people write, far below what a file system has.
const MAX_PARTS: usize = 16;

/// Characters of a name that a message repeats.
const MAX_SHOWN: usize = 80;

/// Returns whether a text can be one part of the name of a file in a bundle.
#[must_use]
pub fn is_part(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
}

/// Checks the name of a file: the folder of an app, and the name in it.
pub(crate) fn check_file(name: &str) -> Result<(), BundleError> {
    check_parts(name)?;
    match name.contains('/') {
        true => check_app(name),
        false => Err(BundleError::Outside(shown(name))),
    }
}

/// Checks the name of a folder: that of an app, or one in it.
pub(crate) fn check_folder(name: &str) -> Result<(), BundleError> {
    check_parts(name)?;
    check_app(name)
}

fn check_parts(name: &str) -> Result<(), BundleError> {
    let parts = || name.split('/');
    let is_short = name.len() <= MAX_NAME && parts().count() <= MAX_PARTS && has_room(name);
    match is_short && parts().all(is_part) {
        true => Ok(()),
        false => Err(BundleError::BadName(shown(name))),
    }
}

fn check_app(name: &str) -> Result<(), BundleError> {
    let app = name.split('/').next().unwrap_or(name);
    if is_plain_name(app) { Ok(()) } else { Err(BundleError::BadApp(shown(app))) }
}

/// As much of a name as a message repeats.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_in_the_folder_of_an_app_under_a_plain_name() {
        for name in ["a/main.star", "a-b_1/lib/x.star", "a/data/A.B-c_d.json", "a/x."] {
            check_file(name).unwrap();
        }
        let long = format!("a/{}", "b".repeat(MAX_NAME));
        let unsplit = format!("a/{}", "b".repeat(101));
        let deep = format!("a/{}b", "c/".repeat(MAX_PARTS));
        for name in [
            "",
            "/etc/passwd",
            "a/../b",
            "../a",
            "a/..",
            "./a/b",
            "a//b",
            "a/",
            "a/.git/config",
            ".git/x",
            "a/.env",
            "a\\b/c",
            "a/b\0",
            "a/b c",
            "a/ü",
            "a/b:c",
            "a/\u{202e}b",
            "..data/a",
            &long,
            &deep,
            &unsplit,
        ] {
            assert!(matches!(check_file(name), Err(BundleError::BadName(_))), "{name:?}");
        }
        for name in ["A/main.star", "a.b/main.star", &format!("{}/main.star", "a".repeat(65))] {
            assert!(matches!(check_file(name), Err(BundleError::BadApp(_))), "{name:?}");
        }
        assert!(matches!(check_file("main.star"), Err(BundleError::Outside(_))));
        let BundleError::BadName(told) = check_file(&long).unwrap_err() else { unreachable!() };
        assert_eq!(told.len(), MAX_SHOWN);
    }
}
