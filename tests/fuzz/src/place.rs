//! Which app answers at a host and a path, and whose certificate a client gets: the same as a table says that is read from
//! its top to its end.

use std::collections::BTreeMap;

use starcell_http::names::{DEFAULT, WILDCARD, named};
use starcell_http::prefixes::{Place, Prefixes};
use starcell_http::router::canonical;

use crate::target::{Target, texts};

/// Entries, and questions, of one input.
const MOST: usize = 48;

/// A line of the table: the host, any where there is none; the prefix; what answers there.
type Row<'a> = (Option<&'a str>, &'a str, usize);

pub(crate) fn target() -> Target {
    let seeds = texts(&[
        "a /\na /shop\na /shop/eu\n* /shop\n* /deep/er/still\n\na /shop/eu/x\na /%73hop\nb /shop/y\nc /deep/er/still/more\nb /",
        "a /x\nb /x\n\nc /x\na //x\na /x%2Fy\na *\na /x/../y\na /X",
    ]);
    Target {
        name: "place",
        run,
        seeds,
        words: &["a ", "b ", "* ", "/shop", "/eu", "%2F", "%73", "//", "/.", "/..", "\n\n"],
    }
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (entries, questions) = text.split_once("\n\n").unwrap_or((&text, "a /"));
    let (mut prefixes, mut table) = (Prefixes::default(), Vec::<Row<'_>>::new());
    for (number, line) in entries.lines().take(MOST).enumerate() {
        let Some((host, prefix)) = line.split_once(' ') else { continue };
        let host = (host != "*").then_some(host);
        // As manifests have them: nothing, or canonical segments without a slash at the end.
        let prefix = if prefix == "/" { "" } else { prefix };
        let is_prefix = prefix.is_empty()
            || (prefix.starts_with('/')
                && canonical(prefix) == prefix
                && !prefix.split('/').skip(1).any(str::is_empty));
        if !is_prefix {
            continue;
        }
        let taken = table.iter().find(|row| (row.0, row.1) == (host, prefix)).map(|row| row.2);
        assert_eq!(prefixes.add(host, prefix, number).err().copied(), taken, "{line:?}");
        if taken.is_none() {
            table.push((host, prefix, number));
        }
        assert_eq!(prefixes.at(host, prefix), Some(&taken.unwrap_or(number)));
    }
    for line in questions.lines().take(MOST) {
        let Some((host, path)) = line.split_once(' ') else { continue };
        let expected = expected(&table, host, path);
        match prefixes.find(host, path) {
            Place::Here(found, cut) => {
                assert_eq!(expected, Some(*found), "{line:?} in {table:?}");
                let prefix = table.iter().find(|row| row.2 == *found).map_or("", |row| row.1);
                assert_eq!(canonical(&path[..cut]), prefix, "{line:?}: the app gets the path behind {cut} bytes");
                assert!(path[cut..].is_empty() || path[cut..].starts_with('/') || prefix.is_empty(), "{line:?}, {cut}");
            }
            Place::NoPath => assert_eq!(expected, None, "{line:?} in {table:?}"),
            Place::NoHost => {
                assert!(table.iter().all(|row| row.0.is_some_and(|named| named != host)), "{line:?} in {table:?}");
            }
        }
    }
}

/// The row with the most segments that the path begins with, of the host before that of any.
fn expected(table: &[Row<'_>], host: &str, path: &str) -> Option<usize> {
    let path = canonical(path);
    let segments: Vec<&str> = path.split('/').collect();
    let begins = |prefix: &str| {
        let wanted: Vec<&str> = prefix.split('/').collect();
        prefix.is_empty() || segments.starts_with(&wanted)
    };
    let of = |host: Option<&str>| {
        let rows = table.iter().filter(|row| row.0 == host && begins(row.1));
        rows.max_by_key(|row| row.1.matches('/').count()).map(|row| row.2)
    };
    of(Some(host)).or_else(|| of(None))
}

pub(crate) fn names() -> Target {
    let seeds = texts(&[
        "a.example\n_.a.example\n_.example\ndefault\n\nA.example\nb.a.example\nc.b.a.example\ndefault\n_.example\n",
    ]);
    Target { name: "names", run: run_names, seeds, words: &["default", "_.", ".example", "a.", "b.", "\n\n"] }
}

fn run_names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (there, asked) = text.split_once("\n\n").unwrap_or((&text, ""));
    let there: Vec<String> = there.lines().take(MOST).map(str::to_ascii_lowercase).collect();
    let all: BTreeMap<String, &String> = there.iter().map(|name| (name.clone(), name)).collect();
    for asked in asked.lines().take(MOST) {
        let lower = asked.to_ascii_lowercase();
        let is_own = |name: &&String| **name == lower && lower != DEFAULT;
        let is_parent = |name: &&String| {
            name.strip_prefix(WILDCARD).is_some_and(|parent| {
                lower
                    .strip_suffix(parent)
                    .and_then(|rest| rest.strip_suffix('.'))
                    .is_some_and(|label| !label.contains('.'))
            })
        };
        let is_default = |name: &&String| *name == DEFAULT;
        let expected = there.iter().find(is_own).or_else(|| there.iter().find(is_parent));
        let expected = expected.or_else(|| there.iter().find(is_default));
        assert_eq!(named(&all, Some(asked)).copied(), expected, "{asked:?} of {there:?}");
    }
    assert_eq!(named(&all, None).copied(), there.iter().find(|name| *name == DEFAULT));
}
