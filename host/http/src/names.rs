//! Whose certificate a client gets, by the name that it asks for before it says anything else (SNI).
//!
//! Its own name is compared as a whole, without regard to case. A name that is not there may be one label below one that
//! was written with a wildcard; and whoever asks for none, or for a name that nobody has, gets what was made for that or
//! nothing at all, since any other certificate would name a neighbour.

use std::collections::BTreeMap;

/// The name of what is for clients that ask for no name, or for one that nobody has.
pub const DEFAULT: &str = "default";

/// What stands before a name where it is for all names one label below it: no file can be called `*`.
pub const WILDCARD: &str = "_.";

/// What is for clients that ask for a name. The keys are in lower case.
#[must_use]
pub fn named<'a, T>(all: &'a BTreeMap<String, T>, asked: Option<&str>) -> Option<&'a T> {
    let found = asked.map(str::to_ascii_lowercase).and_then(|name| {
        let own = all.get(&name).filter(|_| name != DEFAULT);
        own.or_else(|| all.get(&format!("{WILDCARD}{}", name.split_once('.')?.1)))
    });
    found.or_else(|| all.get(DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gets_its_own_before_that_of_its_parent_before_the_default() {
        let names = ["a.example", "_.a.example", "_.example", "default"];
        let all: BTreeMap<String, &str> = names.map(|name| (name.to_owned(), name)).into();
        for (asked, whose) in [
            (Some("a.example"), "a.example"),
            (Some("A.Example"), "a.example"),
            (Some("b.a.example"), "_.a.example"),
            (Some("b.example"), "_.example"),
            (Some("c.b.a.example"), "default"),
            (Some("example"), "default"),
            (Some("default"), "default"),
            (None, "default"),
        ] {
            assert_eq!(named(&all, asked), Some(&whose), "{asked:?}");
        }
        let none = BTreeMap::from([("a.example".to_owned(), 1)]);
        assert_eq!((named(&none, None), named(&none, Some("b.example"))), (None, None));
    }
}
