//! The structure of the sources, checked over the sources themselves: no two files of a crate import each other, and a
//! public type name means one thing among the host's crates and one among the guest's.
//!
//! A circle of files cannot be read from the bottom up, and none of its files can be tested or moved alone. A type name
//! that two crates use for two things makes each sentence about it ambiguous. `make lint` checks the layers of crates;
//! these tests check what the crates are made of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod circles;
mod names;
mod sources;

use std::collections::BTreeMap;

use crate::sources::{Crate, crates};

#[test]
fn no_two_files_of_a_crate_import_each_other() {
    let mut found = Vec::new();
    for source in crates() {
        found.extend(circles::circles(&source));
    }
    assert!(found.is_empty(), "files that import each other:\n{}", found.join("\n"));
}

#[test]
fn a_public_type_name_of_the_host_has_one_meaning() {
    assert_unique(|source| source.name.starts_with("host"));
}

#[test]
fn a_public_type_name_of_the_guest_has_one_meaning() {
    assert_unique(|source| source.name.starts_with("guest"));
}

fn assert_unique(chosen: impl Fn(&Crate) -> bool) {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in crates().into_iter().filter(chosen) {
        for (name, file) in names::public_types(&source) {
            places.entry(name).or_default().push(file);
        }
    }
    assert!(places.len() > 20, "only {} public types were found: the test reads the wrong folders", places.len());
    let twice: Vec<String> = places
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(twice.is_empty(), "names with several meanings:\n{}", twice.join("\n"));
}
