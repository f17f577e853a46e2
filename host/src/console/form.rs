//! What a form or the query of an address says.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Fields that are read, and bytes of the value of one.
const FIELDS: usize = 32;
const VALUE: usize = 4 << 10;

/// The fields of a form. Of those with one name the first counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`, which queries are as well.
    pub(super) fn read(text: &str) -> Self {
        let mut fields = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty() && pair.len() <= VALUE).take(FIELDS) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.entry(decoded(key)).or_insert_with(|| decoded(value));
        }
        Self(fields)
    }

    /// The value of a field; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.trim())
    }

    /// A number, if the field is one.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).parse().ok()
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = Form::read("q=a+b%26%3Cc%3E&n=7&q=second&empty=&flag&bad=%ff%zz");
        let all = ["q", "n", "empty", "flag", "bad", "none"].map(|name| form.get(name));
        assert_eq!(all, ["a b&<c>", "7", "", "", "\u{fffd}%zz", ""]);
        assert_eq!(
            (form.number::<u64>("n"), form.number::<u64>("q"), form.number::<u8>("none")),
            (Some(7), None, None)
        );
        let many: String = (0..100).map(|number| format!("f{number}=x&")).collect();
        assert_eq!(Form::read(&many).0.len(), FIELDS);
        assert_eq!(Form::read(&format!("a={}&b=1", "x".repeat(VALUE))).get("b"), "1");
    }
}
