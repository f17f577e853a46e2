//! What a fuzz target is, and the list of them.

use std::fs;
use std::path::Path;

use crate::{
    audit, bundle, call, config, log, modules, node, path, place, query, record, request, response, route, rule, source,
};

/// One target.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Holds an input against the target's laws; a panic is a finding.
    pub(crate) run: fn(&[u8]),
    /// Inputs to begin with, so that a short run gets past the first checks.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Words that inputs are made of.
    pub(crate) words: &'static [&'static str],
}

/// All targets.
pub(crate) fn all() -> Vec<Target> {
    let mut all = vec![
        audit::target(),
        bundle::target(),
        call::target(),
        config::target(),
        log::target(),
        node::target(),
        path::target(),
        place::names(),
        place::target(),
        query::target(),
        record::target(),
        request::target(),
        response::target(),
        route::target(),
        rule::target(),
        source::checked(),
        source::target(),
    ];
    all.extend(modules::targets());
    all
}

/// Writes the seeds of a target as files, and its words as a dictionary beside them.
pub(crate) fn write_seeds(target: &Target, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder for seeds can be made");
    for (index, seed) in target.seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{index}")), seed).expect("a seed can be written");
    }
    let quoted = |word: &&str| {
        let bytes = word.bytes().map(|byte| match byte {
            b' '..=b'~' if byte != b'"' && byte != b'\\' => char::from(byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        });
        format!("\"{}\"\n", bytes.collect::<String>())
    };
    let dictionary: String = target.words.iter().map(quoted).collect();
    fs::write(folder.with_extension("dict"), dictionary).expect("a dictionary can be written");
}

/// Texts as seeds.
pub(crate) fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The examples of a fixture of the interpreter as seeds: whatever they pass to a function, they pass in quotes.
pub(crate) fn quoted(fixture: &str) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for line in fixture.lines().filter(|line| line.starts_with(">>> ") || line.starts_with("... ")) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once('"') {
            let (text, after) = until_quote(after);
            if text.len() > 2 {
                seeds.push(text.into_bytes());
            }
            rest = after;
        }
    }
    seeds
}

/// A Starlark string up to its quote, with the commonest escapes undone, and what follows it.
fn until_quote(text: &str) -> (String, &str) {
    let mut string = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (string, &text[at + 1..]),
            '\\' => match letters.next() {
                Some((_, 'n')) => string.push('\n'),
                Some((_, 'r')) => string.push('\r'),
                Some((_, 't')) => string.push('\t'),
                Some((_, '0')) => string.push('\0'),
                Some((_, other)) => string.push(other),
                None => {}
            },
            letter => string.push(letter),
        }
    }
    (string, "")
}
