//! An index is written in a task of its own, and what it names no more is removed behind it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::node::archive::Archive;
use crate::node::durable::remove;
use crate::node::history::History;
use starcell_runtime::slow::on_blocking_thread;

/// An index to write.
pub(super) struct Index {
    pub(super) name: String,
    pub(super) history: History,
    /// The folders of revisions that it names no more.
    pub(super) gone: Vec<PathBuf>,
}

/// An index that was written, or not.
pub(super) struct Saved {
    pub(super) name: String,
    pub(super) history: History,
    /// Why it was not written, and the folders that therefore stay.
    pub(super) result: Result<(), (String, Vec<PathBuf>)>,
}

impl Index {
    /// Writes it once there is a place among those who write.
    pub(super) async fn write(self, archive: Archive, writers: Arc<Semaphore>) -> Saved {
        let Self { name, history, gone } = self;
        // It is never closed.
        let _place = writers.acquire().await;
        let written = on_blocking_thread({
            let (name, history) = (name.clone(), history.clone());
            move || match archive.write(&name, &history) {
                Ok(()) => {
                    // After the index that names them no more. One that cannot be removed is in nobody's way.
                    gone.iter().for_each(|folder| drop(remove(folder)));
                    Ok(())
                }
                Err(why) => Err((why, gone)),
            }
        });
        let result = written.await.unwrap_or_else(|error| Err((error.to_string(), Vec::new())));
        Saved { name, history, result }
    }
}
