//! Values that several tables of the files have: names, paths, addresses.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;

use crate::error::{ConfigError, Source};

/// Characters of a name.
const MAX_NAME: usize = 64;

/// Returns whether a text can name a tenant, an app or a listener: such a name is also that of a file, and stands in
/// records.
#[must_use]
pub fn is_plain_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(word)
}

impl Source<'_> {
    pub(crate) fn name(&self, what: &str, name: &Spanned<String>) -> Result<String, ConfigError> {
        match is_plain_name(name.get_ref()) {
            true => Ok(name.get_ref().clone()),
            false => {
                let shown: String = name.get_ref().chars().take(MAX_NAME).collect();
                let problem =
                    format!("bad {what} name {shown:?}: 1 to {MAX_NAME} lower-case ASCII letters, digits, `-` and `_`");
                Err(self.error(name.span().start, problem, None))
            }
        }
    }

    pub(crate) fn path(&self, key: &str, path: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        let text = path.get_ref();
        match text.is_empty() || text.contains('\0') {
            true => Err(self.error(path.span().start, format!("`{key}` is no path"), None)),
            false => Ok(text.into()),
        }
    }

    pub(crate) fn address(&self, address: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
        address.get_ref().parse().map_err(|_| {
            let problem = format!("{:?} is no address with a port; write it like 127.0.0.1:8080", address.get_ref());
            self.error(address.span().start, problem, None)
        })
    }
}
