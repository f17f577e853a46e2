//! The flags about the records of a run.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use starcell_audit::AnchorPlace;

/// The audit log of a run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Audit")]
pub struct RecordFlags {
    /// Records every privileged call in this file, allowed and denied, before it is done.
    #[arg(long = "audit", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Records what needs no permission as well: reading the time, waiting, and randomness.
    #[arg(long = "audit-pure", requires = "file")]
    pub pure: bool,

    /// Records the statements on databases and their parameters as well.
    #[arg(long = "audit-sql", requires = "file")]
    pub sql: bool,

    /// Size at which the file is renamed to FILE.1, FILE.2 and so on and a new one begins, in MiB.
    #[arg(long = "audit-rotate", value_name = "MIB", requires = "file", default_value = "256")]
    pub rotate: NonZeroU32,

    /// Keeps this many of the renamed files and deletes the oldest. Without this flag all are kept.
    #[arg(long = "audit-keep", value_name = "N", requires = "file")]
    pub keep: Option<u32>,

    /// Records of the app in MiB a second on average, with bursts of 16 times as much; a call beyond that waits. 0 sets
    /// no bound.
    #[arg(long = "audit-rate", value_name = "MIB", requires = "file", default_value = "1")]
    pub rate: u8,

    /// Adds the count of lines and the last hash of the log to this file, or sends them to this http:// URL. Whoever can
    /// change the log should not be able to write there; see `starcell audit verify --anchor`.
    #[arg(long = "audit-anchor", value_name = "FILE|URL", requires = "file")]
    pub anchor: Option<AnchorPlace>,

    /// Time between two anchors.
    #[arg(
        long = "audit-anchor-interval", value_name = "DURATION", requires = "anchor", default_value = "10s",
        value_parser = super::duration::duration
    )]
    pub anchor_interval: Duration,

    /// Signs the anchors with this Ed25519 private key in PEM, as `openssl genpkey -algorithm ed25519` makes it.
    #[arg(long = "audit-key", value_name = "FILE", requires = "anchor")]
    pub key: Option<PathBuf>,
}

impl RecordFlags {
    /// The file that anchors are added to, if they go to a file.
    #[must_use]
    pub fn anchor_file(&self) -> Option<&Path> {
        match &self.anchor {
            Some(AnchorPlace::File(path)) => Some(path),
            Some(AnchorPlace::Server(_)) | None => None,
        }
    }
}
