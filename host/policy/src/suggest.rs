//! "Did you mean": the known name closest to a misspelt one.
//!
//! An unknown name in a rule is always an error; the suggestion only saves a look at the list.

/// The candidate within two edits of `name`, and within half its length, that needs the fewest.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 2.min(name.chars().count().div_ceil(2));
    let name = name.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (edits(&name, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The number of insertions, removals and replacements that turn `from` into `to`.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for (b, pair) in to.iter().zip(row.windows(2)) {
            if let [diagonal, above] = pair {
                left = (diagonal + usize::from(a != *b)).min(above + 1).min(left + 1);
                next.push(left);
            }
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", ""), 0);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("raed", "read"), 2);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(nearest("raed", ["read", "write"]), Some("read"));
        assert_eq!(nearest("get", ["GET", "PUT"]), Some("GET"));
        assert_eq!(nearest("x", ["fs", "os"]), None);
        assert_eq!(nearest("time", ["fs", "os", "http"]), None);
    }
}
