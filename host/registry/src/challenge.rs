//! How a registry asks for a login: the header `WWW-Authenticate` (RFC 9110, section 11.6.1), with the schemes that registries
//! use.

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, which another server gives.
    Token {
        /// The URL of that server.
        realm: String,
        /// The name of the registry there.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads the value of the header; none where it has neither scheme, or is malformed.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = rest.trim();
        while !rest.is_empty() {
            let (name, behind) = rest.split_once('=')?;
            let (value, behind) = quoted(behind)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                _ => {}
            }
            rest = behind.trim_start().strip_prefix(',').unwrap_or_default().trim_start();
        }
        Some(Self::Token { realm: realm?, service })
    }
}

/// A value, in quotes or not, and what comes behind it. Escapes are in no challenge that a registry sends.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (value, behind) = match text.strip_prefix('"') {
        Some(inner) => inner.split_once('"')?,
        None => text.split_at(text.find(',').unwrap_or(text.len())),
    };
    if value.contains('\\') { None } else { Some((value.trim().to_owned(), behind)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_registries_are_read() {
        let token = |realm: &str, service: Option<&str>| {
            Some(Challenge::Token { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (value, challenge) in [
            ("Basic realm=\"r\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.example.com/token\",service=\"r.example\",scope=\"repository:a/b:pull\"",
                token("https://auth.example.com/token", Some("r.example")),
            ),
            ("bearer Service=x, realm=https://a/t", token("https://a/t", Some("x"))),
            ("Bearer realm=\"https://a/t?x=1,2\"", token("https://a/t?x=1,2", None)),
            ("Bearer", None),
            ("Bearer service=\"x\"", None),
            ("Bearer realm=\"https://a", None),
            ("Bearer realm=\"a\\\"b\"", None),
            ("Negotiate x", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(value), challenge, "{value}");
        }
    }
}
