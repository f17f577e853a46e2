//! What can go wrong with a registry, as sentences for the operator of a node.

use starcell_config::ContentDigest;
use thiserror::Error;

/// Why a bundle was not pulled, or not pushed. Texts of the registry in it are bounded; whoever writes them escapes them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is no connection, or no whole answer in time.
    #[error("cannot reach {0}: {1}")]
    Away(String, String),
    /// The manifest is none of a bundle.
    #[error("{0} is no bundle of apps: {1}; push one with `starcell app push`")]
    BadManifest(String, String),
    /// The registry asks for a login in a way that is none.
    #[error("{0} asks for a login in a way that cannot be used: {1}")]
    Challenge(String, String),
    /// Credentials would go over a connection that others can read.
    #[error("{0} asks for a login over a connection without encryption; credentials go over TLS or loopback alone")]
    Clear(String),
    /// A server that the registry names asks for the credentials.
    #[error(
        "{0} sends for a token to {1}; add an entry for {1} to the file of the credentials if that server may have them"
    )]
    Elsewhere(String, String),
    /// The answer has more bytes than it may have.
    #[error("{0} sends more than {1} bytes for {2}; nothing of it is taken")]
    Large(String, usize, String),
    /// There is no such manifest or blob.
    #[error("{0} is not there; push it with `starcell app push`, or correct its name")]
    Missing(String),
    /// No login, or one that does not suffice.
    #[error("{0} refuses {1} (status {2}); name a file with a login for it that may do that")]
    Refused(String, String, u16),
    /// A redirect that is not followed.
    #[error("{0} redirects to {1}, {2}; it is not followed")]
    Redirect(String, String, &'static str),
    /// An answer that the protocol does not have.
    #[error("{0} answers {1} with status {2}{3}")]
    Status(String, String, u16, String),
    /// Bytes have another digest than the one that names them.
    #[error(
        "{what} has the digest {found}, not {expected}: the registry or the way to it is broken, and nothing of it is taken"
    )]
    WrongDigest {
        /// The bytes.
        what: String,
        /// The digest that they must have.
        expected: ContentDigest,
        /// The digest that they have.
        found: ContentDigest,
    },
    /// A layer has another length than its manifest says.
    #[error("the layer of {0} has {1} bytes, and its manifest says {2}: the registry or the way to it is broken")]
    WrongSize(String, usize, usize),
}

impl RegistryError {
    /// Returns whether the registry may answer differently in a moment, as one does that restarts.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away(..) | Self::Status(_, _, 429 | 500..=599, _))
    }
}
