//! "Did you mean": the known name closest to a misspelt one.
//!
//! An unknown name in a rule is always an error; the suggestion only saves a look at the list.

use strsim::levenshtein;

/// The candidate within two edits of `name`, and within half its length, that needs the fewest.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 2.min(name.chars().count().div_ceil(2));
    let name = name.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (levenshtein(&name, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(nearest("raed", ["read", "write"]), Some("read"));
        assert_eq!(nearest("get", ["GET", "PUT"]), Some("GET"));
        assert_eq!(nearest("x", ["fs", "os"]), None);
        assert_eq!(nearest("time", ["fs", "os", "http"]), None);
    }
}
