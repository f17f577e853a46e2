//! What a statement begins with, and what errors say of it.
//!
//! An error of a database may quote a value, and the errors of scripts are written to the log. So what is quoted is cut
//! out: a script knows its values, and a log is no place for them.

/// Words that end or change what the host began for the call.
const OF_THE_HOST: [&str; 20] = [
    "ABORT",
    "BEGIN",
    "CHECKPOINT",
    "CLOSE",
    "COMMIT",
    "COPY",
    "DEALLOCATE",
    "DECLARE",
    "DISCARD",
    "END",
    "FETCH",
    "LISTEN",
    "LOAD",
    "PREPARE",
    "RELEASE",
    "RESET",
    "ROLLBACK",
    "SAVEPOINT",
    "SET",
    "START",
];

/// Words that begin statements which can only read, and which the server refuses where they would write.
const READING: [&str; 6] = ["EXPLAIN", "SELECT", "SHOW", "TABLE", "VALUES", "WITH"];

/// The first word of a statement in capitals, behind comments, spaces and parentheses. Empty when it begins with none.
pub(crate) fn first_word(text: &str) -> String {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == ';');
        if let Some(comment) = rest.strip_prefix("--") {
            // PostgreSQL ends such a comment at either of the two.
            rest = comment.split_once(['\n', '\r']).map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = behind_comment(comment);
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            return rest.get(..end).unwrap_or_default().to_ascii_uppercase();
        }
    }
}

/// What stands behind a comment, which may hold others.
fn behind_comment(text: &str) -> &str {
    let (mut rest, mut depth) = (text, 1_u32);
    while depth > 0 {
        let (open, close) = (rest.find("/*"), rest.find("*/"));
        match (open, close) {
            (Some(open), Some(close)) if open < close => {
                depth += 1;
                rest = rest.get(open + 2..).unwrap_or_default();
            }
            (_, Some(close)) => {
                depth -= 1;
                rest = rest.get(close + 2..).unwrap_or_default();
            }
            (_, None) => return "",
        }
    }
    rest
}

/// Whether a statement may be sent to a server; the error is a sentence with the fix.
pub(crate) fn check(text: &str, reads: bool) -> Result<(), String> {
    let word = first_word(text);
    match word.as_str() {
        "" => Err("the statement is empty, or begins with no word".to_owned()),
        word if reads && !READING.contains(&word) => {
            Err(format!("a statement that begins with {word} may write; use exec"))
        }
        word if OF_THE_HOST.contains(&word) => {
            Err(format!("{word} would end or change what the call runs in; use db.tx(fn) for a transaction"))
        }
        _ => Ok(()),
    }
}

/// Characters of a message of a database, which a server makes as long as it likes.
const MAX_MESSAGE: usize = 500;

/// A message of a database without the values that it quotes.
pub(crate) fn without_values(message: &str) -> String {
    // Names stand in double quotes too, but values come behind a colon, and at the end.
    let cut = message.find(": \"").or_else(|| message.find(": '"));
    let message = message.get(..cut.unwrap_or(message.len())).unwrap_or_default();
    let message = match message.split_once("value \"") {
        Some((before, rest)) => {
            let behind = rest.split_once('"').map_or("", |(_, behind)| behind);
            format!("{before}value{behind}")
        }
        None => message.to_owned(),
    };
    let message = match message.split_once("near \"").filter(|(_, token)| is_literal(token)) {
        Some((before, _)) => format!("{before}near a literal: syntax error"),
        None => message,
    };
    message.chars().take(MAX_MESSAGE).collect()
}

/// Returns whether a token of a statement, as a message quotes it, is a literal or a part of one. `$1` is a placeholder.
fn is_literal(token: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    digit(token) || token.contains('\'') || token.strip_prefix('$').is_some_and(|rest| !digit(rest))
}

/// Line and column of a byte of a statement, as text.
pub(crate) fn place(text: &str, byte: usize) -> String {
    let before = text.get(..text.floor_char_boundary(byte.min(text.len()))).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column} of the statement")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_found_behind_what_hides_it() {
        for (text, word) in [
            ("select 1", "SELECT"),
            ("  \n\t(((Select 1)))", "SELECT"),
            ("-- commit\nselect 1", "SELECT"),
            ("/* a /* nested */ b */ delete from t", "DELETE"),
            ("/**/-- x\n/* y */update t", "UPDATE"),
            ("; ;commit", "COMMIT"),
            ("--\rcommit;--\nselect 1", "COMMIT"),
            ("/* never closed", ""),
            ("-- all", ""),
            ("", ""),
            ("1", ""),
        ] {
            assert_eq!(first_word(text), word, "{text}");
        }
    }

    #[test]
    fn what_ends_the_hosts_transaction_is_refused() {
        for text in
            ["commit", "/**/ROLLBACK", "end", "begin; select 1", "set session x = 1", "reset all", "copy t to stdout"]
        {
            assert!(check(text, false).is_err(), "{text}");
            assert!(check(text, true).is_err(), "{text}");
        }
        for text in ["select 1", "with a as (select 1) select * from a", "values (1)", "(select 1)", "explain select 1"]
        {
            assert!(check(text, true).is_ok() && check(text, false).is_ok(), "{text}");
        }
        for text in ["insert into t values (1)", "create table t (a int)", "do $$ begin end $$", "call p()", "lock t"] {
            assert!(check(text, false).is_ok() && check(text, true).is_err_and(|e| e.contains("use exec")), "{text}");
        }
    }

    #[test]
    fn values_are_cut_out_of_messages() {
        for (message, kept) in [
            ("invalid input syntax for type integer: \"hunter2\"", "invalid input syntax for type integer"),
            ("relation \"books\" does not exist", "relation \"books\" does not exist"),
            ("near \"'hunter2'\": syntax error", "near a literal: syntax error"),
            ("near \"42\": syntax error", "near a literal: syntax error"),
            ("syntax error at or near \"$$hunter2$$\"", "syntax error at or near a literal: syntax error"),
            ("syntax error at or near \"E'hunter2'\"", "syntax error at or near a literal: syntax error"),
            ("syntax error at or near \"$1\"", "syntax error at or near \"$1\""),
            ("value \"99999999999\" is out of range for type integer", "value is out of range for type integer"),
            ("near \"selct\": syntax error", "near \"selct\": syntax error"),
            ("UNIQUE constraint failed: books.title", "UNIQUE constraint failed: books.title"),
        ] {
            assert_eq!(without_values(message), kept);
        }
        assert_eq!(without_values(&"x".repeat(1 << 20)).len(), MAX_MESSAGE);
    }

    #[test]
    fn places_count_characters() {
        assert_eq!(place("select\n ü x", 11), "line 2, column 4 of the statement");
        assert_eq!(place("x", 99), "line 1, column 2 of the statement");
    }
}
