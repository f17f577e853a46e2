//! The structure of the sources, checked over the sources themselves: no two files of a crate import each other, in the
//! host, the guest and the tests; a public type name means one thing among the host's crates and one among the guest's;
//! links of the documentation lead somewhere; fast tests reach nothing outside of themselves.
//!
//! A circle of files cannot be read from the bottom up, and none of its files can be tested or moved alone. A type name
//! that two crates use for two things makes each sentence about it ambiguous. `make lint` checks the layers of crates;
//! these tests check what the crates are made of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod circles;
mod fast;
mod links;
mod names;
mod sources;

use std::collections::BTreeMap;
use std::path::Path;

use crate::sources::{Crate, crates, test_crates};

#[test]
fn no_two_files_of_a_crate_import_each_other() {
    let mut found = Vec::new();
    for source in crates().into_iter().chain(test_crates()) {
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

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (broken, count) = links::broken(root);
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    assert!(count > 100, "only {count} links were found: the test reads the wrong pages");
}

#[test]
fn the_fast_tests_open_no_socket_and_start_no_process() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (found, count) = fast::reaching_outside(root);
    assert!(found.is_empty(), "tests of `make test-fast` that reach outside:\n{}", found.join("\n"));
    assert!(count > 100, "only {count} files with tests were found: the test reads the wrong folders");
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
