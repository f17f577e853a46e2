//! Notices that the script has changed.
//!
//! By looking: it works on every file system, survives editors that replace a file by renaming another one over it, and
//! costs one system call each time.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often the file is looked at. A change counts once it has rested for one look, so that half a file is not read.
const LOOK: Duration = Duration::from_millis(100);

/// The file of a script.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// What it held when it was last read.
    source: Vec<u8>,
    stamp: Option<Stamp>,
}

/// What changes with a file.
type Stamp = (u64, Option<SystemTime>);

impl Watch {
    /// Watches a file that holds `source` now.
    #[must_use]
    pub fn new(path: &Path, source: &[u8]) -> Self {
        Self { path: path.to_owned(), source: source.to_owned(), stamp: None }
    }

    /// The new contents, once they differ. A file that cannot be read now is waited for.
    #[expect(clippy::disallowed_methods, reason = "reads the script that the command line names")]
    pub async fn changed(&mut self) -> Vec<u8> {
        let mut before = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let stamp = tokio::fs::metadata(&self.path).await.ok().map(|metadata| stamp(&metadata));
            let rests = stamp.is_some() && stamp == before;
            before = stamp;
            if !rests || stamp == self.stamp {
                continue;
            }
            if let Ok(source) = tokio::fs::read(&self.path).await {
                self.stamp = stamp;
                if source != self.source {
                    self.source.clone_from(&source);
                    return source;
                }
            }
        }
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.len(), metadata.modified().ok())
}
