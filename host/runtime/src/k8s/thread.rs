//! Threads for what parses much or asks programs.

use crate::slow::on_blocking_thread;

/// Does what reads files or parses much on a thread that may block.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    on_blocking_thread(work).await.unwrap_or_else(|error| Err(format!("the host failed: {error}")))
}
