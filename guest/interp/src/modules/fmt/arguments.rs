//! The arguments of a format: one after the other, or as `[n]` before a verb chooses.

use starlark::values::Value;

/// The arguments, and which one is next.
pub(super) struct Arguments<'a, 'v> {
    values: &'a [Value<'v>],
    next: usize,
    /// Whether the format chose any: then some may be left over on purpose, as in Go.
    chosen: bool,
}

impl<'a, 'v> Arguments<'a, 'v> {
    pub(super) fn new(values: &'a [Value<'v>]) -> Self {
        Self { values, next: 0, chosen: false }
    }

    /// The next one, if there is one.
    pub(super) fn take(&mut self) -> Option<Value<'v>> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        Some(*value)
    }

    /// Takes the choice `[n]` that a text may begin with, counted from 1: that argument is the next one. Returns what
    /// follows it. The error is the sentence to show.
    pub(super) fn choose<'t>(&mut self, text: &'t str) -> Result<&'t str, String> {
        let Some(choice) = text.strip_prefix('[') else { return Ok(text) };
        let (number, rest) = choice.split_once(']').ok_or("a [ in a verb has no ] behind it")?;
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let index = index.filter(|index| *index < self.values.len()).ok_or_else(|| {
            let number = crate::shorten::shorten(number.to_owned(), 20);
            format!("[{number}] in a verb chooses no argument; there are {}", self.values.len())
        })?;
        (self.next, self.chosen) = (index, true);
        Ok(rest)
    }

    /// How many no verb shows.
    pub(super) fn left_over(&self) -> usize {
        if self.chosen { 0 } else { self.values.len().saturating_sub(self.next) }
    }
}
