//! Who asks the node for something, and what they may.
//!
//! The decision: whoever can open the unix socket may do all, since its file is the node's own user's alone; the user at its
//! other end is in the records. Over an address each request needs a token of the token file, which has a role and perhaps
//! a tenant. A tenant's token sees the apps of that tenant alone: for others it gets the answer of an app that is not there.
//!
//! What is refused: a request without a token, or with one that is not in the file. All tokens are compared, each by its
//! digest in constant time, so that the time of an answer tells nothing about any of them.
//!
//! The attack it answers: another process of the machine, or a script that may ask loopback addresses, talks to the node.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use starcell_config::{OperatorToken, Role, Tokens};
use starcell_node::subject::digest;
use subtle::{Choice, ConstantTimeEq as _};

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// A user of this machine, over the unix socket.
    User(Option<u32>),
    /// Somebody who has to show a token.
    Address,
}

/// Somebody who may operate a node, or only look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    /// What the audit log calls them.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) role: Role,
    /// The tenant whose apps they may see and act on; all where there is none.
    pub(crate) tenant: Option<String>,
}

/// The tokens of a node, by their digests.
pub(crate) struct Keys(Vec<(String, Operator)>);

/// No digest is shown: a short token could be found by it.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.0.len()).finish()
    }
}

impl Operator {
    /// The user at the other end of the unix socket.
    pub(crate) fn of_user(user: Option<u32>) -> Self {
        let name = user.map_or_else(|| "unix".to_owned(), |user| format!("unix:{user}"));
        Self { name, role: Role::Operate, tenant: None }
    }
}

impl Keys {
    /// The tokens of a file.
    pub(crate) fn new(tokens: &Tokens) -> Self {
        let key = |token: &OperatorToken| {
            let operator = Operator { name: token.name.clone(), role: token.role, tenant: token.tenant.clone() };
            (digest(token.secret().as_bytes()), operator)
        };
        Self(tokens.iter().map(key).collect())
    }

    /// Who has a token, with its digest, by which [`with_digest`](Self::with_digest) finds them again.
    pub(crate) fn of_token(&self, token: &str) -> Option<(String, &Operator)> {
        let digest = digest(token.as_bytes());
        let operator = self.with_digest(&digest)?;
        Some((digest, operator))
    }

    /// Who has the token of a digest.
    pub(crate) fn with_digest(&self, digest: &str) -> Option<&Operator> {
        let mut found = None;
        for (key, operator) in &self.0 {
            let same: Choice = key.as_bytes().ct_eq(digest.as_bytes());
            if bool::from(same) {
                found = Some(operator);
            }
        }
        found
    }

    /// Who has the token of a request.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<&Operator> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (first, None) = (given.next()?, given.next()) else { return None };
        let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        self.of_token(token.trim()).map(|(_, operator)| operator)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn found(keys: &Keys, values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, http::HeaderValue::from_static(value));
        }
        keys.of(&headers).map(|operator| operator.name.clone())
    }

    #[test]
    fn a_token_is_that_of_one_operator() {
        let tokens = Tokens::parse("ci operate 0123456789abcdef\nshop read acme fedcba9876543210\n", "tokens").unwrap();
        let keys = Keys::new(&tokens);
        assert_eq!(found(&keys, &["Bearer 0123456789abcdef"]).as_deref(), Some("ci"));
        assert_eq!(found(&keys, &["bearer  fedcba9876543210"]).as_deref(), Some("shop"));
        for wrong in [
            &[][..],
            &["0123456789abcdef"],
            &["Basic 0123456789abcdef"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer 0123456789abcde"],
            &["Bearer 0123456789abcdeff"],
            &["Bearer 0123456789abcdef", "Bearer fedcba9876543210"],
        ] {
            assert_eq!(found(&keys, wrong), None, "{wrong:?}");
        }
        assert_eq!(format!("{keys:?}"), "Keys(2)");
    }
}
