//! A server as the operator names it.

use std::fmt;
use std::path::PathBuf;

use starcell_policy::Host;
use tokio::io::AsyncReadExt as _;

/// Bytes of a file that holds a password.
const MAX_PASSWORD: u64 = 4096;

/// A server of the operator's: where it is, and who the node is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteServer {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted and the server's name verified.
    pub tls: bool,
    /// The name that the node has there; none where the server knows one.
    pub user: Option<String>,
    /// The file of the password. It is read for each connection, so that a new password needs no restart.
    pub password_file: Option<PathBuf>,
    /// The database.
    pub database: String,
}

impl RemoteServer {
    /// The password, read now.
    #[expect(clippy::disallowed_types, reason = "reads the file that the operator names")]
    pub(crate) async fn password(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let mut text = String::new();
        let read = match tokio::fs::File::open(path).await {
            Ok(file) => file.take(MAX_PASSWORD).read_to_string(&mut text).await,
            Err(error) => Err(error),
        };
        read.map_err(|error| format!("cannot read the password file {}: {error}", path.display()))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// Without its credentials.
impl fmt::Display for RemoteServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}
