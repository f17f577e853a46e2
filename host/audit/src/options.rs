//! The place of a log, its bounds, and the way to treat damage.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use starcell_policy::{Scheme, Url, UrlError};
use thiserror::Error;

use crate::signing::SigningKey;

/// The way in which a log is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file that is written. Full ones are renamed to its name with `.1`, `.2` and so on.
    pub path: PathBuf,
    /// The size in bytes at which a new file begins.
    pub rotate_bytes: u64,
    /// The number of full files that are kept beside the one that is written; older ones are deleted.
    pub keep: usize,
    /// The bytes of records that one app may cause; none for no bound.
    pub app_rate: Option<Rate>,
    /// Goes on beside a damaged file, which keeps its bytes under another name. Without it a damaged file is an error.
    pub set_aside_damaged: bool,
    /// The second place for the head of the chain.
    pub anchor: Option<AnchorOptions>,
}

/// The bytes of records that one app may cause. A call beyond them waits, in the time of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes a second on average.
    pub bytes_per_second: u32,
    /// Bytes at once, after a time of silence.
    pub burst_bytes: u32,
}

/// A second place for the head of the chain.
#[derive(Clone, Debug)]
pub struct AnchorOptions {
    /// The place that anchors go to.
    pub place: AnchorPlace,
    /// The time from one anchor to the next while the log grows.
    pub every: Duration,
    /// Signs each anchor.
    pub key: Option<SigningKey>,
}

/// Where anchors go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorPlace {
    /// The file that they are added to.
    File(PathBuf),
    /// The server that they are sent to, by `http`.
    Server(Url),
}

/// A URL that anchors cannot be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAnchorPlace {
    /// It is encrypted, or of another protocol.
    #[error(
        "anchors are sent by http:// alone; sign them with --audit-key, and let a proxy of this machine encrypt them"
    )]
    NotHttp,
    /// It is no URL.
    #[error("{0}")]
    Url(UrlError),
}

/// Reads a URL, or a path without `://`.
impl FromStr for AnchorPlace {
    type Err = BadAnchorPlace;

    fn from_str(text: &str) -> Result<Self, BadAnchorPlace> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        match Url::parse(text) {
            Ok(url) if url.scheme() == Scheme::Http => Ok(Self::Server(url)),
            Ok(_) | Err(UrlError::Scheme) => Err(BadAnchorPlace::NotHttp),
            Err(error) => Err(BadAnchorPlace::Url(error)),
        }
    }
}

/// The path, or the URL without its query.
impl fmt::Display for AnchorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(url) => url.fmt(f),
        }
    }
}

impl Options {
    /// A new file every 256 MiB, none ever deleted, since only the operator can say which one is no longer needed; the
    /// default rate; damage is an error; no anchor.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rotate_bytes: 256 << 20,
            keep: usize::MAX,
            app_rate: Some(Rate::DEFAULT),
            set_aside_damaged: false,
            anchor: None,
        }
    }
}

impl Rate {
    /// 1 MiB a second with bursts of 16 MiB: some 1,200 calls a second, and at most 84 GiB a day instead of the disk's
    /// whole bandwidth.
    pub const DEFAULT: Self = Self::mebibytes(1);

    /// This many MiB a second, with bursts of 16 seconds' worth.
    #[must_use]
    pub const fn mebibytes(each_second: u8) -> Self {
        let bytes_per_second = (each_second as u32) << 20;
        Self { bytes_per_second, burst_bytes: bytes_per_second.saturating_mul(16) }
    }
}

impl AnchorOptions {
    /// Ten seconds from one anchor to the next: the longest stretch of records that a thief of the log can cut off
    /// unseen.
    pub const EVERY: Duration = Duration::from_secs(10);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_or_a_server() {
        assert_eq!("/x/anchors".parse(), Ok(AnchorPlace::File("/x/anchors".into())));
        let server = "http://log.example:8080/anchors?token=x".parse::<AnchorPlace>().map(|place| place.to_string());
        assert_eq!(server, Ok("http://log.example:8080/anchors".to_owned()));
        for text in ["https://log.example/", "ftp://log.example/", "x://y"] {
            assert_eq!(text.parse::<AnchorPlace>(), Err(BadAnchorPlace::NotHttp), "{text}");
        }
        assert_eq!("http://u:p@h/".parse::<AnchorPlace>(), Err(BadAnchorPlace::Url(UrlError::Credentials)));
    }
}
