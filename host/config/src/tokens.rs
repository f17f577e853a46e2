//! The tokens of those who may operate a node over an address.
//!
//! The decision: one line for each token, its words between spaces, `#` for a comment. `NAME ROLE TOKEN` for all apps of the
//! node, `NAME ROLE TENANT TOKEN` for those of one tenant. The role is `read` or `operate`. A file with one token and
//! nothing else is that of an operator called `operator`. The name is what the audit log calls whoever has the token.
//!
//! What is refused: a token of fewer than 16 characters or with others than those of `Bearer` (RFC 6750), a name or a token
//! that is there twice, an unknown role, a file without a token. A token is in no error message.
//!
//! The attack it answers: every process of the machine can connect to a loopback address, a script that may ask loopback
//! addresses among them, and can try tokens as fast as the node answers.

use std::collections::BTreeSet;
use std::fmt;

use starcell_policy::nearest;

use crate::error::{ConfigError, Source};
use crate::value::is_plain_name;

/// Characters of a token: 16 of 64 kinds are 96 bits.
const TOKEN: std::ops::RangeInclusive<usize> = 16..=512;

/// The name of a token that stands alone in its file.
const ALONE: &str = "operator";

/// Bytes of a file.
const MAX_FILE: usize = 64 << 10;

/// Those who may operate a node over an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens(Vec<OperatorToken>);

/// A token, and what its holder may.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorToken {
    /// What the audit log calls its holder.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The tenant whose apps its holder may see and act on; all where there is none.
    pub tenant: Option<String>,
    secret: String,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees what there is.
    Read,
    /// Changes what runs, too.
    Operate,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

impl OperatorToken {
    /// The token itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// All but the token.
impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, role, tenant, secret: _ } = self;
        let mut shown = f.debug_struct("OperatorToken");
        shown.field("name", name).field("role", role).field("tenant", tenant).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads a file; `file` is its name in messages.
    ///
    /// # Errors
    /// The place of the first mistake.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let source = Source { text, file };
        if text.len() > MAX_FILE {
            return Err(source.error(MAX_FILE, "a file of tokens has at most 64 KiB", None));
        }
        let lines: Vec<(usize, &str)> = lines(text).collect();
        let mut found: Vec<OperatorToken> = Vec::new();
        let (mut names, mut secrets) = (BTreeSet::new(), BTreeSet::new());
        for &(at, line) in &lines {
            let token = read(&source, at, line, lines.len() == 1)?;
            if !names.insert(token.name.clone()) {
                return Err(source.error(at, format!("the name {} is there twice", token.name), None));
            }
            if !secrets.insert(token.secret.clone()) {
                let problem = format!("the token of {} is another one's already", token.name);
                return Err(source.error(at, problem, None));
            }
            found.push(token);
        }
        match found.is_empty() {
            true => Err(source.error(0, "there is no token; write NAME operate TOKEN", None)),
            false => Ok(Self(found)),
        }
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &OperatorToken> {
        self.0.iter()
    }

    /// The one that may do most; the first of these.
    #[must_use]
    pub fn strongest(&self) -> Option<&OperatorToken> {
        self.0.iter().rev().max_by_key(|token| (token.role, token.tenant.is_none()))
    }
}

/// The lines that say something, with the offset of each.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    let lines = text.split('\n').map(move |line| {
        let begin = at;
        at += line.len() + 1;
        let trimmed = line.trim_start();
        (begin + line.len() - trimmed.len(), trimmed.trim_end())
    });
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn read(source: &Source<'_>, at: usize, line: &str, alone: bool) -> Result<OperatorToken, ConfigError> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (name, role, tenant, secret) = match words.as_slice() {
        [secret] if alone => (ALONE, "operate", None, *secret),
        [name, role, secret] => (*name, *role, None, *secret),
        [name, role, tenant, secret] => (*name, *role, Some(*tenant), *secret),
        _ => {
            let problem = "a line is NAME ROLE TOKEN or NAME ROLE TENANT TOKEN; a token without a name stands alone";
            return Err(source.error(at, problem, None));
        }
    };
    if !is_plain_name(name) {
        // What stands there may be a token.
        let problem = "the first word is a name: 1 to 64 lower-case ASCII letters, digits, `-` and `_`";
        return Err(source.error(at, problem, None));
    }
    let role = match role {
        "read" => Role::Read,
        "operate" => Role::Operate,
        other => {
            let problem = format!("the role of {name} is neither `read` nor `operate`");
            return Err(source.error(at, problem, nearest(other, ["read", "operate"])));
        }
    };
    if tenant.is_some_and(|tenant| !is_plain_name(tenant)) {
        return Err(source.error(at, format!("the third word of {name} is not the name of a tenant"), None));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !TOKEN.contains(&secret.len()) || !secret.bytes().all(legal) {
        let problem = format!(
            "the token of {name} has {} to {} characters: letters, digits and -._~+/=; `openssl rand -hex 32` makes one",
            TOKEN.start(),
            TOKEN.end()
        );
        return Err(source.error(at, problem, None));
    }
    Ok(OperatorToken { name: name.to_owned(), role, tenant: tenant.map(str::to_owned), secret: secret.to_owned() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef";
    const TWO: &str = "fedcba9876543210";

    #[test]
    fn a_line_is_a_name_a_role_and_a_token() {
        let text = format!("# who may\n\nci operate {ONE}\n  shop read acme {TWO}  \n");
        let tokens = Tokens::parse(&text, "tokens").unwrap();
        let told: Vec<_> = tokens
            .iter()
            .map(|token| (token.name.as_str(), token.role, token.tenant.as_deref(), token.secret()))
            .collect();
        assert_eq!(told, [("ci", Role::Operate, None, ONE), ("shop", Role::Read, Some("acme"), TWO)]);
        assert_eq!(tokens.strongest().unwrap().name, "ci");
        assert!(!format!("{tokens:?}").contains(ONE));
        let alone = Tokens::parse(&format!("{ONE}\n"), "tokens").unwrap();
        assert_eq!((alone.0[0].name.as_str(), alone.0[0].role), ("operator", Role::Operate));
    }

    #[test]
    fn a_mistake_has_a_place_and_shows_no_token() {
        for (text, told) in [
            (String::new(), "tokens:1:1: there is no token"),
            (format!("{ONE}\n{TWO}\n"), "tokens:1:1: a line is NAME ROLE TOKEN"),
            (format!("\n Ci read {ONE}"), "tokens:2:2: the first word is a name"),
            (format!("ci operat {ONE}"), "did you mean `operate`?"),
            ("ci read short".to_owned(), "the token of ci has 16 to 512 characters"),
            (format!("ci read {ONE}\u{e9}"), "the token of ci has 16 to 512 characters"),
            (format!("ci read ACME {ONE}"), "not the name of a tenant"),
            (format!("ci read {ONE}\nci read {TWO}"), "tokens:2:1: the name ci is there twice"),
            (format!("ci read {ONE}\ncd read {ONE}"), "tokens:2:1: the token of cd is another one's already"),
            (format!("ci read a b {ONE}"), "a line is NAME ROLE TOKEN"),
        ] {
            let error = Tokens::parse(&text, "tokens").unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
            assert!(!error.contains(ONE) && !error.contains(TWO), "{error}");
        }
    }
}
