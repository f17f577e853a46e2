//! Fixtures: what each builtin answers, written as a session a reader could have typed.
//!
//! ```text
//! # Anything before the first example is a script that all of them can use.
//! def double(x):
//!     return 2 * x
//!
//! >>> double(21)
//! 42
//! >>> x = double(1)
//! ... x // 0
//! error: Integer division by zero
//! ```
//!
//! An example is statements and a last expression, which is shown as its `repr`; or it fails, and the message is shown
//! after `error: `. A fixture becomes one server script whose handler runs the example a request asks for, so the same
//! file runs natively and in the guest, each example in a fork of its own.

use crate::host::Request;

/// A fixture as one script that serves, and the requests that run its examples.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The script.
    pub source: String,
    /// What its only route is asked, in order.
    pub examples: Vec<Example>,
}

/// One example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The line of the fixture it begins at, from 1.
    pub line: usize,
    /// The code.
    pub code: String,
    /// The `repr` of its value, or `error: ` and the message.
    pub expected: String,
}

impl Fixture {
    /// Reads a fixture. What is not an example ends one: a blank line, or the next `>>> `.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut source = String::new();
        let mut examples: Vec<Example> = Vec::new();
        let mut open = false;
        for (index, line) in text.lines().enumerate() {
            if let Some(code) = line.strip_prefix(">>> ") {
                open = true;
                examples.push(Example { line: index + 1, code: code.to_owned(), expected: String::new() });
                continue;
            }
            open &= !line.is_empty();
            match examples.last_mut() {
                None => source.extend([line, "\n"]),
                Some(example) if open => example.add(line),
                Some(_) => {}
            }
        }
        source.push_str(&server(&examples));
        Self { source, examples }
    }

    /// The request that runs an example.
    #[must_use]
    pub fn request(index: usize) -> Request {
        Request { query: vec![("n".to_owned(), index.to_string())], ..Request::default() }
    }
}

impl Example {
    fn add(&mut self, line: &str) {
        let (text, line) = match line.strip_prefix("...") {
            Some(line) => (&mut self.code, line.strip_prefix(' ').unwrap_or(line)),
            None => (&mut self.expected, line),
        };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
}

/// A function for each example, and the handler that calls one.
fn server(examples: &[Example]) -> String {
    let mut source = String::new();
    for (index, example) in examples.iter().enumerate() {
        let (statements, value) = example.code.rsplit_once('\n').unwrap_or(("", &example.code));
        source += &format!("def example_{index}():\n");
        for statement in statements.lines() {
            source += &format!("    {statement}\n");
        }
        source += &format!("    return {value}\n");
    }
    let names: Vec<String> = (0..examples.len()).map(|index| format!("example_{index}")).collect();
    source += &format!("EXAMPLES = [{}]\n", names.join(", "));
    source + "http.serve(lambda req: repr(EXAMPLES[int(req.query[\"n\"])]()))\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixture_is_read_as_a_session() {
        let text =
            "# top\ny = 1\n\n>>> f(1)\n2\n>>> x = 1\n... if x:\n...     x = 2\n... x\nerror: no\n\nprose\n>>> 1\n1";
        let fixture = Fixture::parse(text);
        let example = |line, code: &str, expected: &str| Example { line, code: code.into(), expected: expected.into() };
        assert_eq!(
            fixture.examples,
            [example(4, "f(1)", "2"), example(6, "x = 1\nif x:\n    x = 2\nx", "error: no"), example(13, "1", "1"),]
        );
        assert!(
            fixture.source.starts_with("# top\ny = 1\n\ndef example_0():\n    return f(1)\n"),
            "{}",
            fixture.source
        );
        let second = "def example_1():\n    x = 1\n    if x:\n        x = 2\n    return x\n";
        assert!(fixture.source.contains(second), "{}", fixture.source);
    }
}
