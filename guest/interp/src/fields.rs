//! Header fields as one text: a request of a browser has a dozen, and few handlers look at more than one.

use std::fmt;

/// Header fields in order, repeats kept: `Name: value` and a line feed, for each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(String);

impl Fields {
    /// The fields that such a text has.
    #[must_use]
    pub fn from_lines(lines: String) -> Self {
        Self(lines)
    }

    /// The text, as a request has it.
    #[must_use]
    pub fn into_lines(self) -> String {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split_terminator('\n').filter_map(|line| line.split_once(": "))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A line break in a value becomes a space, as no field may begin inside of another.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Fields {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let mut lines = String::new();
        for (name, value) in pairs {
            lines.extend([name.as_ref(), ": "]);
            lines.extend(value.as_ref().chars().map(|c| if c == '\n' { ' ' } else { c }));
            lines.push('\n');
        }
        Self(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_was_put_in() {
        let pairs = [("A", "1"), ("B", ""), ("A", "x: y"), ("C", " \t\u{85}é")];
        let fields: Fields = pairs.into_iter().collect();
        assert_eq!(fields.iter().collect::<Vec<_>>(), pairs);
        assert_eq!(Fields::from_lines(fields.clone().into_lines()), fields);
        assert!(Fields::default().is_empty() && Fields::default().iter().next().is_none());
    }

    #[test]
    fn no_value_makes_another_field() {
        let fields: Fields = [("A", "1\nB: 2")].into_iter().collect();
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("A", "1 B: 2")]);
    }
}
