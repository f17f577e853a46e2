//! The place of a log, its bounds, and the way to treat damage.

use std::{path::PathBuf, time::Duration};

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
    /// The file that anchors are added to.
    pub path: PathBuf,
    /// The time from one anchor to the next while the log grows.
    pub every: Duration,
    /// Signs each anchor.
    pub key: Option<SigningKey>,
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
