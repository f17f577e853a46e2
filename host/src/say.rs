//! What commands write to the terminal of whoever typed them.
//!
//! Scripts, file names and records choose many of the words in it. So every text passes [`terminal`], which escapes what
//! a terminal would obey, and every JSON text [`escape_json`].

#![expect(clippy::disallowed_methods, reason = "the writer of all commands")]

use std::io::{self, ErrorKind, IsTerminal as _, Write};

use starcell_text::{escape_json, terminal};

use crate::exit::Exit;

/// What a command has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Lines of text.
    Text(String),
    /// JSON in one line, without its end.
    Json(String),
}

/// Writes an error for whoever typed the command.
pub fn fail(exit: Exit, text: &str) -> Exit {
    // There is nobody left to tell when standard error is closed.
    let _ = write_to(&mut io::stderr().lock(), &Said::Text(format!("starcell: {text}\n")));
    exit
}

/// Writes what is wrong with the command line.
pub fn complain(text: String) -> Exit {
    let _ = write_to(&mut io::stderr().lock(), &Said::Text(text));
    Exit::Usage
}

/// Writes the answer of a command to standard output. `exit` is the code for an answer that could be given.
pub fn say(exit: Exit, answer: &Said) -> Exit {
    match write_to(&mut io::stdout().lock(), answer) {
        Ok(()) => exit,
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit,
        Err(error) => fail(Exit::Host, &format!("cannot write the answer: {error}")),
    }
}

/// Tells how far a command has come, on standard output.
pub fn tell(text: &str) {
    // There is nobody left to tell when standard output is closed.
    let _ = write_to(&mut io::stdout().lock(), &Said::Text(text.to_owned()));
}

/// Writes a part of an answer that goes on; false once nobody reads it any more.
#[must_use]
pub fn put(said: &Said) -> bool {
    write_to(&mut io::stdout().lock(), said).is_ok()
}

/// Writes a text in the place of what the terminal shows, or below it where standard output is none; false once nobody
/// reads it any more.
#[must_use]
pub fn redraw(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    // To the first place, and clear from there: the only words of a terminal that a command writes.
    let cleared = if stdout.is_terminal() { stdout.write_all(b"\x1b[H\x1b[J") } else { Ok(()) };
    cleared.and_then(|()| write_to(&mut stdout, &Said::Text(text.to_owned()))).is_ok()
}

fn write_to(stream: &mut impl Write, said: &Said) -> io::Result<()> {
    let text = match said {
        Said::Text(text) => terminal(text),
        Said::Json(json) => escape_json(json) + "\n",
    };
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_written() {
        let hostile = "a\x1b[2J\x07\u{9b}\u{202e}\r\n\tb";
        for said in [Said::Text(hostile.to_owned()), Said::Json(serde_json::to_string(hostile).unwrap())] {
            let mut out = Vec::new();
            write_to(&mut out, &said).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(!text.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}', '\r']), "{text:?}");
            match said {
                Said::Text(_) => assert!(text.ends_with("\n\tb"), "{text:?}"),
                Said::Json(_) => assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile),
            }
        }
    }
}
